//! What S3 refuses, in its words.

use super::configuration::error::ConfigurationError;
use super::rows::shown_time;
use crate::failure::{Failure, with_causes};
use crate::policy::Malformed;
use cumulog_engine::RowError;
use cumulog_shape::{Location, Member, Missing, Struct, TimestampFormat};

/// Why S3 refuses a request. One variant per thing that a client can tell apart.
#[derive(Debug)]
pub(super) enum S3Error {
    AccessDenied,
    BadDigest {
        checksum: &'static str,
    },
    BadRequest(&'static str),
    BadContentMd5 {
        expected: String,
        calculated: String,
    },
    /// The checksum given for a multipart object as a whole.
    ChecksumOfWhole {
        algorithm: String,
    },
    BucketAlreadyExists {
        bucket: String,
    },
    BucketAlreadyOwnedByYou {
        bucket: String,
    },
    BucketNotEmpty {
        bucket: String,
        /// It keeps versions.
        versions: bool,
    },
    /// A conditional write lost against a write or delete since its upload began.
    ConditionalRequestConflict {
        condition: &'static str,
        key: String,
    },
    /// The newest version is a delete marker.
    DeletedKey {
        key: String,
        marker: String,
    },
    /// The version that a request names is a delete marker.
    DeleteMarker {
        method: &'static str,
        marker: String,
        modified_ms: i64,
    },
    EntityTooLarge {
        bytes: u64,
        bytes_max: u64,
    },
    EntityTooSmall {
        bytes: u64,
        bytes_min: u64,
        part: u32,
        etag: String,
    },
    IllegalLocation {
        location: String,
    },
    IncompleteBody,
    InvalidArgument {
        message: String,
        name: &'static str,
        value: Option<String>,
    },
    InvalidBucketName {
        bucket: String,
    },
    InvalidDigest {
        given: String,
    },
    InvalidLocation {
        location: String,
    },
    InvalidObjectState {
        storage_class: String,
    },
    InvalidOwner {
        given: String,
    },
    InvalidPart {
        upload: String,
        part: u32,
        etag: String,
    },
    InvalidPartNumber {
        requested: i64,
        parts: usize,
    },
    InvalidPartOrder {
        upload: String,
    },
    InvalidRange {
        requested: String,
        bytes: u64,
    },
    InvalidRequest(String),
    InvalidStorageClass {
        requested: String,
    },
    InvalidTag {
        message: &'static str,
        key: String,
    },
    KeyTooLong {
        bytes: usize,
    },
    MalformedXml,
    MetadataTooLarge {
        bytes: usize,
    },
    MissingContentLength,
    MissingBody,
    MissingHeader {
        name: &'static str,
    },
    NoSuchBucket {
        bucket: String,
    },
    NoSuchTagSet {
        bucket: String,
    },
    NoSuchKey {
        key: String,
    },
    NoSuchUpload {
        upload: String,
    },
    NoSuchVersion {
        key: String,
        version: String,
    },
    NoVersioningStatus,
    NoLifecycle {
        bucket: String,
    },
    /// An object whose class needs no restore.
    NotRestorable {
        storage_class: String,
    },
    RestoreUnderWay,
    /// What the state of a bucket does not allow.
    BucketState(&'static str),
    /// Object lock keeps this version.
    Locked,
    /// A bucket without object lock.
    NoLockConfiguration {
        bucket: String,
    },
    /// A version without what was asked for of its lock.
    NoLockOfObject,
    RetentionPeriod(&'static str),
    /// A condition of a read that means "you have it already".
    NotModified {
        etag: String,
        modified: String,
    },
    /// A header that we (or AWS, for general purpose buckets) do not act on.
    NotImplemented {
        header: String,
        why: Option<&'static str>,
    },
    PreconditionFailed {
        condition: &'static str,
    },
    /// The bucket has no ACLs.
    AclsDisabled,
    /// A bucket with an ACL cannot be one without ACLs.
    AclWithOwnership,
    /// A new bucket cannot be open to everyone.
    AclWithBlock,
    InvalidEncryptionAlgorithm {
        given: String,
    },
    MalformedAcl,
    UnexpectedContent,
    /// Users are not known by their addresses.
    UnknownEmail,
    /// Not the key that the object is encrypted with.
    WrongCustomerKey,
    /// What another service refuses, in its words.
    Elsewhere(Failure),
    /// Of a configuration.
    Configuration(ConfigurationError),
    /// A row that does not decode, or a body without its bytes.
    Broken(String),
}

/// The longest key, in bytes of UTF-8.
pub(super) const KEY_BYTES_MAX: usize = 1024;

/// The most user metadata: bytes of names and values together.
pub(super) const METADATA_BYTES_MAX: usize = 2048;

impl S3Error {
    /// An argument that cannot be, and its value.
    pub(super) fn argument(
        name: &'static str,
        value: impl Into<String>,
        message: impl Into<String>,
    ) -> S3Error {
        S3Error::InvalidArgument {
            message: message.into(),
            name,
            value: Some(value.into()),
        }
    }

    /// A request that contradicts itself or the state.
    pub(super) fn request(message: impl Into<String>) -> S3Error {
        S3Error::InvalidRequest(message.into())
    }

    /// A header that we do not act on.
    pub(super) fn header(name: impl Into<String>) -> S3Error {
        S3Error::NotImplemented {
            header: name.into(),
            why: None,
        }
    }
}

/// S3 checks values where it uses them, each in words of its own; here only that they are there.
pub(super) fn check_present(input: &dyn Struct, missing: &Missing) -> Result<(), Failure> {
    let Some(first) = missing.iter().next() else {
        return Ok(());
    };
    let schema = input.schema();
    if ["PutBucketAclRequest", "PutObjectAclRequest"].contains(&schema.name)
        && first.path.contains('.')
    {
        return Err(S3Error::MalformedAcl.into());
    }
    if schema.name == "PutBucketPolicyRequest" && first.name == "Policy" {
        return Err(ConfigurationError::Policy(Malformed::NoJson).into());
    }
    let own = |member: &&Member| member.name == first.name && !first.path.contains('.');
    let member = schema.members.iter().find(own);
    let error = match member.map(|member| (member.location, member.wire)) {
        Some((Location::Query, _)) => S3Error::InvalidArgument {
            message: "This operation does not accept a query-string.".to_owned(),
            name: "ResourceType",
            value: None,
        },
        Some((Location::Header, name)) => S3Error::MissingHeader { name },
        Some((Location::Body, _)) => S3Error::MissingBody,
        _ => S3Error::MalformedXml,
    };
    Err(error.into())
}

/// Refuses by name the first header that is there but not honoured.
pub(super) fn refuse(headers: &[(&'static str, bool)]) -> Result<(), S3Error> {
    match headers.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(S3Error::header(*name)),
        None => Ok(()),
    }
}

impl From<cumulog_engine::Error> for S3Error {
    fn from(error: cumulog_engine::Error) -> S3Error {
        S3Error::Broken(with_causes(&error))
    }
}

impl From<RowError> for S3Error {
    fn from(error: RowError) -> S3Error {
        S3Error::Broken(error.to_string())
    }
}

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Failure {
        match error {
            S3Error::BucketAlreadyExists { .. }
            | S3Error::BucketAlreadyOwnedByYou { .. }
            | S3Error::BucketNotEmpty { .. }
            | S3Error::IllegalLocation { .. }
            | S3Error::InvalidBucketName { .. }
            | S3Error::InvalidLocation { .. }
            | S3Error::InvalidOwner { .. }
            | S3Error::NoSuchBucket { .. }
            | S3Error::NoSuchTagSet { .. }
            | S3Error::NoVersioningStatus => bucket_failure(error),
            S3Error::BucketState(_)
            | S3Error::NoLifecycle { .. }
            | S3Error::NotRestorable { .. }
            | S3Error::RestoreUnderWay
            | S3Error::Locked
            | S3Error::NoLockConfiguration { .. }
            | S3Error::NoLockOfObject
            | S3Error::RetentionPeriod(_) => lock_failure(error),
            S3Error::DeletedKey { .. }
            | S3Error::DeleteMarker { .. }
            | S3Error::NoSuchVersion { .. } => version_failure(error),
            S3Error::BadDigest { .. }
            | S3Error::BadContentMd5 { .. }
            | S3Error::ChecksumOfWhole { .. }
            | S3Error::EntityTooLarge { .. }
            | S3Error::IncompleteBody
            | S3Error::InvalidDigest { .. }
            | S3Error::KeyTooLong { .. }
            | S3Error::MetadataTooLarge { .. }
            | S3Error::MissingContentLength => body_failure(error),
            S3Error::EntityTooSmall { .. }
            | S3Error::InvalidPart { .. }
            | S3Error::InvalidPartNumber { .. }
            | S3Error::InvalidPartOrder { .. }
            | S3Error::NoSuchUpload { .. } => upload_failure(error),
            S3Error::ConditionalRequestConflict { .. }
            | S3Error::InvalidRange { .. }
            | S3Error::NotModified { .. }
            | S3Error::PreconditionFailed { .. } => condition_failure(error),
            S3Error::Configuration(error) => error.into(),
            S3Error::Elsewhere(failure) => failure,
            S3Error::AclsDisabled
            | S3Error::AclWithOwnership
            | S3Error::AclWithBlock
            | S3Error::MalformedAcl
            | S3Error::UnexpectedContent
            | S3Error::UnknownEmail => acl_failure(error),
            _ => request_failure(error),
        }
    }
}

fn bucket_failure(error: S3Error) -> Failure {
    match error {
        S3Error::BucketAlreadyExists { bucket } => Failure::sender(
            "BucketAlreadyExists",
            409,
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
             Please select a different name and try again.",
        )
        .with("BucketName", bucket),
        S3Error::BucketAlreadyOwnedByYou { bucket } => Failure::sender(
            "BucketAlreadyOwnedByYou",
            409,
            "Your previous request to create the named bucket succeeded and you already own it.",
        )
        .with("BucketName", bucket),
        S3Error::BucketNotEmpty { bucket, versions } => {
            let message = match versions {
                false => "The bucket you tried to delete is not empty",
                true => "The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
            };
            Failure::sender("BucketNotEmpty", 409, message).with("BucketName", bucket)
        }
        S3Error::NoVersioningStatus => Failure::sender(
            "IllegalVersioningConfigurationException",
            400,
            "The Versioning element must be specified",
        ),
        S3Error::IllegalLocation { location } => Failure::sender(
            "IllegalLocationConstraintException",
            400,
            format!(
                "The {location} location constraint is incompatible for the region specific endpoint this request \
                 was sent to."
            ),
        ),
        S3Error::InvalidBucketName { bucket } => {
            Failure::sender("InvalidBucketName", 400, "The specified bucket is not valid.").with("BucketName", bucket)
        }
        S3Error::InvalidLocation { location } => {
            Failure::sender("InvalidLocationConstraint", 400, "The specified location-constraint is not valid")
                .with("LocationConstraint", location)
        }
        S3Error::InvalidOwner { given } => Failure::sender(
            "InvalidBucketOwnerAWSAccountID",
            400,
            format!("The value of the expected bucket owner parameter must be an AWS Account ID... [{given}]"),
        ),
        S3Error::NoSuchTagSet { bucket } => {
            Failure::sender("NoSuchTagSet", 404, "The TagSet does not exist").with("BucketName", bucket)
        }
        S3Error::NoSuchBucket { bucket } => {
            Failure::sender("NoSuchBucket", 404, "The specified bucket does not exist").with("BucketName", bucket)
        }
        other => request_failure(other),
    }
}

fn body_failure(error: S3Error) -> Failure {
    match error {
        S3Error::BadDigest { checksum } => Failure::sender(
            "BadDigest",
            400,
            format!("The {checksum} you specified did not match the calculated checksum."),
        ),
        S3Error::ChecksumOfWhole { algorithm } => Failure::sender(
            "BadDigest",
            400,
            format!("The {algorithm} you specified did not match the calculated checksum."),
        ),
        S3Error::BadContentMd5 {
            expected,
            calculated,
        } => Failure::sender(
            "BadDigest",
            400,
            "The Content-MD5 you specified did not match what we received.",
        )
        .with("ExpectedDigest", expected)
        .with("CalculatedDigest", calculated),
        S3Error::EntityTooLarge { bytes, bytes_max } => Failure::sender(
            "EntityTooLarge",
            400,
            "Your proposed upload exceeds the maximum allowed size",
        )
        .with("ProposedSize", bytes.to_string())
        .with("MaxSizeAllowed", bytes_max.to_string()),
        S3Error::IncompleteBody => Failure::sender(
            "IncompleteBody",
            400,
            "You did not provide the number of bytes specified by the Content-Length HTTP header",
        ),
        S3Error::InvalidDigest { given } => Failure::sender(
            "InvalidDigest",
            400,
            "The Content-MD5 you specified was invalid.",
        )
        .with("Content-MD5", given),
        S3Error::KeyTooLong { bytes } => {
            Failure::sender("KeyTooLongError", 400, "Your key is too long")
                .with("Size", bytes.to_string())
                .with("MaxSizeAllowed", KEY_BYTES_MAX.to_string())
        }
        S3Error::MetadataTooLarge { bytes } => Failure::sender(
            "MetadataTooLarge",
            400,
            "Your metadata headers exceed the maximum allowed metadata size",
        )
        .with("Size", bytes.to_string())
        .with("MaxSizeAllowed", METADATA_BYTES_MAX.to_string()),
        S3Error::MissingContentLength => Failure::sender(
            "MissingContentLength",
            411,
            "You must provide the Content-Length HTTP header.",
        ),
        other => request_failure(other),
    }
}

fn upload_failure(error: S3Error) -> Failure {
    match error {
        S3Error::EntityTooSmall { bytes, bytes_min, part, etag } => {
            Failure::sender("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size")
                .with("ProposedSize", bytes.to_string())
                .with("MinSizeAllowed", bytes_min.to_string())
                .with("PartNumber", part.to_string())
                .with("ETag", etag)
        }
        S3Error::InvalidPart { upload, part, etag } => Failure::sender(
            "InvalidPart",
            400,
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the \
             specified entity tag may not match the part's entity tag.",
        )
        .with("UploadId", upload)
        .with("PartNumber", part.to_string())
        .with("ETag", etag),
        S3Error::InvalidPartNumber { requested, parts } => {
            Failure::sender("InvalidPartNumber", 416, "The requested partnumber is not satisfiable")
                .with("PartNumberRequested", requested.to_string())
                .with("ActualPartCount", parts.to_string())
        }
        S3Error::InvalidPartOrder { upload } => Failure::sender(
            "InvalidPartOrder",
            400,
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        )
        .with("UploadId", upload),
        S3Error::NoSuchUpload { upload } => Failure::sender(
            "NoSuchUpload",
            404,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted \
             or completed.",
        )
        .with("UploadId", upload),
        other => request_failure(other),
    }
}

fn acl_failure(error: S3Error) -> Failure {
    let (code, message) = match error {
        S3Error::AclsDisabled => (
            "AccessControlListNotSupported",
            "The bucket does not allow ACLs",
        ),
        S3Error::AclWithOwnership => (
            "InvalidBucketAclWithObjectOwnership",
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        ),
        S3Error::AclWithBlock => (
            "InvalidBucketAclWithBlockPublicAccessError",
            "Bucket cannot have public ACLs set with BlockPublicAccess enabled",
        ),
        S3Error::MalformedAcl => (
            "MalformedACLError",
            "The XML you provided was not well-formed or did not validate against our published schema",
        ),
        S3Error::UnexpectedContent => {
            ("UnexpectedContent", "This request does not support content")
        }
        S3Error::UnknownEmail => (
            "UnresolvableGrantByEmailAddress",
            "The e-mail address you provided does not match any account on record.",
        ),
        other => return request_failure(other),
    };
    Failure::sender(code, 400, message)
}

fn condition_failure(error: S3Error) -> Failure {
    match error {
        S3Error::ConditionalRequestConflict { condition, key } => Failure::sender(
            "ConditionalRequestConflict",
            409,
            "The conditional request cannot succeed due to a conflicting operation against this resource.",
        )
        .with("Condition", condition)
        .with("Key", key),
        S3Error::InvalidRange { requested, bytes } => {
            Failure::sender("InvalidRange", 416, "The requested range is not satisfiable")
                .with("RangeRequested", requested)
                .with("ActualObjectSize", bytes.to_string())
                .header("content-range", format!("bytes */{bytes}"))
        }
        S3Error::NotModified { etag, modified } => Failure::sender("NotModified", 304, "Not Modified")
            .header("etag", format!("\"{etag}\""))
            .header("last-modified", modified),
        S3Error::PreconditionFailed { condition } => Failure::sender(
            "PreconditionFailed",
            412,
            "At least one of the pre-conditions you specified did not hold",
        )
        .with("Condition", condition),
        other => request_failure(other),
    }
}

fn version_failure(error: S3Error) -> Failure {
    match error {
        S3Error::DeletedKey { key, marker } => request_failure(S3Error::NoSuchKey { key })
            .header("x-amz-delete-marker", "true")
            .header("x-amz-version-id", marker),
        S3Error::DeleteMarker {
            method,
            marker,
            modified_ms,
        } => Failure::sender(
            "MethodNotAllowed",
            405,
            "The specified method is not allowed against this resource.",
        )
        .with("Method", method)
        .with("ResourceType", "DeleteMarker")
        .header("allow", "DELETE")
        .header("x-amz-delete-marker", "true")
        .header("x-amz-version-id", marker)
        .header(
            "last-modified",
            shown_time(modified_ms).format(TimestampFormat::HttpDate),
        ),
        S3Error::NoSuchVersion { key, version } => Failure::sender(
            "NoSuchVersion",
            404,
            "The specified version does not exist.",
        )
        .with("Key", key)
        .with("VersionId", version),
        other => request_failure(other),
    }
}

fn lock_failure(error: S3Error) -> Failure {
    match error {
        S3Error::BucketState(message) => Failure::sender("InvalidBucketState", 409, message),
        S3Error::NoLifecycle { bucket } => Failure::sender(
            "NoSuchLifecycleConfiguration",
            404,
            "The lifecycle configuration does not exist",
        )
        .with("BucketName", bucket),
        S3Error::NotRestorable { storage_class } => Failure::sender(
            "InvalidObjectState",
            403,
            "Restore is not allowed for the object's current storage class",
        )
        .with("StorageClass", storage_class),
        S3Error::RestoreUnderWay => Failure::sender(
            "RestoreAlreadyInProgress",
            409,
            "Object restore is already in progress",
        ),
        S3Error::Locked => Failure::sender(
            "AccessDenied",
            403,
            "Access Denied because object protected by object lock.",
        ),
        S3Error::NoLockConfiguration { bucket } => Failure::sender(
            "ObjectLockConfigurationNotFoundError",
            404,
            "Object Lock configuration does not exist for this bucket",
        )
        .with("BucketName", bucket),
        S3Error::NoLockOfObject => Failure::sender(
            "NoSuchObjectLockConfiguration",
            404,
            "The specified object does not have a ObjectLock configuration",
        ),
        S3Error::RetentionPeriod(message) => {
            Failure::sender("InvalidRetentionPeriod", 400, message)
        }
        other => request_failure(other),
    }
}

fn request_failure(error: S3Error) -> Failure {
    match error {
        S3Error::BadRequest(message) => Failure::sender("BadRequest", 400, message),
        S3Error::AccessDenied => Failure::sender("AccessDenied", 403, "Access Denied"),
        S3Error::InvalidArgument {
            message,
            name,
            value,
        } => {
            let failure =
                Failure::sender("InvalidArgument", 400, message).with("ArgumentName", name);
            match value {
                Some(value) => failure.with("ArgumentValue", value),
                None => failure,
            }
        }
        S3Error::InvalidObjectState { storage_class } => Failure::sender(
            "InvalidObjectState",
            403,
            "The operation is not valid for the object's storage class",
        )
        .with("StorageClass", storage_class),
        S3Error::InvalidRequest(message) => Failure::sender("InvalidRequest", 400, message),
        S3Error::InvalidStorageClass { requested } => Failure::sender(
            "InvalidStorageClass",
            400,
            "The storage class you specified is not valid",
        )
        .with("StorageClassRequested", requested),
        S3Error::InvalidTag { message, key } => {
            Failure::sender("InvalidTag", 400, message).with("TagKey", key)
        }
        S3Error::MalformedXml => Failure::sender(
            "MalformedXML",
            400,
            "The XML you provided was not well-formed or did not validate against our published schema",
        ),
        S3Error::NoSuchKey { key } => {
            Failure::sender("NoSuchKey", 404, "The specified key does not exist.").with("Key", key)
        }
        S3Error::NotImplemented { header, why } => {
            let message = "A header you provided implies functionality that is not implemented";
            let failure = Failure::sender("NotImplemented", 501, message).with("Header", header);
            match why {
                Some(why) => failure.with("additionalMessage", why),
                None => failure,
            }
        }
        S3Error::MissingBody => {
            Failure::sender("MissingRequestBodyError", 400, "Request Body is empty")
        }
        S3Error::MissingHeader { name } => {
            let message = "Your request was missing a required header";
            Failure::sender("MissingSecurityHeader", 400, message).with("MissingHeaderName", name)
        }
        S3Error::InvalidEncryptionAlgorithm { given } => Failure::sender(
            "InvalidEncryptionAlgorithmError",
            400,
            "The Encryption request you specified is not valid. Supported value: AES256.",
        )
        .with("ArgumentName", "x-amz-server-side-encryption")
        .with("ArgumentValue", given),
        S3Error::WrongCustomerKey => Failure::sender(
            "AccessDenied",
            403,
            "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.",
        ),
        S3Error::Broken(message) => Failure::internal(message),
        other => Failure::internal(format!("{other:?} has no words")),
    }
}
