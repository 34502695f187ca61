//! Access control lists, as far as their canned names go. They are recorded and shown; nobody is refused by them.

use super::buckets::{canned_acl, open_bucket, owner};
use super::draft;
use super::error::{S3Error, refuse};
use super::names::canonical_id;
use super::rows::BUCKETS;
use super::versions::name;
use crate::call::Call;
use cumulog_engine::{Txn, View};
use cumulog_model::s3::{
    AccessControlPolicy, GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput,
    GetObjectAclOutput, Grant, Grantee, Permission, PutBucketAclInput, PutBucketAclOutput,
    PutObjectAclInput, PutObjectAclOutput, Type,
};

const EVERYONE: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

/// The grants that a canned ACL stands for. Objects belong to the owner of their bucket, so those that name the
/// bucket's owner add nothing.
fn grants(canned: &str, account: &str) -> Vec<Grant> {
    let owner = Grantee {
        r#type: Type::CanonicalUser,
        id: Some(canonical_id(account)),
        ..Default::default()
    };
    let mut grants = vec![(owner, Permission::FullControl)];
    let mut group = |uri: &str, permission| {
        let grantee = Grantee {
            r#type: Type::Group,
            uri: Some(uri.to_owned()),
            ..Default::default()
        };
        grants.push((grantee, permission));
    };
    match canned {
        "public-read" => group(EVERYONE, Permission::Read),
        "public-read-write" => {
            group(EVERYONE, Permission::Read);
            group(EVERYONE, Permission::Write);
        }
        "authenticated-read" => group(AUTHENTICATED, Permission::Read),
        _ => {}
    }
    let grant = |(grantee, permission)| Grant {
        grantee: Some(grantee),
        permission: Some(permission),
    };
    grants.into_iter().map(grant).collect()
}

/// Shows who may use a bucket.
pub(super) fn get_bucket_acl(
    _: &Call,
    view: &View,
    input: GetBucketAclInput,
) -> Result<GetBucketAclOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    Ok(GetBucketAclOutput {
        grants: Some(grants(&bucket.acl, &bucket.account)),
        owner: Some(owner(&bucket.account)),
    })
}

/// Shows who may use an object.
pub(super) fn get_object_acl(
    _: &Call,
    view: &View,
    input: GetObjectAclInput,
) -> Result<GetObjectAclOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let row = name!(input).read(view)?.row;
    Ok(GetObjectAclOutput {
        grants: Some(grants(&row.traits.acl, &bucket.account)),
        owner: Some(owner(&bucket.account)),
        ..Default::default()
    })
}

/// The canned ACL that a request asks for: by name, or by a list of the very grants that it stands for. By name, as
/// both inputs have the members.
macro_rules! wanted {
    ($input:expr, $account:expr) => {{
        refuse(&[
            (
                "x-amz-grant-full-control",
                $input.grant_full_control.is_some(),
            ),
            ("x-amz-grant-read", $input.grant_read.is_some()),
            ("x-amz-grant-read-acp", $input.grant_read_acp.is_some()),
            ("x-amz-grant-write", $input.grant_write.is_some()),
            ("x-amz-grant-write-acp", $input.grant_write_acp.is_some()),
        ])?;
        match ($input.acl.take(), $input.access_control_policy.take()) {
            (Some(acl), None) => acl,
            (None, Some(policy)) => named(policy, $account)?.into(),
            (None, None) => return Err(S3Error::MissingHeader { name: "x-amz-acl" }),
            (Some(_), Some(_)) => {
                return Err(S3Error::request(
                    "Specifying both Canned ACLs and Header Grants is not allowed",
                ));
            }
        }
    }};
}

/// The name of the canned ACL that grants this. Other lists are refused: there are no users to grant things to yet.
fn named(policy: AccessControlPolicy, account: &str) -> Result<&'static str, S3Error> {
    let sorted = |grants: Vec<Grant>| {
        let mut grants: Vec<_> = (grants.into_iter())
            .map(
                |Grant {
                     grantee,
                     permission,
                 }| {
                    let grantee = grantee.unwrap_or_default();
                    let permission = permission.map(|permission| permission.as_str().to_owned());
                    (
                        grantee.id.or(grantee.uri).or(grantee.email_address),
                        permission,
                    )
                },
            )
            .collect();
        grants.sort();
        grants
    };
    let wanted = sorted(policy.grants.unwrap_or_default());
    [
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
    ]
    .into_iter()
    .find(|name| sorted(grants(name, account)) == wanted)
    .ok_or_else(|| S3Error::header("AccessControlPolicy"))
}

/// Gives a bucket a canned ACL.
pub(super) fn put_bucket_acl(
    _: &Call,
    txn: &mut Txn,
    mut input: PutBucketAclInput,
) -> Result<PutBucketAclOutput, S3Error> {
    let mut row = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    row.acl = canned_acl(Some(wanted!(input, &row.account)))?;
    BUCKETS.put(txn, &(input.bucket,), &row);
    Ok(PutBucketAclOutput::default())
}

/// Gives an object a canned ACL.
pub(super) fn put_object_acl(
    _: &Call,
    txn: &mut Txn,
    mut input: PutObjectAclInput,
) -> Result<PutObjectAclOutput, S3Error> {
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let acl = draft::canned_acl(Some(wanted!(input, &bucket.account)))?;
    let name = name!(input);
    let mut version = name.open(txn, "PUT")?;
    version.row.traits.acl = acl;
    name.save(txn, version);
    Ok(PutObjectAclOutput::default())
}
