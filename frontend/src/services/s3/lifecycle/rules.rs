//! What a lifecycle configuration means for one version or upload.

use super::midnight_after;
use crate::services::s3::names::url_encoded;
use crate::services::s3::rows::{ObjectRow, VersionRow};
use cumulog_model::s3::{
    ExpirationStatus, GetBucketLifecycleConfigurationOutput as Configuration, LifecycleRule,
    LifecycleRuleFilter, Tag, TransitionDefaultMinimumObjectSize, TransitionStorageClass,
};
use cumulog_shape::{Timestamp, TimestampFormat};

/// Smaller objects stay where they are, unless a rule's filter says what it means by small.
const TRANSITION_BYTES_MIN: u64 = 128 << 10;

/// What a filter looks at.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    key: &'a str,
    /// `None`: a delete marker, which has neither tags nor a size.
    object: Option<&'a ObjectRow>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(key: &'a str, row: &'a VersionRow) -> Subject<'a> {
        Subject {
            key,
            object: row.object.as_ref(),
        }
    }

    fn has_tag(&self, wanted: &Tag) -> bool {
        let tags = self.object.map(|object| object.tags.as_slice());
        (tags.unwrap_or_default().iter())
            .any(|(key, value)| *key == wanted.key && *value == wanted.value)
    }

    fn is_between(&self, greater: Option<i64>, less: Option<i64>) -> bool {
        let holds = |limit: Option<i64>, compare: fn(i128, i128) -> bool| match (limit, self.object)
        {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(limit), Some(object)) => compare(object.bytes.into(), limit.into()),
        };
        holds(greater, |bytes, limit| bytes > limit) && holds(less, |bytes, limit| bytes < limit)
    }

    fn passes(&self, filter: &LifecycleRuleFilter) -> bool {
        let prefixed = |prefix: &Option<String>| {
            (prefix.as_deref()).is_none_or(|prefix| self.key.starts_with(prefix))
        };
        prefixed(&filter.prefix)
            && filter.tag.as_ref().is_none_or(|tag| self.has_tag(tag))
            && self.is_between(
                filter.object_size_greater_than,
                filter.object_size_less_than,
            )
            && filter.and.as_ref().is_none_or(|and| {
                prefixed(&and.prefix)
                    && and.tags.iter().flatten().all(|tag| self.has_tag(tag))
                    && self.is_between(and.object_size_greater_than, and.object_size_less_than)
            })
    }
}

/// The prefix that a rule is for, wherever it says so.
pub(super) fn prefix(rule: &LifecycleRule) -> &str {
    let filter = rule.filter.as_ref();
    let and = filter.and_then(|filter| filter.and.as_ref());
    (rule.prefix.as_deref())
        .or(filter.and_then(|filter| filter.prefix.as_deref()))
        .or(and.and_then(|and| and.prefix.as_deref()))
        .unwrap_or_default()
}

/// The rules that are for `subject`.
fn rules_for<'a>(
    configuration: &'a Configuration,
    subject: Subject<'a>,
) -> impl Iterator<Item = &'a LifecycleRule> {
    let rules = configuration.rules.iter().flatten();
    rules.filter(move |rule| {
        let legacy = rule.prefix.as_deref();
        rule.status == ExpirationStatus::Enabled
            && legacy.is_none_or(|prefix| subject.key.starts_with(prefix))
            && (rule.filter.as_ref()).is_none_or(|filter| subject.passes(filter))
    })
}

/// When a rule's day comes: so many days after `from`, or on its date.
fn due(days: Option<i32>, date: Option<Timestamp>, from: i64) -> Option<Timestamp> {
    date.or_else(|| days.map(|days| midnight_after(Timestamp(from), days.into())))
}

/// When the current version or a sole delete marker expires, and by which rule.
fn expiration<'a>(
    configuration: &'a Configuration,
    subject: Subject<'a>,
    modified_ms: i64,
) -> Option<(Timestamp, &'a LifecycleRule)> {
    rules_for(configuration, subject)
        .filter_map(|rule| {
            let expiration = rule.expiration.as_ref()?;
            Some((due(expiration.days, expiration.date, modified_ms)?, rule))
        })
        .min_by_key(|(due, _)| *due)
}

/// Whether the current version's time is up.
pub(super) fn is_expired(
    configuration: &Configuration,
    subject: Subject<'_>,
    modified_ms: i64,
    now: Timestamp,
) -> bool {
    expiration(configuration, subject, modified_ms).is_some_and(|(due, _)| due <= now)
}

/// Whether a delete marker that hides nothing is to go: its own time is up, or a rule wants no such markers.
pub(super) fn is_expired_marker(
    configuration: &Configuration,
    subject: Subject<'_>,
    modified_ms: i64,
    now: Timestamp,
) -> bool {
    let unwanted = rules_for(configuration, subject).any(|rule| {
        let expiration = rule.expiration.as_ref();
        expiration.is_some_and(|one| one.expired_object_delete_marker == Some(true))
    });
    unwanted || is_expired(configuration, subject, modified_ms, now)
}

/// A version that is not current any more.
#[derive(Clone, Copy)]
pub(super) struct Noncurrent {
    /// When its successor came.
    pub(super) since_ms: i64,
    /// How many newer ones are not current either.
    pub(super) newer: u32,
}

impl Noncurrent {
    fn is_due(self, days: Option<i32>, newer: Option<i32>, now: Timestamp) -> bool {
        let spared = newer
            .and_then(|newer| u32::try_from(newer).ok())
            .unwrap_or(0);
        self.newer >= spared && due(days, None, self.since_ms).is_some_and(|due| due <= now)
    }
}

/// Whether a version that is not current is to go.
pub(super) fn is_expired_noncurrent(
    configuration: &Configuration,
    subject: Subject<'_>,
    version: Noncurrent,
    now: Timestamp,
) -> bool {
    rules_for(configuration, subject).any(|rule| {
        let expiration = rule.noncurrent_version_expiration.as_ref();
        expiration.is_some_and(|one| {
            version.is_due(one.noncurrent_days, one.newer_noncurrent_versions, now)
        })
    })
}

/// How far down a class is. Objects only move down.
fn depth(class: &str) -> u8 {
    match class {
        "STANDARD_IA" => 1,
        "INTELLIGENT_TIERING" => 2,
        "ONEZONE_IA" => 3,
        "GLACIER_IR" => 4,
        "GLACIER" => 5,
        "DEEP_ARCHIVE" => 6,
        _ => 0,
    }
}

/// Whether an object is large enough to move to a class.
fn may_move(
    configuration: &Configuration,
    rule: &LifecycleRule,
    object: &ObjectRow,
    class: &TransitionStorageClass,
) -> bool {
    let varies = configuration.transition_default_minimum_object_size
        == Some(TransitionDefaultMinimumObjectSize::VariesByStorageClass);
    let archive = depth(class.as_str()) >= depth("GLACIER");
    let sized = rule.filter.as_ref().is_some_and(|filter| {
        let and = filter.and.as_ref();
        filter.object_size_greater_than.is_some()
            || filter.object_size_less_than.is_some()
            || and.is_some_and(|and| {
                and.object_size_greater_than.is_some() || and.object_size_less_than.is_some()
            })
    });
    sized || (varies && archive) || object.bytes >= TRANSITION_BYTES_MIN
}

/// The storage class that a version is to move to.
pub(super) fn transition(
    configuration: &Configuration,
    key: &str,
    object: &ObjectRow,
    noncurrent: Option<Noncurrent>,
    now: Timestamp,
) -> Option<TransitionStorageClass> {
    let subject = Subject {
        key,
        object: Some(object),
    };
    let mut wanted = Vec::new();
    for rule in rules_for(configuration, subject) {
        let classes: Vec<_> = match noncurrent {
            None => (rule.transitions.iter().flatten())
                .filter(|one| {
                    due(one.days, one.date, object.modified_ms).is_some_and(|due| due <= now)
                })
                .filter_map(|one| one.storage_class.as_ref())
                .collect(),
            Some(version) => (rule.noncurrent_version_transitions.iter().flatten())
                .filter(|one| {
                    version.is_due(one.noncurrent_days, one.newer_noncurrent_versions, now)
                })
                .filter_map(|one| one.storage_class.as_ref())
                .collect(),
        };
        wanted.extend(
            (classes.into_iter()).filter(|class| may_move(configuration, rule, object, class)),
        );
    }
    let deepest = wanted
        .into_iter()
        .max_by_key(|class| depth(class.as_str()))?;
    (depth(deepest.as_str()) > depth(object.storage_class())).then(|| deepest.clone())
}

/// The header `x-amz-expiration`.
pub(super) fn expiration_header(
    configuration: &Configuration,
    key: &str,
    object: &ObjectRow,
) -> Option<String> {
    let subject = Subject {
        key,
        object: Some(object),
    };
    let (due, rule) = expiration(configuration, subject, object.modified_ms)?;
    Some(format!(
        "expiry-date=\"{}\", rule-id=\"{}\"",
        due.format(TimestampFormat::HttpDate),
        url_encoded(rule.id.as_deref().unwrap_or_default())
    ))
}

/// When an upload is given up, and by which rule.
pub(super) fn abort(
    configuration: &Configuration,
    key: &str,
    initiated_ms: i64,
) -> Option<(Timestamp, String)> {
    let subject = Subject { key, object: None };
    rules_for(configuration, subject)
        .filter_map(|rule| {
            let abort = rule.abort_incomplete_multipart_upload.as_ref()?;
            let due = due(abort.days_after_initiation, None, initiated_ms)?;
            Some((due, rule.id.clone().unwrap_or_default()))
        })
        .min_by_key(|(due, _)| *due)
}
