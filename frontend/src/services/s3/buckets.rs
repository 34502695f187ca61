//! Buckets: create, list, look at, delete.

use super::acl::{self, Acl, grant_headers};
use super::error::{S3Error, refuse};
use super::lifecycle;
use super::names::{canonical_id, is_bucket_name};
use super::rows::{BUCKETS, BucketRow, LockRow, PARTS, UPLOADS, Versioning, shown_time};
use super::tagging::checked_of_bucket;
use super::versions::is_empty;
use super::{body, configuration, ownership};
use crate::call::Call;
use cumulog_engine::{Read, Txn, View};
use cumulog_model::s3::{
    Bucket, BucketLocationConstraint, CreateBucketConfiguration, CreateBucketInput,
    CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput, GetBucketLocationInput,
    GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput,
    ListBucketsOutput, ObjectOwnership, Owner,
};

/// Where S3 began: its rules for locations and for names that exist are older than those of other regions.
const FIRST_REGION: &str = "us-east-1";

/// What old tools (s3cmd) sign for instead.
const FIRST_REGION_ONCE: &str = "US";

/// The bucket, if it is there and belongs to whom the client expects.
pub(super) fn open_bucket(
    read: &impl Read,
    name: &str,
    expected_owner: Option<&str>,
) -> Result<BucketRow, S3Error> {
    if let Some(owner) = expected_owner.filter(|owner| !is_account(owner)) {
        return Err(S3Error::InvalidOwner {
            given: owner.to_owned(),
        });
    }
    let bucket = name.to_owned();
    match BUCKETS.get(read, &(bucket,))? {
        Some(row) if expected_owner.is_none_or(|owner| owner == row.account) => Ok(row),
        Some(_) => Err(S3Error::AccessDenied),
        None if is_bucket_name(name) => Err(S3Error::NoSuchBucket {
            bucket: name.to_owned(),
        }),
        None => Err(S3Error::InvalidBucketName {
            bucket: name.to_owned(),
        }),
    }
}

/// Fails unless the bucket is there and belongs to whom the client expects, which most clients do not say: then its
/// row need not be read.
pub(super) fn require_bucket(
    read: &impl Read,
    name: &str,
    expected_owner: Option<&str>,
) -> Result<(), S3Error> {
    if expected_owner.is_none() && BUCKETS.contains(read, &(name.to_owned(),)) {
        return Ok(());
    }
    open_bucket(read, name, expected_owner).map(drop)
}

/// Whether there is such a bucket.
pub(super) fn is_there(read: &impl Read, name: &str) -> bool {
    BUCKETS.contains(read, &(name.to_owned(),))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Creates a bucket. In us-east-1 its owner may do so again and again.
pub(super) fn create_bucket(
    call: &Call,
    txn: &mut Txn,
    input: CreateBucketInput,
) -> Result<CreateBucketOutput, S3Error> {
    refuse(&[("x-amz-bucket-namespace", input.bucket_namespace.is_some())])?;
    if !is_bucket_name(&input.bucket) {
        return Err(S3Error::InvalidBucketName {
            bucket: input.bucket,
        });
    }
    let headers = grant_headers!(input, input.grant_write.as_deref());
    let canned = input.acl.as_ref().map(|acl| acl.as_str());
    let acl = acl::of_headers(canned, acl::OF_BUCKETS, headers)?;
    let configuration = input.create_bucket_configuration.unwrap_or_default();
    let (region, location) = location(endpoint_region(call), &configuration)?;
    let key = (input.bucket.clone(),);
    if let Some(row) = BUCKETS.get(txn, &key)? {
        return match row {
            row if row.account != *call.account => Err(S3Error::BucketAlreadyExists {
                bucket: input.bucket,
            }),
            row if row.region == FIRST_REGION && endpoint_region(call) == FIRST_REGION => {
                Ok(created(call, &input.bucket))
            }
            _ => Err(S3Error::BucketAlreadyOwnedByYou {
                bucket: input.bucket,
            }),
        };
    }
    let locked = input.object_lock_enabled_for_bucket == Some(true);
    let mut row = BucketRow {
        account: call.account.to_string(),
        region,
        location,
        created_ms: call.now.0,
        acl: String::new(),
        ownership: object_ownership(input.object_ownership)?,
        tags: checked_of_bucket(configuration.tags.unwrap_or_default())?,
        versioning: if locked {
            Versioning::Enabled
        } else {
            Versioning::Never
        },
        lock: locked.then(LockRow::default),
        grants: Vec::new(),
    };
    if let Some(acl) = acl {
        check_new_acl(&row, &acl)?;
        acl.save_bucket(&mut row);
    }
    ownership::block_all(txn, &input.bucket);
    BUCKETS.put(txn, &key, &row);
    Ok(created(call, &input.bucket))
}

/// A new bucket blocks public access, and has no ACLs unless it is asked to have some.
fn check_new_acl(row: &BucketRow, acl: &Acl) -> Result<(), S3Error> {
    if !row.has_acls() && !acl.is_owners_alone(&row.account) {
        return Err(S3Error::AclWithOwnership);
    }
    match acl.is_public() {
        true => Err(S3Error::AclWithBlock),
        false => Ok(()),
    }
}

/// The region that the request was sent to.
fn endpoint_region(call: &Call) -> &str {
    match &*call.region {
        FIRST_REGION_ONCE => FIRST_REGION,
        region => region,
    }
}

fn created(call: &Call, bucket: &str) -> CreateBucketOutput {
    let location = match endpoint_region(call) {
        FIRST_REGION => format!("/{bucket}"),
        _ => format!("http://{bucket}.s3.amazonaws.com/"),
    };
    CreateBucketOutput {
        location: Some(location),
        bucket_arn: Some(arn(bucket)),
    }
}

fn arn(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

/// Region and location of a bucket to be. us-east-1 is named by saying nothing and creates buckets for other regions;
/// every other region must be named and creates only its own.
fn location(
    region: &str,
    configuration: &CreateBucketConfiguration,
) -> Result<(String, String), S3Error> {
    if configuration.location.is_some() || configuration.bucket.is_some() {
        // Directory buckets, which S3 has on other endpoints.
        return Err(S3Error::header("CreateBucketConfiguration"));
    }
    let constraint = configuration
        .location_constraint
        .as_ref()
        .map(BucketLocationConstraint::as_str)
        .unwrap_or_default();
    let wanted = match constraint {
        "" => FIRST_REGION,
        "EU" => "eu-west-1",
        other => other,
    };
    if region != FIRST_REGION {
        return match constraint {
            "" => Err(S3Error::IllegalLocation {
                location: "unspecified".to_owned(),
            }),
            _ if wanted == region => Ok((wanted.to_owned(), constraint.to_owned())),
            _ => Err(S3Error::IllegalLocation {
                location: constraint.to_owned(),
            }),
        };
    }
    match configuration.location_constraint {
        Some(BucketLocationConstraint::Unknown(_)) if !constraint.is_empty() => {
            Err(S3Error::InvalidLocation {
                location: constraint.to_owned(),
            })
        }
        _ => Ok((wanted.to_owned(), constraint.to_owned())),
    }
}

fn object_ownership(given: Option<ObjectOwnership>) -> Result<String, S3Error> {
    match given {
        None => Ok(String::new()),
        Some(ObjectOwnership::Unknown(other)) => {
            let message = format!("Invalid x-amz-object-ownership header: {other}");
            Err(S3Error::argument("x-amz-object-ownership", other, message))
        }
        Some(ownership) => Ok(ownership.as_str().to_owned()),
    }
}

/// Lists the account's buckets by name.
pub(super) fn list_buckets(
    call: &Call,
    view: &View,
    input: ListBucketsInput,
) -> Result<ListBucketsOutput, S3Error> {
    let max = match input.max_buckets {
        None => 10_000,
        Some(max @ 1..=10_000) => usize::try_from(max).unwrap_or(1),
        Some(max) => {
            let message = "Argument maxBuckets must be an integer between 1 and 10000";
            return Err(S3Error::argument("max-buckets", max.to_string(), message));
        }
    };
    let prefix = input.prefix.as_deref().unwrap_or_default();
    // The token is the last name that was listed.
    let after = input.continuation_token.as_deref().unwrap_or_default();
    let mut buckets = Vec::new();
    let mut continuation_token = None;
    for entry in BUCKETS.scan(view, &()) {
        let ((name,), row) = entry?;
        let wanted = row.account == *call.account
            && name.starts_with(prefix)
            && (after.is_empty() || name.as_str() > after)
            && input
                .bucket_region
                .as_ref()
                .is_none_or(|region| *region == row.region);
        if !wanted {
            continue;
        }
        if buckets.len() == max {
            continuation_token = buckets
                .last()
                .and_then(|bucket: &Bucket| bucket.name.clone());
            break;
        }
        buckets.push(Bucket {
            creation_date: Some(shown_time(row.created_ms)),
            bucket_region: Some(row.region),
            bucket_arn: Some(arn(&name)),
            name: Some(name),
        });
    }
    Ok(ListBucketsOutput {
        buckets: Some(buckets),
        owner: Some(owner(&call.account)),
        continuation_token,
        prefix: input.prefix,
    })
}

/// An account, as listings show it.
pub(super) fn owner(account: &str) -> Owner {
    Owner {
        id: Some(canonical_id(account)),
        ..Default::default()
    }
}

/// Says that a bucket is there, and where.
pub(super) fn head_bucket(
    _: &Call,
    view: &View,
    input: HeadBucketInput,
) -> Result<HeadBucketOutput, S3Error> {
    let row = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    Ok(HeadBucketOutput {
        bucket_arn: Some(arn(&input.bucket)),
        bucket_region: Some(row.region),
        access_point_alias: Some(false),
        ..Default::default()
    })
}

/// Says where a bucket is; nothing means us-east-1.
pub(super) fn get_bucket_location(
    _: &Call,
    view: &View,
    input: GetBucketLocationInput,
) -> Result<GetBucketLocationOutput, S3Error> {
    let row = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let location = Some(row.location).filter(|location| !location.is_empty());
    Ok(GetBucketLocationOutput {
        location_constraint: location.map(|location| location.as_str().into()),
    })
}

/// Deletes a bucket without objects; uploads under way go with it.
pub(super) fn delete_bucket(
    _: &Call,
    txn: &mut Txn,
    input: DeleteBucketInput,
) -> Result<DeleteBucketOutput, S3Error> {
    let row = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let key = (input.bucket,);
    if !is_empty(txn, &key.0) {
        return Err(S3Error::BucketNotEmpty {
            bucket: key.0,
            versions: row.versioning != Versioning::Never,
        });
    }
    let uploads: Vec<_> = UPLOADS.scan(txn, &key).collect::<Result<_, _>>()?;
    for ((_, _, upload), _) in uploads {
        let parts: Vec<_> = PARTS
            .scan(txn, &(upload.clone(),))
            .collect::<Result<_, _>>()?;
        for (_, part) in parts {
            body::release(txn, &part.body)?;
        }
        PARTS.delete_prefix(txn, &(upload,));
    }
    UPLOADS.delete_prefix(txn, &key);
    configuration::delete_all(txn, &key.0);
    lifecycle::stop(txn, &key.0)?;
    BUCKETS.delete(txn, &key);
    Ok(DeleteBucketOutput::default())
}
