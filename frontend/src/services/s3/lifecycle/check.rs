//! What S3 refuses in a lifecycle configuration.

use crate::call::Call;
use crate::services::s3::error::S3Error;
use cumulog_model::s3::{
    ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleAndOperator,
    LifecycleRuleFilter, NoncurrentVersionExpiration, NoncurrentVersionTransition, Tag, Transition,
    TransitionStorageClass,
};
use cumulog_shape::{Timestamp, TimestampFormat};
use std::collections::HashSet;

const RULES_MAX: usize = 1000;
const ID_LENGTH_MAX: usize = 255;
const NEWER_VERSIONS_MAX: i32 = 100;

/// The least days before a move to the classes for what is rarely read.
const INFREQUENT_DAYS_MIN: i32 = 30;

/// The rules as they are kept: each with an id.
pub(super) fn checked(
    call: &Call,
    mut rules: Vec<LifecycleRule>,
) -> Result<Vec<LifecycleRule>, S3Error> {
    if !(1..=RULES_MAX).contains(&rules.len()) {
        return Err(S3Error::MalformedXml);
    }
    let mut ids = HashSet::new();
    for rule in &mut rules {
        check_rule(rule)?;
        rule.id.get_or_insert_with(|| call.random().uuid());
        if !ids.insert(rule.id.clone()) {
            let message = "Rule ID must be unique. Found same ID for more than one rule";
            let id = rule.id.clone().unwrap_or_default();
            return Err(S3Error::argument("ID", id, message));
        }
    }
    Ok(rules)
}

fn check_rule(rule: &mut LifecycleRule) -> Result<(), S3Error> {
    rule.id = rule.id.take().filter(|id| !id.is_empty());
    if let Some(id) = rule
        .id
        .as_ref()
        .filter(|id| id.chars().count() > ID_LENGTH_MAX)
    {
        let message = "ID length should not exceed allowed limit of 255";
        return Err(S3Error::argument("ID", id.as_str(), message));
    }
    if matches!(rule.status, ExpirationStatus::Unknown(_)) {
        return Err(S3Error::MalformedXml);
    }
    // The filter came with the second version of this document, and took the place of the prefix.
    match (&rule.filter, &rule.prefix) {
        (Some(filter), None) => check_filter(filter)?,
        (None, Some(_)) => {}
        _ => return Err(S3Error::MalformedXml),
    }
    let actions = [
        rule.expiration.is_some(),
        rule.noncurrent_version_expiration.is_some(),
        rule.abort_incomplete_multipart_upload.is_some(),
        rule.transitions.as_ref().is_some_and(|all| !all.is_empty()),
        (rule.noncurrent_version_transitions.as_ref()).is_some_and(|all| !all.is_empty()),
    ];
    if !actions.contains(&true) {
        return Err(S3Error::request(
            "At least one action needs to be specified in a rule.",
        ));
    }
    if let Some(expiration) = &rule.expiration {
        check_expiration(expiration, rule)?;
    }
    check_transitions(rule)?;
    if let Some(expiration) = &rule.noncurrent_version_expiration {
        check_noncurrent(expiration, rule)?;
    }
    for transition in rule.noncurrent_version_transitions.iter().flatten() {
        check_noncurrent_transition(transition)?;
    }
    check_abort(rule)
}

fn check_filter(filter: &LifecycleRuleFilter) -> Result<(), S3Error> {
    let predicates = [
        filter.prefix.is_some(),
        filter.tag.is_some(),
        filter.object_size_greater_than.is_some(),
        filter.object_size_less_than.is_some(),
        filter.and.is_some(),
    ];
    if predicates.iter().filter(|given| **given).count() > 1 {
        return Err(S3Error::MalformedXml);
    }
    check_sizes(
        filter.object_size_greater_than,
        filter.object_size_less_than,
    )?;
    match &filter.and {
        Some(and) => {
            check_sizes(and.object_size_greater_than, and.object_size_less_than)?;
            check_tags(and)
        }
        None => Ok(()),
    }
}

fn check_sizes(greater: Option<i64>, less: Option<i64>) -> Result<(), S3Error> {
    if greater.is_some_and(|bytes| bytes < 0) || less.is_some_and(|bytes| bytes < 1) {
        return Err(S3Error::MalformedXml);
    }
    match (greater, less) {
        (Some(greater), Some(less)) if less <= greater => Err(S3Error::request(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.",
        )),
        _ => Ok(()),
    }
}

fn check_tags(and: &LifecycleRuleAndOperator) -> Result<(), S3Error> {
    let tags: &[Tag] = and.tags.as_deref().unwrap_or_default();
    let mut keys = HashSet::new();
    match tags.iter().all(|tag| keys.insert(&tag.key)) {
        true => Ok(()),
        false => Err(S3Error::request("Duplicate Tag Keys are not allowed.")),
    }
}

/// Whether the rule's filter asks for tags.
fn has_tags(rule: &LifecycleRule) -> bool {
    rule.filter.as_ref().is_some_and(|filter| {
        let and = filter.and.as_ref().and_then(|and| and.tags.as_ref());
        filter.tag.is_some() || and.is_some_and(|tags| !tags.is_empty())
    })
}

/// Whether the rule's filter asks for sizes.
fn has_sizes(rule: &LifecycleRule) -> bool {
    rule.filter.as_ref().is_some_and(|filter| {
        let and = filter.and.as_ref();
        filter.object_size_greater_than.is_some()
            || filter.object_size_less_than.is_some()
            || and.is_some_and(|and| {
                and.object_size_greater_than.is_some() || and.object_size_less_than.is_some()
            })
    })
}

fn check_expiration(expiration: &LifecycleExpiration, rule: &LifecycleRule) -> Result<(), S3Error> {
    match (
        expiration.days,
        expiration.date,
        expiration.expired_object_delete_marker,
    ) {
        (Some(days), None, None) => check_days(
            days,
            "'Days' for Expiration action must be a positive integer",
        ),
        (None, Some(date), None) => check_date(date),
        (None, None, Some(_)) if has_tags(rule) || has_sizes(rule) => Err(S3Error::request(
            "ExpiredObjectDeleteMarker cannot be specified with Tags or Object Sizes.",
        )),
        (None, None, Some(_)) => Ok(()),
        _ => Err(S3Error::MalformedXml),
    }
}

fn check_days(days: i32, message: &str) -> Result<(), S3Error> {
    match days {
        1.. => Ok(()),
        _ => Err(S3Error::argument("Days", days.to_string(), message)),
    }
}

fn check_date(date: Timestamp) -> Result<(), S3Error> {
    if date.0 % super::DAY_MS == 0 {
        return Ok(());
    }
    let message = "'Date' must be at midnight GMT";
    Err(S3Error::argument(
        "Date",
        date.format(TimestampFormat::Iso8601),
        message,
    ))
}

fn check_class(class: &TransitionStorageClass) -> Result<(), S3Error> {
    match class {
        TransitionStorageClass::Unknown(_) => Err(S3Error::MalformedXml),
        _ => Ok(()),
    }
}

fn is_infrequent(class: &TransitionStorageClass) -> bool {
    matches!(
        class,
        TransitionStorageClass::StandardIa | TransitionStorageClass::OnezoneIa
    )
}

fn check_transitions(rule: &LifecycleRule) -> Result<(), S3Error> {
    let transitions: &[Transition] = rule.transitions.as_deref().unwrap_or_default();
    let mut classes: HashSet<&str> = HashSet::new();
    for transition in transitions {
        let class = (transition.storage_class.as_ref()).ok_or(S3Error::MalformedXml)?;
        check_class(class)?;
        match (transition.days, transition.date) {
            (Some(days), None) => check_transition_days(days, class)?,
            (None, Some(date)) => check_date(date)?,
            _ => return Err(S3Error::MalformedXml),
        }
        if !classes.insert(class.as_str()) {
            return Err(S3Error::request(format!(
                "'StorageClass' must be different for 'Transition' actions in same 'Rule' with prefix '{}'",
                super::rules::prefix(rule)
            )));
        }
    }
    let expiration = rule.expiration.as_ref();
    let by_date = |date: Option<Timestamp>, days: Option<i32>| {
        (date.or(days.map(|_| Timestamp(0)))).map(|_| date.is_some())
    };
    let mut kinds = transitions
        .iter()
        .filter_map(|one| by_date(one.date, one.days))
        .chain(expiration.and_then(|one| by_date(one.date, one.days)));
    if let Some(first) = kinds.next()
        && kinds.any(|kind| kind != first)
    {
        return Err(S3Error::request(format!(
            "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for prefix '{}'",
            super::rules::prefix(rule)
        )));
    }
    let Some(days) = expiration.and_then(|one| one.days) else {
        return Ok(());
    };
    match transitions.iter().filter_map(|one| one.days).max() {
        Some(last) if days <= last => Err(S3Error::argument(
            "Days",
            days.to_string(),
            format!(
                "'Days' in the Expiration action for prefix '{}' must be greater than 'Days' in the Transition action",
                super::rules::prefix(rule)
            ),
        )),
        _ => Ok(()),
    }
}

fn check_transition_days(days: i32, class: &TransitionStorageClass) -> Result<(), S3Error> {
    if days < 0 {
        let message = "'Days' in Transition action must be nonnegative";
        return Err(S3Error::argument("Days", days.to_string(), message));
    }
    if is_infrequent(class) && days < INFREQUENT_DAYS_MIN {
        let message = format!(
            "'Days' in Transition action must be greater than or equal to 30 for storageClass '{}'",
            class.as_str()
        );
        return Err(S3Error::argument("Days", days.to_string(), message));
    }
    Ok(())
}

fn check_newer(newer: Option<i32>) -> Result<(), S3Error> {
    match newer {
        None | Some(1..=NEWER_VERSIONS_MAX) => Ok(()),
        Some(newer) => Err(S3Error::argument(
            "NewerNoncurrentVersions",
            newer.to_string(),
            "'NewerNoncurrentVersions' must be a positive integer not greater than 100",
        )),
    }
}

fn check_noncurrent(
    expiration: &NoncurrentVersionExpiration,
    rule: &LifecycleRule,
) -> Result<(), S3Error> {
    let days = expiration.noncurrent_days.ok_or(S3Error::MalformedXml)?;
    check_days(
        days,
        "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer",
    )?;
    if expiration.newer_noncurrent_versions.is_some() && rule.filter.is_none() {
        return Err(S3Error::MalformedXml);
    }
    check_newer(expiration.newer_noncurrent_versions)
}

fn check_noncurrent_transition(transition: &NoncurrentVersionTransition) -> Result<(), S3Error> {
    let class = (transition.storage_class.as_ref()).ok_or(S3Error::MalformedXml)?;
    check_class(class)?;
    let days = transition.noncurrent_days.ok_or(S3Error::MalformedXml)?;
    if days < 0 || (is_infrequent(class) && days < INFREQUENT_DAYS_MIN) {
        let message = format!(
            "'NoncurrentDays' in NoncurrentVersionTransition action must be greater than or equal to {} for \
             storageClass '{}'",
            if is_infrequent(class) {
                INFREQUENT_DAYS_MIN
            } else {
                0
            },
            class.as_str()
        );
        return Err(S3Error::argument(
            "NoncurrentDays",
            days.to_string(),
            message,
        ));
    }
    check_newer(transition.newer_noncurrent_versions)
}

fn check_abort(rule: &LifecycleRule) -> Result<(), S3Error> {
    let Some(abort) = &rule.abort_incomplete_multipart_upload else {
        return Ok(());
    };
    if has_tags(rule) {
        return Err(S3Error::request(
            "AbortIncompleteMultipartUpload cannot be specified with Tags.",
        ));
    }
    if has_sizes(rule) {
        return Err(S3Error::request(
            "AbortIncompleteMultipartUpload cannot be specified with Object Sizes.",
        ));
    }
    let days = abort.days_after_initiation.ok_or(S3Error::MalformedXml)?;
    match days {
        1.. => Ok(()),
        _ => Err(S3Error::argument(
            "DaysAfterInitiation",
            days.to_string(),
            "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
        )),
    }
}
