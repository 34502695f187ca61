//! Who owns objects, and whether ACLs and policies may open a bucket to everyone.
//!
//! A new bucket is as AWS makes them since April 2023: its owner owns all objects and ACLs are disabled, and public access
//! is blocked. Buckets that older versions made have no such block.

use super::acl::Acl;
use super::buckets::{open_bucket, require_bucket};
use super::configuration::error::Missing;
use super::configuration::{Kind, as_it_is, check_values, delete, get, put};
use super::error::S3Error;
use super::rows::{BUCKETS, BucketRow};
use crate::call::Call;
use crate::service::Service;
use cumulog_engine::{Read, Txn, View};
use cumulog_model::s3::{
    self as model, DeleteBucketOwnershipControlsInput, DeleteBucketOwnershipControlsOutput,
    GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput, GetPublicAccessBlockOutput,
    ObjectOwnership, OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration,
    PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput,
};

const BLOCK: Kind<PublicAccessBlockConfiguration> = Kind::new("public-access-block");

/// Stands in rows for "there are no ownership controls", which is as `ObjectWriter`.
const NONE: &str = "none";

pub(super) fn register(service: Service) -> Service {
    service
        .write::<model::PutBucketOwnershipControls, _>(put_bucket_ownership_controls)
        .read::<model::GetBucketOwnershipControls, _>(get_bucket_ownership_controls)
        .write::<model::DeleteBucketOwnershipControls, _>(delete_bucket_ownership_controls)
        .write::<model::PutPublicAccessBlock, _>(put_public_access_block)
        .read::<model::GetPublicAccessBlock, _>(get_public_access_block)
        .write::<model::DeletePublicAccessBlock, _>(delete_public_access_block)
}

put!(
    put_public_access_block,
    PutPublicAccessBlock,
    public_access_block_configuration,
    BLOCK,
    block_in_full
);
get!(get_public_access_block, GetPublicAccessBlock, BLOCK, shown);
delete!(delete_public_access_block, DeletePublicAccessBlock, BLOCK);

fn shown(
    bucket: &str,
    found: Option<PublicAccessBlockConfiguration>,
) -> Result<GetPublicAccessBlockOutput, S3Error> {
    let block = found.ok_or_else(|| Missing::PublicAccessBlock.in_bucket(bucket))?;
    Ok(GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(block),
    })
}

/// What is left out is off, and shown so.
fn block_in_full(
    call: &Call,
    txn: &mut Txn,
    bucket: &str,
    block: PublicAccessBlockConfiguration,
) -> Result<PublicAccessBlockConfiguration, S3Error> {
    let settings = [
        block.block_public_acls,
        block.ignore_public_acls,
        block.block_public_policy,
        block.restrict_public_buckets,
    ];
    if settings.iter().all(Option::is_none) {
        return Err(S3Error::request("Must specify at least one configuration."));
    }
    let on = |setting: Option<bool>| Some(setting.unwrap_or_default());
    let full = PublicAccessBlockConfiguration {
        block_public_acls: on(block.block_public_acls),
        ignore_public_acls: on(block.ignore_public_acls),
        block_public_policy: on(block.block_public_policy),
        restrict_public_buckets: on(block.restrict_public_buckets),
    };
    as_it_is(call, txn, bucket, full)
}

/// Blocks all public access to a new bucket.
pub(super) fn block_all(txn: &mut Txn, bucket: &str) {
    let all = PublicAccessBlockConfiguration {
        block_public_acls: Some(true),
        ignore_public_acls: Some(true),
        block_public_policy: Some(true),
        restrict_public_buckets: Some(true),
    };
    BLOCK.put(txn, bucket, &all);
}

/// What is blocked; nothing if that was never said.
pub(super) fn blocked(
    read: &impl Read,
    bucket: &str,
) -> Result<PublicAccessBlockConfiguration, S3Error> {
    Ok(BLOCK.get(read, bucket)?.unwrap_or_default())
}

impl BucketRow {
    /// Whether ACLs count in this bucket.
    pub(super) fn has_acls(&self) -> bool {
        !matches!(self.ownership.as_str(), "" | "BucketOwnerEnforced")
    }
}

/// Refuses an ACL that the bucket's settings do not allow.
pub(super) fn check_acl(
    read: &impl Read,
    bucket: &str,
    row: &BucketRow,
    acl: &Acl,
) -> Result<(), S3Error> {
    if !row.has_acls() {
        return match acl.gives_owner_all(&row.account) {
            true => Ok(()),
            false => Err(S3Error::AclsDisabled),
        };
    }
    match acl.is_public() && blocked(read, bucket)?.block_public_acls == Some(true) {
        true => Err(S3Error::AccessDenied),
        false => Ok(()),
    }
}

fn put_bucket_ownership_controls(
    _: &Call,
    txn: &mut Txn,
    input: PutBucketOwnershipControlsInput,
) -> Result<PutBucketOwnershipControlsOutput, S3Error> {
    let mut row = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    check_values(&input.ownership_controls)?;
    let [rule] = &input.ownership_controls.rules[..] else {
        return Err(S3Error::MalformedXml);
    };
    let enforced = rule.object_ownership == ObjectOwnership::BucketOwnerEnforced;
    if enforced && !Acl::of_bucket(&row).is_owners_alone(&row.account) {
        return Err(S3Error::AclWithOwnership);
    }
    row.ownership = rule.object_ownership.as_str().to_owned();
    BUCKETS.put(txn, &(input.bucket,), &row);
    Ok(PutBucketOwnershipControlsOutput::default())
}

fn get_bucket_ownership_controls(
    _: &Call,
    view: &View,
    input: GetBucketOwnershipControlsInput,
) -> Result<GetBucketOwnershipControlsOutput, S3Error> {
    let row = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let ownership = match row.ownership.as_str() {
        NONE => return Err(Missing::Ownership.in_bucket(&input.bucket)),
        "" => ObjectOwnership::BucketOwnerEnforced,
        other => other.into(),
    };
    Ok(GetBucketOwnershipControlsOutput {
        ownership_controls: Some(OwnershipControls {
            rules: vec![OwnershipControlsRule {
                object_ownership: ownership,
            }],
        }),
    })
}

fn delete_bucket_ownership_controls(
    _: &Call,
    txn: &mut Txn,
    input: DeleteBucketOwnershipControlsInput,
) -> Result<DeleteBucketOwnershipControlsOutput, S3Error> {
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let mut row = open_bucket(txn, &input.bucket, None)?;
    row.ownership = NONE.to_owned();
    BUCKETS.put(txn, &(input.bucket,), &row);
    Ok(DeleteBucketOwnershipControlsOutput::default())
}
