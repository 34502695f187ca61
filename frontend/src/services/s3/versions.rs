//! The versions of objects: which there are, which is the current one, and how writes and deletions change that.
//!
//! [`OBJECTS`] holds the current version of each key, [`VERSIONS`] the others and all delete markers, newest first. A key
//! whose newest version is a delete marker has no row in `OBJECTS`; every other key that has versions has one.
//!
//! A version has a sequence number within its key, higher than all before it, and an id that carries it
//! ([`version_ids`](super::version_ids)): so a version is found by its id without an index, and a listing goes on behind
//! one that is gone by now. The version `null` has no such id: [`NULLS`] says where it stands if it is not the current one.

use super::body;
use super::conditions::WriteCondition;
use super::error::S3Error;
use super::lock;
use super::rows::{
    BucketRow, NULLS, OBJECTS, ObjectRow, UPLOADS, VERSIONS, VersionRow, Versioning,
};
use super::version_ids::new_id;
pub(super) use super::version_ids::{VersionId, answered, named, shown};
use crate::call::Call;
use cumulog_engine::{Read, RowError, Txn};
use cumulog_shape::Timestamp;

/// The object that a request names: its newest version, or a certain one.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) version: Option<&'a str>,
}

/// The name in an input. By name, as many inputs have the members.
macro_rules! name {
    ($input:expr) => {
        $crate::services::s3::versions::Name {
            bucket: &$input.bucket,
            key: &$input.key,
            version: $input.version_id.as_deref(),
        }
    };
}
pub(super) use name;

/// A version of an object as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) row: ObjectRow,
    /// Whether it is the newest version.
    pub(super) current: bool,
}

/// What a name leads to.
enum Found {
    Version(Version),
    Marker(VersionRow),
    Nothing,
}

impl Name<'_> {
    fn place(&self) -> (String, String) {
        (self.bucket.to_owned(), self.key.to_owned())
    }

    fn find(&self, read: &impl Read) -> Result<Found, S3Error> {
        let current = OBJECTS.get(read, &self.place())?;
        let Some(version) = self.version else {
            return Ok(match current {
                Some(row) => Found::Version(Version { row, current: true }),
                None => match newest_older(read, self.bucket, self.key)? {
                    Some((_, marker)) => Found::Marker(marker),
                    None => Found::Nothing,
                },
            });
        };
        let version = VersionId::parse(version, "versionId")?;
        if let Some(row) = current.filter(|row| row.version == version.id()) {
            return Ok(Found::Version(Version { row, current: true }));
        }
        Ok(match older(read, &self.place(), version)? {
            Some((
                _,
                VersionRow {
                    object: Some(row), ..
                },
            )) => Found::Version(Version {
                row,
                current: false,
            }),
            Some((_, marker)) => Found::Marker(marker),
            None => Found::Nothing,
        })
    }

    fn missing(&self) -> S3Error {
        match self.version {
            None => S3Error::NoSuchKey {
                key: self.key.to_owned(),
            },
            Some(version) => S3Error::NoSuchVersion {
                key: self.key.to_owned(),
                version: version.to_owned(),
            },
        }
    }

    /// The version to read. A key whose newest version is a delete marker is not there.
    pub(super) fn read(&self, read: &impl Read) -> Result<Version, S3Error> {
        match self.find(read)? {
            Found::Marker(marker) if self.version.is_none() => Err(S3Error::DeletedKey {
                key: self.key.to_owned(),
                marker: shown(&marker.version).to_owned(),
            }),
            found => self.version_in(found, "GET"),
        }
    }

    /// The version to act on; `method` is what a delete marker does not allow.
    pub(super) fn open(&self, read: &impl Read, method: &'static str) -> Result<Version, S3Error> {
        let found = self.find(read)?;
        self.version_in(found, method)
    }

    fn version_in(&self, found: Found, method: &'static str) -> Result<Version, S3Error> {
        match found {
            Found::Version(version) => Ok(version),
            Found::Marker(marker) => Err(S3Error::DeleteMarker {
                method,
                marker: shown(&marker.version).to_owned(),
                modified_ms: marker.modified_ms,
            }),
            Found::Nothing => Err(self.missing()),
        }
    }

    /// Writes back what is known of a version that was found.
    pub(super) fn save(&self, txn: &mut Txn, version: Version) {
        let Version { row, current } = version;
        if current {
            OBJECTS.put(txn, &self.place(), &row);
        } else {
            VERSIONS.put(
                txn,
                &place_of(self.bucket, self.key, row.sequence),
                &older_row(row),
            );
        }
    }
}

/// A version's key in [`VERSIONS`].
pub(super) fn place_of(bucket: &str, key: &str, sequence: u64) -> (String, String, u64) {
    (bucket.to_owned(), key.to_owned(), u64::MAX - sequence)
}

fn older_row(row: ObjectRow) -> VersionRow {
    VersionRow {
        version: row.version.clone(),
        modified_ms: row.modified_ms,
        object: Some(row),
    }
}

/// The newest of the versions of a key that are not current, and its sequence number.
fn newest_older(
    read: &impl Read,
    bucket: &str,
    key: &str,
) -> Result<Option<(u64, VersionRow)>, RowError> {
    let first = VERSIONS
        .scan(read, &(bucket.to_owned(), key.to_owned()))
        .next()
        .transpose()?;
    Ok(first.map(|((_, _, place), row)| (u64::MAX - place, row)))
}

/// A version of a key that is not the current one, and its sequence number.
fn older(
    read: &impl Read,
    place: &(String, String),
    version: VersionId<'_>,
) -> Result<Option<(u64, VersionRow)>, RowError> {
    let sequence = match version {
        VersionId::Of(_, sequence) => sequence,
        VersionId::Null => match NULLS.get(read, place)? {
            Some(sequence) => sequence,
            None => return Ok(None),
        },
    };
    let row = VERSIONS.get(read, &place_of(&place.0, &place.1, sequence))?;
    let row = row.filter(|row| row.version == version.id());
    Ok(row.map(|row| (sequence, row)))
}

/// Where a listing goes on behind a version: every older one of its key stands above.
pub(super) fn position(
    read: &impl Read,
    bucket: &str,
    key: &str,
    version: VersionId<'_>,
) -> Result<Option<u64>, S3Error> {
    let place = (bucket.to_owned(), key.to_owned());
    Ok(match version {
        VersionId::Of(_, sequence) => Some(sequence),
        VersionId::Null => match OBJECTS
            .get(read, &place)?
            .filter(|row| row.version.is_empty())
        {
            Some(row) => Some(row.sequence),
            None => NULLS.get(read, &place)?,
        },
    })
}

/// Puts `row` in the place of what is at `key`, if `condition` holds: as a new version, or instead of the only one. Returns
/// it as it was put.
pub(super) fn place(
    call: &Call,
    txn: &mut Txn,
    (name, bucket): (&str, &BucketRow),
    key: &str,
    condition: &WriteCondition,
    mut row: ObjectRow,
) -> Result<ObjectRow, S3Error> {
    let place = (name.to_owned(), key.to_owned());
    let old = OBJECTS.get(txn, &place)?;
    condition.check(key, old.as_ref().map(|old| old.etag.as_str()))?;
    lock::settle(bucket, &mut row)?;
    make_room(
        call,
        txn,
        bucket,
        &place,
        old,
        &mut row.version,
        &mut row.sequence,
    )?;
    OBJECTS.put(txn, &place, &row);
    Ok(row)
}

/// Makes room for a new version of a key, and names it: the current one becomes an older one, or goes.
fn make_room(
    call: &Call,
    txn: &mut Txn,
    bucket: &BucketRow,
    place: &(String, String),
    old: Option<ObjectRow>,
    version: &mut String,
    sequence: &mut u64,
) -> Result<(), S3Error> {
    if bucket.versioning == Versioning::Never {
        return old.map_or(Ok(()), |old| body::release(txn, &old.body));
    }
    *sequence = next_sequence(txn, place, old.as_ref())?;
    if bucket.versioning == Versioning::Enabled {
        *version = new_id(call.random(), *sequence);
    } else if let Some((older, row)) = older(txn, place, VersionId::Null)? {
        remove_older(txn, place, older, &row)?;
    }
    match old {
        // It is the version `null` that this one replaces.
        Some(old) if version.is_empty() && old.version.is_empty() => body::release(txn, &old.body),
        Some(old) => {
            retire(txn, place, old);
            Ok(())
        }
        None => Ok(()),
    }
}

fn next_sequence(
    txn: &Txn,
    place: &(String, String),
    current: Option<&ObjectRow>,
) -> Result<u64, S3Error> {
    let last = match current {
        Some(row) => Some(row.sequence),
        None => newest_older(txn, &place.0, &place.1)?.map(|(sequence, _)| sequence),
    };
    Ok(last.map_or(1, |last| last.saturating_add(1)))
}

/// The sequence number of a key's newest version.
pub(super) fn newest(read: &impl Read, bucket: &str, key: &str) -> Result<Option<u64>, RowError> {
    let current = OBJECTS.get(read, &(bucket.to_owned(), key.to_owned()))?;
    match current {
        Some(row) => Ok(Some(row.sequence)),
        None => Ok(newest_older(read, bucket, key)?.map(|(sequence, _)| sequence)),
    }
}

/// Puts a version among the older ones.
fn retire(txn: &mut Txn, place: &(String, String), row: ObjectRow) {
    let sequence = row.sequence;
    put_older(txn, place, sequence, &older_row(row));
}

fn put_older(txn: &mut Txn, place: &(String, String), sequence: u64, row: &VersionRow) {
    if row.version.is_empty() {
        NULLS.put(txn, place, &sequence);
    }
    VERSIONS.put(txn, &place_of(&place.0, &place.1, sequence), row);
}

/// Takes a version off the older ones, with its bytes.
fn remove_older(
    txn: &mut Txn,
    place: &(String, String),
    sequence: u64,
    row: &VersionRow,
) -> Result<(), S3Error> {
    take_older(txn, place, sequence, row);
    match &row.object {
        Some(object) => body::release(txn, &object.body),
        None => Ok(()),
    }
}

fn take_older(txn: &mut Txn, place: &(String, String), sequence: u64, row: &VersionRow) {
    if row.version.is_empty() {
        NULLS.delete(txn, place);
    }
    VERSIONS.delete(txn, &place_of(&place.0, &place.1, sequence));
}

/// Makes the newest version the current one, if there is none and it is not a delete marker.
fn promote(txn: &mut Txn, place: &(String, String)) -> Result<(), S3Error> {
    if OBJECTS.contains(txn, place) {
        return Ok(());
    }
    let Some((sequence, row)) = newest_older(txn, &place.0, &place.1)? else {
        return Ok(());
    };
    if let Some(object) = &row.object {
        take_older(txn, place, sequence, &row);
        OBJECTS.put(txn, place, object);
    }
    Ok(())
}

/// What a deletion did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Deletion {
    /// The version that was deleted or, by a simple deletion, the delete marker that it left.
    pub(super) version: Option<String>,
    /// Whether that is a delete marker.
    pub(super) marker: bool,
    /// Whether there was something to delete.
    pub(super) existed: bool,
}

/// Deletes an object: for good, or by a delete marker if its bucket keeps versions.
pub(super) fn delete(
    call: &Call,
    txn: &mut Txn,
    (name, bucket): (&str, &BucketRow),
    key: &str,
) -> Result<Deletion, S3Error> {
    let place = (name.to_owned(), key.to_owned());
    let old = OBJECTS.get(txn, &place)?;
    let existed = old.is_some();
    let mut row = VersionRow {
        version: String::new(),
        modified_ms: call.clock().now().0,
        object: None,
    };
    let mut sequence = 0;
    make_room(
        call,
        txn,
        bucket,
        &place,
        old,
        &mut row.version,
        &mut sequence,
    )?;
    OBJECTS.delete(txn, &place);
    if existed {
        overtake_uploads(txn, &place)?;
    }
    if bucket.versioning == Versioning::Never {
        return Ok(Deletion {
            existed,
            ..Default::default()
        });
    }
    put_older(txn, &place, sequence, &row);
    Ok(Deletion {
        version: Some(shown(&row.version).to_owned()),
        marker: true,
        existed,
    })
}

/// Deletes one version for good, unless a lock holds it; the next older one may become the current one. That there is no
/// such version is as good.
pub(super) fn delete_version(
    call: &Call,
    txn: &mut Txn,
    bucket: &BucketRow,
    name: Name<'_>,
    (id, bypass): (&str, bool),
) -> Result<Deletion, S3Error> {
    let version = VersionId::parse(id, "versionId")?;
    let place = name.place();
    let now = call.clock().now();
    let current = OBJECTS
        .get(txn, &place)?
        .filter(|row| row.version == version.id());
    let mut marker = false;
    let mut existed = true;
    if let Some(row) = current {
        check_lock(&row, now, bypass)?;
        body::release(txn, &row.body)?;
        OBJECTS.delete(txn, &place);
        overtake_uploads(txn, &place)?;
    } else if let Some((sequence, row)) = older(txn, &place, version)? {
        if let Some(object) = &row.object {
            check_lock(object, now, bypass)?;
        }
        marker = row.object.is_none();
        remove_older(txn, &place, sequence, &row)?;
    } else {
        existed = false;
    }
    promote(txn, &place)?;
    Ok(Deletion {
        version: answered(bucket, version.id()),
        marker,
        existed,
    })
}

fn check_lock(row: &ObjectRow, now: Timestamp, bypass: bool) -> Result<(), S3Error> {
    match row.lock.holds(now, bypass) {
        true => Err(S3Error::Locked),
        false => Ok(()),
    }
}

/// Deletes a version that is not current, or a delete marker, for good.
pub(super) fn remove(
    txn: &mut Txn,
    (bucket, key): (&str, &str),
    sequence: u64,
    row: &VersionRow,
) -> Result<(), S3Error> {
    let place = (bucket.to_owned(), key.to_owned());
    remove_older(txn, &place, sequence, row)?;
    promote(txn, &place)
}

/// Writes back what is known of a version.
pub(super) fn rewrite(txn: &mut Txn, (bucket, key): (&str, &str), current: bool, row: &ObjectRow) {
    let name = Name {
        bucket,
        key,
        version: None,
    };
    let row = row.clone();
    name.save(txn, Version { row, current });
}

/// A conditional completion of these uploads would act on a state that its client has not seen.
fn overtake_uploads(txn: &mut Txn, place: &(String, String)) -> Result<(), S3Error> {
    let uploads: Vec<_> = UPLOADS.scan(txn, place).collect::<Result<_, _>>()?;
    for (place, mut upload) in uploads {
        upload.overtaken = true;
        UPLOADS.put(txn, &place, &upload);
    }
    Ok(())
}

/// Whether a bucket holds nothing, no delete marker either.
pub(super) fn is_empty(read: &impl Read, bucket: &str) -> bool {
    let key = (bucket.to_owned(),);
    OBJECTS.scan(read, &key).next().is_none() && VERSIONS.scan(read, &key).next().is_none()
}
