//! The website of a bucket: its configuration, and where that leads. The answers are written in `protocol/website.rs`.

use super::buckets::require_bucket;
use super::configuration::error::Missing;
use super::configuration::{Kind, check_values, delete, get, put};
use super::error::S3Error;
use super::names::path_encoded;
use super::rows::OBJECTS;
use crate::call::Call;
use crate::failure::Failure;
use crate::service::Service;
use cumulog_engine::{Read, Txn};
use cumulog_model::s3::{
    self as model, GetBucketWebsiteOutput, Redirect, RoutingRule, WebsiteConfiguration,
};

pub(super) const WEBSITE: Kind<WebsiteConfiguration> = Kind::new("website");

/// Most routing rules of a website.
const RULES_MAX: usize = 50;

pub(super) fn register(service: Service) -> Service {
    service
        .write::<model::PutBucketWebsite, _>(put_bucket_website)
        .read::<model::GetBucketWebsite, _>(get_bucket_website)
        .write::<model::DeleteBucketWebsite, _>(delete_bucket_website)
}

put!(
    put_bucket_website,
    PutBucketWebsite,
    website_configuration,
    WEBSITE,
    checked
);
get!(get_bucket_website, GetBucketWebsite, WEBSITE, shown);
delete!(delete_bucket_website, DeleteBucketWebsite, WEBSITE);

fn shown(
    bucket: &str,
    found: Option<WebsiteConfiguration>,
) -> Result<GetBucketWebsiteOutput, S3Error> {
    let configuration = found.ok_or_else(|| Missing::Website.in_bucket(bucket))?;
    Ok(GetBucketWebsiteOutput {
        redirect_all_requests_to: configuration.redirect_all_requests_to,
        index_document: configuration.index_document,
        error_document: configuration.error_document,
        routing_rules: configuration.routing_rules,
    })
}

fn checked(
    _: &Call,
    _: &mut Txn,
    _: &str,
    configuration: WebsiteConfiguration,
) -> Result<WebsiteConfiguration, S3Error> {
    if configuration.redirect_all_requests_to.is_some() {
        check_alone(&configuration)?;
    } else {
        check_documents(&configuration)?;
    }
    if let Some(rules) = &configuration.routing_rules {
        if rules.is_empty() {
            return Err(S3Error::MalformedXml);
        }
        if rules.len() > RULES_MAX {
            return Err(S3Error::request(format!(
                "{} routing rules provided, the number of routing rules in a website configuration is limited to \
                 {RULES_MAX}.",
                rules.len()
            )));
        }
        rules.iter().try_for_each(check_rule)?;
    }
    check_values(&configuration)?;
    Ok(configuration)
}

/// Who sends all requests elsewhere says nothing else.
fn check_alone(configuration: &WebsiteConfiguration) -> Result<(), S3Error> {
    let alone = configuration.index_document.is_none()
        && configuration.error_document.is_none()
        && configuration.routing_rules.is_none();
    match alone {
        true => Ok(()),
        false => Err(S3Error::argument(
            "RedirectAllRequestsTo",
            "not null",
            "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
        )),
    }
}

fn check_documents(configuration: &WebsiteConfiguration) -> Result<(), S3Error> {
    let Some(index) = &configuration.index_document else {
        let message =
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
        return Err(S3Error::argument("IndexDocument", "null", message));
    };
    if index.suffix.is_empty() || index.suffix.contains('/') {
        return Err(S3Error::argument(
            "IndexDocument",
            index.suffix.as_str(),
            "The IndexDocument Suffix is not well formed",
        ));
    }
    match &configuration.error_document {
        Some(error) if error.key.is_empty() => Err(S3Error::argument(
            "ErrorDocument",
            "",
            "The ErrorDocument Key is not well formed",
        )),
        _ => Ok(()),
    }
}

fn check_rule(rule: &RoutingRule) -> Result<(), S3Error> {
    let Redirect {
        host_name,
        http_redirect_code,
        protocol,
        replace_key_prefix_with,
        replace_key_with,
    } = &rule.redirect;
    if replace_key_prefix_with.is_some() && replace_key_with.is_some() {
        let message = "You can only define ReplaceKeyPrefix or ReplaceKey but not both.";
        return Err(S3Error::request(message));
    }
    if [
        host_name,
        http_redirect_code,
        replace_key_prefix_with,
        replace_key_with,
    ]
    .iter()
    .all(|part| part.is_none())
        && protocol.is_none()
    {
        return Err(S3Error::MalformedXml);
    }
    if let Some(code) = http_redirect_code
        && !is_status(code, 301..=399)
    {
        return Err(S3Error::request(format!(
            "The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300."
        )));
    }
    if protocol
        .as_ref()
        .is_some_and(|protocol| !["http", "https"].contains(&protocol.as_str()))
    {
        let message = "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected \
                       automatically.";
        return Err(S3Error::request(message));
    }
    let Some(condition) = &rule.condition else {
        return Ok(());
    };
    match &condition.http_error_code_returned_equals {
        None if condition.key_prefix_equals.is_none() => Err(S3Error::request(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't \
             be present.",
        )),
        Some(code) if !is_status(code, 400..=599) => Err(S3Error::request(format!(
            "The provided HTTP error code ({code}) is not valid. Valid codes are 4XX or 5XX."
        ))),
        _ => Ok(()),
    }
}

/// The website of a bucket.
pub(crate) struct Site(WebsiteConfiguration);

/// Where a browser is sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) status: u16,
    pub(crate) location: String,
}

impl Site {
    /// Of a bucket that has one.
    pub(crate) fn of(read: &impl Read, bucket: &str) -> Result<Site, Failure> {
        require_bucket(read, bucket, None)?;
        let found = WEBSITE.get(read, bucket)?;
        Ok(Site(
            found.ok_or_else(|| Missing::Website.in_bucket(bucket))?,
        ))
    }

    /// Where a request is sent before anything is looked up.
    pub(crate) fn before(&self, key: &str, host: &str, query: Option<&str>) -> Option<Target> {
        if let Some(all) = &self.0.redirect_all_requests_to {
            let scheme = all
                .protocol
                .as_ref()
                .map_or("http", |protocol| protocol.as_str());
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            return Some(Target {
                status: 301,
                location: format!("{scheme}://{}/{}{query}", all.host_name, path_encoded(key)),
            });
        }
        self.rule(key, None).map(|rule| target(rule, key, host))
    }

    /// Where a request that failed is sent.
    pub(crate) fn after(&self, key: &str, host: &str, status: u16) -> Option<Target> {
        self.rule(key, Some(status))
            .map(|rule| target(rule, key, host))
    }

    /// The first rule for a key, and for the status of a failure.
    fn rule(&self, key: &str, status: Option<u16>) -> Option<&RoutingRule> {
        let status = status.map(|status| status.to_string());
        let fits = |rule: &&RoutingRule| {
            let condition = rule.condition.as_ref();
            let prefix = condition.and_then(|condition| condition.key_prefix_equals.as_deref());
            let code = condition
                .and_then(|condition| condition.http_error_code_returned_equals.as_deref());
            code == status.as_deref() && prefix.is_none_or(|prefix| key.starts_with(prefix))
        };
        self.0.routing_rules.iter().flatten().find(fits)
    }

    fn suffix(&self) -> &str {
        self.0
            .index_document
            .as_ref()
            .map_or("", |index| &index.suffix)
    }

    /// The object that answers for `key`: in folders, their index.
    pub(crate) fn document(&self, key: &str) -> String {
        match key.is_empty() || key.ends_with('/') {
            true => format!("{key}{}", self.suffix()),
            false => key.to_owned(),
        }
    }

    /// Whether there is a folder called `key`, with an index.
    pub(crate) fn has_folder(
        &self,
        read: &impl Read,
        bucket: &str,
        key: &str,
    ) -> Result<bool, Failure> {
        if key.is_empty() || key.ends_with('/') {
            return Ok(false);
        }
        let index = (bucket.to_owned(), format!("{key}/{}", self.suffix()));
        Ok(OBJECTS.contains(read, &index))
    }

    pub(crate) fn error_document(&self) -> Option<&str> {
        Some(&self.0.error_document.as_ref()?.key)
    }
}

fn target(rule: &RoutingRule, key: &str, host: &str) -> Target {
    let redirect = &rule.redirect;
    let prefix = rule
        .condition
        .as_ref()
        .and_then(|condition| condition.key_prefix_equals.as_deref());
    let key = match (
        &redirect.replace_key_with,
        &redirect.replace_key_prefix_with,
    ) {
        (Some(with), _) => with.clone(),
        (None, Some(with)) => {
            let rest = key.strip_prefix(prefix.unwrap_or_default()).unwrap_or(key);
            format!("{with}{rest}")
        }
        (None, None) => key.to_owned(),
    };
    let scheme = redirect
        .protocol
        .as_ref()
        .map_or("http", |protocol| protocol.as_str());
    let host = redirect.host_name.as_deref().unwrap_or(host);
    let code = redirect.http_redirect_code.as_deref();
    Target {
        status: code.and_then(|code| code.parse().ok()).unwrap_or(301),
        location: format!("{scheme}://{host}/{}", path_encoded(&key)),
    }
}

fn is_status(text: &str, valid: std::ops::RangeInclusive<u16>) -> bool {
    text.len() == 3 && text.parse().is_ok_and(|code| valid.contains(&code))
}
