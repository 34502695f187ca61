//! The policy of a bucket: put, get, delete, and whether it is public. Whom it refuses is for `access.rs` to say.

use super::buckets::require_bucket;
use super::configuration::error::{ConfigurationError, Missing};
use super::configuration::{get_text, put_text};
use super::error::S3Error;
use super::ownership::blocked;
use crate::call::Call;
use crate::policy::{Document, Malformed, Statement};
use crate::service::Service;
use cumulog_engine::{Read, Txn, View};
use cumulog_model::s3::{
    self as model, DeleteBucketPolicyInput, DeleteBucketPolicyOutput, GetBucketPolicyInput,
    GetBucketPolicyOutput, GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput, PolicyStatus,
    PutBucketPolicyInput, PutBucketPolicyOutput,
};

const KIND: &str = "policy";

/// The longest policy.
const BYTES_MAX: usize = 20 * 1024;

pub(super) fn register(service: Service) -> Service {
    service
        .write::<model::PutBucketPolicy, _>(put_bucket_policy)
        .read::<model::GetBucketPolicy, _>(get_bucket_policy)
        .write::<model::DeleteBucketPolicy, _>(delete_bucket_policy)
        .read::<model::GetBucketPolicyStatus, _>(get_bucket_policy_status)
}

/// The bucket's policy, if it has one.
pub(super) fn of_bucket(read: &impl Read, bucket: &str) -> Result<Option<Document>, S3Error> {
    let Some(text) = get_text(read, bucket, KIND)? else {
        return Ok(None);
    };
    match Document::parse(&text) {
        Ok(document) => Ok(Some(document)),
        Err(error) => Err(S3Error::Broken(format!("the policy of {bucket}: {error}"))),
    }
}

/// Keeps the policy as it came. `ConfirmRemoveSelfBucketAccess` has nothing to confirm: owners are never refused.
fn put_bucket_policy(
    _: &Call,
    txn: &mut Txn,
    input: PutBucketPolicyInput,
) -> Result<PutBucketPolicyOutput, S3Error> {
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    if input.policy.len() > BYTES_MAX {
        return Err(ConfigurationError::PolicyTooLarge.into());
    }
    let document = Document::parse(&input.policy).map_err(ConfigurationError::Policy)?;
    let mut statements = document.statements.iter();
    statements
        .try_for_each(|statement| check_statement(&input.bucket, statement))
        .map_err(ConfigurationError::Policy)?;
    if document.is_public() && blocked(txn, &input.bucket)?.block_public_policy == Some(true) {
        return Err(ConfigurationError::PublicPolicy(input.bucket).into());
    }
    put_text(txn, &input.bucket, KIND, &input.policy);
    Ok(PutBucketPolicyOutput::default())
}

/// A bucket's policy is about S3, and about that bucket.
fn check_statement(bucket: &str, statement: &Statement) -> Result<(), Malformed> {
    let actions = &statement.actions.patterns;
    let is_ours = |action: &String| action == "*" || action.to_ascii_lowercase().starts_with("s3:");
    if !actions.iter().all(is_ours) {
        return Err(Malformed::Action);
    }
    let resources = &statement.resources.patterns;
    let is_in = |resource: &String| {
        let path = resource.strip_prefix("arn:aws:s3:::").unwrap_or_default();
        let name = path.split('/').next().unwrap_or_default();
        name == bucket
            || name
                .strip_suffix('*')
                .is_some_and(|start| bucket.starts_with(start))
    };
    let everything = |resource: &String| resource == "*";
    if !resources
        .iter()
        .all(|resource| is_in(resource) || everything(resource))
    {
        return Err(Malformed::Resource);
    }
    let applies = |action: &String| {
        let fits = |resource: &String| {
            let ends_open = resource.ends_with('*');
            is_about_objects(action)
                .is_none_or(|objects| ends_open || objects == resource.contains('/'))
        };
        resources.iter().any(fits)
    };
    match statement.actions.others || statement.resources.others || actions.iter().all(applies) {
        true => Ok(()),
        false => Err(Malformed::Inapplicable),
    }
}

/// Whether an action is one on objects, or on buckets. `None`: a pattern.
fn is_about_objects(action: &str) -> Option<bool> {
    if action.contains(['*', '?']) {
        return None;
    }
    let name = action
        .split_once(':')
        .map_or(action, |(_, name)| name)
        .to_ascii_lowercase();
    let of_uploads = [
        "abortmultipartupload",
        "listmultipartuploadparts",
        "bypassgovernanceretention",
    ];
    Some(of_uploads.contains(&name.as_str()) || name.contains("object") && !name.contains("bucket"))
}

fn get_bucket_policy(
    _: &Call,
    view: &View,
    input: GetBucketPolicyInput,
) -> Result<GetBucketPolicyOutput, S3Error> {
    require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let text = get_text(view, &input.bucket, KIND)?;
    Ok(GetBucketPolicyOutput {
        policy: Some(text.ok_or_else(|| Missing::Policy.in_bucket(&input.bucket))?),
    })
}

fn delete_bucket_policy(
    _: &Call,
    txn: &mut Txn,
    input: DeleteBucketPolicyInput,
) -> Result<DeleteBucketPolicyOutput, S3Error> {
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    super::configuration::delete_text(txn, &input.bucket, KIND);
    Ok(DeleteBucketPolicyOutput::default())
}

fn get_bucket_policy_status(
    _: &Call,
    view: &View,
    input: GetBucketPolicyStatusInput,
) -> Result<GetBucketPolicyStatusOutput, S3Error> {
    require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let policy = of_bucket(view, &input.bucket)?;
    let policy = policy.ok_or_else(|| Missing::Policy.in_bucket(&input.bucket))?;
    Ok(GetBucketPolicyStatusOutput {
        policy_status: Some(PolicyStatus {
            is_public: Some(policy.is_public()),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_fit_their_resources() {
        let check = |action: &str, resource: &str, expected: Option<Malformed>| {
            let text = format!(
                r#"{{"Statement": {{"Effect": "Allow", "Principal": "*", "Action": "{action}", "Resource": "{resource}"}}}}"#
            );
            let document = Document::parse(&text).expect("it is a policy");
            let found = check_statement("bucket", &document.statements[0]).err();
            assert_eq!(found, expected, "{action} {resource}");
        };
        check("s3:GetObject", "arn:aws:s3:::bucket/*", None);
        check("s3:getobject", "arn:aws:s3:::bucket/a/*", None);
        check("s3:ListBucket", "arn:aws:s3:::bucket", None);
        check("s3:*", "arn:aws:s3:::bucket", None);
        check("*", "arn:aws:s3:::bucket*", None);
        check(
            "s3:GetBucketObjectLockConfiguration",
            "arn:aws:s3:::bucket",
            None,
        );
        check(
            "s3:GetObject",
            "arn:aws:s3:::bucket",
            Some(Malformed::Inapplicable),
        );
        check(
            "s3:ListBucket",
            "arn:aws:s3:::bucket/a",
            Some(Malformed::Inapplicable),
        );
        check(
            "s3:GetObject",
            "arn:aws:s3:::other/*",
            Some(Malformed::Resource),
        );
        check("s3:GetObject", "bucket/*", Some(Malformed::Resource));
        check(
            "sqs:SendMessage",
            "arn:aws:s3:::bucket/*",
            Some(Malformed::Action),
        );
    }
}
