//! Where a table's changes go in Kinesis: nowhere, as long as there is no Kinesis here. What would turn that on is refused by
//! name; what asks for it, or turns it off, is answered as AWS answers for a table that has none.

use cumulog_engine::{Txn, View};
use cumulog_model::dynamodb as model;
use model::{
    DescribeKinesisStreamingDestinationInput, DescribeKinesisStreamingDestinationOutput,
    DisableKinesisStreamingDestinationInput, DisableKinesisStreamingDestinationOutput,
    UpdateKinesisStreamingDestinationInput, UpdateKinesisStreamingDestinationOutput,
};

use super::address::Address;
use super::error::{Error, ValidationError};
use super::tables::named;
use crate::call::Call;

const STATE: &str = "Table is not in a valid state to enable Kinesis Streaming Destination: ";

/// No table has a destination.
pub(crate) fn describe_destination(
    call: &Call,
    view: &View,
    input: DescribeKinesisStreamingDestinationInput,
) -> Result<DescribeKinesisStreamingDestinationOutput, Error> {
    let address = Address::parse(call, &input.table_name)?;
    let table = named(call, view, &address)?;
    Ok(DescribeKinesisStreamingDestinationOutput {
        table_name: Some(table.name.clone()),
        kinesis_data_stream_destinations: Some(vec![]),
    })
}

/// There is none to turn off.
pub(crate) fn disable_destination(
    call: &Call,
    txn: &mut Txn,
    input: DisableKinesisStreamingDestinationInput,
) -> Result<DisableKinesisStreamingDestinationOutput, Error> {
    named(call, txn, &Address::parse(call, &input.table_name)?)?;
    Err(ValidationError::new(format!(
        "{STATE}KinesisStreamingDestination must be ACTIVE to perform DISABLE operation."
    ))
    .into())
}

/// There is none to change.
pub(crate) fn update_destination(
    call: &Call,
    txn: &mut Txn,
    input: UpdateKinesisStreamingDestinationInput,
) -> Result<UpdateKinesisStreamingDestinationOutput, Error> {
    let wanted = input.update_kinesis_streaming_configuration;
    if wanted.is_none_or(|wanted| wanted.approximate_creation_date_time_precision.is_none()) {
        return Err(ValidationError::new(
            "Streaming destination cannot be updated with given parameters: \
             UpdateKinesisStreamingConfiguration cannot be null or contain only null values",
        )
        .into());
    }
    let table = named(call, txn, &Address::parse(call, &input.table_name)?)?;
    Err(ValidationError::new(format!(
        "{STATE}No streaming destination with streamArn: {} found for table with tableName: {}",
        input.stream_arn, table.name
    ))
    .into())
}
