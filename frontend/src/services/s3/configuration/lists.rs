//! Configurations that a bucket has many of, by id: inventories, analytics, metrics, intelligent tiering. They are kept
//! and shown; no report is written, nothing is measured, no object moves between tiers.

use super::error::ConfigurationError;
use super::{Kind, check_values, model, require_bucket};
use crate::call::Call;
use crate::service::Service;
use crate::services::s3::error::S3Error;
use cumulog_engine::{Txn, View};
use cumulog_model::s3::{
    AnalyticsConfiguration, IntelligentTieringConfiguration, InventoryConfiguration,
    MetricsConfiguration,
};

const INVENTORY: Kind<InventoryConfiguration> = Kind::new("inventory");
const ANALYTICS: Kind<AnalyticsConfiguration> = Kind::new("analytics");
const METRICS: Kind<MetricsConfiguration> = Kind::new("metrics");
const TIERING: Kind<IntelligentTieringConfiguration> = Kind::new("intelligent-tiering");

/// Most configurations of a kind that a bucket may have.
const COUNT_MAX: usize = 1000;

/// Most of them in one answer.
const PAGE: usize = 100;

pub(super) fn register(service: Service) -> Service {
    service
        .write::<model::PutBucketInventoryConfiguration, _>(inventory::put)
        .read::<model::GetBucketInventoryConfiguration, _>(inventory::get)
        .write::<model::DeleteBucketInventoryConfiguration, _>(inventory::delete)
        .read::<model::ListBucketInventoryConfigurations, _>(inventory::list)
        .write::<model::PutBucketAnalyticsConfiguration, _>(analytics::put)
        .read::<model::GetBucketAnalyticsConfiguration, _>(analytics::get)
        .write::<model::DeleteBucketAnalyticsConfiguration, _>(analytics::delete)
        .read::<model::ListBucketAnalyticsConfigurations, _>(analytics::list)
        .write::<model::PutBucketMetricsConfiguration, _>(metrics::put)
        .read::<model::GetBucketMetricsConfiguration, _>(metrics::get)
        .write::<model::DeleteBucketMetricsConfiguration, _>(metrics::delete)
        .read::<model::ListBucketMetricsConfigurations, _>(metrics::list)
        .write::<model::PutBucketIntelligentTieringConfiguration, _>(tiering::put)
        .read::<model::GetBucketIntelligentTieringConfiguration, _>(tiering::get)
        .write::<model::DeleteBucketIntelligentTieringConfiguration, _>(tiering::delete)
        .read::<model::ListBucketIntelligentTieringConfigurations, _>(tiering::list)
}

fn check_id(given: &str, own: &str) -> Result<(), S3Error> {
    let spelled = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if given != own {
        return Err(ConfigurationError::OtherId.into());
    }
    if given.is_empty() || given.len() > 64 || !given.bytes().all(spelled) {
        return Err(ConfigurationError::BadId.into());
    }
    Ok(())
}

/// The four handlers of a kind, in a module of its own. By name, as all inputs have the members.
macro_rules! listed {
    ($module:ident, $put:ident, $get:ident, $delete:ident, $list:ident, $member:ident, $items:ident, $kind:expr, $check:expr) => {
        mod $module {
            use super::super::{Input, Output};
            use super::*;

            pub(super) fn put(
                _: &Call,
                txn: &mut Txn,
                input: Input<model::$put>,
            ) -> Result<Output<model::$put>, S3Error> {
                require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
                let configuration = input.$member;
                check_values(&configuration)?;
                check_id(&input.id, &configuration.id)?;
                $check(&configuration)?;
                let is_new = $kind.get_named(txn, &input.bucket, &input.id)?.is_none();
                if is_new && $kind.count(txn, &input.bucket)? >= COUNT_MAX {
                    return Err(ConfigurationError::TooMany.into());
                }
                $kind.put_named(txn, &input.bucket, &input.id, &configuration);
                Ok(Default::default())
            }

            pub(super) fn get(
                _: &Call,
                view: &View,
                input: Input<model::$get>,
            ) -> Result<Output<model::$get>, S3Error> {
                require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
                let found = $kind.get_named(view, &input.bucket, &input.id)?;
                let mut output = Output::<model::$get>::default();
                output.$member = Some(found.ok_or(ConfigurationError::NoSuchId)?);
                Ok(output)
            }

            pub(super) fn delete(
                _: &Call,
                txn: &mut Txn,
                input: Input<model::$delete>,
            ) -> Result<Output<model::$delete>, S3Error> {
                require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
                match $kind.delete_named(txn, &input.bucket, &input.id) {
                    true => Ok(Default::default()),
                    false => Err(ConfigurationError::NoSuchId.into()),
                }
            }

            /// In pages, by id. The token is the last id that was listed.
            pub(super) fn list(
                _: &Call,
                view: &View,
                input: Input<model::$list>,
            ) -> Result<Output<model::$list>, S3Error> {
                require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
                let token = input.continuation_token;
                let after = token.as_deref().unwrap_or_default();
                let (page, next) = $kind.page(view, &input.bucket, after, PAGE)?;
                let mut output = Output::<model::$list>::default();
                output.is_truncated = Some(next.is_some());
                output.continuation_token = token;
                output.next_continuation_token = next;
                output.$items = Some(page).filter(|page| !page.is_empty());
                Ok(output)
            }
        }
    };
}

listed!(
    inventory,
    PutBucketInventoryConfiguration,
    GetBucketInventoryConfiguration,
    DeleteBucketInventoryConfiguration,
    ListBucketInventoryConfigurations,
    inventory_configuration,
    inventory_configuration_list,
    INVENTORY,
    check_inventory
);
listed!(
    analytics,
    PutBucketAnalyticsConfiguration,
    GetBucketAnalyticsConfiguration,
    DeleteBucketAnalyticsConfiguration,
    ListBucketAnalyticsConfigurations,
    analytics_configuration,
    analytics_configuration_list,
    ANALYTICS,
    check_analytics
);
listed!(
    metrics,
    PutBucketMetricsConfiguration,
    GetBucketMetricsConfiguration,
    DeleteBucketMetricsConfiguration,
    ListBucketMetricsConfigurations,
    metrics_configuration,
    metrics_configuration_list,
    METRICS,
    check_metrics
);
listed!(
    tiering,
    PutBucketIntelligentTieringConfiguration,
    GetBucketIntelligentTieringConfiguration,
    DeleteBucketIntelligentTieringConfiguration,
    ListBucketIntelligentTieringConfigurations,
    intelligent_tiering_configuration,
    intelligent_tiering_configuration_list,
    TIERING,
    check_tiering
);

/// A report's destination is named by its ARN.
fn check_destination(bucket: &str) -> Result<(), S3Error> {
    match bucket.strip_prefix("arn:aws:s3:::") {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err(ConfigurationError::BadDestination.into()),
    }
}

fn check_inventory(configuration: &InventoryConfiguration) -> Result<(), S3Error> {
    check_destination(&configuration.destination.s3_bucket_destination.bucket)
}

fn check_analytics(configuration: &AnalyticsConfiguration) -> Result<(), S3Error> {
    if let Some(filter) = &configuration.filter {
        check_filter([
            filter.prefix.is_some(),
            filter.tag.is_some(),
            filter.and.is_some(),
        ])?;
    }
    match &configuration.storage_class_analysis.data_export {
        Some(export) => check_destination(&export.destination.s3_bucket_destination.bucket),
        None => Ok(()),
    }
}

fn check_metrics(configuration: &MetricsConfiguration) -> Result<(), S3Error> {
    match &configuration.filter {
        Some(filter) => check_filter([
            filter.prefix.is_some(),
            filter.tag.is_some(),
            filter.access_point_arn.is_some(),
            filter.and.is_some(),
        ]),
        None => Ok(()),
    }
}

/// A filter is one thing; several are joined by `And`.
fn check_filter<const N: usize>(given: [bool; N]) -> Result<(), S3Error> {
    match given.iter().filter(|given| **given).count() {
        1 => Ok(()),
        _ => Err(S3Error::MalformedXml),
    }
}

/// Days before an object goes to the archive, and to the deep one.
const ARCHIVE_DAYS_MIN: i32 = 90;
const DEEP_ARCHIVE_DAYS_MIN: i32 = 180;
const DAYS_MAX: i32 = 730;

fn check_tiering(configuration: &IntelligentTieringConfiguration) -> Result<(), S3Error> {
    if configuration.tierings.is_empty() {
        return Err(S3Error::MalformedXml);
    }
    let mut seen = Vec::new();
    for tier in &configuration.tierings {
        let days_min = match tier.access_tier.as_str() {
            "DEEP_ARCHIVE_ACCESS" => DEEP_ARCHIVE_DAYS_MIN,
            _ => ARCHIVE_DAYS_MIN,
        };
        if seen.contains(&tier.access_tier.as_str()) || !(days_min..=DAYS_MAX).contains(&tier.days)
        {
            return Err(S3Error::MalformedXml);
        }
        seen.push(tier.access_tier.as_str());
    }
    Ok(())
}
