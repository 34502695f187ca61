//! DynamoDB Streams: what changed in tables, as records to be read in order.
//!
//! The state is DynamoDB's ([`super::dynamodb::streams`]); this service only reads it.

mod describe;
mod error;
mod iterator;
mod records;

use cumulog_model::dynamodbstreams as model;

use crate::ids::RequestIdStyle;
use crate::service::Service;

/// DynamoDB Streams and its handlers.
pub(crate) fn service() -> Service {
    Service::new(&model::SERVICE)
        .request_ids(RequestIdStyle::Letters52)
        .internal_code("InternalServerError")
        .read::<model::ListStreams, _>(describe::list_streams)
        .read::<model::DescribeStream, _>(describe::describe_stream)
        .read::<model::GetShardIterator, _>(iterator::get_shard_iterator)
        .read::<model::GetRecords, _>(records::get_records)
}
