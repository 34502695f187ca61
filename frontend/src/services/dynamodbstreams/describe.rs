//! ListStreams and DescribeStream.

use cumulog_engine::{Read, View};
use cumulog_model::dynamodbstreams as model;
use cumulog_shape::Timestamp;
use model::{
    DescribeStreamInput, DescribeStreamOutput, ListStreamsInput, ListStreamsOutput,
    SequenceNumberRange, StreamDescription, StreamStatus,
};

use super::error::{Error, limit};
use crate::call::Call;
use crate::services::dynamodb::streams::{Sequence, Shard, Stream};

const LIST_MAX: usize = 100;

/// Lists streams by the names of their tables, and of a table by age.
pub(crate) fn list_streams(
    call: &Call,
    view: &View,
    input: ListStreamsInput,
) -> Result<ListStreamsOutput, Error> {
    let limit = limit(input.limit, LIST_MAX)?;
    let after = input.exclusive_start_stream_arn.as_deref();
    let after = after
        .map(|arn| Stream::parse_arn(arn).ok_or_else(|| invalid_arn(arn)))
        .transpose()?;
    let owner = (&*call.account, &*call.region);
    let mut streams = Stream::list(view, owner, input.table_name.as_deref(), after.as_ref())
        .take(limit + 1)
        .collect::<Result<Vec<_>, _>>()?;
    let more = streams.len() > limit;
    streams.truncate(limit);
    Ok(ListStreamsOutput {
        last_evaluated_stream_arn: streams.last().filter(|_| more).map(Stream::arn),
        streams: Some(streams.iter().map(listed).collect()),
    })
}

fn listed(stream: &Stream) -> model::Stream {
    model::Stream {
        stream_arn: Some(stream.arn()),
        table_name: Some(stream.table().to_owned()),
        stream_label: Some(stream.label().to_owned()),
    }
}

fn invalid_arn(arn: &str) -> Error {
    Error::invalid(format!("Invalid StreamArn: {arn}"))
}

/// The stream of this ARN.
pub(super) fn open(read: &impl Read, arn: &str) -> Result<Stream, Error> {
    let key = Stream::parse_arn(arn).ok_or_else(|| invalid_arn(arn))?;
    Stream::find(read, key)?.ok_or_else(|| Error::NoSuchStream(arn.to_owned()))
}

/// Describes a stream and a page of its shards.
pub(crate) fn describe_stream(
    _: &Call,
    view: &View,
    input: DescribeStreamInput,
) -> Result<DescribeStreamOutput, Error> {
    let limit = limit(input.limit, LIST_MAX)?;
    let parent = parent_wanted(input.shard_filter.as_ref())?;
    let stream = open(view, &input.stream_arn)?;
    let after = input.exclusive_start_shard_id.as_deref();
    let mut shards = stream.shards(view)?;
    // Ids sort as the shards do.
    shards.retain(|shard| after.is_none_or(|after| shard.row.id.as_str() > after));
    shards.retain(|shard| parent.is_none() || shard.row.parent.as_deref() == parent);
    let more = shards.len() > limit;
    shards.truncate(limit);
    let last = shards.last().filter(|_| more);
    let description = StreamDescription {
        stream_arn: Some(stream.arn()),
        stream_label: Some(stream.label().to_owned()),
        stream_status: Some(match stream.info.ended_ms {
            None => StreamStatus::Enabled,
            Some(_) => StreamStatus::Disabled,
        }),
        stream_view_type: Some(stream.info.view.as_str().into()),
        creation_request_date_time: Some(Timestamp(stream.info.created_ms)),
        table_name: Some(stream.table().to_owned()),
        key_schema: Some(stream.key_schema()),
        last_evaluated_shard_id: last.map(|shard| shard.row.id.clone()),
        shards: Some(shards.iter().map(described).collect()),
    };
    Ok(DescribeStreamOutput {
        stream_description: Some(description),
    })
}

/// The shard whose children alone are asked for.
fn parent_wanted(filter: Option<&model::ShardFilter>) -> Result<Option<&str>, Error> {
    let Some(filter) = filter else {
        return Ok(None);
    };
    match (&filter.r#type, &filter.shard_id) {
        (Some(_), Some(id)) => Ok(Some(id)),
        (None, _) => Err(Error::invalid("ShardFilter.Type is required")),
        (_, None) => Err(Error::invalid("ShardFilter.ShardId is required")),
    }
}

fn described(shard: &Shard) -> model::Shard {
    let text = |sequence: u64| Sequence(sequence).text();
    model::Shard {
        shard_id: Some(shard.row.id.clone()),
        sequence_number_range: Some(SequenceNumberRange {
            starting_sequence_number: Some(text(shard.row.start)),
            ending_sequence_number: shard.row.end.map(text),
        }),
        parent_shard_id: shard.row.parent.clone(),
    }
}
