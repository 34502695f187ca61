//! ListObjectVersions: all versions and delete markers of a bucket, by key, newest first.
//!
//! The walk merges two key spaces: a key's current version, which comes first, and its others.

use super::buckets::{open_bucket, owner};
use super::error::S3Error;
use super::list::{Query, Rows, common_prefixes, encoding, page_length, restores_at};
use super::rows::{OBJECTS, ObjectRow, VERSIONS, VersionRow, shown_time};
use super::versions::{VersionId, newest, place_of, position, shown};
use crate::call::Call;
use cumulog_engine::{Read, RowError, View};
use cumulog_model::s3::{
    DeleteMarkerEntry, ListObjectVersionsInput, ListObjectVersionsOutput, ObjectVersion,
};
use std::iter::Peekable;
use std::ops::Bound;

/// A version or delete marker as the walk gives it.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) row: VersionRow,
    pub(super) sequence: u64,
    /// It is its key's newest.
    pub(super) latest: bool,
}

type Row<T> = Result<(String, T), RowError>;

/// Both key spaces as one, in the order of the listing.
struct Merged<'a> {
    current: Peekable<Rows<'a, ObjectRow>>,
    older: Peekable<Rows<'a, (u64, VersionRow)>>,
    /// The key whose newest version came already.
    seen: Option<String>,
}

impl Iterator for Merged<'_> {
    type Item = Row<Entry>;

    fn next(&mut self) -> Option<Row<Entry>> {
        let current_first = match (self.current.peek(), self.older.peek()) {
            (Some(Ok((current, _))), Some(Ok((older, _)))) => current <= older,
            (Some(_), _) => true,
            (None, _) => false,
        };
        let (key, (sequence, row)) = if current_first {
            match self.current.next()? {
                Ok((key, row)) => (key, (row.sequence, of_current(row))),
                Err(error) => return Some(Err(error)),
            }
        } else {
            match self.older.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            }
        };
        let latest = self.seen.as_ref() != Some(&key);
        self.seen = Some(key.clone());
        Some(Ok((
            key,
            Entry {
                row,
                sequence,
                latest,
            },
        )))
    }
}

fn of_current(row: ObjectRow) -> VersionRow {
    VersionRow {
        version: row.version.clone(),
        modified_ms: row.modified_ms,
        object: Some(row),
    }
}

/// All versions from a key on.
pub(super) fn rows<'a>(view: &'a impl Read, bucket: &str, from: Bound<&str>) -> Rows<'a, Entry> {
    let older = match from {
        Bound::Included(key) => Bound::Included((bucket.to_owned(), key.to_owned(), 0)),
        Bound::Excluded(key) => Bound::Excluded((bucket.to_owned(), key.to_owned(), u64::MAX)),
        Bound::Unbounded => Bound::Unbounded,
    };
    merged(view, bucket, from, older, None)
}

fn merged<'a>(
    view: &'a impl Read,
    bucket: &str,
    from: Bound<&str>,
    older: Bound<(String, String, u64)>,
    seen: Option<String>,
) -> Rows<'a, Entry> {
    let within = (bucket.to_owned(),);
    let from = from.map(|key| (bucket.to_owned(), key.to_owned()));
    let current = OBJECTS.scan_from(view, &within, from.as_ref());
    let older = VERSIONS.scan_from(view, &within, older.as_ref());
    let current: Rows<'a, _> = Box::new(current.map(|row| row.map(|((_, key), row)| (key, row))));
    let older: Rows<'a, _> =
        Box::new(older.map(|row| row.map(|((_, key, place), row)| (key, (u64::MAX - place, row)))));
    Box::new(Merged {
        current: current.peekable(),
        older: older.peekable(),
        seen,
    })
}

/// All versions behind one of `key`. Its current version is among them if it became that since: what was newer is gone.
pub(super) fn rest<'a>(
    read: &'a impl Read,
    bucket: &str,
    key: &str,
    sequence: u64,
) -> Result<Rows<'a, Entry>, RowError> {
    let newest = newest(read, bucket, key)?;
    let older = Bound::Excluded(place_of(bucket, key, sequence));
    Ok(match newest.is_some_and(|newest| newest < sequence) {
        true => merged(read, bucket, Bound::Included(key), older, None),
        false => merged(
            read,
            bucket,
            Bound::Excluded(key),
            older,
            Some(key.to_owned()),
        ),
    })
}

/// Where the client goes on: behind a key, or behind one of its versions.
struct Marker {
    key: String,
    version: String,
}

impl Marker {
    fn of(input: &mut ListObjectVersionsInput) -> Result<Marker, S3Error> {
        let marker = Marker {
            key: input.key_marker.take().unwrap_or_default(),
            version: input.version_id_marker.take().unwrap_or_default(),
        };
        if marker.key.is_empty() && !marker.version.is_empty() {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(S3Error::argument(
                "version-id-marker",
                marker.version,
                message,
            ));
        }
        Ok(marker)
    }

    /// All versions behind one of the marker's key.
    fn rest<'a>(&self, view: &'a View, bucket: &str) -> Result<Rows<'a, Entry>, S3Error> {
        let version = VersionId::parse(&self.version, "version-id-marker")?;
        match position(view, bucket, &self.key, version)? {
            Some(sequence) => Ok(rest(view, bucket, &self.key, sequence)?),
            // The version `null` was deleted since it was listed: what is left of the key comes.
            None => Ok(rows(view, bucket, Bound::Included(&self.key))),
        }
    }
}

/// Lists the versions of a bucket.
pub(super) fn list_object_versions(
    call: &Call,
    view: &View,
    mut input: ListObjectVersionsInput,
) -> Result<ListObjectVersionsOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let encoded = encoding(input.encoding_type.as_ref())?;
    let restores = restores_at(call, input.optional_object_attributes.as_deref())?;
    let marker = Marker::of(&mut input)?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        max: page_length(input.max_keys, "maxKeys")?,
    };
    let from = |from: Bound<&str>| rows(view, &input.bucket, from);
    let within_key = !marker.version.is_empty()
        && marker.key.starts_with(query.prefix)
        && query.common_prefix(&marker.key).is_none();
    let page = match within_key {
        true => query.fill(marker.rest(view, &input.bucket)?, None, &from)?,
        false => query.page(&marker.key, from)?,
    };
    let last = page.items.last().filter(|(key, _)| *key == page.last);
    let next_version = last.map(|(_, entry)| shown(&entry.row.version).to_owned());
    let (mut versions, mut delete_markers) = (Vec::new(), Vec::new());
    for (key, entry) in page.items {
        let VersionRow {
            version,
            modified_ms,
            object,
        } = entry.row;
        let id = shown(&version).to_owned();
        match object {
            Some(row) => versions.push(ObjectVersion {
                key: Some(encoded(&key)),
                version_id: Some(id),
                is_latest: Some(entry.latest),
                owner: Some(owner(&bucket.account)),
                restore_status: restores.and_then(|now| row.restore_status(now)),
                ..shown_object(&row)
            }),
            None => delete_markers.push(DeleteMarkerEntry {
                key: Some(encoded(&key)),
                version_id: Some(id),
                is_latest: Some(entry.latest),
                last_modified: Some(shown_time(modified_ms)),
                owner: Some(owner(&bucket.account)),
            }),
        }
    }
    Ok(ListObjectVersionsOutput {
        is_truncated: Some(page.truncated),
        next_key_marker: page.truncated.then(|| encoded(&page.last)),
        next_version_id_marker: next_version.filter(|_| page.truncated),
        versions: Some(versions),
        delete_markers: Some(delete_markers),
        common_prefixes: Some(common_prefixes(&page.prefixes, encoded)),
        key_marker: Some(encoded(&marker.key)),
        version_id_marker: Some(marker.version),
        prefix: Some(encoded(query.prefix)),
        delimiter: (!query.delimiter.is_empty()).then(|| encoded(query.delimiter)),
        max_keys: i32::try_from(query.max).ok(),
        encoding_type: input.encoding_type,
        name: Some(input.bucket.clone()),
        ..Default::default()
    })
}

fn shown_object(row: &ObjectRow) -> ObjectVersion {
    let checksum = row.checksum.as_ref();
    ObjectVersion {
        e_tag: Some(row.quoted_etag()),
        checksum_algorithm: checksum.map(|checksum| vec![checksum.algorithm.as_str().into()]),
        checksum_type: checksum.map(|checksum| checksum.shown_type()),
        size: i64::try_from(row.bytes).ok(),
        storage_class: Some(row.storage_class().into()),
        last_modified: Some(shown_time(row.modified_ms)),
        ..Default::default()
    }
}
