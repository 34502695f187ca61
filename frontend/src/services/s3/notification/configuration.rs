//! What a bucket tells whom: put, shown, and held against a change.

use super::{Change, record};
use crate::call::Call;
use crate::services::s3::buckets::{open_bucket, require_bucket};
use crate::services::s3::configuration::Kind;
use crate::services::s3::configuration::error::ConfigurationError;
use crate::services::s3::error::S3Error;
use crate::services::s3::rows::BucketRow;
use crate::services::sqs::door;
use cumulog_engine::{Read, Txn, View};
use cumulog_model::s3::{
    Event, FilterRule, GetBucketNotificationConfigurationInput,
    GetBucketNotificationConfigurationOutput, NotificationConfiguration,
    PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput,
    QueueConfiguration,
};
use serde_json::json;

pub(super) const NOTIFICATION: Kind<NotificationConfiguration> = Kind::new("notification");

/// The longest value of a filter rule, in bytes.
const FILTER_BYTES_MAX: usize = 1024;

pub(super) fn get(
    _: &Call,
    view: &View,
    input: GetBucketNotificationConfigurationInput,
) -> Result<GetBucketNotificationConfigurationOutput, S3Error> {
    require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let found = NOTIFICATION.get(view, &input.bucket)?.unwrap_or_default();
    Ok(GetBucketNotificationConfigurationOutput {
        queue_configurations: found.queue_configurations,
        ..Default::default()
    })
}

/// Keeps a configuration, and tells each of its queues so by a message, unless it asks for no look at them.
pub(super) fn put(
    call: &Call,
    txn: &mut Txn,
    input: PutBucketNotificationConfigurationInput,
) -> Result<PutBucketNotificationConfigurationOutput, S3Error> {
    let row = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let mut configuration = input.notification_configuration;
    refuse_others(&configuration)?;
    let queues = configuration.queue_configurations.get_or_insert_default();
    for queue in queues.iter_mut() {
        check(call, queue)?;
    }
    check_together(queues)?;
    if input.skip_destination_validation != Some(true) {
        check_destinations(txn, &row, queues)?;
        for queue in queues.iter() {
            let body = test_event(call, &input.bucket);
            door::deliver(call, txn, &queue.queue_arn, body).map_err(S3Error::Elsewhere)?;
        }
    }
    match queues.is_empty() {
        true => drop(NOTIFICATION.delete(txn, &input.bucket)),
        false => NOTIFICATION.put(txn, &input.bucket, &configuration),
    }
    Ok(PutBucketNotificationConfigurationOutput::default())
}

/// Only queues are here to be told.
fn refuse_others(configuration: &NotificationConfiguration) -> Result<(), S3Error> {
    let given = |list: Option<usize>| list.is_some_and(|count| count > 0);
    let topics = configuration.topic_configurations.as_ref().map(Vec::len);
    let functions = configuration
        .lambda_function_configurations
        .as_ref()
        .map(Vec::len);
    let others = [
        ("TopicConfiguration", given(topics), "SNS is not emulated"),
        (
            "CloudFunctionConfiguration",
            given(functions),
            "Lambda is not emulated",
        ),
        (
            "EventBridgeConfiguration",
            configuration.event_bridge_configuration.is_some(),
            "EventBridge is not emulated",
        ),
    ];
    match others.into_iter().find(|(_, given, _)| *given) {
        None => Ok(()),
        Some((name, _, why)) => Err(S3Error::NotImplemented {
            header: name.to_owned(),
            why: Some(why),
        }),
    }
}

/// Checks one configuration, and completes it as AWS shows it.
fn check(call: &Call, queue: &mut QueueConfiguration) -> Result<(), S3Error> {
    let arn = queue.queue_arn.as_str();
    if !arn.starts_with("arn:")
        || arn.split(':').nth(2) != Some("sqs")
        || arn.split(':').count() != 6
    {
        return Err(S3Error::argument(
            "Queue",
            arn,
            "The ARN could not be parsed",
        ));
    }
    if queue.events.is_empty() {
        return Err(S3Error::MalformedXml);
    }
    if let Some(Event::Unknown(event)) = queue
        .events
        .iter()
        .find(|event| matches!(event, Event::Unknown(_)))
    {
        let message = "A specified event is not supported for notifications.";
        return Err(S3Error::argument("Event", event.as_str(), message));
    }
    if queue.id.as_deref().unwrap_or_default().is_empty() {
        queue.id = Some(call.random().uuid());
    }
    let mut names = Vec::new();
    for rule in rules_mut(queue) {
        let name = check_rule(rule)?;
        if names.contains(&name) {
            let message = format!(
                "Cannot specify more than one {} rule in a filter.",
                name.to_ascii_lowercase()
            );
            return Err(S3Error::argument("FilterRule.Name", name, message));
        }
        names.push(name);
    }
    Ok(())
}

fn rules_mut(queue: &mut QueueConfiguration) -> impl Iterator<Item = &mut FilterRule> {
    let key = queue.filter.as_mut().and_then(|filter| filter.key.as_mut());
    let rules = key.and_then(|key| key.filter_rules.as_mut());
    rules.into_iter().flatten()
}

/// Gives the rule's name the case that AWS shows it in.
fn check_rule(rule: &mut FilterRule) -> Result<&'static str, S3Error> {
    let given = rule
        .name
        .as_ref()
        .map(|name| name.as_str().to_owned())
        .unwrap_or_default();
    let name = match given.to_ascii_lowercase().as_str() {
        "prefix" => "Prefix",
        "suffix" => "Suffix",
        _ => {
            let message = "filter rule name must be either prefix or suffix";
            return Err(S3Error::argument("FilterRule.Name", given, message));
        }
    };
    let value = rule.value.get_or_insert_default();
    if value.len() > FILTER_BYTES_MAX {
        let message = "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation";
        return Err(S3Error::argument(
            "FilterRule.Value",
            value.as_str(),
            message,
        ));
    }
    rule.name = Some(name.into());
    Ok(name)
}

/// The prefix and suffix that a key must have.
fn filter(queue: &QueueConfiguration) -> (&str, &str) {
    let key = queue.filter.as_ref().and_then(|filter| filter.key.as_ref());
    let rules = key
        .and_then(|key| key.filter_rules.as_deref())
        .unwrap_or_default();
    let value = |name: &str| {
        let is_named = |rule: &&FilterRule| {
            rule.name
                .as_ref()
                .is_some_and(|given| given.as_str() == name)
        };
        let rule = rules.iter().find(is_named);
        rule.and_then(|rule| rule.value.as_deref())
            .unwrap_or_default()
    };
    (value("Prefix"), value("Suffix"))
}

/// No event may be told twice.
fn check_together(queues: &[QueueConfiguration]) -> Result<(), S3Error> {
    for (at, one) in queues.iter().enumerate() {
        for other in &queues[at + 1..] {
            if one.id == other.id {
                let message = "Same ID used for multiple configurations. IDs must be unique";
                return Err(S3Error::argument(
                    "Id",
                    one.id.clone().unwrap_or_default(),
                    message,
                ));
            }
            if overlap(one, other) {
                return Err(S3Error::InvalidArgument {
                    message: "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if \
                              the prefixes are overlapping for the same event type."
                        .to_owned(),
                    name: "Configuration",
                    value: None,
                });
            }
        }
    }
    Ok(())
}

fn overlap(one: &QueueConfiguration, other: &QueueConfiguration) -> bool {
    let meet =
        |a: &Event, b: &Event| is_of(a.as_str(), b.as_str()) || is_of(b.as_str(), a.as_str());
    let events = one
        .events
        .iter()
        .any(|a| other.events.iter().any(|b| meet(a, b)));
    let ((prefix, suffix), (other_prefix, other_suffix)) = (filter(one), filter(other));
    events
        && (prefix.starts_with(other_prefix) || other_prefix.starts_with(prefix))
        && (suffix.ends_with(other_suffix) || other_suffix.ends_with(suffix))
}

/// Whether `event` is one of those that `pattern` stands for.
fn is_of(event: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => event.starts_with(start),
        None => event == pattern,
    }
}

/// Whether a queue is to be told of a change.
pub(super) fn wants(queue: &QueueConfiguration, change: &Change<'_>) -> bool {
    let event = format!("s3:{}", change.event);
    let (prefix, suffix) = filter(queue);
    queue
        .events
        .iter()
        .any(|wanted| is_of(&event, wanted.as_str()))
        && change.key.starts_with(prefix)
        && change.key.ends_with(suffix)
}

/// All queues must be there, in the bucket's region.
fn check_destinations(
    read: &impl Read,
    row: &BucketRow,
    queues: &[QueueConfiguration],
) -> Result<(), S3Error> {
    let mut wrong = Vec::new();
    for queue in queues {
        let found = door::destination(read, &queue.queue_arn).map_err(S3Error::Elsewhere)?;
        let fault = match found {
            None => "The destination queue does not exist",
            Some(queue) if queue.region != row.region => {
                "The notification destination service region is not valid for the bucket location constraint"
            }
            Some(queue) if !queue.exists => "The destination queue does not exist",
            Some(queue) if queue.fifo => {
                "FIFO SQS queues are not supported as notification destinations"
            }
            Some(_) => continue,
        };
        wrong.push((queue.queue_arn.clone(), fault));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(ConfigurationError::Destinations(wrong).into()),
    }
}

/// What a queue is told when it is named.
fn test_event(call: &Call, bucket: &str) -> String {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": record::shown_time(call.clock().now()),
        "Bucket": bucket,
        "RequestId": &*call.request_id,
        "HostId": call.host_id.as_deref().unwrap_or_default(),
    })
    .to_string()
}
