//! Access control lists: by canned name, by headers or by document. They are shown as they were given; whom they refuse is
//! for `access.rs` to say.

use super::buckets::{open_bucket, owner};
use super::error::S3Error;
use super::names::canonical_id;
use super::notification::{Change, notify};
use super::ownership::check_acl;
use super::rows::{BUCKETS, BucketRow, GrantRow, Traits};
use super::versions::name;
use crate::call::Call;
use cumulog_engine::{Txn, View};
use cumulog_model::s3::{
    AccessControlPolicy, GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput,
    GetObjectAclOutput, Grant, Grantee, Permission, PutBucketAclInput, PutBucketAclOutput,
    PutObjectAclInput, PutObjectAclOutput, Type,
};

pub(super) const EVERYONE: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
pub(super) const AUTHENTICATED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// Stands in rows for an ACL that is no canned one: its grants stand beside.
const GRANTS: &str = "grants";

/// The one canned ACL that an owner who has all rights anyway may be given.
const OWNER_FULL: &str = "bucket-owner-full-control";

/// An access control list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acl {
    /// Canned; empty for `private`.
    name: String,
    /// Of one that is not canned.
    grants: Vec<GrantRow>,
}

impl Acl {
    /// That of a bucket.
    pub(super) fn of_bucket(row: &BucketRow) -> Acl {
        Acl {
            name: row.acl.clone(),
            grants: row.grants.clone(),
        }
    }

    /// That of an object.
    pub(super) fn of_object(traits: &Traits) -> Acl {
        Acl {
            name: traits.acl.clone(),
            grants: traits.grants.clone(),
        }
    }

    fn custom(grants: Vec<GrantRow>) -> Acl {
        Acl {
            name: GRANTS.to_owned(),
            grants,
        }
    }

    fn canned(name: &str) -> Acl {
        let name = if name == "private" { "" } else { name };
        Acl {
            name: name.to_owned(),
            grants: Vec::new(),
        }
    }

    pub(super) fn save_bucket(self, row: &mut BucketRow) {
        (row.acl, row.grants) = (self.name, self.grants);
    }

    pub(super) fn save_object(self, traits: &mut Traits) {
        (traits.acl, traits.grants) = (self.name, self.grants);
    }

    /// Who may do what. Objects belong to the owner of their bucket, so the canned ACLs that name the bucket's owner add
    /// nothing.
    pub(super) fn grants(&self, account: &str) -> Vec<GrantRow> {
        if self.name == GRANTS {
            return self.grants.clone();
        }
        let group = |uri: &str, permission: Permission| GrantRow::new(Type::Group, uri, permission);
        let mut grants = vec![full_control(account)];
        match self.name.as_str() {
            "public-read" => grants.push(group(EVERYONE, Permission::Read)),
            "public-read-write" => {
                grants.push(group(EVERYONE, Permission::Read));
                grants.push(group(EVERYONE, Permission::Write));
            }
            "authenticated-read" => grants.push(group(AUTHENTICATED, Permission::Read)),
            "log-delivery-write" => {
                grants.push(group(LOG_DELIVERY, Permission::Write));
                grants.push(group(LOG_DELIVERY, Permission::ReadAcp));
            }
            _ => {}
        }
        grants
    }

    /// Whether it lets in everyone, or everyone with an account.
    pub(super) fn is_public(&self) -> bool {
        let is_open =
            |grant: &GrantRow| [EVERYONE, AUTHENTICATED].contains(&grant.grantee.as_str());
        self.grants("").iter().any(is_open)
    }

    /// Whether it grants nothing to anyone but the owner.
    pub(super) fn is_owners_alone(&self, account: &str) -> bool {
        let owner = canonical_id(account);
        self.grants(account)
            .iter()
            .all(|grant| grant.grantee == owner)
    }

    /// Whether it says that the bucket's owner has full control, and nothing else: what buckets without ACLs still take.
    pub(super) fn gives_owner_all(&self, account: &str) -> bool {
        self.name == OWNER_FULL || self.name == GRANTS && self.grants == [full_control(account)]
    }
}

fn full_control(account: &str) -> GrantRow {
    GrantRow::new(
        Type::CanonicalUser,
        &canonical_id(account),
        Permission::FullControl,
    )
}

impl GrantRow {
    fn new(kind: Type, grantee: &str, permission: Permission) -> GrantRow {
        GrantRow {
            kind: kind.as_str().to_owned(),
            grantee: grantee.to_owned(),
            permission: permission.as_str().to_owned(),
        }
    }

    fn shown(self) -> Grant {
        let is_group = self.kind == Type::Group.as_str();
        let grantee = Grantee {
            r#type: self.kind.as_str().into(),
            id: (!is_group).then(|| self.grantee.clone()),
            uri: is_group.then_some(self.grantee),
            ..Default::default()
        };
        Grant {
            grantee: Some(grantee),
            permission: Some(self.permission.as_str().into()),
        }
    }
}

fn shown(acl: &Acl, bucket: &BucketRow) -> Vec<Grant> {
    let grants = match bucket.has_acls() {
        true => acl.grants(&bucket.account),
        false => vec![full_control(&bucket.account)],
    };
    grants.into_iter().map(GrantRow::shown).collect()
}

/// Shows who may use a bucket.
pub(super) fn get_bucket_acl(
    _: &Call,
    view: &View,
    input: GetBucketAclInput,
) -> Result<GetBucketAclOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    Ok(GetBucketAclOutput {
        grants: Some(shown(&Acl::of_bucket(&bucket), &bucket)),
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
        grants: Some(shown(&Acl::of_object(&row.traits), &bucket)),
        owner: Some(owner(&bucket.account)),
        ..Default::default()
    })
}

/// The headers that grant, in the order in which AWS lists what they grant.
pub(super) type GrantHeaders<'a> = [(&'static str, Permission, Option<&'a str>); 5];

/// The headers that grant, of an input. By name, as many inputs have them; those of objects have no `grant_write`.
macro_rules! grant_headers {
    ($input:expr, $write:expr) => {{
        use cumulog_model::s3::Permission;
        let input = &$input;
        let full = input.grant_full_control.as_deref();
        let write_acp = input.grant_write_acp.as_deref();
        [
            ("x-amz-grant-full-control", Permission::FullControl, full),
            (
                "x-amz-grant-read",
                Permission::Read,
                input.grant_read.as_deref(),
            ),
            (
                "x-amz-grant-read-acp",
                Permission::ReadAcp,
                input.grant_read_acp.as_deref(),
            ),
            ("x-amz-grant-write", Permission::Write, $write),
            ("x-amz-grant-write-acp", Permission::WriteAcp, write_acp),
        ]
    }};
}
pub(super) use grant_headers;

/// The names that `x-amz-acl` may have for a bucket, and for an object.
pub(super) const OF_BUCKETS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "log-delivery-write",
    // Of objects only, and as good as `private`.
    "bucket-owner-read",
    OWNER_FULL,
];
pub(super) const OF_OBJECTS: &[&str] = &[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    OWNER_FULL,
];

/// The ACL that headers ask for, if they do.
pub(super) fn of_headers(
    canned: Option<&str>,
    names: &[&str],
    grants: GrantHeaders<'_>,
) -> Result<Option<Acl>, S3Error> {
    let granted = grants.iter().any(|(_, _, value)| value.is_some());
    match canned {
        Some(_) if granted => Err(S3Error::request(
            "Specifying both Canned ACLs and Header Grants is not allowed",
        )),
        Some(name) if names.contains(&name) => Ok(Some(Acl::canned(name))),
        Some(name) => Err(S3Error::argument("x-amz-acl", name, "")),
        None if granted => {
            let mut rows = Vec::new();
            for (header, permission, value) in grants {
                for grantee in value.iter().flat_map(|value| value.split(',')) {
                    rows.push(of_header(header, grantee.trim(), permission.clone())?);
                }
            }
            Ok(Some(Acl::custom(rows)))
        }
        None => Ok(None),
    }
}

/// One grantee of a header: `id="…"`, `uri="…"` or `emailAddress="…"`.
fn of_header(
    header: &'static str,
    grantee: &str,
    permission: Permission,
) -> Result<GrantRow, S3Error> {
    let unreadable = || S3Error::argument(header, grantee, "Argument format not recognized");
    let (kind, value) = grantee.split_once('=').ok_or_else(unreadable)?;
    let value = value.trim_matches(['"', '\'']);
    match kind.trim() {
        "id" => user(value, "id", permission),
        "uri" => group(value, "uri", permission),
        "emailAddress" => Err(S3Error::UnknownEmail),
        _ => Err(unreadable()),
    }
}

/// A user by canonical id. Whose it is cannot be known here, but whether it can be one.
fn user(id: &str, argument: &'static str, permission: Permission) -> Result<GrantRow, S3Error> {
    match id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(GrantRow::new(Type::CanonicalUser, id, permission)),
        false => Err(S3Error::argument(argument, id, "Invalid id")),
    }
}

fn group(uri: &str, argument: &'static str, permission: Permission) -> Result<GrantRow, S3Error> {
    match [EVERYONE, AUTHENTICATED, LOG_DELIVERY].contains(&uri) {
        true => Ok(GrantRow::new(Type::Group, uri, permission)),
        false => Err(S3Error::argument(argument, uri, "Invalid group uri")),
    }
}

/// The ACL of a document.
fn of_document(policy: AccessControlPolicy, account: &str) -> Result<Acl, S3Error> {
    let owner = policy.owner.and_then(|owner| owner.id);
    let Some(owner) = owner else {
        return Err(S3Error::MalformedAcl);
    };
    if owner != canonical_id(account) {
        return Err(S3Error::argument("CanonicalUser/ID", owner, "Invalid id"));
    }
    let grants = policy.grants.unwrap_or_default().into_iter();
    Ok(Acl::custom(grants.map(of_grant).collect::<Result<_, _>>()?))
}

fn of_grant(grant: Grant) -> Result<GrantRow, S3Error> {
    let (Some(grantee), Some(permission)) = (grant.grantee, grant.permission) else {
        return Err(S3Error::MalformedAcl);
    };
    if matches!(permission, Permission::Unknown(_)) {
        return Err(S3Error::MalformedAcl);
    }
    match grantee.r#type {
        Type::CanonicalUser => user(
            grantee.id.as_deref().ok_or(S3Error::MalformedAcl)?,
            "CanonicalUser/ID",
            permission,
        ),
        Type::Group => group(
            grantee.uri.as_deref().ok_or(S3Error::MalformedAcl)?,
            "Group/URI",
            permission,
        ),
        Type::AmazonCustomerByEmail => Err(S3Error::UnknownEmail),
        Type::Unknown(_) => Err(S3Error::MalformedAcl),
    }
}

/// The ACL that a request to change one asks for. By name, as both inputs have the members.
macro_rules! wanted {
    ($input:expr, $names:expr, $account:expr) => {{
        let input = $input;
        let headers = grant_headers!(input, input.grant_write.as_deref());
        let canned = input.acl.as_ref().map(|acl| acl.as_str());
        let by_headers = of_headers(canned, $names, headers)?;
        match (by_headers, input.access_control_policy.take()) {
            (Some(acl), None) => acl,
            (None, Some(policy)) => of_document(policy, $account)?,
            (None, None) => return Err(S3Error::MissingHeader { name: "x-amz-acl" }),
            (Some(_), Some(_)) => return Err(S3Error::UnexpectedContent),
        }
    }};
}

/// Gives a bucket an ACL.
pub(super) fn put_bucket_acl(
    _: &Call,
    txn: &mut Txn,
    mut input: PutBucketAclInput,
) -> Result<PutBucketAclOutput, S3Error> {
    let mut row = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let acl = wanted!(&mut input, OF_BUCKETS, &row.account);
    check_acl(txn, &input.bucket, &row, &acl)?;
    acl.save_bucket(&mut row);
    BUCKETS.put(txn, &(input.bucket,), &row);
    Ok(PutBucketAclOutput::default())
}

/// Gives an object an ACL.
pub(super) fn put_object_acl(
    call: &Call,
    txn: &mut Txn,
    mut input: PutObjectAclInput,
) -> Result<PutObjectAclOutput, S3Error> {
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let acl = wanted!(&mut input, OF_OBJECTS, &bucket.account);
    let name = name!(input);
    let mut version = name.open(txn, "PUT")?;
    check_acl(txn, &input.bucket, &bucket, &acl)?;
    acl.save_object(&mut version.row.traits);
    let change = Change {
        event: "ObjectAcl:Put",
        key: name.key,
        version: &version.row.version,
        object: Some(&version.row),
    };
    notify(call, txn, (name.bucket, &bucket), &change)?;
    name.save(txn, version);
    Ok(PutObjectAclOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_grant_to_users_and_groups() {
        let check = |value: &str, expected: Option<&[(&str, &str)]>| {
            let headers = [
                ("x-amz-grant-full-control", Permission::FullControl, None),
                ("x-amz-grant-read", Permission::Read, Some(value)),
                ("x-amz-grant-read-acp", Permission::ReadAcp, None),
                ("x-amz-grant-write", Permission::Write, None),
                ("x-amz-grant-write-acp", Permission::WriteAcp, None),
            ];
            let found = of_headers(None, OF_OBJECTS, headers).ok().flatten();
            let found = found.map(|acl| acl.grants);
            let found: Option<Vec<(&str, &str)>> = found.as_ref().map(|grants| {
                (grants.iter())
                    .map(|grant| (grant.kind.as_str(), grant.grantee.as_str()))
                    .collect()
            });
            assert_eq!(found.as_deref(), expected, "{value}");
        };
        let id = "0123456789abcdef".repeat(4);
        let user = ("CanonicalUser", id.as_str());
        check(&format!("id={id}"), Some(&[user]));
        check(
            &format!("id=\"{id}\", uri=\"{EVERYONE}\""),
            Some(&[user, ("Group", EVERYONE)]),
        );
        check("id=1", None);
        check("uri=\"http://example.com\"", None);
        check("emailAddress=\"a@example.com\"", None);
        check("name=1", None);
        check("1", None);
    }
}
