//! Acts on a bucket's lifecycle configuration.
//!
//! A sweep walks all versions of the bucket and then its uploads, a bounded piece in each transaction; where it stopped
//! stands in a row. What a piece finds to do it does in the same transaction, so nothing is done to a state that changed
//! meanwhile, and a crash neither loses nor repeats anything.

use super::rules::{self, Noncurrent, Subject};
use super::{configuration, next_midnight};
use crate::call::Call;
use crate::failure::Failure;
use crate::services::s3::error::S3Error;
use crate::services::s3::list_versions::{self, Entry};
use crate::services::s3::multipart;
use crate::services::s3::notification::{Change, notify};
use crate::services::s3::rows::{BUCKETS, BucketRow, SWEEPS, SweepRow, UPLOADS};
use crate::services::s3::versions;
use cumulog_engine::Txn;
use cumulog_model::s3::{
    GetBucketLifecycleConfigurationOutput as Configuration, TransitionStorageClass,
};
use cumulog_shape::Timestamp;
use std::ops::Bound;

/// How many versions or uploads one transaction looks at.
const LOOK_MAX: usize = 500;

/// Something to do to a version.
enum Action {
    /// As a client's simple deletion.
    Expire,
    /// For good.
    Remove,
    Move(TransitionStorageClass),
}

/// Does a piece of a sweep; says when to go on.
pub(super) fn run(call: &Call, txn: &mut Txn, name: &str) -> Result<Option<Timestamp>, Failure> {
    // It makes room, in the end.
    txn.even_if_full();
    Ok(piece(call, txn, name)?)
}

fn piece(call: &Call, txn: &mut Txn, name: &str) -> Result<Option<Timestamp>, S3Error> {
    let place = (name.to_owned(),);
    let (Some(bucket), Some(configuration)) =
        (BUCKETS.get(txn, &place)?, configuration(txn, name)?)
    else {
        SWEEPS.delete(txn, &place);
        return Ok(None);
    };
    let sweep = Sweep {
        call,
        name,
        bucket: &bucket,
        configuration: &configuration,
    };
    let at = SWEEPS.get(txn, &place)?.unwrap_or_default();
    let next = match at.uploads {
        false => sweep.versions(txn, at)?,
        true => sweep.uploads(txn, at)?,
    };
    match next {
        Some(next) => {
            SWEEPS.put(txn, &place, &next);
            Ok(Some(call.now))
        }
        None => {
            SWEEPS.delete(txn, &place);
            Ok(Some(next_midnight(call.now)))
        }
    }
}

struct Sweep<'a> {
    call: &'a Call,
    name: &'a str,
    bucket: &'a BucketRow,
    configuration: &'a Configuration,
}

impl Sweep<'_> {
    /// Looks at some versions; returns where to go on.
    fn versions(&self, txn: &mut Txn, mut at: SweepRow) -> Result<Option<SweepRow>, S3Error> {
        let mut todo = Vec::new();
        let mut more = true;
        {
            let mut walk = match at.key.is_empty() {
                true => list_versions::rows(txn, self.name, Bound::Unbounded),
                false => list_versions::rest(txn, self.name, &at.key, at.sequence)?,
            }
            .peekable();
            for _ in 0..LOOK_MAX {
                let Some(found) = walk.next() else {
                    more = false;
                    break;
                };
                let (key, entry) = found?;
                let sole = match walk.peek() {
                    Some(Ok((next, _))) => *next != key,
                    _ => true,
                };
                let noncurrent = (!entry.latest).then_some(Noncurrent {
                    since_ms: at.modified_ms,
                    newer: at.noncurrent,
                });
                if let Some(action) = self.action(&key, &entry, noncurrent, sole) {
                    todo.push((key.clone(), entry.clone(), action));
                }
                at = SweepRow {
                    key,
                    sequence: entry.sequence,
                    modified_ms: entry.row.modified_ms,
                    noncurrent: noncurrent.map_or(0, |version| version.newer + 1),
                    ..Default::default()
                };
            }
        }
        for (key, entry, action) in todo {
            self.act(txn, &key, entry, action)?;
        }
        Ok(Some(match more {
            true => at,
            false => SweepRow {
                uploads: true,
                ..Default::default()
            },
        }))
    }

    /// What is to be done to a version. `sole`: no older ones of its key follow.
    fn action(
        &self,
        key: &str,
        entry: &Entry,
        noncurrent: Option<Noncurrent>,
        sole: bool,
    ) -> Option<Action> {
        let (rules, now) = (self.configuration, self.call.now);
        let subject = Subject::new(key, &entry.row);
        let modified_ms = entry.row.modified_ms;
        let locked = |bypass| {
            let object = entry.row.object.as_ref();
            object.is_some_and(|object| object.lock.holds(now, bypass))
        };
        let action = match (&entry.row.object, noncurrent) {
            (_, Some(version)) => rules::is_expired_noncurrent(rules, subject, version, now)
                .then_some(Action::Remove)
                .filter(|_| !locked(false)),
            (Some(_), None) => {
                rules::is_expired(rules, subject, modified_ms, now).then_some(Action::Expire)
            }
            (None, None) => (sole && rules::is_expired_marker(rules, subject, modified_ms, now))
                .then_some(Action::Remove),
        };
        action.or_else(|| {
            let object = entry.row.object.as_ref()?;
            rules::transition(rules, key, object, noncurrent, now).map(Action::Move)
        })
    }

    fn act(&self, txn: &mut Txn, key: &str, entry: Entry, action: Action) -> Result<(), S3Error> {
        match action {
            Action::Expire => {
                let done = versions::delete(self.call, txn, (self.name, self.bucket), key)?;
                let event = match done.marker {
                    true => "LifecycleExpiration:DeleteMarkerCreated",
                    false => "LifecycleExpiration:Delete",
                };
                self.notify(txn, event, key, done.version.as_deref())?;
            }
            Action::Remove => {
                versions::remove(txn, (self.name, key), entry.sequence, &entry.row)?;
                let version = Some(entry.row.version.as_str());
                self.notify(txn, "LifecycleExpiration:Delete", key, version)?;
            }
            Action::Move(class) => {
                let mut entry = entry;
                if let Some(object) = &mut entry.row.object {
                    object.traits.storage_class = class.as_str().to_owned();
                    object.restore = None;
                    versions::rewrite(txn, (self.name, key), entry.latest, object);
                }
            }
        }
        Ok(())
    }

    fn notify(
        &self,
        txn: &mut Txn,
        event: &'static str,
        key: &str,
        version: Option<&str>,
    ) -> Result<(), S3Error> {
        let change = Change {
            event,
            key,
            version: version.unwrap_or_default(),
            object: None,
        };
        notify(self.call, txn, (self.name, self.bucket), &change)
    }

    /// Looks at some uploads; returns where to go on.
    fn uploads(&self, txn: &mut Txn, mut at: SweepRow) -> Result<Option<SweepRow>, S3Error> {
        let from = (self.name.to_owned(), at.key.clone(), at.upload.clone());
        let found: Vec<_> = UPLOADS
            .scan_from(txn, &(self.name.to_owned(),), Bound::Excluded(&from))
            .take(LOOK_MAX)
            .collect::<Result<_, _>>()?;
        let more = found.len() == LOOK_MAX;
        for ((_, key, id), upload) in found {
            let due = rules::abort(self.configuration, &key, upload.initiated_ms);
            if due.is_some_and(|(due, _)| due <= self.call.now) {
                multipart::give_up(txn, self.name, &key, &id)?;
            }
            (at.key, at.upload) = (key, id);
        }
        Ok(more.then_some(at))
    }
}
