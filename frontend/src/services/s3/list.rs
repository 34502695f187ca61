//! Listings of keys: ListObjects, ListObjectsV2, and the walk that ListMultipartUploads shares.
//!
//! Keys come in the order of their bytes. With a delimiter, all keys that have it after the prefix count as one common
//! prefix, towards the page's length too; the walk seeks past such a group instead of stepping through it.

use super::buckets::{owner, require_bucket};
use super::error::S3Error;
use super::names::url_encoded;
use super::rows::{ChecksumRow, OBJECTS, ObjectRow, shown_time};
use crate::call::Call;
use base64_simd::URL_SAFE_NO_PAD;
use cumulog_engine::{RowError, View};
use cumulog_model::s3::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, OptionalObjectAttributes,
};
use cumulog_shape::Timestamp;
use std::ops::Bound;

/// Most entries on one page.
pub(super) const PAGE_MAX: usize = 1000;

/// What a listing is of.
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    /// Empty: none.
    pub(super) delimiter: &'a str,
    pub(super) max: usize,
}

/// A page of a listing.
pub(super) struct Page<T> {
    pub(super) items: Vec<(String, T)>,
    pub(super) prefixes: Vec<String>,
    /// The last key or common prefix on it.
    pub(super) last: String,
    pub(super) truncated: bool,
}

/// Rows by key, from some key on.
pub(super) type Rows<'a, T> = Box<dyn Iterator<Item = Result<(String, T), RowError>> + 'a>;

impl Query<'_> {
    /// The common prefix that `key` counts under.
    pub(super) fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let rest = key
            .strip_prefix(self.prefix)
            .filter(|_| !self.delimiter.is_empty())?;
        let at = rest.find(self.delimiter)?;
        Some(&key[..self.prefix.len() + at + self.delimiter.len()])
    }

    /// One page of the rows after `after`. `rows` gives them from a bound on.
    ///
    /// A marker within a group means the whole group: it was listed already.
    pub(super) fn page<'a, T>(
        &self,
        after: &str,
        rows: impl Fn(Bound<&str>) -> Rows<'a, T>,
    ) -> Result<Page<T>, S3Error> {
        let start = match self.common_prefix(after) {
            Some(group) => rows(Bound::Excluded(&past(group))),
            None if after >= self.prefix && !after.is_empty() => rows(Bound::Excluded(after)),
            None => rows(Bound::Included(self.prefix)),
        };
        let skipped = self.common_prefix(after).map(str::to_owned);
        self.fill(start, skipped, &rows)
    }

    /// As [`page`](Query::page), from rows that were sought already.
    pub(super) fn fill<'a, T>(
        &self,
        mut walk: Rows<'a, T>,
        mut group: Option<String>,
        rows: &impl Fn(Bound<&str>) -> Rows<'a, T>,
    ) -> Result<Page<T>, S3Error> {
        let mut page = Page {
            items: Vec::new(),
            prefixes: Vec::new(),
            last: String::new(),
            truncated: false,
        };
        while let Some(row) = walk.next() {
            let (key, row) = row?;
            if !key.starts_with(self.prefix) {
                break;
            }
            // `past` can't skip keys that go on after the last code point.
            if group.as_deref().is_some_and(|group| key.starts_with(group)) {
                continue;
            }
            if page.items.len() + page.prefixes.len() == self.max {
                page.truncated = self.max > 0;
                break;
            }
            match self.common_prefix(&key).map(str::to_owned) {
                Some(prefix) => {
                    walk = rows(Bound::Excluded(&past(&prefix)));
                    page.last.clone_from(&prefix);
                    page.prefixes.push(prefix.clone());
                    group = Some(prefix);
                }
                None => {
                    page.last.clone_from(&key);
                    page.items.push((key, row));
                }
            }
        }
        Ok(page)
    }
}

/// The last key that can start with `prefix`, nearly: what sorts above it and still starts so is caught in the walk.
fn past(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

/// The page length that a client asks for.
pub(super) fn page_length(given: Option<i32>, name: &'static str) -> Result<usize, S3Error> {
    let Some(given) = given else {
        return Ok(PAGE_MAX);
    };
    match usize::try_from(given) {
        Ok(max) => Ok(max.min(PAGE_MAX)),
        Err(_) => Err(S3Error::argument(
            name,
            given.to_string(),
            format!("Argument {name} must be an integer between 0 and 2147483647"),
        )),
    }
}

/// How keys are to be written in the answer.
pub(super) fn encoding(given: Option<&EncodingType>) -> Result<fn(&str) -> String, S3Error> {
    match given {
        None => Ok(str::to_owned),
        Some(EncodingType::Url) => Ok(url_encoded),
        Some(EncodingType::Unknown(other)) => Err(S3Error::argument(
            "encoding-type",
            other.as_str(),
            "Invalid Encoding Method specified in Request",
        )),
    }
}

/// Where a listing goes on: opaque to clients, safe in any URL.
pub(super) fn token(last: &str) -> String {
    URL_SAFE_NO_PAD.encode_to_string(format!("1{last}"))
}

/// Reads a [`token`].
pub(super) fn parse_token(token: &str) -> Result<String, S3Error> {
    let last = URL_SAFE_NO_PAD
        .decode_to_vec(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    last.as_deref()
        .and_then(|last| last.strip_prefix('1'))
        .map(str::to_owned)
        .ok_or_else(|| {
            S3Error::argument(
                "continuation-token",
                token,
                "The continuation token provided is incorrect",
            )
        })
}

/// The objects of a bucket from a bound on.
pub(super) fn objects<'a>(view: &'a View, bucket: &str, from: Bound<&str>) -> Rows<'a, ObjectRow> {
    let from = from.map(|key| (bucket.to_owned(), key.to_owned()));
    let rows = OBJECTS.scan_from(view, &(bucket.to_owned(),), from.as_ref());
    Box::new(rows.map(|row| row.map(|((_, key), row)| (key, row))))
}

/// ListObjects, the first version: the client goes on from a key.
pub(super) fn list_objects(
    call: &Call,
    view: &View,
    input: ListObjectsInput,
) -> Result<ListObjectsOutput, S3Error> {
    require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let encoded = encoding(input.encoding_type.as_ref())?;
    let restores = restores_at(call, input.optional_object_attributes.as_deref())?;
    let (prefix, delimiter) = (
        input.prefix.unwrap_or_default(),
        input.delimiter.unwrap_or_default(),
    );
    let query = Query {
        prefix: &prefix,
        delimiter: &delimiter,
        max: page_length(input.max_keys, "maxKeys")?,
    };
    let marker = input.marker.unwrap_or_default();
    let page = query.page(&marker, |from| objects(view, &input.bucket, from))?;
    Ok(ListObjectsOutput {
        is_truncated: Some(page.truncated),
        marker: Some(encoded(&marker)),
        // Without a delimiter the last key itself is the next marker, and S3 leaves it to the client to take it.
        next_marker: (page.truncated && !delimiter.is_empty()).then(|| encoded(&page.last)),
        contents: Some(contents(page.items, encoded, Some(&call.account), restores)),
        common_prefixes: Some(common_prefixes(&page.prefixes, encoded)),
        name: Some(input.bucket),
        // Never encoded in this version, unlike everything else.
        prefix: Some(prefix.clone()),
        delimiter: (!delimiter.is_empty()).then(|| encoded(&delimiter)),
        max_keys: i32::try_from(query.max).ok(),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

/// ListObjectsV2: the client goes on from a token.
pub(super) fn list_objects_v2(
    call: &Call,
    view: &View,
    input: ListObjectsV2Input,
) -> Result<ListObjectsV2Output, S3Error> {
    require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let encoded = encoding(input.encoding_type.as_ref())?;
    let restores = restores_at(call, input.optional_object_attributes.as_deref())?;
    let (prefix, delimiter) = (
        input.prefix.unwrap_or_default(),
        input.delimiter.unwrap_or_default(),
    );
    let query = Query {
        prefix: &prefix,
        delimiter: &delimiter,
        max: page_length(input.max_keys, "maxKeys")?,
    };
    let after = match &input.continuation_token {
        Some(token) => parse_token(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let page = query.page(&after, |from| objects(view, &input.bucket, from))?;
    let owner = call.account.as_ref();
    Ok(ListObjectsV2Output {
        is_truncated: Some(page.truncated),
        key_count: i32::try_from(page.items.len() + page.prefixes.len()).ok(),
        next_continuation_token: page.truncated.then(|| token(&page.last)),
        contents: Some(contents(
            page.items,
            encoded,
            input.fetch_owner.and_then(|fetch| fetch.then_some(owner)),
            restores,
        )),
        common_prefixes: Some(common_prefixes(&page.prefixes, encoded)),
        name: Some(input.bucket),
        prefix: Some(encoded(&prefix)),
        delimiter: (!delimiter.is_empty()).then(|| encoded(&delimiter)),
        max_keys: i32::try_from(query.max).ok(),
        continuation_token: input.continuation_token,
        start_after: input.start_after.map(|text| encoded(&text)),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}

/// The time at which restores are to be shown, if the client wants to see them.
pub(super) fn restores_at(
    call: &Call,
    attributes: Option<&[OptionalObjectAttributes]>,
) -> Result<Option<Timestamp>, S3Error> {
    for attribute in attributes.unwrap_or_default() {
        if let OptionalObjectAttributes::Unknown(other) = attribute {
            let message = "Invalid attribute name specified.";
            let name = "x-amz-optional-object-attributes";
            return Err(S3Error::argument(name, other.as_str(), message));
        }
    }
    Ok(attributes
        .filter(|attributes| !attributes.is_empty())
        .map(|_| call.now))
}

fn contents(
    items: Vec<(String, ObjectRow)>,
    encoded: fn(&str) -> String,
    account: Option<&str>,
    restores_at: Option<Timestamp>,
) -> Vec<Object> {
    let object = |(key, row): (String, ObjectRow)| {
        let checksum = row.checksum.as_ref();
        Object {
            key: Some(encoded(&key)),
            last_modified: Some(shown_time(row.modified_ms)),
            e_tag: Some(row.quoted_etag()),
            checksum_algorithm: checksum.map(|checksum| vec![checksum.algorithm.as_str().into()]),
            checksum_type: checksum.map(ChecksumRow::shown_type),
            size: i64::try_from(row.bytes).ok(),
            storage_class: Some(row.storage_class().into()),
            owner: account.map(owner),
            restore_status: restores_at.and_then(|now| row.restore_status(now)),
        }
    };
    items.into_iter().map(object).collect()
}

/// Common prefixes as listings show them.
pub(super) fn common_prefixes(
    prefixes: &[String],
    encoded: fn(&str) -> String,
) -> Vec<CommonPrefix> {
    prefixes
        .iter()
        .map(|prefix| CommonPrefix {
            prefix: Some(encoded(prefix)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Lists `keys` page by page; an entry a word, common prefixes in brackets, pages split by `|`.
    fn listed(keys: &[&str], prefix: &str, delimiter: &str, max: usize, after: &str) -> String {
        let keys: BTreeSet<String> = keys.iter().map(|key| key.to_string()).collect();
        let rows = |from: Bound<&str>| -> Rows<'_, ()> {
            let from = from.map(str::to_owned);
            Box::new(
                keys.range((from, Bound::Unbounded))
                    .map(|key| Ok((key.clone(), ()))),
            )
        };
        let query = Query {
            prefix,
            delimiter,
            max,
        };
        let mut after = after.to_owned();
        let mut pages = Vec::new();
        loop {
            let page = query.page(&after, rows).expect("rows do not fail");
            let mut entries: Vec<String> = page.items.into_iter().map(|(key, ())| key).collect();
            entries.extend(page.prefixes.iter().map(|prefix| format!("[{prefix}]")));
            entries.sort_by(|a, b| a.trim_matches(['[', ']']).cmp(b.trim_matches(['[', ']'])));
            pages.push(entries.join(" "));
            if !page.truncated {
                return pages.join(" | ");
            }
            after = parse_token(&token(&page.last)).expect("our own token");
        }
    }

    const KEYS: [&str; 9] = [
        "a", "a/", "a/1", "a/2", "a0", "b//c", "b/c", "é", "\u{ffff}",
    ];

    #[test]
    fn keys_come_in_byte_order() {
        assert_eq!(
            listed(&KEYS, "", "", 1000, ""),
            "a a/ a/1 a/2 a0 b//c b/c é \u{ffff}"
        );
        assert_eq!(
            listed(&["\u{10ffff}", "\u{ffff}", "z"], "", "", 1000, ""),
            "z \u{ffff} \u{10ffff}"
        );
        assert_eq!(
            listed(&KEYS, "", "", 4, ""),
            "a a/ a/1 a/2 | a0 b//c b/c é | \u{ffff}"
        );
        assert_eq!(listed(&KEYS, "", "", 3, "a0"), "b//c b/c é | \u{ffff}");
    }

    #[test]
    fn prefixes_and_markers_bound_the_walk() {
        assert_eq!(listed(&KEYS, "a/", "", 1000, ""), "a/ a/1 a/2");
        assert_eq!(listed(&KEYS, "a/", "", 1000, "a/1"), "a/2");
        assert_eq!(listed(&KEYS, "a/", "", 1000, "0"), "a/ a/1 a/2");
        assert_eq!(listed(&KEYS, "a/", "", 1000, "b"), "");
        assert_eq!(listed(&KEYS, "nothing", "", 1000, ""), "");
        assert_eq!(listed(&KEYS, "", "", 0, ""), "");
    }

    #[test]
    fn common_prefixes_count_towards_the_page() {
        assert_eq!(
            listed(&KEYS, "", "/", 1000, ""),
            "a [a/] a0 [b/] é \u{ffff}"
        );
        assert_eq!(
            listed(&KEYS, "", "/", 1, ""),
            "a | [a/] | a0 | [b/] | é | \u{ffff}"
        );
        assert_eq!(
            listed(&KEYS, "", "/", 2, ""),
            "a [a/] | a0 [b/] | é \u{ffff}"
        );
        assert_eq!(listed(&KEYS, "a/", "/", 1000, ""), "a/ a/1 a/2");
        assert_eq!(listed(&KEYS, "b/", "/", 1000, ""), "[b//] b/c");
        assert_eq!(listed(&KEYS, "a", "/", 1000, ""), "a [a/] a0");
        assert_eq!(
            listed(&KEYS, "", "0", 1000, "a/1"),
            "a/2 [a0] b//c b/c é \u{ffff}"
        );
    }

    #[test]
    fn a_marker_within_a_group_skips_the_group() {
        assert_eq!(listed(&KEYS, "", "/", 1000, "a/1"), "a0 [b/] é \u{ffff}");
        assert_eq!(listed(&KEYS, "", "/", 1000, "a/"), "a0 [b/] é \u{ffff}");
    }

    #[test]
    fn groups_with_the_last_code_points_are_listed_once() {
        let keys = ["a/\u{10ffff}", "a/\u{10ffff}\u{10ffff}x", "a/b", "a0"];
        assert_eq!(listed(&keys, "", "/", 1, ""), "[a/] | a0");
    }

    /// What a listing is, said without a walk: each key in order, counted under its common prefix once.
    fn naive(keys: &[String], prefix: &str, delimiter: &str, max: usize, after: &str) -> String {
        let mut sorted: Vec<&String> = keys.iter().filter(|key| key.starts_with(prefix)).collect();
        sorted.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        sorted.dedup();
        let group = |key: &str| {
            let rest = &key.get(prefix.len()..)?;
            let at = rest.find(delimiter).filter(|_| !delimiter.is_empty())?;
            Some(key[..prefix.len() + at + delimiter.len()].to_owned())
        };
        let skipped = after.starts_with(prefix).then(|| group(after)).flatten();
        let mut entries: Vec<String> = Vec::new();
        for key in sorted.into_iter().filter(|key| key.as_str() > after) {
            let group = group(key);
            if group.is_some() && group == skipped {
                continue;
            }
            let entry = group.map_or_else(|| key.clone(), |group| format!("[{group}]"));
            if entries.last() != Some(&entry) {
                entries.push(entry);
            }
        }
        let pages: Vec<String> = entries.chunks(max).map(|page| page.join(" ")).collect();
        pages.join(" | ")
    }

    proptest::proptest! {
        #[test]
        fn listings_are_what_a_plain_model_says(
            keys in proptest::collection::vec("[ab/\u{ff}\u{ffff}\u{10ffff}]{1,5}", 0..30),
            prefix in "[ab/]{0,2}",
            delimiter in "[a/\u{10ffff}]{0,2}",
            max in 1usize..8,
            after in "[ab/\u{10ffff}]{0,3}",
        ) {
            let known: Vec<&str> = keys.iter().map(String::as_str).collect();
            assert_eq!(
                listed(&known, &prefix, &delimiter, max, &after),
                naive(&keys, &prefix, &delimiter, max, &after)
            );
        }
    }

    #[test]
    fn foreign_tokens_are_refused() {
        for token in ["", "x", "AAAA", "a b", "é"] {
            assert!(parse_token(token).is_err(), "{token:?}");
        }
    }
}
