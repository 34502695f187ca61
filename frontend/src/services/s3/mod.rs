//! S3: buckets and objects.
//!
//! Rows hold all that is known of a bucket, an object, an upload or a part; [`body`] holds the bytes behind them. A
//! write verifies its body first and then changes rows and bodies in one transaction; a read streams from one view.
//!
//! What S3 has and we do not is refused by the name of its header, never ignored.

mod access;
mod acl;
mod attributes;
mod audit;
mod body;
mod buckets;
mod checksums;
mod complete;
mod conditions;
mod configuration;
mod copy;
pub(crate) mod cors;
mod delete;
mod draft;
mod encryption;
mod error;
mod get;
mod lifecycle;
mod list;
mod list_versions;
mod lock;
mod multipart;
mod names;
mod notification;
mod ownership;
mod part_copy;
mod policy;
pub(crate) mod post;
mod put;
mod range;
mod receive;
mod restore;
mod rows;
mod source;
mod tagging;
#[cfg(test)]
mod tests;
mod uploads;
mod version_ids;
mod versioning;
mod versions;
#[cfg(test)]
mod versions_tests;
pub(crate) mod website;
mod words;

pub(crate) use audit::{Reference, each_reference};
pub(crate) use rows::each_table;

use crate::ids::RequestIdStyle;
use crate::service::Service;
use cumulog_engine::Space;
use cumulog_model::s3 as model;

/// The key spaces that S3 owns.
const SPACES: &[Space] = &[
    rows::BUCKETS.space(),
    rows::OBJECTS.space(),
    rows::UPLOADS.space(),
    rows::PARTS.space(),
    rows::VERSIONS.space(),
    rows::NULLS.space(),
    rows::SWEEPS.space(),
    rows::MOVE_MINIMUMS.space(),
    rows::JOBS.spaces()[0],
    rows::JOBS.spaces()[1],
    rows::CONFIGURATIONS.space(),
];

/// What S3 has and we do not, and why.
const REFUSED: &[(&str, &str)] = &[
    (
        "CreateSession",
        "there are no directory buckets, and so no sessions with them",
    ),
    ("ListDirectoryBuckets", "there are no directory buckets"),
    ("CreateBucketMetadataConfiguration", NO_TABLES),
    ("CreateBucketMetadataTableConfiguration", NO_TABLES),
    ("DeleteBucketMetadataConfiguration", NO_TABLES),
    ("DeleteBucketMetadataTableConfiguration", NO_TABLES),
    ("GetBucketMetadataConfiguration", NO_TABLES),
    ("GetBucketMetadataTableConfiguration", NO_TABLES),
    (
        "UpdateBucketMetadataAnnotationTableConfiguration",
        NO_TABLES,
    ),
    ("UpdateBucketMetadataInventoryTableConfiguration", NO_TABLES),
    ("UpdateBucketMetadataJournalTableConfiguration", NO_TABLES),
    ("PutObjectAnnotation", NO_ANNOTATIONS),
    ("GetObjectAnnotation", NO_ANNOTATIONS),
    ("DeleteObjectAnnotation", NO_ANNOTATIONS),
    ("ListObjectAnnotations", NO_ANNOTATIONS),
    ("GetObjectTorrent", "AWS has retired torrents"),
    (
        "SelectObjectContent",
        "AWS has closed S3 Select to new customers",
    ),
    (
        "WriteGetObjectResponse",
        "AWS has closed S3 Object Lambda to new customers",
    ),
    (
        "GetBucketNotification",
        "its requests are those of GetBucketNotificationConfiguration, which answers them",
    ),
    (
        "PutBucketNotification",
        "its requests are those of PutBucketNotificationConfiguration, which answers them",
    ),
    (
        "GetBucketLifecycle",
        "its requests are those of GetBucketLifecycleConfiguration, which answers them",
    ),
    (
        "PutBucketLifecycle",
        "its requests are those of PutBucketLifecycleConfiguration, which answers them",
    ),
    (
        "RenameObject",
        "AWS has it for directory buckets only, and there are none",
    ),
];

const NO_TABLES: &str = "there are no S3 tables that metadata could be kept in";
const NO_ANNOTATIONS: &str = "objects have no annotations here";

/// S3 and its handlers.
pub(crate) fn service() -> Service {
    let service = Service::new(&model::SERVICE)
        .spaces(SPACES)
        .refuses(REFUSED)
        .jobs(rows::JOBS)
        .request_ids(RequestIdStyle::Letters16)
        .internal_code("InternalError")
        .validate(error::check_present)
        .authorize(access::authorize)
        .write::<model::CreateBucket, _>(buckets::create_bucket)
        .read::<model::ListBuckets, _>(buckets::list_buckets)
        .read::<model::HeadBucket, _>(buckets::head_bucket)
        .read::<model::GetBucketLocation, _>(buckets::get_bucket_location)
        .write::<model::DeleteBucket, _>(buckets::delete_bucket)
        .future::<model::PutObject, _, _>(put::put_object)
        .future::<model::GetObject, _, _>(get::get_object)
        .read::<model::HeadObject, _>(get::head_object)
        .write::<model::DeleteObject, _>(delete::delete_object)
        .write::<model::DeleteObjects, _>(delete::delete_objects)
        .future::<model::CopyObject, _, _>(copy::copy_object)
        .read::<model::ListObjects, _>(list::list_objects)
        .read::<model::ListObjectsV2, _>(list::list_objects_v2)
        .write::<model::CreateMultipartUpload, _>(multipart::create)
        .future::<model::UploadPart, _, _>(multipart::upload_part)
        .future::<model::UploadPartCopy, _, _>(part_copy::upload_part_copy)
        .write::<model::CompleteMultipartUpload, _>(complete::complete)
        .write::<model::AbortMultipartUpload, _>(multipart::abort)
        .read::<model::ListParts, _>(uploads::list_parts)
        .read::<model::ListMultipartUploads, _>(uploads::list_uploads)
        .read::<model::GetBucketVersioning, _>(versioning::get_bucket_versioning)
        .write::<model::PutBucketVersioning, _>(versioning::put_bucket_versioning)
        .read::<model::GetObjectLockConfiguration, _>(lock::get_object_lock_configuration)
        .write::<model::PutObjectLockConfiguration, _>(lock::put_object_lock_configuration)
        .read::<model::GetObjectRetention, _>(lock::get_object_retention)
        .write::<model::PutObjectRetention, _>(lock::put_object_retention)
        .read::<model::GetObjectLegalHold, _>(lock::get_object_legal_hold)
        .write::<model::PutObjectLegalHold, _>(lock::put_object_legal_hold)
        .write::<model::RestoreObject, _>(restore::restore_object)
        .read::<model::ListObjectVersions, _>(list_versions::list_object_versions)
        .read::<model::GetBucketAcl, _>(acl::get_bucket_acl)
        .write::<model::PutBucketAcl, _>(acl::put_bucket_acl)
        .read::<model::GetObjectAcl, _>(acl::get_object_acl)
        .write::<model::PutObjectAcl, _>(acl::put_object_acl)
        .read::<model::GetObjectAttributes, _>(attributes::get_object_attributes)
        .read::<model::GetBucketTagging, _>(tagging::get_bucket_tagging)
        .write::<model::PutBucketTagging, _>(tagging::put_bucket_tagging)
        .write::<model::DeleteBucketTagging, _>(tagging::delete_bucket_tagging)
        .read::<model::GetObjectTagging, _>(tagging::get_object_tagging)
        .write::<model::PutObjectTagging, _>(tagging::put_object_tagging)
        .write::<model::DeleteObjectTagging, _>(tagging::delete_object_tagging);
    let families = [
        configuration::register,
        lifecycle::register,
        cors::register,
        website::register,
        encryption::register,
        notification::register,
        ownership::register,
        policy::register,
    ];
    families
        .into_iter()
        .fold(service, |service, register| register(service))
}
