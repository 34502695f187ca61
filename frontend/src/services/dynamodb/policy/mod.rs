//! Resource policies of tables and streams. They are checked for their form, kept and told, and restrict nobody.

mod document;

use cumulog_engine::{Read, Txn, View};
use cumulog_model::dynamodb as model;
use model::{
    DeleteResourcePolicyInput, DeleteResourcePolicyOutput, GetResourcePolicyInput,
    GetResourcePolicyOutput, PutResourcePolicyInput, PutResourcePolicyOutput,
};

use super::address::Address;
use super::error::{Error, ValidationError};
use super::rows::{STREAMS, StreamInfoRow, StreamKey, TABLES, TableRow};
use super::streams::Stream;
use crate::call::Call;
pub(crate) use document::{canonical, check};

/// What has a policy, or may have one.
enum Resource {
    Table(Address<'static>, Box<TableRow>),
    Stream(StreamKey<'static>, StreamInfoRow),
}

/// A policy as it came, and when.
struct Policy {
    document: String,
    revision_ms: i64,
}

impl Resource {
    fn open(call: &Call, read: &impl Read, arn: &str) -> Result<Resource, Error> {
        let resource = resource(call, arn)?;
        if let Some(key) = Stream::parse_arn(arn) {
            let (table, label) = (key.2.to_string(), key.3.to_string());
            let Some(info) = STREAMS.get(read, &key)? else {
                return Err(Error::NoSuchResource(format!(
                    "Requested resource not found: Stream: {label} not found for Table: {table}"
                )));
            };
            return Ok(Resource::Stream(key, info));
        }
        let name = resource.strip_prefix("table/").unwrap_or_default();
        if name.contains('/') {
            return Err(ValidationError::invalid(format!(
                "Invalid resource arn provided, only table or stream is accepted. Provided resource arn: {arn}"
            ))
            .into());
        }
        let address = Address {
            account: call.account.to_string().into(),
            region: call.region.to_string().into(),
            name: name.to_owned().into(),
        };
        let row = TABLES.get(read, &address.key())?;
        let row = row.ok_or_else(|| Error::NoSuchTableNamed(name.to_owned()))?;
        Ok(Resource::Table(address, Box::new(row)))
    }

    fn policy(&self) -> Option<Policy> {
        let (document, revision_ms) = match self {
            Resource::Table(_, row) => {
                let revision_ms = Some(row.policy_revision_ms).filter(|revision| *revision != 0);
                (
                    row.resource_policy.clone(),
                    revision_ms.unwrap_or(row.created_ms),
                )
            }
            Resource::Stream(_, row) => (row.policy.clone(), row.policy_revision_ms),
        };
        document.map(|document| Policy {
            document,
            revision_ms,
        })
    }

    /// Puts a policy in the place of what was there; says its revision.
    fn set(self, call: &Call, txn: &mut Txn, document: Option<String>) -> String {
        let earlier = self.policy().map_or(0, |policy| policy.revision_ms);
        // Two changes in a millisecond are two revisions.
        let revision_ms = call.now.0.max(earlier + 1);
        match self {
            Resource::Table(address, mut row) => {
                row.resource_policy = document;
                row.policy_revision_ms = revision_ms;
                TABLES.put(txn, &address.key(), &row);
            }
            Resource::Stream(key, mut row) => {
                row.policy = document;
                row.policy_revision_ms = revision_ms;
                STREAMS.put(txn, &key, &row);
            }
        }
        revision_ms.to_string()
    }
}

/// What an ARN of this account and region names.
fn resource<'a>(call: &Call, arn: &'a str) -> Result<&'a str, ValidationError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, service, region, account, resource] = parts[..] else {
        return Err(ValidationError::invalid(format!(
            "ARNs must start with 'arn:': {arn}"
        )));
    };
    if service != "dynamodb" || !resource.starts_with("table/") || resource.contains("/backup/") {
        return Err(ValidationError::invalid(format!(
            "Provided Arn is not a DynamoDB resource arn: {arn}"
        )));
    }
    if partition != "aws" || region != &*call.region {
        return Err(ValidationError::invalid(format!(
            "Invalid resource Arn: {arn}"
        )));
    }
    if account != &*call.account {
        return Err(ValidationError::new(
            "This action is only supported by accounts that match the resource owner’s account.",
        ));
    }
    Ok(resource)
}

/// Attaches a policy. One that means the same as what is there changes nothing.
pub(crate) fn put_policy(
    call: &Call,
    txn: &mut Txn,
    input: PutResourcePolicyInput,
) -> Result<PutResourcePolicyOutput, Error> {
    let resource = Resource::open(call, txn, &input.resource_arn)?;
    check(&input.policy)?;
    let current = resource.policy();
    check_revision(
        &input.resource_arn,
        current.as_ref(),
        input.expected_revision_id.as_deref(),
    )?;
    let same = current.filter(|current| {
        let (old, new) = (canonical(&current.document), canonical(&input.policy));
        old.is_some() && old == new
    });
    let revision = match same {
        Some(current) => current.revision_ms.to_string(),
        None => resource.set(call, txn, Some(input.policy)),
    };
    Ok(PutResourcePolicyOutput {
        revision_id: Some(revision),
    })
}

/// The revision of none, by which a client says that it expects no policy.
const NO_POLICY: &str = "NO_POLICY";

fn check_revision(
    arn: &str,
    current: Option<&Policy>,
    expected: Option<&str>,
) -> Result<(), Error> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let target = arn.rsplit('/').next().unwrap_or_default();
    let wanted = format!("Requested update for policy with revision id {expected}, but");
    let what = match current.map(|current| current.revision_ms.to_string()) {
        None if expected == NO_POLICY => return Ok(()),
        None => format!("{wanted} table {target} has no associated policy."),
        Some(revision) if revision == expected => return Ok(()),
        Some(revision) if expected == NO_POLICY => format!(
            "Requested policy update expecting none to be present for table {target}, but a policy exists with \
             revision id {revision}."
        ),
        Some(revision) => format!(
            "{wanted} the policy associated to target table {target} has revision id {revision}."
        ),
    };
    Err(no_policy(what))
}

fn no_policy(what: String) -> Error {
    Error::NoPolicy(format!(
        "Resource-based policy not found for the provided ResourceArn: {what}"
    ))
}

/// Tells the policy in the form that AWS gives it.
pub(crate) fn get_policy(
    call: &Call,
    view: &View,
    input: GetResourcePolicyInput,
) -> Result<GetResourcePolicyOutput, Error> {
    let resource = Resource::open(call, view, &input.resource_arn)?;
    let policy = resource.policy();
    let policy = policy.ok_or_else(|| no_policy(input.resource_arn))?;
    Ok(GetResourcePolicyOutput {
        revision_id: Some(policy.revision_ms.to_string()),
        policy: Some(document::shown(&policy.document)),
    })
}

/// Takes the policy off; it is no error if there is none.
pub(crate) fn delete_policy(
    call: &Call,
    txn: &mut Txn,
    input: DeleteResourcePolicyInput,
) -> Result<DeleteResourcePolicyOutput, Error> {
    let resource = Resource::open(call, txn, &input.resource_arn)?;
    let current = resource.policy();
    let expected = input.expected_revision_id.as_deref();
    check_revision(&input.resource_arn, current.as_ref(), expected)?;
    if current.is_some() {
        resource.set(call, txn, None);
    }
    Ok(DeleteResourcePolicyOutput {
        revision_id: current.map(|current| current.revision_ms.to_string()),
    })
}
