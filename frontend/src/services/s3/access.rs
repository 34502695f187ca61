//! Who may do what.
//!
//! Whoever signs a request, by whatever key, is the owner of everything in its account. A request without a signature is
//! anonymous. The one rule: **anonymous requests are held against bucket policies and ACLs only where signatures are
//! verified**; otherwise they may do all that signed ones may, since much software for tests sends unsigned requests.
//!
//! As in AWS, a policy's denial wins, then a policy's or an ACL's allowance, unless the bucket's block of public access
//! takes that away; what nobody allows is refused. The look is taken when the request arrives, before its transaction.

use super::acl::{Acl, EVERYONE};
use super::configuration::plain::PAYMENT;
use super::error::S3Error;
use super::ownership::blocked;
use super::policy;
use super::rows::{BUCKETS, BucketRow};
use super::versions::Name;
use crate::call::Call;
use crate::failure::Failure;
use crate::policy::{Decision, Principal, Request};
use cumulog_engine::Read;
use cumulog_model::s3::Payer;
use cumulog_shape::{Struct, View as Value};

/// Whether policies and ACLs decide about this request.
pub(super) fn is_enforced(call: &Call) -> bool {
    call.is_anonymous && call.world.verifies_signatures
}

/// Refuses a request that its bucket does not allow.
pub(super) fn authorize(call: &Call, input: &dyn Struct) -> Result<(), Failure> {
    match is_enforced(call) {
        true => Ok(check(call, &call.view(), input)?),
        false => Ok(()),
    }
}

fn check(call: &Call, read: &impl Read, input: &dyn Struct) -> Result<(), S3Error> {
    let Some(bucket) = member(input, "Bucket") else {
        // What is about no bucket, such as the list of all, is the owner's.
        return Err(S3Error::AccessDenied);
    };
    if call.operation == "CreateBucket" {
        return Err(S3Error::AccessDenied);
    }
    let Some(row) = BUCKETS.get(read, &(bucket.clone(),))? else {
        // The handler says that there is none.
        return Ok(());
    };
    // Nobody can be charged for it.
    let payment = PAYMENT.get(read, &bucket)?;
    if payment.is_some_and(|payment| payment.payer == Payer::Requester) {
        return Err(S3Error::AccessDenied);
    }
    let gate = Gate {
        call,
        read,
        input: Some(input),
        bucket: &bucket,
        row: &row,
    };
    match (call.operation, member(input, "Key")) {
        // Each key is judged by itself, in `delete.rs`.
        ("DeleteObjects", _) => Ok(()),
        ("CopyObject" | "UploadPartCopy", Some(key)) => {
            gate.require("s3:PutObject", Some(&key))?;
            check_source(call, read, input)
        }
        (operation, key) => {
            let versioned = member(input, "VersionId").is_some();
            gate.require(&action(operation, versioned), key.as_deref())
        }
    }
}

/// Refuses to delete one of the keys that a request names.
pub(super) fn check_delete(
    call: &Call,
    read: &impl Read,
    (bucket, row): (&str, &BucketRow),
    key: &str,
    version: Option<&str>,
) -> Result<(), S3Error> {
    if !is_enforced(call) {
        return Ok(());
    }
    let gate = Gate {
        call,
        read,
        input: None,
        bucket,
        row,
    };
    gate.require(&action("DeleteObject", version.is_some()), Some(key))
}

/// The source of a copy must be readable.
fn check_source(call: &Call, read: &impl Read, input: &dyn Struct) -> Result<(), S3Error> {
    let source = member(input, "CopySource").unwrap_or_default();
    let source = super::names::CopySource::parse(&source)?;
    let Some(row) = BUCKETS.get(read, &(source.bucket.clone(),))? else {
        return Ok(());
    };
    let gate = Gate {
        call,
        read,
        input: Some(input),
        bucket: &source.bucket,
        row: &row,
    };
    gate.require("s3:GetObject", Some(&source.key))
}

/// The text of a member of an input, by the model's name.
fn member(input: &dyn Struct, name: &str) -> Option<String> {
    match input.get(input.schema().member(name)?) {
        Value::Str(text) => Some(text.to_owned()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An anonymous request before a bucket.
struct Gate<'a, R> {
    call: &'a Call,
    read: &'a R,
    input: Option<&'a dyn Struct>,
    bucket: &'a str,
    row: &'a BucketRow,
}

impl<R: Read> Gate<'_, R> {
    fn member(&self, name: &str) -> Option<String> {
        member(self.input?, name)
    }

    /// Refuses, unless policy or ACL allow it.
    fn require(&self, action: &str, key: Option<&str>) -> Result<(), S3Error> {
        if !self.allows(action, key)? {
            return Err(S3Error::AccessDenied);
        }
        // Whether an object is not there is told only to who may list the bucket.
        let reads = ["s3:GetObject", "s3:GetObjectVersion"].contains(&action);
        match key.filter(|_| reads) {
            Some(key) if !self.exists(key)? && !self.allows("s3:ListBucket", None)? => {
                Err(S3Error::AccessDenied)
            }
            _ => Ok(()),
        }
    }

    fn allows(&self, action: &str, key: Option<&str>) -> Result<bool, S3Error> {
        let block = blocked(self.read, self.bucket)?;
        if let Some(policy) = policy::of_bucket(self.read, self.bucket)? {
            let resource = match key {
                Some(key) => format!("arn:aws:s3:::{}/{key}", self.bucket),
                None => format!("arn:aws:s3:::{}", self.bucket),
            };
            let decision = policy.decide(&Request {
                principal: Principal::Anonymous,
                action,
                resource: &resource,
                values: &|name| self.values(name, key),
            });
            let restricted = block.restrict_public_buckets == Some(true) && policy.is_public();
            match decision {
                Decision::Deny => return Ok(false),
                Decision::Allow if !restricted => return Ok(true),
                _ => {}
            }
        }
        if !self.row.has_acls() || block.ignore_public_acls == Some(true) {
            return Ok(false);
        }
        Ok(match acl_permission(action) {
            Some((Holder::Bucket, permission)) => {
                grants(&Acl::of_bucket(self.row), self.row, permission)
            }
            Some((Holder::Object, permission)) => match self.object_acl(key)? {
                Some(acl) => grants(&acl, self.row, permission),
                // Nothing can grant it: who may list may be told that it is not there.
                None => grants(&Acl::of_bucket(self.row), self.row, "READ"),
            },
            None => false,
        })
    }

    fn name<'k>(&'k self, key: &'k str, version: Option<&'k str>) -> Name<'k> {
        Name {
            bucket: self.bucket,
            key,
            version,
        }
    }

    fn exists(&self, key: &str) -> Result<bool, S3Error> {
        let version = self.member("VersionId");
        found(self.name(key, version.as_deref()).read(self.read)).map(|found| found.is_some())
    }

    fn object_acl(&self, key: Option<&str>) -> Result<Option<Acl>, S3Error> {
        let version = self.member("VersionId");
        let name = self.name(key.unwrap_or_default(), version.as_deref());
        let version = found(name.read(self.read))?;
        Ok(version.map(|version| Acl::of_object(&version.row.traits)))
    }

    /// The values of a condition key.
    fn values(&self, name: &str, key: Option<&str>) -> Vec<String> {
        let header = |name: &str| self.call.header(name).map(str::to_owned);
        let one = match name {
            "aws:sourceip" => self.call.peer.map(|peer| peer.to_string()),
            "aws:securetransport" => Some("false".to_owned()),
            "aws:referer" => header("referer"),
            "aws:useragent" => header("user-agent"),
            "aws:currenttime" => Some(
                self.call
                    .now
                    .format(cumulog_shape::TimestampFormat::Iso8601),
            ),
            "aws:epochtime" => Some(self.call.now.seconds().to_string()),
            "aws:principaltype" => Some("Anonymous".to_owned()),
            "s3:prefix" => self.member("Prefix"),
            "s3:delimiter" => self.member("Delimiter"),
            "s3:max-keys" => self.member("MaxKeys"),
            "s3:versionid" => self.member("VersionId"),
            "s3:authtype" => None,
            _ => match name.strip_prefix("s3:existingobjecttag/") {
                Some(tag) => key.and_then(|key| self.tag(key, tag)),
                None => name.strip_prefix("s3:").and_then(header),
            },
        };
        one.into_iter().collect()
    }

    /// The value of an object's tag; names are compared as condition keys are, whatever their case.
    fn tag(&self, key: &str, tag: &str) -> Option<String> {
        let version = self.name(key, None).read(self.read).ok()?;
        let mut tags = version.row.tags.into_iter();
        tags.find(|(name, _)| name.eq_ignore_ascii_case(tag))
            .map(|(_, value)| value)
    }
}

/// `None` for what is not there.
fn found<T>(result: Result<T, S3Error>) -> Result<Option<T>, S3Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(S3Error::Broken(message)) => Err(S3Error::Broken(message)),
        Err(_) => Ok(None),
    }
}

/// Whether everyone holds `permission`.
fn grants(acl: &Acl, row: &BucketRow, permission: &str) -> bool {
    acl.grants(&row.account).iter().any(|grant| {
        grant.grantee == EVERYONE
            && [permission, "FULL_CONTROL"].contains(&grant.permission.as_str())
    })
}

/// Whose ACL decides.
#[derive(Clone, Copy)]
enum Holder {
    Bucket,
    Object,
}

/// The permission of an ACL that allows an action, if one does.
fn acl_permission(action: &str) -> Option<(Holder, &'static str)> {
    Some(match action {
        "s3:ListBucket" | "s3:ListBucketVersions" | "s3:ListBucketMultipartUploads" => {
            (Holder::Bucket, "READ")
        }
        "s3:PutObject" | "s3:DeleteObject" => (Holder::Bucket, "WRITE"),
        "s3:GetBucketAcl" => (Holder::Bucket, "READ_ACP"),
        "s3:PutBucketAcl" => (Holder::Bucket, "WRITE_ACP"),
        "s3:GetObject" | "s3:GetObjectVersion" => (Holder::Object, "READ"),
        "s3:GetObjectAcl" | "s3:GetObjectVersionAcl" => (Holder::Object, "READ_ACP"),
        "s3:PutObjectAcl" | "s3:PutObjectVersionAcl" => (Holder::Object, "WRITE_ACP"),
        _ => return None,
    })
}

/// The action that an operation is. Most are called alike.
fn action(operation: &str, versioned: bool) -> String {
    let of_version = |plain: &str, of_version: &str| match versioned {
        true => of_version.to_owned(),
        false => plain.to_owned(),
    };
    let name = match operation {
        "HeadObject" | "GetObject" => of_version("GetObject", "GetObjectVersion"),
        "DeleteObject" => of_version("DeleteObject", "DeleteObjectVersion"),
        "GetObjectAcl" => of_version("GetObjectAcl", "GetObjectVersionAcl"),
        "PutObjectAcl" => of_version("PutObjectAcl", "PutObjectVersionAcl"),
        "GetObjectTagging" => of_version("GetObjectTagging", "GetObjectVersionTagging"),
        "PutObjectTagging" => of_version("PutObjectTagging", "PutObjectVersionTagging"),
        "DeleteObjectTagging" => of_version("DeleteObjectTagging", "DeleteObjectVersionTagging"),
        "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => {
            "PutObject".to_owned()
        }
        "ListParts" => "ListMultipartUploadParts".to_owned(),
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket".to_owned(),
        "ListObjectVersions" => "ListBucketVersions".to_owned(),
        "ListMultipartUploads" => "ListBucketMultipartUploads".to_owned(),
        "DeleteBucketTagging" => "PutBucketTagging".to_owned(),
        "GetBucketCors" => "GetBucketCORS".to_owned(),
        "PutBucketCors" | "DeleteBucketCors" => "PutBucketCORS".to_owned(),
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock".to_owned(),
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => {
            "PutBucketPublicAccessBlock".to_owned()
        }
        "GetBucketEncryption" => "GetEncryptionConfiguration".to_owned(),
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration".to_owned(),
        "GetBucketNotificationConfiguration" => "GetBucketNotification".to_owned(),
        "PutBucketNotificationConfiguration" => "PutBucketNotification".to_owned(),
        "GetObjectLockConfiguration" => "GetBucketObjectLockConfiguration".to_owned(),
        "PutObjectLockConfiguration" => "PutBucketObjectLockConfiguration".to_owned(),
        other => match other
            .strip_suffix("Configuration")
            .or(other.strip_suffix("Configurations"))
        {
            Some(kind) => configuration_action(kind),
            None => other.to_owned(),
        },
    };
    format!("s3:{name}")
}

/// `PutBucketMetrics` of the operation is `PutMetricsConfiguration`; deleting and listing are as putting and getting.
fn configuration_action(kind: &str) -> String {
    let (verb, kind) = kind.split_once("Bucket").unwrap_or(("", kind));
    let verb = match verb {
        "Delete" => "Put",
        "List" => "Get",
        other => other,
    };
    format!("{verb}{kind}Configuration")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::s3::rows::{OBJECTS, ObjectRow, Traits};
    use crate::services::s3::{configuration, ownership};
    use crate::testing::TestWorld;
    use cumulog_model::s3::{
        GetBucketAclInput, GetObjectInput, HeadObjectInput, ListObjectsV2Input, PutObjectInput,
    };

    const POLICY: &str = r#"{"Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/public/*"},
        {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::b",
         "Condition": {"StringEquals": {"s3:prefix": "public/"}}},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/public/secret"}
    ]}"#;

    /// A bucket with ACLs, and in it objects that nobody, everybody and the policy opens.
    fn world(policy: Option<&str>, block: bool) -> TestWorld {
        let world = TestWorld::new();
        let call = world.call("s3");
        let put = call.world.store.commit(|txn| {
            let row = BucketRow {
                account: call.account.to_string(),
                ownership: "ObjectWriter".to_owned(),
                ..Default::default()
            };
            BUCKETS.put(txn, &("b".to_owned(),), &row);
            for (key, acl) in [
                ("closed", ""),
                ("open", "public-read"),
                ("public/a", ""),
                ("public/secret", "public-read"),
            ] {
                let traits = Traits {
                    acl: acl.to_owned(),
                    ..Default::default()
                };
                let row = ObjectRow {
                    traits,
                    ..Default::default()
                };
                OBJECTS.put(txn, &("b".to_owned(), key.to_owned()), &row);
            }
            if let Some(policy) = policy {
                configuration::put_text(txn, "b", "policy", policy);
            }
            if block {
                ownership::block_all(txn, "b");
            }
            Ok::<_, ()>(())
        });
        put.wait()
            .expect("memory does not fail")
            .expect("it is put");
        world
    }

    fn is_allowed(world: &TestWorld, operation: &'static str, input: &dyn Struct) -> bool {
        let call = Call {
            operation,
            is_anonymous: true,
            ..world.call("s3")
        };
        authorize(&call, input).is_ok()
    }

    fn may_read(world: &TestWorld, key: &str) -> bool {
        let (bucket, key) = ("b".to_owned(), key.to_owned());
        let head = HeadObjectInput {
            bucket: bucket.clone(),
            key: key.clone(),
            ..Default::default()
        };
        let get = GetObjectInput {
            bucket,
            key,
            ..Default::default()
        };
        let both = (
            is_allowed(world, "HeadObject", &head),
            is_allowed(world, "GetObject", &get),
        );
        assert_eq!(both.0, both.1);
        both.1
    }

    #[test]
    fn policy_and_acl_open_what_they_name() {
        let world = world(Some(POLICY), false);
        let check = |key, expected| assert_eq!(may_read(&world, key), expected, "{key}");
        check("closed", false);
        check("open", true);
        check("public/a", true);
        check("public/secret", false);
        // That it is not there is for those to know who may list the bucket.
        check("public/none", false);
        let list = |prefix: &str| ListObjectsV2Input {
            bucket: "b".to_owned(),
            prefix: Some(prefix.to_owned()),
            ..Default::default()
        };
        assert!(is_allowed(&world, "ListObjectsV2", &list("public/")));
        assert!(!is_allowed(&world, "ListObjectsV2", &list("")));
        let put = PutObjectInput {
            bucket: "b".to_owned(),
            key: "public/new".to_owned(),
            ..Default::default()
        };
        assert!(!is_allowed(&world, "PutObject", &put));
        let acl = GetBucketAclInput {
            bucket: "b".to_owned(),
            ..Default::default()
        };
        assert!(!is_allowed(&world, "GetBucketAcl", &acl));
        let nowhere = GetBucketAclInput {
            bucket: "none".to_owned(),
            ..Default::default()
        };
        assert!(is_allowed(&world, "GetBucketAcl", &nowhere));
    }

    #[test]
    fn the_block_of_public_access_closes_all() {
        let world = world(Some(POLICY), true);
        for key in ["closed", "open", "public/a", "public/secret"] {
            assert!(!may_read(&world, key), "{key}");
        }
    }

    #[test]
    fn who_signs_is_not_asked() {
        let world = world(None, true);
        let call = Call {
            operation: "GetObject",
            ..world.call("s3")
        };
        let get = GetObjectInput {
            bucket: "b".to_owned(),
            key: "closed".to_owned(),
            ..Default::default()
        };
        assert!(authorize(&call, &get).is_ok());
    }

    #[test]
    fn operations_are_actions() {
        let check = |operation, expected: &str| assert_eq!(action(operation, false), expected);
        check("GetObject", "s3:GetObject");
        check("HeadObject", "s3:GetObject");
        check("UploadPart", "s3:PutObject");
        check("ListObjectsV2", "s3:ListBucket");
        check("GetBucketAcl", "s3:GetBucketAcl");
        check(
            "PutBucketMetricsConfiguration",
            "s3:PutMetricsConfiguration",
        );
        check(
            "ListBucketInventoryConfigurations",
            "s3:GetInventoryConfiguration",
        );
        check(
            "DeleteBucketAnalyticsConfiguration",
            "s3:PutAnalyticsConfiguration",
        );
        check(
            "GetBucketLifecycleConfiguration",
            "s3:GetLifecycleConfiguration",
        );
        assert_eq!(action("DeleteObject", true), "s3:DeleteObjectVersion");
    }
}
