//! Conditional requests: reads, copy sources and writes.

use super::error::S3Error;
use cumulog_shape::{Timestamp, TimestampFormat};

/// The conditions of a read, or of the source of a copy.
#[derive(Default)]
pub(super) struct ReadConditions<'a> {
    pub(super) if_match: Option<&'a str>,
    pub(super) if_none_match: Option<&'a str>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// What conditions are about.
#[derive(Clone, Copy)]
pub(super) struct State<'a> {
    /// Without quotes.
    pub(super) etag: &'a str,
    pub(super) modified: Timestamp,
}

impl ReadConditions<'_> {
    /// The condition that fails, in the order of RFC 9110: an entity tag outweighs a date of the same direction.
    fn failing(&self, state: State<'_>, now: Timestamp) -> Option<Failing> {
        // Headers have seconds, rows milliseconds.
        let modified = state.modified.seconds();
        match (self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !matches(tags, state.etag) => return Some(Failing::IfMatch),
            (None, Some(since)) if modified > since.seconds() => {
                return Some(Failing::IfUnmodifiedSince);
            }
            _ => {}
        }
        match (self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => matches(tags, state.etag).then_some(Failing::IfNoneMatch),
            // A date in the future is invalid, so it is ignored.
            (None, Some(since)) if since <= now && modified <= since.seconds() => {
                Some(Failing::IfModifiedSince)
            }
            _ => None,
        }
    }

    /// Checks a read: "you have it already" is 304, everything else 412.
    pub(super) fn check_read(&self, state: State<'_>, now: Timestamp) -> Result<(), S3Error> {
        match self.failing(state, now) {
            None => Ok(()),
            Some(Failing::IfMatch) => Err(S3Error::PreconditionFailed {
                condition: "If-Match",
            }),
            Some(Failing::IfUnmodifiedSince) => Err(S3Error::PreconditionFailed {
                condition: "If-Unmodified-Since",
            }),
            Some(Failing::IfNoneMatch | Failing::IfModifiedSince) => Err(S3Error::NotModified {
                etag: state.etag.to_owned(),
                modified: state.modified.format(TimestampFormat::HttpDate),
            }),
        }
    }

    /// Checks the source of a copy: every failure is 412.
    pub(super) fn check_source(&self, state: State<'_>, now: Timestamp) -> Result<(), S3Error> {
        let condition = match self.failing(state, now) {
            None => return Ok(()),
            Some(Failing::IfMatch) => "x-amz-copy-source-If-Match",
            Some(Failing::IfUnmodifiedSince) => "x-amz-copy-source-If-Unmodified-Since",
            Some(Failing::IfNoneMatch) => "x-amz-copy-source-If-None-Match",
            Some(Failing::IfModifiedSince) => "x-amz-copy-source-If-Modified-Since",
        };
        Err(S3Error::PreconditionFailed { condition })
    }
}

/// Named as the headers are.
#[expect(clippy::enum_variant_names, reason = "the headers' own names")]
enum Failing {
    IfMatch,
    IfUnmodifiedSince,
    IfNoneMatch,
    IfModifiedSince,
}

/// Whether a list of entity tags, quoted or not, or `*`, matches.
fn matches(tags: &str, etag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').any(|tag| unquoted(tag) == etag)
}

/// An entity tag without its quotes and without the mark of a weak one.
pub(super) fn unquoted(tag: &str) -> &str {
    let tag = tag.trim();
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .unwrap_or(tag)
}

/// The condition of a write, on the object that it would replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WriteCondition {
    /// None.
    Always,
    /// `If-None-Match: *`: only if there is no such object.
    Absent,
    /// `If-Match`: only if it is still this one.
    Unchanged(String),
}

impl WriteCondition {
    /// Reads the headers; S3 takes one of them, each in one form.
    pub(super) fn parse(
        if_match: Option<&str>,
        if_none_match: Option<&str>,
    ) -> Result<WriteCondition, S3Error> {
        let refused = |header: &str, why| {
            Err(S3Error::NotImplemented {
                header: header.to_owned(),
                why: Some(why),
            })
        };
        match (if_match, if_none_match) {
            (None, None) => Ok(WriteCondition::Always),
            (None, Some("*")) => Ok(WriteCondition::Absent),
            (Some("*"), None) => refused(
                "If-Match",
                "We don't accept the provided value of If-Match header for this API",
            ),
            (Some(tag), None) => Ok(WriteCondition::Unchanged(unquoted(tag).to_owned())),
            (None, Some(_)) => refused(
                "If-None-Match",
                "We don't accept the provided value of If-None-Match header for this API",
            ),
            (Some(_), Some(_)) => refused(
                "If-Match,If-None-Match",
                "Multiple conditional request headers present in the request",
            ),
        }
    }

    /// The header's name, as errors give it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            WriteCondition::Unchanged(_) => "If-Match",
            _ => "If-None-Match",
        }
    }

    /// Checks it against the entity tag of the object at `key`, if there is one.
    pub(super) fn check(&self, key: &str, etag: Option<&str>) -> Result<(), S3Error> {
        match (self, etag) {
            (WriteCondition::Always, _) | (WriteCondition::Absent, None) => Ok(()),
            (WriteCondition::Unchanged(_), None) => Err(S3Error::NoSuchKey {
                key: key.to_owned(),
            }),
            (WriteCondition::Unchanged(expected), Some(etag)) if expected == etag => Ok(()),
            (condition, Some(_)) => Err(S3Error::PreconditionFailed {
                condition: condition.name(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED: i64 = 1_700_000_000;

    /// Conditions against an object with entity tag `abc`, modified at 0 (with a fraction), asked at 100.
    #[track_caller]
    fn check(
        if_match: Option<&str>,
        unmodified: Option<i64>,
        none_match: Option<&str>,
        modified: Option<i64>,
        expected: &str,
    ) {
        let time = |seconds| Timestamp::from_seconds(MODIFIED + seconds);
        let conditions = ReadConditions {
            if_match,
            if_none_match: none_match,
            if_modified_since: modified.map(time),
            if_unmodified_since: unmodified.map(time),
        };
        let state = State {
            etag: "abc",
            modified: Timestamp(MODIFIED * 1000 + 567),
        };
        let found = match conditions.check_read(state, time(100)) {
            Ok(()) => "200",
            Err(S3Error::NotModified { .. }) => "304",
            Err(S3Error::PreconditionFailed { .. }) => "412",
            Err(_) => "?",
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn entity_tags_match_quoted_or_not() {
        for tags in ["abc", "\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\""] {
            check(Some(tags), None, None, None, "200");
            check(None, None, Some(tags), None, "304");
        }
        check(Some("\"x\""), None, None, None, "412");
        check(None, None, Some("\"x\""), None, "200");
    }

    #[test]
    fn dates_compare_in_whole_seconds() {
        check(None, Some(0), None, None, "200");
        check(None, Some(-1), None, None, "412");
        check(None, None, None, Some(0), "304");
        check(None, None, None, Some(-1), "200");
        check(None, None, None, Some(200), "200");
    }

    #[test]
    fn entity_tags_outweigh_dates() {
        check(Some("abc"), Some(-1), None, None, "200");
        check(None, None, Some("x"), Some(0), "200");
        check(None, None, Some("abc"), Some(-1), "304");
        check(Some("x"), None, Some("abc"), None, "412");
    }

    #[test]
    fn writes_take_one_condition() {
        let parse = |if_match, none_match| match WriteCondition::parse(if_match, none_match) {
            Ok(condition) => format!("{condition:?}"),
            Err(S3Error::NotImplemented { header, .. }) => header,
            Err(_) => "?".to_owned(),
        };
        assert_eq!(parse(None, None), "Always");
        assert_eq!(parse(None, Some("*")), "Absent");
        assert_eq!(parse(Some("\"abc\""), None), "Unchanged(\"abc\")");
        assert_eq!(parse(Some("*"), None), "If-Match");
        assert_eq!(parse(None, Some("\"abc\"")), "If-None-Match");
        assert_eq!(parse(Some("x"), Some("*")), "If-Match,If-None-Match");
    }
}
