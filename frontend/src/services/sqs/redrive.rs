//! Redrive policies: which queue takes a queue's dead letters, and which queues a dead-letter queue takes them from.

use super::error::{Result, SqsError};
use super::names::Location;
use super::queue::Queue;
use super::rows::{Redrive, Settings};
use cumulog_engine::Read;
use serde_json::Value;

impl Redrive {
    /// Reads a policy: `{"deadLetterTargetArn": "arn:…", "maxReceiveCount": 3}`, the count also as text. An empty one
    /// is none.
    pub(super) fn parse(text: &str) -> Result<Option<Redrive>> {
        if text.is_empty() {
            return Ok(None);
        }
        let policy: Value = serde_json::from_str(text).unwrap_or_default();
        let (count, target) = members(&policy).map_err(|reason| invalid(text, reason))?;
        let receives_max = count
            .parse()
            .ok()
            .filter(|count| (1..=1000).contains(count));
        let receives_max = receives_max.ok_or_else(|| {
            let range = "valid values are from 1 to 1000 both inclusive";
            invalid(
                text,
                format!("Invalid value for maxReceiveCount: {count}, {range}."),
            )
        })?;
        if Location::from_arn(&target).is_none() {
            return Err(invalid(
                text,
                "Dead-letter target ARN should be fully qualified ARN.",
            ));
        }
        Ok(Some(Redrive {
            text: text.to_owned(),
            target_arn: target,
            receives_max,
        }))
    }
}

/// The texts of a policy's two members, or why there are no such two.
fn members(policy: &Value) -> std::result::Result<(String, String), String> {
    let policy = policy
        .as_object()
        .ok_or("Redrive policy is not a valid JSON map.")?;
    let member = |name| {
        let value = policy.get(name).ok_or_else(|| {
            format!("Redrive policy does not contain mandatory attribute: {name}.")
        })?;
        Ok::<_, String>(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        )
    };
    let found = (member("maxReceiveCount")?, member("deadLetterTargetArn")?);
    if policy.len() > 2 {
        let known = "[deadLetterTargetArn, maxReceiveCount]";
        return Err(format!("Only following attributes are supported: {known}."));
    }
    Ok(found)
}

fn invalid(policy: &str, reason: impl Into<String>) -> SqsError {
    SqsError::value(policy, "RedrivePolicy", reason)
}

/// Which queues may name a queue as their dead-letter queue.
#[derive(Debug, PartialEq, Eq)]
enum Allow {
    All,
    None,
    Queues(Vec<String>),
}

impl Allow {
    /// `None` if it is not one.
    fn parse(text: &str) -> Option<Allow> {
        let policy: Value = serde_json::from_str(text).ok()?;
        let queues = policy.get("sourceQueueArns");
        match policy.get("redrivePermission")?.as_str()? {
            "allowAll" if queues.is_none() => Some(Allow::All),
            "denyAll" if queues.is_none() => Some(Allow::None),
            "byQueue" => {
                let queues = queues?.as_array()?;
                let arns = queues.iter().map(|arn| Some(arn.as_str()?.to_owned()));
                let arns: Vec<String> = arns.collect::<Option<_>>()?;
                (1..=10)
                    .contains(&arns.len())
                    .then_some(Allow::Queues(arns))
            }
            _ => None,
        }
    }

    fn allows(&self, source_arn: &str) -> bool {
        match self {
            Allow::All => true,
            Allow::None => false,
            Allow::Queues(arns) => arns.iter().any(|arn| arn == source_arn),
        }
    }
}

/// Checks a redrive allow policy. An empty one is none.
pub(super) fn check_allow(text: &str) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    match Allow::parse(text) {
        Some(_) => Ok(Some(text.to_owned())),
        None => Err(SqsError::value(
            text,
            "RedriveAllowPolicy",
            "Redrive allow policy is not in a supported format.",
        )),
    }
}

/// Does a queue with these settings take the dead letters of `source_arn`? It takes all, if it does not say.
fn allows(settings: &Settings, source_arn: &str) -> bool {
    let allow = settings.redrive_allow.as_deref().and_then(Allow::parse);
    allow.is_none_or(|allow| allow.allows(source_arn))
}

/// Checks the redrive policy of `queue`: its target exists, is of the same account, region and kind, and allows it.
pub(super) fn check(read: &impl Read, queue: &Queue) -> Result<()> {
    let Some(redrive) = &queue.settings().redrive else {
        return Ok(());
    };
    let refuse = |reason: &str| Err(invalid(&redrive.text, reason));
    let location = Location::from_arn(&redrive.target_arn);
    let Some(Location {
        account: Some(account),
        region: Some(region),
        ..
    }) = location
    else {
        return refuse("Dead-letter target ARN should be fully qualified ARN.");
    };
    if account != queue.account || region != queue.region {
        return refuse("Dead letter target owner should be same as the source.");
    }
    let Some(target) = Queue::of_arn(read, &redrive.target_arn)? else {
        return refuse("Dead letter target does not exist.");
    };
    if target.settings().fifo != queue.settings().fifo {
        return refuse("Dead-letter queue must be same type of queue as the source.");
    }
    if !allows(target.settings(), &queue.arn()) {
        return refuse(
            "The redrive allow policy of the dead-letter queue does not allow this source queue.",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redrive_policies_are_checked_in_the_words_of_aws() {
        fn check(policy: &str, reason: &str) {
            let error = Redrive::parse(policy).expect_err(policy);
            let expected =
                format!("Value {policy} for parameter RedrivePolicy is invalid. Reason: {reason}");
            assert_eq!(error.to_string(), expected);
        }
        let arn = "arn:aws:sqs:us-east-1:000000000000:dead";
        check("x", "Redrive policy is not a valid JSON map.");
        check(
            r#"{"maxReceiveCount":1}"#,
            "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.",
        );
        check(
            &format!(r#"{{"deadLetterTargetArn":"{arn}"}}"#),
            "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
        );
        check(
            &format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"1001"}}"#),
            "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive.",
        );
        check(
            r#"{"deadLetterTargetArn":"dead","maxReceiveCount":1}"#,
            "Dead-letter target ARN should be fully qualified ARN.",
        );
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"5"}}"#);
        let redrive = Redrive::parse(&policy).expect("is valid");
        assert_eq!(redrive.map(|redrive| redrive.receives_max), Some(5));
        assert_eq!(Redrive::parse("").expect("is none"), None);
    }

    #[test]
    fn a_dead_letter_queue_says_whose_letters_it_takes() {
        fn check(policy: &str, takes: Option<[bool; 2]>) {
            let kept = check_allow(policy).ok();
            assert_eq!(kept.is_some(), takes.is_some(), "{policy}");
            let settings = Settings {
                redrive_allow: kept.flatten(),
                ..Settings::default()
            };
            let sources = [
                "arn:aws:sqs:us-east-1:000000000000:a",
                "arn:aws:sqs:us-east-1:000000000000:b",
            ];
            if let Some(takes) = takes {
                assert_eq!(
                    sources.map(|source| allows(&settings, source)),
                    takes,
                    "{policy}"
                );
            }
        }
        check("", Some([true, true]));
        check(r#"{"redrivePermission":"allowAll"}"#, Some([true, true]));
        check(r#"{"redrivePermission":"denyAll"}"#, Some([false, false]));
        check(
            r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:a"]}"#,
            Some([true, false]),
        );
        check(r#"{"redrivePermission":"byQueue"}"#, None);
        check(r#"{"redrivePermission":"some"}"#, None);
        check("x", None);
    }
}
