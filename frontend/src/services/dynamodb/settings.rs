//! DescribeContinuousBackups: they are off for every table, and what would turn them on is refused by name. Infrastructure
//! tools ask for them whenever they look at a table.

use cumulog_engine::View;
use cumulog_model::dynamodb as model;
use model::{DescribeContinuousBackupsInput, DescribeContinuousBackupsOutput};

use super::address::Address;
use super::error::Error;
use super::schema::Table;
use crate::call::Call;

/// No table can be restored to a point in time. AWS calls continuous backups themselves always enabled.
pub(crate) fn describe_continuous_backups(
    call: &Call,
    view: &View,
    input: DescribeContinuousBackupsInput,
) -> Result<DescribeContinuousBackupsOutput, Error> {
    let address = Address::parse(call, &input.table_name)?;
    if Table::find(call, view, &address)?.is_none() {
        return Err(Error::NoTableToBackUp(address.name.to_string()));
    }
    let description = model::ContinuousBackupsDescription {
        continuous_backups_status: model::ContinuousBackupsStatus::Enabled,
        point_in_time_recovery_description: Some(model::PointInTimeRecoveryDescription {
            point_in_time_recovery_status: Some(model::PointInTimeRecoveryStatus::Disabled),
            ..Default::default()
        }),
    };
    Ok(DescribeContinuousBackupsOutput {
        continuous_backups_description: Some(description),
    })
}
