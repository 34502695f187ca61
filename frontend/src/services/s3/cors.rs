//! CORS: which web pages may read a bucket's answers, by the bucket's own rules.
//!
//! The first rule that fits a request's origin, method and headers decides. A request that none fits is answered all the
//! same, without the headers that would let the browser show the answer to the page; only a preflight is refused.

use super::configuration::error::{ConfigurationError, Missing};
use super::configuration::{Kind, delete, get, put};
use super::error::S3Error;
use crate::call::Call;
use crate::failure::Failure;
use crate::service::Service;
use cumulog_engine::{Read, Txn};
use cumulog_model::s3::{self as model, CORSConfiguration, CORSRule, GetBucketCorsOutput};
use http::{HeaderMap, HeaderName, HeaderValue, header};

const CORS: Kind<CORSConfiguration> = Kind::new("cors");

/// Most rules of a bucket.
const RULES_MAX: usize = 100;

/// The methods that a rule may allow.
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

pub(super) fn register(service: Service) -> Service {
    service
        .write::<model::PutBucketCors, _>(put_bucket_cors)
        .read::<model::GetBucketCors, _>(get_bucket_cors)
        .write::<model::DeleteBucketCors, _>(delete_bucket_cors)
}

put!(
    put_bucket_cors,
    PutBucketCors,
    cors_configuration,
    CORS,
    checked
);
get!(get_bucket_cors, GetBucketCors, CORS, shown);
delete!(delete_bucket_cors, DeleteBucketCors, CORS);

fn shown(bucket: &str, found: Option<CORSConfiguration>) -> Result<GetBucketCorsOutput, S3Error> {
    let configuration = found.ok_or_else(|| Missing::Cors.in_bucket(bucket))?;
    Ok(GetBucketCorsOutput {
        cors_rules: Some(configuration.cors_rules),
    })
}

fn checked(
    _: &Call,
    _: &mut Txn,
    _: &str,
    configuration: CORSConfiguration,
) -> Result<CORSConfiguration, S3Error> {
    if configuration.cors_rules.is_empty() {
        return Err(S3Error::MalformedXml);
    }
    if configuration.cors_rules.len() > RULES_MAX {
        return Err(S3Error::request(format!(
            "The number of CORS rules should not exceed allowed limit of {RULES_MAX} rules."
        )));
    }
    configuration.cors_rules.iter().try_for_each(check_rule)?;
    Ok(configuration)
}

fn check_rule(rule: &CORSRule) -> Result<(), S3Error> {
    if let Some(method) = (rule.allowed_methods.iter()).find(|m| !METHODS.contains(&m.as_str())) {
        return Err(ConfigurationError::CorsMethod(method.clone()).into());
    }
    if rule
        .id
        .as_deref()
        .is_some_and(|id| id.chars().count() > 255)
    {
        let message = "ID length should not exceed allowed limit of 255";
        return Err(S3Error::request(message));
    }
    let headers = rule.allowed_headers.iter().flatten();
    let patterns = (rule
        .allowed_origins
        .iter()
        .map(|origin| ("AllowedOrigin", origin)))
    .chain(headers.map(|header| ("AllowedHeader", header)));
    for (name, pattern) in patterns {
        if pattern.matches('*').count() > 1 {
            let message = format!("{name} \"{pattern}\" can not have more than one wildcard.");
            return Err(S3Error::request(message));
        }
    }
    match (rule.expose_headers.iter().flatten()).find(|header| header.contains('*')) {
        None => Ok(()),
        Some(header) => Err(S3Error::request(format!(
            "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
        ))),
    }
}

/// What a bucket has to say about requests from web pages.
pub(crate) struct Policy {
    /// `None`: nothing; the bucket has no rules, or there is no such bucket.
    rules: Option<Vec<CORSRule>>,
    exists: bool,
}

impl Policy {
    /// Of the bucket called `bucket`.
    pub(crate) fn of(read: &impl Read, bucket: &str) -> Result<Policy, Failure> {
        Ok(Policy {
            rules: CORS
                .get(read, bucket)?
                .map(|configuration| configuration.cors_rules),
            exists: super::buckets::is_there(read, bucket),
        })
    }

    /// Whether the bucket has rules.
    pub(crate) fn decides(&self) -> bool {
        self.rules.is_some()
    }

    /// The headers by which a page may read the answer to a request of `method` with `headers`; none if it may not.
    pub(crate) fn allow(&self, method: &str, headers: &HeaderMap) -> Option<HeaderMap> {
        let origin = text(headers, header::ORIGIN)?;
        // Who sends this along with the request itself is judged by it.
        let method = text(headers, header::ACCESS_CONTROL_REQUEST_METHOD).unwrap_or(method);
        let asked = asked_headers(headers);
        let rules = self.rules.as_deref().unwrap_or_default();
        let rule = rules
            .iter()
            .find(|rule| fits(rule, origin, method, &asked))?;
        Some(answer_headers(rule, origin, &asked))
    }

    /// Answers a preflight; `resource` is what the error calls the place.
    pub(crate) fn preflight(
        &self,
        headers: &HeaderMap,
        resource: &'static str,
    ) -> Result<HeaderMap, Failure> {
        if !headers.contains_key(header::ORIGIN) {
            let message = "Insufficient information. Origin request header needed.";
            return Err(Failure::sender("BadRequest", 400, message));
        }
        let Some(method) = text(headers, header::ACCESS_CONTROL_REQUEST_METHOD) else {
            let message = "Invalid Access-Control-Request-Method: null";
            return Err(Failure::sender("BadRequest", 400, message));
        };
        let message = match self {
            Policy { rules: Some(_), .. } => match self.allow(method, headers) {
                Some(allowed) => return Ok(allowed),
                None => {
                    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of \
                     Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are \
                     not whitelisted by the resource's CORS spec."
                }
            },
            Policy { exists: true, .. } => "CORSResponse: CORS is not enabled for this bucket.",
            Policy { exists: false, .. } => "CORSResponse: Bucket not found",
        };
        Err(Failure::sender("AccessForbidden", 403, message)
            .with("Method", method)
            .with("ResourceType", resource))
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The headers that the page wants to send, in lower case.
fn asked_headers(headers: &HeaderMap) -> Vec<String> {
    let asked = text(headers, header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    let names = asked
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty()).collect()
}

fn fits(rule: &CORSRule, origin: &str, method: &str, asked: &[String]) -> bool {
    let allowed = |name: &String| {
        let mut patterns = rule.allowed_headers.iter().flatten();
        patterns.any(|pattern| matches(&pattern.to_ascii_lowercase(), name))
    };
    rule.allowed_origins
        .iter()
        .any(|pattern| matches(pattern, origin))
        && rule.allowed_methods.iter().any(|allowed| allowed == method)
        && asked.iter().all(allowed)
}

/// Whether `text` is `pattern`, in which one star stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

fn answer_headers(rule: &CORSRule, origin: &str, asked: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut set = |name: HeaderName, value: &str| {
        // The values are those of the request's headers and of XML text; one that is no header is left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    // AWS answers an origin that a star stands for by the star, without leave to send credentials.
    let any = (rule.allowed_origins.iter())
        .find(|pattern| matches(pattern, origin))
        .is_some_and(|p| p == "*");
    set(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        if any { "*" } else { origin },
    );
    set(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        &rule.allowed_methods.join(", "),
    );
    if !any {
        set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    if !asked.is_empty() {
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, &asked.join(", "));
    }
    if let Some(exposed) = rule
        .expose_headers
        .as_ref()
        .filter(|exposed| !exposed.is_empty())
    {
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, &exposed.join(", "));
    }
    if let Some(seconds) = rule.max_age_seconds {
        set(header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
    }
    set(
        header::VARY,
        "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    );
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stands_for_anything() {
        let check = |pattern, text, expected| {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}")
        };
        check("*", "", true);
        check("*", "http://a", true);
        check("http://a", "http://a", true);
        check("http://a", "http://A", false);
        check("http://*.a", "http://b.a", true);
        check("http://*.a", "http://.a", true);
        check("http://*.a", "http://a", false);
        check("start*end", "startend", true);
        check("ab*ba", "aba", false);
        check("", "http://a", false);
    }
}
