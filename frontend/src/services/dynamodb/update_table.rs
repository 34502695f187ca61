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
    index_throughput, key_rows, stream_row,
};
use super::encryption;
use super::error::{Error, ValidationError};
use super::key;
use super::rows::{
    AttributeRow, CountRow, INDEX, IndexDefinitionRow, STATS, TABLES, TableRow, ThroughputRow,
};
use super::schema::Table;
use super::streams;
use super::tables::{Describe, named};
use super::throughput;
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
    let encryption = row.encryption.clone();
    update_billing(call, &mut row, &input)?;
    update_settings(call, txn, &address, &mut row, &input)?;
    let mut created = None;
    for update in input.global_secondary_index_updates.iter().flatten() {
        created = update_index(call, txn, &address, &mut row, update, &input)?.or(created);
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
        now_ms: call.now.0,
    }
    .table();
    if let Some(row) = encryption.filter(|_| input.sse_specification.is_some()) {
        description.sse_description = Some(model::SSEDescription {
            status: Some(model::SSEStatus::Updating),
            ..encryption::describe(&row)
        });
    }
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
    if input.global_secondary_index_updates.is_some() && updates.is_empty() {
        return Err(
            ValidationError::invalid("List of GlobalSecondaryIndexUpdates is empty").into(),
        );
    }
    Concerns::of(input).check()?;
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
        .map(throughput::provisioned)
        .transpose()?;
    check_index_updates(updates)
}

/// What a request wants to change.
#[derive(Clone, Copy)]
struct Concerns {
    capacity: bool,
    /// Of the capacity: the provisioned units.
    units: bool,
    stream: bool,
    encryption: bool,
    class: bool,
    protection: bool,
    limits: bool,
    warm: bool,
    indexes: bool,
    /// Of the indexes: which there are.
    new_indexes: bool,
    old_indexes: bool,
}

impl Concerns {
    fn of(input: &UpdateTableInput) -> Concerns {
        let updates = || input.global_secondary_index_updates.iter().flatten();
        let provisioned = input.billing_mode == Some(BillingMode::Provisioned);
        Concerns {
            capacity: input.billing_mode.is_some() || input.provisioned_throughput.is_some(),
            units: provisioned || input.provisioned_throughput.is_some(),
            stream: input.stream_specification.is_some(),
            encryption: input.sse_specification.is_some(),
            class: input.table_class.is_some(),
            protection: input.deletion_protection_enabled.is_some(),
            limits: input.on_demand_throughput.is_some(),
            warm: input.warm_throughput.is_some(),
            indexes: updates().next().is_some(),
            new_indexes: updates().any(|update| update.create.is_some()),
            old_indexes: updates().any(|update| update.delete.is_some()),
        }
    }

    /// A request changes one thing, with few exceptions.
    fn check(self) -> Result<(), ValidationError> {
        let concerns = [
            self.capacity,
            self.stream,
            self.encryption,
            self.class,
            self.protection,
            self.limits,
            self.warm,
            self.indexes,
        ];
        let changes = self.new_indexes || self.old_indexes;
        let words = match concerns.into_iter().filter(|present| *present).count() {
            0 => return Err(ValidationError::new(NOTHING)),
            1 => return Ok(()),
            _ if self.encryption => {
                "Server-Side Encryption modification must be the only operation in the request"
            }
            _ if self.class => "TableClass modification must be the only operation in the request",
            _ if self.protection => {
                "DeletionProtection modification must be the only operation in the request"
            }
            _ if self.warm && self.new_indexes => {
                "Create global secondary index cannot be specified when updating WarmThroughput"
            }
            _ if self.limits && (self.stream || self.warm || self.indexes) => {
                "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"
            }
            _ if self.warm => "WarmThroughput must be the only operation in the request",
            _ if self.stream && self.units => {
                "You cannot modify stream status while updating table IOPS"
            }
            _ if changes && self.units => {
                "You cannot create or delete index while updating table IOPS"
            }
            _ if changes && self.stream => {
                "You cannot create or delete index while changing stream status"
            }
            _ => return Ok(()),
        };
        Err(ValidationError::invalid(words))
    }
}

const NOTHING: &str = "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, \
    GlobalSecondaryIndexUpdates, SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, \
    MultiRegionConsistency, DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required";

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
            "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
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
        throughput::to_on_demand(&mut row.throughput, call.now.0);
        for index in &mut row.global_indexes {
            throughput::to_on_demand(&mut index.throughput, call.now.0);
        }
    }
    if let Some(wanted) = &input.provisioned_throughput {
        let wanted = throughput::provisioned(wanted)?;
        check_changes("the table", &row.throughput, &wanted)?;
        if row.throughput.on_demand {
            check_index_units(row, input)?;
        }
        throughput::provision(&mut row.throughput, &wanted, call.now.0);
    }
    if let Some(limits) = &input.on_demand_throughput {
        throughput::limit(&mut row.throughput, None, limits)?;
    }
    if let Some(warm) = &input.warm_throughput {
        throughput::warm_up(&mut row.throughput, None, warm)?;
    }
    Ok(())
}

fn check_changes(
    what: &str,
    current: &ThroughputRow,
    wanted: &ThroughputRow,
) -> Result<(), ValidationError> {
    if (current.read_units, current.write_units) != (wanted.read_units, wanted.write_units) {
        return Ok(());
    }
    Err(ValidationError::new(format!(
        "The provisioned throughput for {what} will not change. The requested value equals the current value. \
         Current ReadCapacityUnits provisioned for {what}: {read}. Requested ReadCapacityUnits: {read}. \
         Current WriteCapacityUnits provisioned for {what}: {write}. Requested WriteCapacityUnits: {write}. \
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

const STREAM_WORDS: [&str; 2] = [
    "If stream is being enabled then UpdateViewType is required",
    "If stream is being disabled, then UpdateViewType must not be specified",
];

/// The class of tables of which none is told.
const STANDARD: &str = "STANDARD";

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
                "has no stream to disable"
            };
            return Err(ValidationError::new(format!(
                "Table {state}: TableName: {}",
                input.table_name
            ))
            .into());
        }
        match stream_row(call, specification, STREAM_WORDS)? {
            None => streams::stop(call, txn, address, row)?,
            stream => {
                row.stream = stream;
                streams::start(call, txn, address, row)?;
            }
        }
    }
    if let Some(specification) = &input.sse_specification {
        row.encryption = encryption::change(call, row.encryption.as_ref(), specification)?;
    }
    if let Some(class) = &input.table_class {
        let current = row.table_class.as_deref().unwrap_or(STANDARD);
        if current != class.as_str() {
            row.table_class = Some(class.as_str().to_owned());
            row.class_since_ms = Some(call.now.0);
        }
    }
    if let Some(protection) = input.deletion_protection_enabled {
        row.deletion_protection = protection;
    }
    Ok(())
}

/// Makes, changes or deletes an index; returns the name of one to fill.
fn update_index(
    call: &Call,
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
        row.insights
            .retain(|insights| insights.index.as_ref() != Some(&index.name));
        row.next_index = row.next_index.max(index.number + 1);
        txn.delete_prefix(INDEX, &key::index_prefix(row.number, index.number));
        backfill::stop(txn, address, row.number, &index)?;
        backfill::count(txn, row.number, index.number, |count| {
            *count = CountRow::default();
        })?;
    }
    if let Some(change) = &update.update {
        let at = position(address, row, &change.index_name, "update")?;
        let on_demand = row.throughput.on_demand;
        change_index(call, on_demand, &mut row.global_indexes[at], change)?;
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
    call: &Call,
    on_demand: bool,
    index: &mut IndexDefinitionRow,
    change: &model::UpdateGlobalSecondaryIndexAction,
) -> Result<(), ValidationError> {
    let name = &change.index_name;
    if let Some(units) = &change.provisioned_throughput {
        if on_demand {
            return Err(ValidationError::invalid(format!(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified for index: {name} when BillingMode \
                 is PAY_PER_REQUEST"
            )));
        }
        let wanted = throughput::provisioned(units)?;
        check_changes(&format!("the index {name}"), &index.throughput, &wanted)?;
        throughput::provision(&mut index.throughput, &wanted, call.now.0);
    }
    if let Some(limits) = &change.on_demand_throughput {
        throughput::limit(&mut index.throughput, Some(name), limits)?;
    }
    if let Some(warm) = &change.warm_throughput {
        throughput::warm_up(&mut index.throughput, Some(name), warm)?;
    }
    Ok(())
}

fn create_index(
    row: &mut TableRow,
    create: &model::CreateGlobalSecondaryIndexAction,
    input: &UpdateTableInput,
) -> Result<(), Error> {
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
        return Err(
            ValidationError::new("Attempting to create an index which already exists").into(),
        );
    }
    let Some(definitions) = input.attribute_definitions.as_deref() else {
        return Err(ValidationError::invalid(format!(
            "AttributeDefinitions is not specified for index: {}",
            index.index_name
        ))
        .into());
    };
    let names: Vec<&str> = definitions
        .iter()
        .map(|definition| definition.attribute_name.as_str())
        .collect();
    check_definitions(&names)?;
    check_global_keys(&index.key_schema, &names)?;
    if row.global_indexes.len() >= GLOBAL_INDEXES_MAX {
        return Err(Error::LimitExceeded(format!(
            "Subscriber limit exceeded: GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}"
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
