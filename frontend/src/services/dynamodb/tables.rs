//! CreateTable, DescribeTable, ListTables, DeleteTable, DescribeLimits and DescribeEndpoints.
//!
//! A table is usable as soon as CreateTable has answered. The answer says CREATING, as AWS's does; from then on the
//! table is ACTIVE, so that waiters end at once. DeleteTable answers DELETING, and the table is gone.

use std::borrow::Cow;
use std::ops::Bound;

use cumulog_engine::{Read, Txn, View};
use cumulog_model::dynamodb as model;
use cumulog_shape::Timestamp;
use model::{
    BillingMode, CreateTableInput, CreateTableOutput, DeleteTableInput, DeleteTableOutput,
    DescribeEndpointsInput, DescribeEndpointsOutput, DescribeLimitsInput, DescribeLimitsOutput,
    DescribeTableInput, DescribeTableOutput, IndexStatus, KeyType, ListTablesInput,
    ListTablesOutput, ProjectionType, TableDescription, TableStatus,
};

use super::address::{Address, check_table_name};
use super::backfill;
use super::create;
use super::encryption;
use super::error::{Error, ValidationError};
use super::key;
use super::rows::{
    CountRow, INDEX, ITEMS, IndexDefinitionRow, KeyKind, KeyRole, KeyRow, ProjectionRow, SEQUENCE,
    STATS, StatsRow, TABLES, TableRow, ThroughputRow,
};
use super::schema::Table;
use super::streams;
use super::throughput;
use super::ttl;
use crate::call::Call;

const TABLES_MAX: usize = 2500;
const LIST_MAX: usize = 100;

/// Makes a table.
pub(crate) fn create_table(
    call: &Call,
    txn: &mut Txn,
    input: CreateTableInput,
) -> Result<CreateTableOutput, Error> {
    let given = input.table_name.clone();
    let address = Address::parse(call, &given)?;
    let mut row = create::table_row(
        call,
        CreateTableInput {
            table_name: address.name.to_string(),
            ..input
        },
    )?;
    if TABLES.contains(txn, &address.key()) {
        return Err(Error::InUse(format!(
            "Table already exists: {}",
            address.name
        )));
    }
    let count = TABLES
        .scan(txn, &(address.account.clone(), address.region.clone()))
        .count();
    if count >= TABLES_MAX {
        return Err(Error::LimitExceeded(format!(
            "Subscriber limit exceeded: There is a limit of {TABLES_MAX} tables per subscriber"
        )));
    }
    row.number = SEQUENCE.get(txn, &())?.unwrap_or(0) + 1;
    SEQUENCE.put(txn, &(), &row.number);
    streams::start(call, txn, &address, &mut row)?;
    TABLES.put(txn, &address.key(), &row);
    let table = Table::new(row, &address);
    let description = Describe {
        table: &table,
        stats: StatsRow::default(),
        status: TableStatus::Creating,
        now_ms: call.now.0,
    }
    .table();
    Ok(CreateTableOutput {
        table_description: Some(description),
    })
}

/// Describes a table.
pub(crate) fn describe_table(
    call: &Call,
    view: &View,
    input: DescribeTableInput,
) -> Result<DescribeTableOutput, Error> {
    let address = Address::parse(call, &input.table_name)?;
    let table = named(call, view, &address)?;
    let stats = STATS.get(view, &(table.row.number,))?.unwrap_or_default();
    Ok(DescribeTableOutput {
        table: Some(
            Describe {
                table: &table,
                stats,
                status: TableStatus::Active,
                now_ms: call.now.0,
            }
            .table(),
        ),
    })
}

pub(super) fn named(
    call: &Call,
    read: &impl Read,
    address: &Address<'_>,
) -> Result<std::sync::Arc<Table>, Error> {
    Table::find(call, read, address)?
        .ok_or_else(|| Error::NoSuchTableNamed(address.name.to_string()))
}

/// Lists names in their order.
pub(crate) fn list_tables(
    call: &Call,
    view: &View,
    input: ListTablesInput,
) -> Result<ListTablesOutput, Error> {
    if let Some(name) = &input.exclusive_start_table_name {
        check_table_name("exclusiveStartTableName", name)?;
    }
    let owned = |text: &str| Cow::<'static, str>::Owned(text.to_owned());
    let (account, region) = (owned(&call.account), owned(&call.region));
    let start = input
        .exclusive_start_table_name
        .map(|name| (account.clone(), region.clone(), Cow::Owned(name)));
    let after = start.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let limit = input
        .limit
        .map_or(LIST_MAX, |limit| limit.unsigned_abs() as usize);
    let mut names = TABLES
        .scan_from(view, &(account, region), after)
        .map(|row| row.map(|((_, _, name), _)| name.into_owned()))
        .take(limit + 1)
        .collect::<Result<Vec<String>, _>>()?;
    let more = names.len() > limit;
    names.truncate(limit);
    Ok(ListTablesOutput {
        last_evaluated_table_name: names.last().filter(|_| more).cloned(),
        table_names: Some(names),
    })
}

/// Deletes a table with all that it holds: one effect for each key space, however large it is.
pub(crate) fn delete_table(
    call: &Call,
    txn: &mut Txn,
    input: DeleteTableInput,
) -> Result<DeleteTableOutput, Error> {
    let address = Address::parse(call, &input.table_name)?;
    let table = named(call, txn, &address)?;
    if table.row.deletion_protection {
        return Err(ValidationError::new(
            "Resource cannot be deleted as it is currently protected against deletion. \
             Disable deletion protection first.",
        )
        .into());
    }
    let stats = STATS.get(txn, &(table.row.number,))?.unwrap_or_default();
    let prefix = key::table_prefix(table.row.number);
    txn.delete_prefix(ITEMS, &prefix);
    if !table.indexes.is_empty() {
        txn.delete_prefix(INDEX, &prefix);
    }
    STATS.delete(txn, &(table.row.number,));
    streams::stop(call, txn, &address, &mut table.row.clone())?;
    for index in table
        .row
        .global_indexes
        .iter()
        .filter(|index| index.filling)
    {
        backfill::stop(txn, &address, table.row.number, index)?;
    }
    if table.row.time_to_live.is_some() {
        ttl::stop(txn, &address, table.row.number)?;
    }
    TABLES.delete(txn, &address.key());
    let description = Describe {
        table: &table,
        stats,
        status: TableStatus::Deleting,
        now_ms: call.now.0,
    }
    .table();
    // AWS leaves the schema out of this one answer.
    Ok(DeleteTableOutput {
        table_description: Some(TableDescription {
            attribute_definitions: None,
            key_schema: None,
            creation_date_time: None,
            global_secondary_indexes: None,
            local_secondary_indexes: None,
            ..description
        }),
    })
}

/// AWS's default quotas.
pub(crate) fn describe_limits(
    _: &Call,
    _: &View,
    _: DescribeLimitsInput,
) -> Result<DescribeLimitsOutput, Error> {
    Ok(DescribeLimitsOutput {
        account_max_read_capacity_units: Some(80_000),
        account_max_write_capacity_units: Some(80_000),
        table_max_read_capacity_units: Some(40_000),
        table_max_write_capacity_units: Some(40_000),
    })
}

/// The address by which the client reached us.
pub(crate) fn describe_endpoints(
    call: &Call,
    _: &View,
    _: DescribeEndpointsInput,
) -> Result<DescribeEndpointsOutput, Error> {
    let endpoint = call.endpoint();
    let address = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, address)| address)
        .to_owned();
    Ok(DescribeEndpointsOutput {
        endpoints: vec![model::Endpoint {
            address,
            cache_period_in_minutes: 1440,
        }],
    })
}

/// A table as answers describe it.
pub(super) struct Describe<'t> {
    pub(super) table: &'t Table,
    pub(super) stats: StatsRow,
    pub(super) status: TableStatus,
    /// For what is told by the day.
    pub(super) now_ms: i64,
}

impl Describe<'_> {
    pub(super) fn table(&self) -> TableDescription {
        let row = &self.table.row;
        let global: Vec<_> = row
            .global_indexes
            .iter()
            .map(|index| self.global_index(index))
            .collect();
        let local: Vec<_> = row
            .local_indexes
            .iter()
            .map(|index| self.local_index(index))
            .collect();
        TableDescription {
            attribute_definitions: Some(attribute_definitions(row)),
            table_name: Some(self.table.name.clone()),
            key_schema: Some(key_schema(&row.keys)),
            table_status: Some(self.status.clone()),
            creation_date_time: Some(Timestamp(row.created_ms)),
            provisioned_throughput: Some(self.provisioned(&row.throughput)),
            table_size_bytes: Some(signed(self.stats.total.bytes)),
            item_count: Some(signed(self.stats.total.items)),
            table_arn: Some(self.table.arn.clone()),
            table_id: Some(row.id.clone()),
            billing_mode_summary: self.billing_mode(),
            local_secondary_indexes: (!local.is_empty()).then_some(local),
            global_secondary_indexes: (!global.is_empty()).then_some(global),
            stream_specification: row
                .stream
                .as_ref()
                .map(|stream| model::StreamSpecification {
                    stream_enabled: true,
                    stream_view_type: Some(stream.view.as_str().into()),
                }),
            latest_stream_arn: row
                .latest_stream()
                .map(|label| format!("{}/stream/{label}", self.table.arn)),
            latest_stream_label: row.latest_stream().map(str::to_owned),
            sse_description: row.encryption.as_ref().map(encryption::describe),
            table_class_summary: row
                .table_class
                .as_ref()
                .map(|class| model::TableClassSummary {
                    table_class: Some(class.as_str().into()),
                    last_update_date_time: row.class_since_ms.map(Timestamp),
                }),
            deletion_protection_enabled: Some(row.deletion_protection),
            on_demand_throughput: throughput::describe_limits(&row.throughput),
            warm_throughput: self.warm(&row.throughput).map(|(read, write)| {
                model::TableWarmThroughputDescription {
                    read_units_per_second: read,
                    write_units_per_second: write,
                    status: Some(if self.is_new() {
                        TableStatus::Updating
                    } else {
                        self.status.clone()
                    }),
                }
            }),
            ..TableDescription::default()
        }
    }

    fn is_new(&self) -> bool {
        self.status == TableStatus::Creating
    }

    /// None is told of tables that were never on demand.
    fn billing_mode(&self) -> Option<model::BillingModeSummary> {
        let throughput = &self.table.row.throughput;
        let since_ms = throughput.on_demand_since_ms;
        let (mode, since_ms) = match throughput.on_demand {
            true => (
                BillingMode::PayPerRequest,
                since_ms.unwrap_or(self.table.row.created_ms),
            ),
            false => (BillingMode::Provisioned, since_ms?),
        };
        Some(model::BillingModeSummary {
            billing_mode: Some(mode),
            last_update_to_pay_per_request_date_time: (!self.is_new())
                .then_some(Timestamp(since_ms)),
        })
    }

    fn provisioned(&self, row: &ThroughputRow) -> model::ProvisionedThroughputDescription {
        throughput::describe_provisioned(row, self.now_ms)
    }

    fn warm(&self, row: &ThroughputRow) -> Option<(Option<i64>, Option<i64>)> {
        throughput::describe_warm(row, self.is_new())
    }

    fn count(&self, index: &IndexDefinitionRow) -> CountRow {
        self.stats
            .indexes
            .get(index.number as usize)
            .copied()
            .unwrap_or_default()
    }

    fn index_arn(&self, index: &IndexDefinitionRow) -> String {
        format!("{}/index/{}", self.table.arn, index.name)
    }

    fn index_status(&self, index: &IndexDefinitionRow) -> IndexStatus {
        match self.status {
            TableStatus::Deleting => IndexStatus::Deleting,
            _ if index.filling => IndexStatus::Creating,
            TableStatus::Creating => IndexStatus::Creating,
            _ => IndexStatus::Active,
        }
    }

    fn global_index(&self, index: &IndexDefinitionRow) -> model::GlobalSecondaryIndexDescription {
        let CountRow { items, bytes } = self.count(index);
        model::GlobalSecondaryIndexDescription {
            index_name: Some(index.name.clone()),
            key_schema: Some(key_schema(&index.keys)),
            projection: Some(projection(&index.projection)),
            index_status: Some(self.index_status(index)),
            backfilling: index.filling.then_some(true),
            provisioned_throughput: Some(self.provisioned(&index.throughput)),
            index_size_bytes: Some(signed(bytes)),
            item_count: Some(signed(items)),
            index_arn: Some(self.index_arn(index)),
            on_demand_throughput: throughput::describe_limits(&index.throughput),
            warm_throughput: self.warm(&index.throughput).map(|(read, write)| {
                model::GlobalSecondaryIndexWarmThroughputDescription {
                    read_units_per_second: read,
                    write_units_per_second: write,
                    status: Some(if self.is_new() {
                        IndexStatus::Updating
                    } else {
                        self.index_status(index)
                    }),
                }
            }),
        }
    }

    fn local_index(&self, index: &IndexDefinitionRow) -> model::LocalSecondaryIndexDescription {
        let CountRow { items, bytes } = self.count(index);
        model::LocalSecondaryIndexDescription {
            index_name: Some(index.name.clone()),
            key_schema: Some(key_schema(&index.keys)),
            projection: Some(projection(&index.projection)),
            index_size_bytes: Some(signed(bytes)),
            item_count: Some(signed(items)),
            index_arn: Some(self.index_arn(index)),
        }
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn attribute_definitions(row: &TableRow) -> Vec<model::AttributeDefinition> {
    row.attributes
        .iter()
        .map(|attribute| model::AttributeDefinition {
            attribute_name: attribute.name.clone(),
            attribute_type: KeyKind::name(attribute.kind).into(),
        })
        .collect()
}

pub(super) fn key_schema(keys: &[KeyRow]) -> Vec<model::KeySchemaElement> {
    keys.iter()
        .map(|key| model::KeySchemaElement {
            attribute_name: key.name.clone(),
            key_type: if key.role == KeyRole::Hash {
                KeyType::Hash
            } else {
                KeyType::Range
            },
        })
        .collect()
}

fn projection(row: &ProjectionRow) -> model::Projection {
    let (projection_type, non_key_attributes) = match row {
        ProjectionRow::KeysOnly => (ProjectionType::KeysOnly, None),
        ProjectionRow::Include(names) => (ProjectionType::Include, Some(names.clone())),
        ProjectionRow::All => (ProjectionType::All, None),
    };
    model::Projection {
        projection_type: Some(projection_type),
        non_key_attributes,
    }
}
