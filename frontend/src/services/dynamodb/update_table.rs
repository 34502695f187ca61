//! UpdateTable: throughput, billing, settings, and global indexes that come and go.
//!
//! The answer says UPDATING, as AWS's does; from then on the table is ACTIVE, and a new index is CREATING until it is
//! [filled](super::backfill).

use cumulog_engine::Txn;
use cumulog_model::dynamodb as model;
use model::{
    BillingMode, GlobalSecondaryIndexUpdate, IndexStatus, TableStatus, UpdateTableInput,
    UpdateTableOutput,
};

use super::address::Address;
use super::backfill;
use super::create::{
    GLOBAL_INDEXES_MAX, attribute_rows, check_definitions, check_global_keys, check_projection,
    encryption_row, index_throughput, key_rows, provisioned, set_warm, stream_row,
};
use super::error::{Error, ValidationError};
use super::key;
use super::rows::{
    AttributeRow, CountRow, INDEX, IndexDefinitionRow, STATS, TABLES, TableRow, ThroughputRow,
};
use super::schema::Table;
use super::streams;
use super::tables::{Describe, named};
use crate::call::Call;

/// Changes a table.
pub(crate) fn update_table(
    call: &Call,
    txn: &mut Txn,
    input: UpdateTableInput,
) -> Result<UpdateTableOutput, Error> {
    let address = Address::parse(call, &input.table_name)?;
    check_alone(&input)?;
    let mut row = named(call, txn, &address)?.row.clone();
    update_billing(call, &mut row, &input)?;
    update_settings(call, txn, &address, &mut row, &input)?;
    let mut created = None;
    for update in input.global_secondary_index_updates.iter().flatten() {
        created = update_index(txn, &address, &mut row, update, &input)?.or(created);
    }
    drop_unused_definitions(&mut row);
    TABLES.put(txn, &address.key(), &row);
    let table = Table::new(row, &address);
    if let Some(name) = &created {
        backfill::start(call, txn, &address, name)?;
    }
    let stats = STATS.get(txn, &(table.row.number,))?.unwrap_or_default();
    let mut description = Describe {
        table: &table,
        stats,
        status: TableStatus::Updating,
    }
    .table();
    for index in description.global_secondary_indexes.iter_mut().flatten() {
        if created.is_some() && index.index_name == created {
            index.index_status = Some(IndexStatus::Creating);
            index.backfilling = Some(false);
        }
    }
    Ok(UpdateTableOutput {
        table_description: Some(description),
    })
}

/// What can be said of the request without its table.
fn check_alone(input: &UpdateTableInput) -> Result<(), Error> {
    let unsupported = [
        ("ReplicaUpdates", input.replica_updates.is_some()),
        (
            "MultiRegionConsistency",
            input.multi_region_consistency.is_some(),
        ),
        (
            "GlobalTableWitnessUpdates",
            input.global_table_witness_updates.is_some(),
        ),
        (
            "GlobalTableSettingsReplicationMode",
            input.global_table_settings_replication_mode.is_some(),
        ),
        (
            "DisassociationProtectionEnabled",
            input.disassociation_protection_enabled.is_some(),
        ),
        ("VectorIndexUpdates", input.vector_index_updates.is_some()),
    ];
    if let Some((name, _)) = unsupported.into_iter().find(|(_, present)| *present) {
        return Err(ValidationError::new(format!("{name} is not supported by cumulog")).into());
    }
    let updates = input
        .global_secondary_index_updates
        .as_deref()
        .unwrap_or_default();
    let asks = input.provisioned_throughput.is_some()
        || input.billing_mode.is_some()
        || input.stream_specification.is_some()
        || input.sse_specification.is_some()
        || input.table_class.is_some()
        || input.deletion_protection_enabled.is_some()
        || input.on_demand_throughput.is_some()
        || input.warm_throughput.is_some()
        || !updates.is_empty();
    if !asks {
        return Err(ValidationError::new(
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or \
             SSESpecification or ReplicaUpdates is required",
        )
        .into());
    }
    if input.billing_mode == Some(BillingMode::Provisioned)
        && input.provisioned_throughput.is_none()
    {
        return Err(ValidationError::invalid(
            "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
        )
        .into());
    }
    input
        .provisioned_throughput
        .as_ref()
        .map(provisioned)
        .transpose()?;
    check_index_updates(updates)
}

fn check_index_updates(updates: &[GlobalSecondaryIndexUpdate]) -> Result<(), Error> {
    let mut names = Vec::new();
    for update in updates {
        let name = index_name(update)?;
        if names.contains(&name) {
            return Err(ValidationError::invalid(format!(
                "Only one global secondary index update per index is allowed simultaneously. Index: {name}"
            ))
            .into());
        }
        names.push(name);
    }
    if updates
        .iter()
        .filter(|update| update.update.is_none())
        .count()
        > 1
    {
        return Err(one_index_at_a_time());
    }
    Ok(())
}

/// The index that an update is about.
fn index_name(update: &GlobalSecondaryIndexUpdate) -> Result<&str, ValidationError> {
    match (&update.update, &update.create, &update.delete) {
        (Some(update), None, None) => Ok(&update.index_name),
        (None, Some(create), None) => Ok(&create.index_name),
        (None, None, Some(delete)) => Ok(&delete.index_name),
        (None, None, None) => Err(ValidationError::invalid(
            "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
             GlobalSecondaryIndexUpdate.Delete must not be null",
        )),
        _ => Err(ValidationError::invalid(
            "Only one of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, \
             GlobalSecondaryIndexUpdate.Delete may be given",
        )),
    }
}

fn update_billing(
    call: &Call,
    row: &mut TableRow,
    input: &UpdateTableInput,
) -> Result<(), ValidationError> {
    let mode = input.billing_mode.as_ref();
    let on_demand = mode.map_or(row.throughput.on_demand, |mode| {
        *mode == BillingMode::PayPerRequest
    });
    if on_demand && input.provisioned_throughput.is_some() {
        return Err(ValidationError::invalid(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ));
    }
    if on_demand && !row.throughput.on_demand {
        let since = ThroughputRow {
            on_demand: true,
            on_demand_since_ms: Some(call.now.0),
            ..ThroughputRow::default()
        };
        row.global_indexes
            .iter_mut()
            .for_each(|index| index.throughput = since.clone());
        row.throughput = since;
    }
    if let Some(wanted) = &input.provisioned_throughput {
        let wanted = provisioned(wanted)?;
        check_changes(&row.throughput, &wanted)?;
        if row.throughput.on_demand {
            check_index_units(row, input)?;
        }
        row.throughput = wanted;
    }
    if let Some(limits) = &input.on_demand_throughput {
        if !row.throughput.on_demand {
            return Err(ValidationError::invalid(
                "OnDemandThroughput can only be specified when BillingMode is PAY_PER_REQUEST",
            ));
        }
        row.throughput.on_demand_read_max = limits.max_read_request_units;
        row.throughput.on_demand_write_max = limits.max_write_request_units;
    }
    if input.warm_throughput.is_some() {
        set_warm(&mut row.throughput, input.warm_throughput.as_ref());
    }
    Ok(())
}

fn check_changes(current: &ThroughputRow, wanted: &ThroughputRow) -> Result<(), ValidationError> {
    if (current.read_units, current.write_units) != (wanted.read_units, wanted.write_units) {
        return Ok(());
    }
    Err(ValidationError::new(format!(
        "The provisioned throughput for the table will not change. The requested value equals the current value. \
         Current ReadCapacityUnits provisioned for the table: {read}. Requested ReadCapacityUnits: {read}. \
         Current WriteCapacityUnits provisioned for the table: {write}. Requested WriteCapacityUnits: {write}. \
         Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits.",
        read = current.read_units,
        write = current.write_units
    )))
}

/// A table that leaves on-demand mode says what each of its indexes is to have.
fn check_index_units(row: &TableRow, input: &UpdateTableInput) -> Result<(), ValidationError> {
    let updates = input
        .global_secondary_index_updates
        .as_deref()
        .unwrap_or_default();
    let given = |name: &str| {
        updates.iter().any(|update| {
            let update = update.update.as_ref();
            update.is_some_and(|update| {
                update.index_name == name && update.provisioned_throughput.is_some()
            })
        })
    };
    match row.global_indexes.iter().find(|index| !given(&index.name)) {
        None => Ok(()),
        Some(index) => Err(ValidationError::invalid(format!(
            "ProvisionedThroughput must be specified for index: {}",
            index.name
        ))),
    }
}

fn update_settings(
    call: &Call,
    txn: &mut Txn,
    address: &Address<'_>,
    row: &mut TableRow,
    input: &UpdateTableInput,
) -> Result<(), Error> {
    if let Some(specification) = &input.stream_specification {
        let enabled = row.stream.is_some();
        if enabled == specification.stream_enabled {
            let state = if enabled {
                "already has an enabled stream"
            } else {
                "has no enabled stream to disable"
            };
            return Err(ValidationError::new(format!(
                "Table {state}: TableName: {}",
                input.table_name
            ))
            .into());
        }
        match stream_row(call, Some(specification))? {
            None => streams::stop(call, txn, address, row)?,
            stream => {
                row.stream = stream;
                streams::start(call, txn, address, row)?;
            }
        }
    }
    if let Some(specification) = &input.sse_specification {
        row.encryption = encryption_row(call, Some(specification))?;
    }
    if let Some(class) = &input.table_class {
        row.table_class = Some(class.as_str().to_owned());
    }
    if let Some(protection) = input.deletion_protection_enabled {
        row.deletion_protection = protection;
    }
    Ok(())
}

/// Makes, changes or deletes an index; returns the name of one to fill.
fn update_index(
    txn: &mut Txn,
    address: &Address<'_>,
    row: &mut TableRow,
    update: &GlobalSecondaryIndexUpdate,
    input: &UpdateTableInput,
) -> Result<Option<String>, Error> {
    if let Some(create) = &update.create {
        create_index(row, create, input)?;
        check_none_filling(row, Some(&create.index_name))?;
        return Ok(Some(create.index_name.clone()));
    }
    if let Some(delete) = &update.delete {
        let at = position(address, row, &delete.index_name, "delete")?;
        check_none_filling(row, Some(&delete.index_name))?;
        let index = row.global_indexes.remove(at);
        row.next_index = row.next_index.max(index.number + 1);
        txn.delete_prefix(INDEX, &key::index_prefix(row.number, index.number));
        backfill::stop(txn, address, row.number, &index)?;
        backfill::count(txn, row.number, index.number, |count| {
            *count = CountRow::default();
        })?;
    }
    if let Some(change) = &update.update {
        let at = position(address, row, &change.index_name, "update")?;
        change_index(
            row.throughput.on_demand,
            &mut row.global_indexes[at],
            change,
        )?;
    }
    Ok(None)
}

fn position(table: &Address<'_>, row: &TableRow, name: &str, action: &str) -> Result<usize, Error> {
    if row.local_indexes.iter().any(|index| index.name == name) {
        return Err(ValidationError::new(format!(
            "Cannot {action} an index that is not a GlobalSecondaryIndex: {name}"
        ))
        .into());
    }
    row.global_indexes
        .iter()
        .position(|index| index.name == name)
        .ok_or_else(|| Error::NoSuchIndex {
            index: name.to_owned(),
            table: table.name.to_string(),
        })
}

/// Indexes come and go one after the other; only the one that is being filled may go before it is done.
fn check_none_filling(row: &TableRow, but: Option<&str>) -> Result<(), Error> {
    let mut filling = row.global_indexes.iter().filter(|index| index.filling);
    if filling.all(|index| but == Some(&index.name)) {
        return Ok(());
    }
    Err(one_index_at_a_time())
}

fn one_index_at_a_time() -> Error {
    Error::LimitExceeded(
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table".into(),
    )
}

fn change_index(
    on_demand: bool,
    index: &mut IndexDefinitionRow,
    change: &model::UpdateGlobalSecondaryIndexAction,
) -> Result<(), ValidationError> {
    if let Some(units) = &change.provisioned_throughput {
        if on_demand {
            return Err(ValidationError::invalid(format!(
                "ProvisionedThroughput should not be specified for index: {} when BillingMode is PAY_PER_REQUEST",
                change.index_name
            )));
        }
        index.throughput = provisioned(units)?;
    }
    if let Some(limits) = &change.on_demand_throughput {
        index.throughput.on_demand_read_max = limits.max_read_request_units;
        index.throughput.on_demand_write_max = limits.max_write_request_units;
    }
    if change.warm_throughput.is_some() {
        set_warm(&mut index.throughput, change.warm_throughput.as_ref());
    }
    Ok(())
}

fn create_index(
    row: &mut TableRow,
    create: &model::CreateGlobalSecondaryIndexAction,
    input: &UpdateTableInput,
) -> Result<(), ValidationError> {
    let index = model::GlobalSecondaryIndex {
        index_name: create.index_name.clone(),
        key_schema: create.key_schema.clone(),
        projection: create.projection.clone(),
        provisioned_throughput: create.provisioned_throughput.clone(),
        on_demand_throughput: create.on_demand_throughput.clone(),
        warm_throughput: create.warm_throughput.clone(),
    };
    let known = || row.global_indexes.iter().chain(&row.local_indexes);
    if known().any(|known| known.name == index.index_name) {
        return Err(ValidationError::new(format!(
            "Attempting to create an index which already exists: {}",
            index.index_name
        )));
    }
    let definitions = input.attribute_definitions.as_deref().unwrap_or_default();
    let names: Vec<&str> = definitions
        .iter()
        .map(|definition| definition.attribute_name.as_str())
        .collect();
    check_definitions(&names)?;
    check_global_keys(&index.key_schema, &names)?;
    if row.global_indexes.len() >= GLOBAL_INDEXES_MAX {
        return Err(ValidationError::invalid(format!(
            "GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}"
        )));
    }
    let number = known()
        .map(|index| index.number + 1)
        .max()
        .unwrap_or(0)
        .max(row.next_index);
    let throughput = index_throughput(&index, row.throughput.on_demand)?;
    let projection = check_projection(&index.projection)?;
    define(row, attribute_rows(definitions)?)?;
    row.next_index = number + 1;
    row.global_indexes.push(IndexDefinitionRow {
        number,
        name: index.index_name,
        keys: key_rows(&index.key_schema),
        projection,
        throughput,
        filling: true,
    });
    Ok(())
}

/// Adds definitions of attributes. What is a key already keeps its type.
fn define(row: &mut TableRow, definitions: Vec<AttributeRow>) -> Result<(), ValidationError> {
    for definition in definitions {
        match row
            .attributes
            .iter()
            .find(|known| known.name == definition.name)
        {
            None => row.attributes.push(definition),
            Some(known) if known.kind == definition.kind => {}
            Some(known) => {
                return Err(ValidationError::invalid(format!(
                    "Attribute {} has type {} already and cannot be redefined with type {}",
                    known.name,
                    known.kind.name(),
                    definition.kind.name()
                )));
            }
        }
    }
    Ok(())
}

/// Attributes are defined for keys only.
fn drop_unused_definitions(row: &mut TableRow) {
    let indexes = row.global_indexes.iter().chain(&row.local_indexes);
    let used: Vec<String> = row
        .keys
        .iter()
        .chain(indexes.flat_map(|index| &index.keys))
        .map(|key| key.name.clone())
        .collect();
    row.attributes
        .retain(|attribute| used.contains(&attribute.name));
}
