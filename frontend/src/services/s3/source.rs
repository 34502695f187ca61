//! The source of a copy, of an object or of a part.

use super::body::{Piece, Reader};
use super::buckets::require_bucket;
use super::conditions::{ReadConditions, State};
use super::encryption::CustomerKey;
use super::error::S3Error;
use super::names::CopySource;
use super::restore::check_readable;
use super::rows::ObjectRow;
use super::versions::Name;
use crate::checksum::{Algorithm, Checksum, Hasher};
use cumulog_engine::{Read, View};
use cumulog_shape::Timestamp;

/// The most bytes that one copy may take.
const COPY_BYTES_MAX: u64 = 5 << 30;

/// Which object a request copies, and on which conditions.
pub(super) struct Source<'a> {
    pub(super) name: CopySource,
    pub(super) expected_owner: Option<&'a str>,
    /// The key that the source is encrypted with.
    pub(super) customer: CustomerKey<'a>,
    pub(super) conditions: ReadConditions<'a>,
}

/// The source in an input. By name, as both inputs have the members.
macro_rules! source {
    ($input:expr) => {{
        let input = &$input;
        let customer = $crate::services::s3::encryption::CustomerKey {
            algorithm: input.copy_source_sse_customer_algorithm.as_deref(),
            key: input.copy_source_sse_customer_key.as_deref(),
            md5: input.copy_source_sse_customer_key_md5.as_deref(),
        };
        $crate::services::s3::source::Source {
            name: $crate::services::s3::names::CopySource::parse(&input.copy_source)?,
            expected_owner: input.expected_source_bucket_owner.as_deref(),
            customer,
            conditions: $crate::services::s3::conditions::ReadConditions {
                if_match: input.copy_source_if_match.as_deref(),
                if_none_match: input.copy_source_if_none_match.as_deref(),
                if_modified_since: input.copy_source_if_modified_since,
                if_unmodified_since: input.copy_source_if_unmodified_since,
            },
        }
    }};
}
pub(super) use source;

impl Source<'_> {
    /// The object, if it may be copied and the request's conditions on it hold.
    pub(super) fn open(&self, read: &impl Read, now: Timestamp) -> Result<ObjectRow, S3Error> {
        require_bucket(read, &self.name.bucket, self.expected_owner)?;
        let name = Name {
            bucket: &self.name.bucket,
            key: &self.name.key,
            version: self.name.version.as_deref(),
        };
        let row = match name.read(read) {
            Ok(version) => version.row,
            Err(S3Error::DeleteMarker { .. }) => {
                return Err(S3Error::request(
                    "The source of a copy request may not specifically refer to a delete marker by version id.",
                ));
            }
            Err(error) => return Err(error),
        };
        let state = State {
            etag: &row.etag,
            modified: Timestamp(row.modified_ms),
        };
        self.conditions.check_source(state, now)?;
        check_readable(&row, now)?;
        self.customer.check_opens(row.traits.encryption.as_ref())?;
        Ok(row)
    }
}

/// Refuses more than one copy may take.
pub(super) fn check_length(bytes: u64) -> Result<(), S3Error> {
    if bytes <= COPY_BYTES_MAX {
        return Ok(());
    }
    Err(S3Error::request(format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: {COPY_BYTES_MAX}"
    )))
}

/// MD5 and checksum of stored bytes.
pub(super) async fn hash(
    view: &View,
    pieces: Vec<Piece>,
    algorithm: Algorithm,
) -> Result<(Checksum, Checksum), S3Error> {
    let mut hashers: [Hasher; 2] = [Algorithm::Md5.hasher(), algorithm.hasher()];
    let mut reader = Reader::new(view.clone(), pieces);
    while let Some(chunk) = reader.next().await? {
        hashers.iter_mut().for_each(|hasher| hasher.update(&chunk));
        // Gigabytes take seconds, and others wait for this thread.
        tokio::task::yield_now().await;
    }
    let [md5, checksum] = hashers.map(Hasher::finish);
    Ok((md5, checksum))
}
