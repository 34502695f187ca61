//! Contributor insights: recorded for tables and their global indexes, and told; no CloudWatch makes rules of them.

use cumulog_engine::{Txn, View};
use cumulog_model::dynamodb as model;
use cumulog_shape::Timestamp;
use model::{
    ContributorInsightsAction, ContributorInsightsStatus, ContributorInsightsSummary,
    DescribeContributorInsightsInput, DescribeContributorInsightsOutput,
    ListContributorInsightsInput, ListContributorInsightsOutput, UpdateContributorInsightsInput,
    UpdateContributorInsightsOutput,
};

use super::address::Address;
use super::error::{Error, ValidationError};
use super::rows::{InsightsRow, TABLES, TableRow};
use super::tables::named;
use crate::call::Call;

const MODE: &str = "ACCESSED_AND_THROTTLED_KEYS";
const LIST_MAX: usize = 100;

/// Turns the insights into a table or one of its global indexes on or off. It is done at once; the answer to what changes
/// anything says that it is being done, as AWS's does.
pub(crate) fn update_insights(
    call: &Call,
    txn: &mut Txn,
    input: UpdateContributorInsightsInput,
) -> Result<UpdateContributorInsightsOutput, Error> {
    let address = Address::parse(call, &input.table_name)?;
    let table = named(call, txn, &address)?;
    let index = input.index_name.as_deref();
    check_index(&table.row, &table.name, index)?;
    let enable = input.contributor_insights_action == ContributorInsightsAction::Enable;
    let mode = input.contributor_insights_mode.as_ref();
    let mode = mode.map_or(MODE, |mode| mode.as_str());
    let mut row = table.row.clone();
    let known = find(&row, index).cloned();
    let changes = match &known {
        Some(known) => known.enabled != enable || (enable && known.mode != mode),
        None => enable,
    };
    let status = match (enable, changes) {
        (true, true) => ContributorInsightsStatus::Enabling,
        (true, false) => ContributorInsightsStatus::Enabled,
        (false, true) => ContributorInsightsStatus::Disabling,
        (false, false) => ContributorInsightsStatus::Disabled,
    };
    let mode = match (enable, known) {
        (false, known) => known.map(|known| known.mode),
        (true, _) => Some(mode.to_owned()),
    };
    if changes {
        row.insights.retain(|row| row.index.as_deref() != index);
        row.insights.push(InsightsRow {
            index: input.index_name.clone(),
            enabled: enable,
            mode: mode.clone().unwrap_or_else(|| MODE.to_owned()),
            updated_ms: call.now.0,
        });
        TABLES.put(txn, &address.key(), &row);
    }
    Ok(UpdateContributorInsightsOutput {
        table_name: Some(table.name.clone()),
        index_name: input.index_name,
        contributor_insights_status: Some(status),
        contributor_insights_mode: mode.map(|mode| mode.as_str().into()),
    })
}

fn find<'t>(row: &'t TableRow, index: Option<&str>) -> Option<&'t InsightsRow> {
    row.insights
        .iter()
        .find(|insights| insights.index.as_deref() == index)
}

/// Local indexes have no insights of their own.
fn check_index(row: &TableRow, table: &str, index: Option<&str>) -> Result<(), Error> {
    let Some(name) = index else {
        return Ok(());
    };
    match row.global_indexes.iter().find(|index| index.name == name) {
        Some(index) if index.filling => Err(ValidationError::new(
            "Table or Index is not in a valid state to update Key Access Insights: IndexStatus must be ACTIVE to \
             enable ContributorInsights.",
        )
        .into()),
        Some(_) => Ok(()),
        None => Err(Error::NoSuchResource(format!(
            "Requested resource not found: Index: {name} not found for table: {table}"
        ))),
    }
}

/// Tells what is recorded.
pub(crate) fn describe_insights(
    call: &Call,
    view: &View,
    input: DescribeContributorInsightsInput,
) -> Result<DescribeContributorInsightsOutput, Error> {
    let address = Address::parse(call, &input.table_name)?;
    let table = named(call, view, &address)?;
    check_index(&table.row, &table.name, input.index_name.as_deref())?;
    let known = find(&table.row, input.index_name.as_deref());
    Ok(DescribeContributorInsightsOutput {
        table_name: Some(table.name.clone()),
        contributor_insights_status: Some(status(known.is_some_and(|known| known.enabled))),
        contributor_insights_mode: known.map(|known| known.mode.as_str().into()),
        last_update_date_time: known.map(|known| Timestamp(known.updated_ms)),
        index_name: input.index_name,
        contributor_insights_rule_list: None,
        failure_exception: None,
    })
}

fn status(enabled: bool) -> ContributorInsightsStatus {
    match enabled {
        true => ContributorInsightsStatus::Enabled,
        false => ContributorInsightsStatus::Disabled,
    }
}

/// Lists where insights are on: a table before its indexes. A page goes through so many tables, and may be empty.
pub(crate) fn list_insights(
    call: &Call,
    view: &View,
    input: ListContributorInsightsInput,
) -> Result<ListContributorInsightsOutput, Error> {
    let limit = input
        .max_results
        .map_or(LIST_MAX, |max| max.unsigned_abs() as usize);
    let mut summaries = Vec::new();
    let mut next_token = None;
    if let Some(name) = &input.table_name {
        let address = Address::parse(call, name)?;
        let table = named(call, view, &address)?;
        summaries = summaries_of(&table.name, &table.row);
    } else {
        let owned = |text: &str| std::borrow::Cow::<'static, str>::Owned(text.to_owned());
        let owner = (owned(&call.account), owned(&call.region));
        let start = input
            .next_token
            .map(|name| (owner.0.clone(), owner.1.clone(), owned(&name)));
        let after = start.as_ref();
        let after = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut tables = TABLES.scan_from(view, &owner, after).peekable();
        for row in tables.by_ref().take(limit) {
            let ((_, _, name), row) = row?;
            summaries.extend(summaries_of(&name, &row));
            next_token = Some(name.into_owned());
        }
        next_token = next_token.filter(|_| tables.peek().is_some());
    }
    Ok(ListContributorInsightsOutput {
        contributor_insights_summaries: Some(summaries),
        next_token,
    })
}

fn summaries_of(table: &str, row: &TableRow) -> Vec<ContributorInsightsSummary> {
    let mut enabled: Vec<_> = row.insights.iter().filter(|row| row.enabled).collect();
    enabled.sort_by_key(|row| &row.index);
    let summary = |row: &InsightsRow| ContributorInsightsSummary {
        table_name: Some(table.to_owned()),
        index_name: row.index.clone(),
        contributor_insights_status: Some(ContributorInsightsStatus::Enabled),
        contributor_insights_mode: Some(row.mode.as_str().into()),
    };
    enabled.into_iter().map(summary).collect()
}
