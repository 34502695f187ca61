//! GetObject and HeadObject.

use super::body;
use super::buckets::open_bucket;
use super::checksums::set_checksum;
use super::conditions::{ReadConditions, State};
use super::encryption::{customer_key, set_customer_key, set_encryption};
use super::error::S3Error;
use super::lifecycle::expiration_header;
use super::names::check_key;
use super::range;
use super::restore::check_readable;
use super::rows::{ChecksumRow, ObjectRow, shown_time};
use super::versions::{answered, name};
use super::words;
use crate::call::Call;
use cumulog_engine::View;
use cumulog_model::s3::{
    ChecksumMode, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
};
use cumulog_shape::{Timestamp, TimestampFormat};
use std::ops::Range;

/// What an object is served as when its writer did not say.
const DEFAULT_TYPE: &str = "binary/octet-stream";

/// An object, and what of it a request asked for.
struct Found {
    row: ObjectRow,
    /// As answers carry them.
    version: Option<String>,
    restore: Option<String>,
    expiration: Option<String>,
    /// `None`: all of it.
    range: Option<Range<u64>>,
    /// The checksum to show.
    checksum: Option<ChecksumRow>,
    /// How many parts there are, when one was asked for by number.
    parts: Option<i32>,
}

impl Found {
    fn length(&self) -> u64 {
        self.range
            .as_ref()
            .map_or(self.row.bytes, |range| range.end - range.start)
    }

    fn content_range(&self) -> Option<String> {
        self.range
            .as_ref()
            .map(|range| range::content_range(range, self.row.bytes))
    }
}

/// Finds what an input asks for. By name, as both inputs have the members.
macro_rules! find {
    ($call:expr, $view:expr, $input:expr) => {{
        let (call, view, input): (&Call, &View, _) = ($call, $view, &$input);
        refuse_encryption(call)?;
        check_key(&input.key)?;
        let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
        let row = name!(input).read(view)?.row;
        customer_key!(input).check_opens(row.traits.encryption.as_ref())?;
        let conditions = ReadConditions {
            if_match: input.if_match.as_deref(),
            if_none_match: input.if_none_match.as_deref(),
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let state = State {
            etag: &row.etag,
            modified: Timestamp(row.modified_ms),
        };
        conditions.check_read(state, call.now)?;
        let version = answered(&bucket, &row.version);
        let restore = row.restore_header(call.now);
        // Of the version that a request names by its id nothing is said.
        let expiration = match input.version_id {
            None => expiration_header(view, &input.bucket, &input.key, &row)?,
            Some(_) => None,
        };
        select(
            row,
            input.range.as_deref(),
            input.part_number,
            input.checksum_mode.as_ref(),
        )
        .map(|found| Found {
            version,
            restore,
            expiration,
            ..found
        })
    }};
}

/// How an object is encrypted is for its writer to say.
fn refuse_encryption(call: &Call) -> Result<(), S3Error> {
    const NAME: &str = "x-amz-server-side-encryption";
    match call.header(NAME) {
        None => Ok(()),
        Some(value) => {
            let message =
                "x-amz-server-side-encryption header is not supported for this operation.";
            Err(S3Error::argument(NAME, value, message))
        }
    }
}

fn select(
    row: ObjectRow,
    range: Option<&str>,
    part: Option<i32>,
    mode: Option<&ChecksumMode>,
) -> Result<Found, S3Error> {
    let enabled = mode == Some(&ChecksumMode::Enabled);
    if let Some(number) = part {
        if range.is_some() {
            return Err(S3Error::request(
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        return select_part(row, number, enabled);
    }
    let range = range::select(range, row.bytes)?;
    let checksum = row.checksum.clone().filter(|_| enabled && range.is_none());
    Ok(Found {
        row,
        version: None,
        restore: None,
        expiration: None,
        range,
        checksum,
        parts: None,
    })
}

/// One part of an object by its place. An object that came whole has one part.
fn select_part(row: ObjectRow, number: i32, enabled: bool) -> Result<Found, S3Error> {
    if !(1..=10_000).contains(&number) {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        return Err(S3Error::argument("partNumber", number.to_string(), message));
    }
    let count = row.parts.len().max(1);
    let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let refused = S3Error::InvalidPartNumber {
        requested: i64::from(number),
        parts: count,
    };
    if index >= count {
        return Err(refused);
    }
    let start = row
        .parts
        .iter()
        .take(index)
        .map(|part| part.bytes)
        .sum::<u64>();
    let bytes = row.parts.get(index).map_or(row.bytes, |part| part.bytes);
    let whole = row.checksum.as_ref();
    let checksum = match row.parts.get(index).and_then(|part| part.checksum.clone()) {
        Some(value) => whole.map(|whole| ChecksumRow {
            value,
            ..whole.clone()
        }),
        None => whole.filter(|_| count == 1).cloned(),
    };
    Ok(Found {
        range: (bytes > 0).then(|| start..start + bytes),
        checksum: checksum.filter(|_| enabled),
        version: None,
        restore: None,
        expiration: None,
        parts: (!row.parts.is_empty()).then(|| i32::try_from(count).unwrap_or(i32::MAX)),
        row,
    })
}

/// The output that shows `$found`. By name, as both outputs have the members.
macro_rules! shown {
    ($output:ident, $found:expr, $input:expr) => {{
        let (found, input) = ($found, $input);
        let mut output = $output {
            accept_ranges: Some("bytes".to_owned()),
            last_modified: Some(shown_time(found.row.modified_ms)),
            content_length: i64::try_from(found.length()).ok(),
            content_range: found.content_range(),
            e_tag: Some(found.row.quoted_etag()),
            parts_count: found.parts,
            version_id: found.version.clone(),
            restore: found.restore.clone(),
            expiration: found.expiration.clone(),
            ..Default::default()
        };
        set_checksum!(output, found.checksum);
        set_encryption!(output, found.row.traits.encryption.as_ref());
        set_customer_key!(output, found.row.traits.encryption.as_ref());
        let ObjectRow {
            metadata,
            traits,
            tags,
            lock,
            ..
        } = found.row;
        output.object_lock_legal_hold_status = lock.hold_status();
        if let Some(retention) = lock.retention {
            output.object_lock_mode = Some(retention.mode.as_str().into());
            output.object_lock_retain_until_date = Some(Timestamp(retention.until_ms));
        }
        output.content_type = Some(
            input
                .response_content_type
                .or(metadata.content_type)
                .unwrap_or_else(|| DEFAULT_TYPE.to_owned()),
        );
        output.content_encoding = input
            .response_content_encoding
            .or(metadata.content_encoding);
        output.content_language = input
            .response_content_language
            .or(metadata.content_language);
        output.content_disposition = input
            .response_content_disposition
            .or(metadata.content_disposition);
        output.cache_control = input.response_cache_control.or(metadata.cache_control);
        let expires = input
            .response_expires
            .map(|time| time.format(TimestampFormat::HttpDate));
        output.expires = expires.or(metadata.expires);
        let user = metadata.user.into_iter();
        output.metadata = Some(
            user.map(|(name, value)| (name, words::encoded(&value)))
                .collect(),
        );
        output.website_redirect_location = traits.website_redirect;
        // S3 does not name the class that everything has.
        output.storage_class = Some(traits.storage_class)
            .filter(|class| !class.is_empty())
            .map(|class| class.as_str().into());
        output.tag_count = Some(tags.len())
            .filter(|count| *count > 0)
            .and_then(|count| i32::try_from(count).ok());
        output
    }};
}

/// Reads an object. Its bytes stream from the state that this request saw.
pub(super) async fn get_object(
    call: Call,
    input: GetObjectInput,
) -> Result<GetObjectOutput, S3Error> {
    let (call, view) = (&call, &call.view());
    let found = find!(call, view, input)?;
    check_readable(&found.row, call.now)?;
    let pieces = match &found.range {
        Some(range) => body::slice(&found.row.body, range.clone()),
        None => found.row.body.clone(),
    };
    let body = body::open(view.clone(), pieces).await?;
    Ok(GetObjectOutput {
        body,
        ..shown!(GetObjectOutput, found, input)
    })
}

/// Reads all that is known of an object but its bytes.
pub(super) fn head_object(
    call: &Call,
    view: &View,
    input: HeadObjectInput,
) -> Result<HeadObjectOutput, S3Error> {
    let found = find!(call, view, input)?;
    Ok(shown!(HeadObjectOutput, found, input))
}
