//! Queue attributes: from a caller's text to typed settings, checked in AWS's words, and back to text.

use super::error::{Result, SqsError};
use super::redrive;
use super::rows::{Redrive, Settings};
use cumulog_shape::Map;
use serde_json::Value;
use std::ops::RangeInclusive;

/// The attributes that a caller can set, in the order in which they are shown.
const SETTABLE: [&str; 14] = [
    "VisibilityTimeout",
    "DelaySeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "Policy",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
];

/// The attributes that only FIFO queues have.
const FIFO: &str = "FifoQueue";

impl Default for Settings {
    fn default() -> Self {
        Settings {
            fifo: false,
            visibility_timeout_seconds: 30,
            delay_seconds: 0,
            message_bytes_max: 1_048_576,
            retention_seconds: 345_600,
            wait_seconds: 0,
            content_based_deduplication: false,
            deduplicate_by_group: false,
            limit_by_group: false,
            policy: None,
            redrive: None,
            redrive_allow: None,
            kms_key: None,
            kms_reuse_seconds: None,
            managed_encryption: true,
        }
    }
}

impl Settings {
    /// The settings of a queue to be made.
    pub(crate) fn create(attributes: &Map<String>) -> Result<Settings> {
        let fifo = attributes
            .get(FIFO)
            .is_some_and(|value| is_true(value) == Some(true));
        let mut settings = Settings {
            fifo,
            ..Settings::default()
        };
        settings.apply(attributes)?;
        Ok(settings)
    }

    /// Changes what `attributes` name. `FifoQueue` may be repeated but not changed.
    pub(crate) fn apply(&mut self, attributes: &Map<String>) -> Result<()> {
        for (name, value) in attributes.iter() {
            self.apply_one(name, value)?;
        }
        self.check_encryption(attributes)?;
        if self.limit_by_group && !self.deduplicate_by_group {
            return Err(SqsError::attribute("FifoThroughputLimit"));
        }
        Ok(())
    }

    fn apply_one(&mut self, name: &str, value: &str) -> Result<()> {
        let number = |range| number(name, value, range);
        let flag = || is_true(value).ok_or_else(|| SqsError::attribute(name));
        match name {
            "VisibilityTimeout" => self.visibility_timeout_seconds = number(0..=43_200)?,
            "DelaySeconds" => self.delay_seconds = number(0..=900)?,
            "MaximumMessageSize" => self.message_bytes_max = number(1_024..=1_048_576)?,
            "MessageRetentionPeriod" => self.retention_seconds = number(60..=1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.wait_seconds = number(0..=20)?,
            "KmsDataKeyReusePeriodSeconds" => {
                self.kms_reuse_seconds = Some(number(60..=86_400)?);
            }
            "KmsMasterKeyId" => self.kms_key = filled(value),
            "SqsManagedSseEnabled" => self.managed_encryption = flag()?,
            "Policy" => self.policy = object_text(name, value)?,
            "RedrivePolicy" => self.redrive = Redrive::parse(value)?,
            "RedriveAllowPolicy" => self.redrive_allow = redrive::check_allow(value)?,
            FIFO => return self.check_kind(value),
            "DeduplicationScope" | "FifoThroughputLimit" if !self.fifo => {
                return Err(SqsError::InvalidAttributeName(format!(
                    "You can specify the {name} only when FifoQueue is set to true."
                )));
            }
            "ContentBasedDeduplication" if self.fifo => self.content_based_deduplication = flag()?,
            "DeduplicationScope" => {
                self.deduplicate_by_group = choice(name, value, "queue", "messageGroup")?;
            }
            "FifoThroughputLimit" => {
                self.limit_by_group = choice(name, value, "perQueue", "perMessageGroupId")?;
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// The kind of a queue never changes.
    fn check_kind(&self, value: &str) -> Result<()> {
        match (self.fifo, is_true(value)) {
            (true, Some(true)) => Ok(()),
            (true, _) => Err(SqsError::InvalidAttributeValue {
                parameter: FIFO.to_owned(),
                reason: " Reason: Modifying queue type is not supported.",
            }),
            (false, _) => Err(unknown(FIFO)),
        }
    }

    /// A key of one's own and SQS's keys exclude each other; naming one turns the other off.
    fn check_encryption(&mut self, attributes: &Map<String>) -> Result<()> {
        let key_named = attributes
            .get("KmsMasterKeyId")
            .is_some_and(|key| !key.is_empty());
        let managed_named =
            attributes.contains_key("SqsManagedSseEnabled") && self.managed_encryption;
        match (key_named, managed_named) {
            (true, true) => {
                return Err(SqsError::InvalidAttributeName(
                    "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE \
                     or SQS SSE."
                        .to_owned(),
                ));
            }
            (true, false) => self.managed_encryption = false,
            (false, true) => self.kms_key = None,
            (false, false) => {}
        }
        Ok(())
    }

    /// The text of an attribute; `None` if it is not set, or no attribute of such a queue.
    pub(crate) fn show(&self, name: &str) -> Option<String> {
        let choice = |second: bool, names: [&str; 2]| Some(names[usize::from(second)].to_owned());
        match name {
            "VisibilityTimeout" => Some(self.visibility_timeout_seconds.to_string()),
            "DelaySeconds" => Some(self.delay_seconds.to_string()),
            "MaximumMessageSize" => Some(self.message_bytes_max.to_string()),
            "MessageRetentionPeriod" => Some(self.retention_seconds.to_string()),
            "ReceiveMessageWaitTimeSeconds" => Some(self.wait_seconds.to_string()),
            "Policy" => self.policy.clone(),
            "RedrivePolicy" => self.redrive.as_ref().map(|redrive| redrive.text.clone()),
            "RedriveAllowPolicy" => self.redrive_allow.clone(),
            "KmsMasterKeyId" => self.kms_key.clone(),
            "KmsDataKeyReusePeriodSeconds" => {
                let default = self.kms_key.as_ref().map(|_| 300);
                self.kms_reuse_seconds
                    .or(default)
                    .map(|seconds| seconds.to_string())
            }
            "SqsManagedSseEnabled" => Some(self.managed_encryption.to_string()),
            _ if !self.fifo => None,
            FIFO => Some("true".to_owned()),
            "ContentBasedDeduplication" => Some(self.content_based_deduplication.to_string()),
            "DeduplicationScope" => choice(self.deduplicate_by_group, ["queue", "messageGroup"]),
            "FifoThroughputLimit" => choice(self.limit_by_group, ["perQueue", "perMessageGroupId"]),
            _ => None,
        }
    }

    /// All attributes that are set.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, String)> {
        SETTABLE
            .into_iter()
            .chain([FIFO])
            .filter_map(|name| Some((name, self.show(name)?)))
    }

    /// The first attribute in which `attributes` differ from these settings.
    pub(crate) fn difference(&self, attributes: &Map<String>) -> Result<Option<&'static str>> {
        let mut wanted = self.clone();
        wanted.apply(attributes)?;
        let named = SETTABLE
            .into_iter()
            .filter(|name| attributes.contains_key(name));
        Ok(named
            .into_iter()
            .find(|name| wanted.show(name) != self.show(name)))
    }
}

/// Is it the name of an attribute that can be asked for?
pub(crate) fn is_settable(name: &str) -> bool {
    SETTABLE.contains(&name) || name == FIFO
}

pub(crate) fn unknown(name: &str) -> SqsError {
    SqsError::InvalidAttributeName(format!("Unknown Attribute {name}."))
}

fn number(name: &str, value: &str, range: RangeInclusive<u32>) -> Result<u32> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| SqsError::attribute(name))
}

fn is_true(value: &str) -> Option<bool> {
    let is = |word| value.eq_ignore_ascii_case(word);
    if is("true") {
        Some(true)
    } else {
        is("false").then_some(false)
    }
}

/// Which of two words it is: is it the second?
fn choice(name: &str, value: &str, first: &str, second: &str) -> Result<bool> {
    if value == second {
        Ok(true)
    } else if value == first {
        Ok(false)
    } else {
        Err(SqsError::attribute(name))
    }
}

/// An empty value takes an attribute away.
fn filled(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn object_text(name: &str, value: &str) -> Result<Option<String>> {
    if value.is_empty() {
        return Ok(None);
    }
    match serde_json::from_str(value) {
        Ok(Value::Object(_)) => Ok(Some(value.to_owned())),
        _ => Err(SqsError::attribute(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(attributes: &[(&str, &str)]) -> Map<String> {
        attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn values_out_of_range_are_refused_in_the_words_of_aws() {
        fn check(name: &str, valid: &[&str], invalid: &[&str]) {
            for value in valid {
                let settings = Settings::create(&map(&[(name, value)]));
                let settings = settings.unwrap_or_else(|error| panic!("{name} {value}: {error}"));
                assert_eq!(settings.show(name).as_deref(), Some(*value), "{name}");
            }
            for value in invalid {
                let error = Settings::create(&map(&[(name, value)])).expect_err(value);
                assert_eq!(
                    error.to_string(),
                    format!("Invalid value for the parameter {name}.")
                );
            }
        }
        check(
            "VisibilityTimeout",
            &["0", "43200"],
            &["-1", "43201", "x", "1.5", ""],
        );
        check("DelaySeconds", &["0", "900"], &["-1", "901"]);
        check(
            "MaximumMessageSize",
            &["1024", "1048576"],
            &["1023", "1048577"],
        );
        check(
            "MessageRetentionPeriod",
            &["60", "1209600"],
            &["59", "1209601"],
        );
        check("ReceiveMessageWaitTimeSeconds", &["0", "20"], &["-1", "21"]);
        check(
            "KmsDataKeyReusePeriodSeconds",
            &["60", "86400"],
            &["59", "86401"],
        );
        check("SqsManagedSseEnabled", &["true", "false"], &["yes"]);
        check("Policy", &[r#"{"Version":"2012-10-17"}"#], &["x", "[]"]);
    }

    /// The words are those of recorded answers.
    #[test]
    fn attributes_that_do_not_fit_the_queue_are_refused_by_name() {
        fn check(attributes: &[(&str, &str)], expected: &str) {
            let error = Settings::create(&map(attributes)).expect_err(expected);
            assert_eq!(error.to_string(), expected);
        }
        check(
            &[("ContentBasedDeduplication", "true")],
            "Unknown Attribute ContentBasedDeduplication.",
        );
        check(&[("FifoQueue", "false")], "Unknown Attribute FifoQueue.");
        check(&[("QueueArn", "x")], "Unknown Attribute QueueArn.");
        check(
            &[("DeduplicationScope", "queue")],
            "You can specify the DeduplicationScope only when FifoQueue is set to true.",
        );
        check(
            &[("FifoThroughputLimit", "perQueue")],
            "You can specify the FifoThroughputLimit only when FifoQueue is set to true.",
        );
        check(
            &[
                ("FifoQueue", "true"),
                ("FifoThroughputLimit", "perMessageGroupId"),
            ],
            "Invalid value for the parameter FifoThroughputLimit.",
        );
        check(
            &[("KmsMasterKeyId", "key"), ("SqsManagedSseEnabled", "true")],
            "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.",
        );
    }

    #[test]
    fn an_empty_value_removes_an_attribute() {
        let mut settings = Settings::create(&map(&[("Policy", "{}"), ("KmsMasterKeyId", "key")]))
            .expect("is valid");
        assert!(!settings.managed_encryption);
        settings
            .apply(&map(&[("Policy", ""), ("KmsMasterKeyId", "")]))
            .expect("is valid");
        assert_eq!(
            (settings.show("Policy"), settings.show("KmsMasterKeyId")),
            (None, None)
        );
    }

    #[test]
    fn only_named_attributes_can_differ() {
        let settings = Settings::create(&map(&[("DelaySeconds", "5")])).expect("is valid");
        let difference = |attributes| settings.difference(&map(attributes)).expect("is valid");
        assert_eq!(difference(&[]), None);
        assert_eq!(difference(&[("DelaySeconds", "5")]), None);
        assert_eq!(difference(&[("VisibilityTimeout", "30")]), None);
        assert_eq!(difference(&[("DelaySeconds", "6")]), Some("DelaySeconds"));
    }

    #[test]
    fn the_kind_of_a_queue_does_not_change() {
        let mut fifo = Settings::create(&map(&[("FifoQueue", "true")])).expect("is valid");
        let error = fifo
            .apply(&map(&[("FifoQueue", "false")]))
            .expect_err("is a change");
        assert_eq!(
            error.to_string(),
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
        );
    }
}
