//! The configurations of buckets: CORS, websites, logging and two dozen more, each a document that clients put, get,
//! delete and, where a bucket has many of a kind, list.
//!
//! They share one key space. A document is kept as JSON under the model's own names, which are AWS's interface and do not
//! change; a name that a later version drops is skipped. What a kind means stands elsewhere: this module only keeps it.

pub(super) mod error;
mod lists;
pub(super) mod plain;

use super::buckets::require_bucket;
use super::error::S3Error;
use super::rows::{CONFIGURATIONS, ConfigurationRow};
use crate::service::Service;
use cumulog_engine::{Read, Txn};
use cumulog_model::s3 as model;
use cumulog_shape::{Element, Kind as Shape, Struct, View, json};
use std::marker::PhantomData;
use std::ops::Bound;

/// Adds the handlers of all configurations that are only kept.
pub(super) fn register(service: Service) -> Service {
    lists::register(plain::register(service))
}

/// A kind of configuration, of type `C`.
pub(super) struct Kind<C> {
    /// Part of the format on disk.
    name: &'static str,
    of: PhantomData<fn() -> C>,
}

impl<C: Struct + Default> Kind<C> {
    pub(super) const fn new(name: &'static str) -> Kind<C> {
        Kind {
            name,
            of: PhantomData,
        }
    }

    fn place(&self, bucket: &str, id: &str) -> (String, String, String) {
        (bucket.to_owned(), self.name.to_owned(), id.to_owned())
    }

    /// The bucket's only configuration of this kind.
    pub(super) fn get(&self, read: &impl Read, bucket: &str) -> Result<Option<C>, S3Error> {
        self.get_named(read, bucket, "")
    }

    /// The configuration called `id`.
    pub(super) fn get_named(
        &self,
        read: &impl Read,
        bucket: &str,
        id: &str,
    ) -> Result<Option<C>, S3Error> {
        let row = CONFIGURATIONS.get(read, &self.place(bucket, id))?;
        row.map(|row| self.decoded(&row)).transpose()
    }

    pub(super) fn put(&self, txn: &mut Txn, bucket: &str, configuration: &C) {
        self.put_named(txn, bucket, "", configuration);
    }

    pub(super) fn put_named(&self, txn: &mut Txn, bucket: &str, id: &str, configuration: &C) {
        let mut document = Vec::new();
        json::write(configuration, &mut document);
        CONFIGURATIONS.put(txn, &self.place(bucket, id), &ConfigurationRow { document });
    }

    /// Says whether it was there.
    pub(super) fn delete(&self, txn: &mut Txn, bucket: &str) -> bool {
        self.delete_named(txn, bucket, "")
    }

    pub(super) fn delete_named(&self, txn: &mut Txn, bucket: &str, id: &str) -> bool {
        CONFIGURATIONS.delete(txn, &self.place(bucket, id))
    }

    /// How many there are.
    pub(super) fn count(&self, read: &impl Read, bucket: &str) -> Result<usize, S3Error> {
        let prefix = (bucket.to_owned(), self.name.to_owned());
        let mut rows = CONFIGURATIONS.scan(read, &prefix);
        Ok(rows.try_fold(0, |count, row| row.map(|_| count + 1))?)
    }

    /// At most `max` configurations whose ids follow `after`, and whether there are more.
    pub(super) fn page(
        &self,
        read: &impl Read,
        bucket: &str,
        after: &str,
        max: usize,
    ) -> Result<(Vec<C>, Option<String>), S3Error> {
        let prefix = (bucket.to_owned(), self.name.to_owned());
        let from = self.place(bucket, after);
        let mut rows = CONFIGURATIONS.scan_from(read, &prefix, Bound::Excluded(&from));
        let mut page = Vec::new();
        let mut last = String::new();
        for entry in rows.by_ref().take(max) {
            let ((_, _, id), row) = entry?;
            page.push(self.decoded(&row)?);
            last = id;
        }
        Ok((page, rows.next().is_some().then_some(last)))
    }

    fn decoded(&self, row: &ConfigurationRow) -> Result<C, S3Error> {
        let mut configuration = C::default();
        match json::read(&row.document, &mut configuration) {
            Ok(_) => Ok(configuration),
            Err(error) => Err(S3Error::Broken(format!(
                "the {} configuration: {error}",
                self.name
            ))),
        }
    }
}

/// The bucket's configuration of a kind that is kept as the text that it came as.
pub(super) fn get_text(
    read: &impl Read,
    bucket: &str,
    kind: &str,
) -> Result<Option<String>, S3Error> {
    let place = (bucket.to_owned(), kind.to_owned(), String::new());
    let row = CONFIGURATIONS.get(read, &place)?;
    let text = row.map(|row| String::from_utf8(row.document)).transpose();
    text.map_err(|error| S3Error::Broken(format!("the {kind} of {bucket}: {error}")))
}

pub(super) fn put_text(txn: &mut Txn, bucket: &str, kind: &str, text: &str) {
    let place = (bucket.to_owned(), kind.to_owned(), String::new());
    let document = text.as_bytes().to_vec();
    CONFIGURATIONS.put(txn, &place, &ConfigurationRow { document });
}

pub(super) fn delete_text(txn: &mut Txn, bucket: &str, kind: &str) {
    let place = (bucket.to_owned(), kind.to_owned(), String::new());
    CONFIGURATIONS.delete(txn, &place);
}

/// Deletes all configurations of a bucket, which goes too.
pub(super) fn delete_all(txn: &mut Txn, bucket: &str) {
    CONFIGURATIONS.delete_prefix(txn, &(bucket.to_owned(),));
}

/// Refuses a document with a value that is not of its list, as AWS's schema does.
pub(super) fn check_values(document: &dyn Struct) -> Result<(), S3Error> {
    let schema = document.schema();
    (0..schema.members.len())
        .all(|i| has_known_values(document.get(i), &schema.members[i].shape.kind))
        .then_some(())
        .ok_or(S3Error::MalformedXml)
}

fn has_known_values(view: View<'_>, shape: &Shape) -> bool {
    match (view, shape) {
        (View::Str(text), Shape::Enum(known)) => known.contains(&text),
        (View::Struct(inner), _) => check_values(inner).is_ok(),
        (View::List(list), Shape::List(Element { shape, .. })) => {
            (0..list.len()).all(|i| has_known_values(list.get(i), &shape.kind))
        }
        _ => true,
    }
}

/// An operation's input and output.
pub(super) type Input<O> = <O as cumulog_shape::Operation>::Input;
pub(super) type Output<O> = <O as cumulog_shape::Operation>::Output;

/// A handler that puts the bucket's only configuration of a kind, once `$check` has let it pass and completed it. By name, as all inputs
/// have the members.
macro_rules! put {
    ($name:ident, $operation:ident, $member:ident, $kind:expr, $check:expr) => {
        pub(in crate::services::s3) fn $name(
            call: &$crate::call::Call,
            txn: &mut cumulog_engine::Txn,
            input: $crate::services::s3::configuration::Input<cumulog_model::s3::$operation>,
        ) -> Result<
            $crate::services::s3::configuration::Output<cumulog_model::s3::$operation>,
            $crate::services::s3::error::S3Error,
        > {
            use $crate::services::s3::buckets;
            let owner = input.expected_bucket_owner.as_deref();
            buckets::require_bucket(txn, &input.bucket, owner)?;
            let checked = $check(call, txn, &input.bucket, input.$member)?;
            $kind.put(txn, &input.bucket, &checked);
            Ok(Default::default())
        }
    };
}
pub(super) use put;

/// A handler that shows the bucket's only configuration of a kind; `show` says what there is to see if there is none.
macro_rules! get {
    ($name:ident, $operation:ident, $kind:expr, $show:expr) => {
        pub(in crate::services::s3) fn $name(
            _: &$crate::call::Call,
            view: &cumulog_engine::View,
            input: $crate::services::s3::configuration::Input<cumulog_model::s3::$operation>,
        ) -> Result<
            $crate::services::s3::configuration::Output<cumulog_model::s3::$operation>,
            $crate::services::s3::error::S3Error,
        > {
            use $crate::services::s3::buckets;
            let owner = input.expected_bucket_owner.as_deref();
            buckets::require_bucket(view, &input.bucket, owner)?;
            let found = $kind.get(view, &input.bucket)?;
            $show(&input.bucket, found)
        }
    };
}
pub(super) use get;

/// A handler that deletes the bucket's only configuration of a kind; that there is none is as good.
macro_rules! delete {
    ($name:ident, $operation:ident, $kind:expr) => {
        pub(in crate::services::s3) fn $name(
            _: &$crate::call::Call,
            txn: &mut cumulog_engine::Txn,
            input: $crate::services::s3::configuration::Input<cumulog_model::s3::$operation>,
        ) -> Result<
            $crate::services::s3::configuration::Output<cumulog_model::s3::$operation>,
            $crate::services::s3::error::S3Error,
        > {
            use $crate::services::s3::buckets;
            let owner = input.expected_bucket_owner.as_deref();
            buckets::require_bucket(txn, &input.bucket, owner)?;
            $kind.delete(txn, &input.bucket);
            Ok(Default::default())
        }
    };
}
pub(super) use delete;

/// Lets any configuration pass that the model has words for.
pub(super) fn as_it_is<C: Struct>(
    _: &crate::call::Call,
    _: &mut Txn,
    _: &str,
    configuration: C,
) -> Result<C, S3Error> {
    check_values(&configuration)?;
    Ok(configuration)
}
