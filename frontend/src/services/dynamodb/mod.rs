//! DynamoDB: tables of items, looked up by key, queried in order, changed by expressions.
//!
//! The key spaces 0x0200 to 0x02FF are DynamoDB's; [`rows`] says what stands in them. Items are stored under a table's
//! number, indexes as entries that lead to items, and both change in one transaction. Reads work on the last published
//! state and hold no lock.
//!
//! Every read is consistent, global indexes included: what AWS calls eventual is always soon enough here.

mod address;
mod backfill;
mod batch;
mod capacity;
mod create;
mod encryption;
mod error;
mod expression;
mod fill;
pub(crate) mod fuzzing;
mod global_tables;
mod insights;
mod items;
mod key;
mod kinesis;
mod legacy;
mod number;
mod page;
mod policy;
mod query;
mod rows;
mod scan;
mod schema;
mod settings;
mod size;
pub(crate) mod streams;
mod tables;
mod tags;
#[cfg(test)]
mod testing;
mod throughput;
mod transact;
mod ttl;
mod update_table;
mod validate;
mod value;
mod write;

pub(crate) use rows::each_table;

use cumulog_model::dynamodb as model;

use crate::ids::RequestIdStyle;
use crate::service::Service;

/// What is not there, and why.
const REFUSED: &[(&str, &str)] = &[
    (
        "EnableKinesisStreamingDestination",
        "there is no Kinesis here yet; read the table's DynamoDB stream instead",
    ),
    (
        "UpdateTableReplicaAutoScaling",
        "there are no replicas and no Application Auto Scaling",
    ),
    ("SearchVectors", "there are no vector indexes"),
    ("StartBulkPutItems", "there are no bulk operations"),
    ("DescribeBulkOperation", "there are no bulk operations"),
    ("CancelBulkOperation", "there are no bulk operations"),
    ("ListBulkOperations", "there are no bulk operations"),
];

/// DynamoDB and its handlers.
pub(crate) fn service() -> Service {
    Service::new(&model::SERVICE)
        .spaces(rows::SPACES)
        .refuses(REFUSED)
        .jobs(rows::JOBS)
        .job_handler(streams::TRIM, streams::trim)
        .job_handler(backfill::BACKFILL, backfill::backfill)
        .job_handler(ttl::EXPIRE, ttl::expire)
        .job_handler(ttl::ENTER, ttl::enter_job)
        .request_ids(RequestIdStyle::Letters52)
        .internal_code("InternalServerError")
        .validate(validate::validate)
        .write::<model::CreateTable, _>(tables::create_table)
        .read::<model::DescribeTable, _>(tables::describe_table)
        .read::<model::ListTables, _>(tables::list_tables)
        .write::<model::DeleteTable, _>(tables::delete_table)
        .write::<model::UpdateTable, _>(update_table::update_table)
        .write::<model::TagResource, _>(tags::tag_resource)
        .write::<model::UntagResource, _>(tags::untag_resource)
        .read::<model::ListTagsOfResource, _>(tags::list_tags)
        .write::<model::UpdateTimeToLive, _>(ttl::update_time_to_live)
        .read::<model::DescribeTimeToLive, _>(ttl::describe_time_to_live)
        .read::<model::DescribeContinuousBackups, _>(settings::describe_continuous_backups)
        .write::<model::PutResourcePolicy, _>(policy::put_policy)
        .read::<model::GetResourcePolicy, _>(policy::get_policy)
        .write::<model::DeleteResourcePolicy, _>(policy::delete_policy)
        .write::<model::UpdateContributorInsights, _>(insights::update_insights)
        .read::<model::DescribeContributorInsights, _>(insights::describe_insights)
        .read::<model::ListContributorInsights, _>(insights::list_insights)
        .read::<model::DescribeKinesisStreamingDestination, _>(kinesis::describe_destination)
        .write::<model::DisableKinesisStreamingDestination, _>(kinesis::disable_destination)
        .write::<model::UpdateKinesisStreamingDestination, _>(kinesis::update_destination)
        .write::<model::CreateGlobalTable, _>(global_tables::create_global_table)
        .write::<model::UpdateGlobalTable, _>(global_tables::update_global_table)
        .read::<model::DescribeGlobalTable, _>(global_tables::describe_global_table)
        .read::<model::ListGlobalTables, _>(global_tables::list_global_tables)
        .read::<model::DescribeGlobalTableSettings, _>(global_tables::describe_settings)
        .write::<model::UpdateGlobalTableSettings, _>(global_tables::update_settings)
        .read::<model::DescribeTableReplicaAutoScaling, _>(global_tables::describe_auto_scaling)
        .read::<model::DescribeLimits, _>(tables::describe_limits)
        .read::<model::DescribeEndpoints, _>(tables::describe_endpoints)
        .future::<model::PutItem, _, _>(items::put_item)
        .read::<model::GetItem, _>(items::get_item)
        .future::<model::UpdateItem, _, _>(items::update_item)
        .future::<model::DeleteItem, _, _>(items::delete_item)
        .read::<model::Query, _>(query::query)
        .read::<model::Scan, _>(scan::scan)
        .future::<model::BatchWriteItem, _, _>(batch::batch_write_item)
        .read::<model::BatchGetItem, _>(batch::batch_get_item)
        .future::<model::TransactWriteItems, _, _>(transact::transact_write_items)
        .read::<model::TransactGetItems, _>(transact::transact_get_items)
}
