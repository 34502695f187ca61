//! Global tables. Those of version 2017.11.29 AWS has retired: none can be made, so none is found. Replicas of the current
//! version are refused by UpdateTable, so no table has any, nor auto scaling settings of them.

use cumulog_engine::{Txn, View};
use cumulog_model::dynamodb as model;
use model::{
    CreateGlobalTableInput, CreateGlobalTableOutput, DescribeGlobalTableInput,
    DescribeGlobalTableOutput, DescribeGlobalTableSettingsInput, DescribeGlobalTableSettingsOutput,
    DescribeTableReplicaAutoScalingInput, DescribeTableReplicaAutoScalingOutput,
    ListGlobalTablesInput, ListGlobalTablesOutput, UpdateGlobalTableInput, UpdateGlobalTableOutput,
    UpdateGlobalTableSettingsInput, UpdateGlobalTableSettingsOutput,
};

use super::address::Address;
use super::error::{Error, ValidationError};
use crate::call::Call;

fn retired() -> Error {
    ValidationError::invalid(
        "DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB global tables \
         version 2019.11.21, instead of version 2017.11.29 (Legacy).",
    )
    .into()
}

pub(crate) fn create_global_table(
    _: &Call,
    _: &mut Txn,
    _: CreateGlobalTableInput,
) -> Result<CreateGlobalTableOutput, Error> {
    Err(retired())
}

pub(crate) fn update_global_table(
    _: &Call,
    _: &mut Txn,
    input: UpdateGlobalTableInput,
) -> Result<UpdateGlobalTableOutput, Error> {
    let mut updates = input.replica_updates.iter();
    if updates.any(|update| update.create.is_some()) {
        return Err(retired());
    }
    if input.replica_updates.is_empty() {
        return Err(ValidationError::new("One or more parameter values were invalid").into());
    }
    Err(Error::NoGlobalTable(not_found(&input.global_table_name)))
}

pub(crate) fn describe_global_table(
    _: &Call,
    _: &View,
    input: DescribeGlobalTableInput,
) -> Result<DescribeGlobalTableOutput, Error> {
    Err(Error::NoGlobalTable(not_found(&input.global_table_name)))
}

fn not_found(name: &str) -> String {
    format!("Global table not found: {}", does_not_exist(name))
}

fn does_not_exist(name: &str) -> String {
    format!("Global table with name: '{name}' does not exist.")
}

pub(crate) fn list_global_tables(
    _: &Call,
    _: &View,
    _: ListGlobalTablesInput,
) -> Result<ListGlobalTablesOutput, Error> {
    Ok(ListGlobalTablesOutput {
        global_tables: Some(vec![]),
        last_evaluated_global_table_name: None,
    })
}

pub(crate) fn describe_settings(
    _: &Call,
    _: &View,
    input: DescribeGlobalTableSettingsInput,
) -> Result<DescribeGlobalTableSettingsOutput, Error> {
    Err(Error::NoGlobalTable(does_not_exist(
        &input.global_table_name,
    )))
}

pub(crate) fn update_settings(
    _: &Call,
    _: &mut Txn,
    input: UpdateGlobalTableSettingsInput,
) -> Result<UpdateGlobalTableSettingsOutput, Error> {
    Err(Error::NoGlobalTable(does_not_exist(
        &input.global_table_name,
    )))
}

/// AWS says this of every table without replicas.
pub(crate) fn describe_auto_scaling(
    call: &Call,
    _: &View,
    input: DescribeTableReplicaAutoScalingInput,
) -> Result<DescribeTableReplicaAutoScalingOutput, Error> {
    let address = Address::parse(call, &input.table_name)?;
    Err(Error::NoSuchResource(does_not_exist(&address.name)))
}
