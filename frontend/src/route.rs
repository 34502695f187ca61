//! Which service a request is for, which protocol it speaks, which operation it names.
//!
//! The strongest sign wins: the credential scope's service, then `X-Amz-Target`, the
//! path of Smithy RPC v2, the query protocol's `Action`, the host's first label; what
//! is left is S3. What is unknown is answered by its own name, in the protocol that
//! the request seems to speak, never as a bucket that does not exist.

use std::net::IpAddr;

use cumulog_shape::{OperationRoute, Protocol};
use http::{HeaderMap, Method};

use crate::{
    failure::Failure,
    http::query_value,
    service::{Service, Services},
    sigv4::Credential,
};

/// The signs of a request.
#[derive(Clone, Copy)]
pub(crate) struct Signs<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) credential: Option<&'a Credential<'a>>,
    /// Where the request came from.
    pub(crate) peer: Option<IpAddr>,
    /// The body, when it is a form and was read to find the service.
    pub(crate) form: Option<&'a str>,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route<'a> {
    pub(crate) service: &'a Service,
    pub(crate) protocol: Protocol,
}

/// A request that goes nowhere, and the protocol that its failure is written in.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) protocol: Protocol,
    pub(crate) failure: Failure,
}

impl<'a> Signs<'a> {
    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `(prefix, operation)` of `X-Amz-Target`.
    pub(crate) fn target(&self) -> Option<(&'a str, &'a str)> {
        self.header("x-amz-target")?.rsplit_once('.')
    }

    /// `(service, operation)` of a Smithy RPC v2 path.
    pub(crate) fn smithy_path(&self) -> Option<(&'a str, &'a str)> {
        let (service, operation) = self
            .path
            .strip_prefix("/service/")?
            .split_once("/operation/")?;
        Some((service, operation)).filter(|_| !operation.contains('/'))
    }

    fn speaks_cbor(&self) -> bool {
        self.header("smithy-protocol") == Some("rpc-v2-cbor")
    }

    /// Whether the body is a form, in which a query protocol's `Action` may stand.
    pub(crate) fn has_form(&self) -> bool {
        self.method == Method::POST
            && self
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
    }

    /// The query protocol's `Action`.
    pub(crate) fn action(&self) -> Option<String> {
        self.parameter("Action")
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let find = |form: Option<&str>| query_value(form?, name);
        find(self.form).or_else(|| find(self.query))
    }

    /// Whether only the form can tell the service: it must be read before [`find`].
    pub(crate) fn needs_form(&self) -> bool {
        self.credential.is_none()
            && self.has_form()
            && self.target().is_none()
            && !self.speaks_cbor()
    }

    /// The protocol of a REST request for a service that we do not know.
    fn rest_protocol(&self) -> Protocol {
        let scope = self
            .credential
            .map_or("", |credential| &*credential.service);
        if scope.is_empty() || REST_XML_SCOPES.contains(&scope) {
            Protocol::RestXml
        } else {
            Protocol::RestJson
        }
    }

    /// The protocol that the request seems to speak, whoever it is for.
    fn protocol(&self) -> Option<Protocol> {
        if self.speaks_cbor() {
            return Some(Protocol::Cbor);
        }
        let kind = self.header("content-type").unwrap_or("");
        if kind.starts_with("application/x-amz-json-1.1") {
            Some(Protocol::Json11)
        } else if kind.starts_with("application/x-amz-json") || self.target().is_some() {
            Some(Protocol::Json10)
        } else if self.has_form() || self.action().is_some() {
            Some(Protocol::Query)
        } else {
            None
        }
    }
}

/// The signing names of AWS's services of REST and XML. All its other REST services speak JSON.
const REST_XML_SCOPES: &[&str] = &[
    "s3",
    "s3express",
    "s3-object-lambda",
    "s3-outposts",
    "cloudfront",
    "route53",
];

/// Finds the service and protocol of a request.
pub(crate) fn find<'a>(services: &'a Services, signs: &Signs<'_>) -> Result<Route<'a>, Lost> {
    let protocol = signs.protocol();
    let service = find_service(services, signs).map_err(|failure| Lost {
        protocol: protocol.unwrap_or_else(|| signs.rest_protocol()),
        failure,
    })?;
    let rest = service
        .schema
        .protocols
        .iter()
        .copied()
        .find(|p| matches!(p, Protocol::RestXml | Protocol::RestJson));
    // A REST service binds any body, a form too. A request without any sign is a query
    // without its action, where the service speaks that.
    let bare = if service.schema.speaks(Protocol::Query) {
        Protocol::Query
    } else {
        service.schema.protocols[0]
    };
    // A form to a service that never spoke the query protocol is no query.
    let protocol =
        protocol.filter(|&spoken| spoken != Protocol::Query || service.schema.speaks(spoken));
    let protocol = rest.or(protocol).unwrap_or(bare);
    Ok(Route { service, protocol })
}

fn find_service<'a>(services: &'a Services, signs: &Signs<'_>) -> Result<&'a Service, Failure> {
    let by = |test: &dyn Fn(&Service) -> bool| services.iter().find(|service| test(service));
    if let Some(credential) = signs
        .credential
        .filter(|credential| !credential.service.is_empty())
    {
        let prefix = signs.target().map(|(prefix, _)| prefix);
        let scope = &*credential.service;
        return by(&|service| {
            service.schema.signing_name == scope && service.schema.target_prefix == prefix
        })
        .or_else(|| by(&|service| service.schema.signing_name == scope))
        .ok_or_else(|| unknown_service(services, scope, signs));
    }
    if let Some((prefix, _)) = signs.target() {
        return by(&|service| service.schema.target_prefix == Some(prefix))
            .ok_or_else(|| unknown_service(services, prefix, signs));
    }
    if signs.speaks_cbor() {
        let (name, _) = signs.smithy_path().ok_or_else(unknown_path)?;
        return by(&|service| is_called(service, name))
            .ok_or_else(|| unknown_service(services, name, signs));
    }
    if let Some(action) = signs.action() {
        let version = signs.parameter("Version");
        let fits = |service: &Service| {
            service.schema.speaks(Protocol::Query)
                && service.schema.operation(&action).is_some()
                && version
                    .as_deref()
                    .is_none_or(|version| version == service.schema.api_version)
        };
        return by(&fits).ok_or_else(|| unknown_action(&action, version.as_deref()));
    }
    let host_label = signs
        .header("host")
        .and_then(|host| host.split('.').next())
        .unwrap_or("");
    by(&|service| service.schema.endpoint_prefix == host_label)
        .or_else(|| by(&|service| service.schema.name == "s3"))
        .ok_or_else(|| unknown_service(services, "s3", signs))
}

/// Whether Smithy RPC v2 calls `service` by `name`.
pub(crate) fn is_called(service: &Service, name: &str) -> bool {
    service.schema.target_prefix == Some(name) || service.schema.id.replace(' ', "") == name
}

fn unknown_service(services: &Services, name: &str, signs: &Signs<'_>) -> Failure {
    let operation = signs
        .target()
        .or(signs.smithy_path())
        .map(|(_, operation)| operation.to_owned());
    let asked = match operation.or_else(|| signs.action()) {
        Some(operation) => format!("{name}.{operation}"),
        None => name.to_owned(),
    };
    let answering: Vec<_> = services.iter().map(|service| service.schema.name).collect();
    let message = format!(
        "cumulog does not answer for {asked}; it answers for {}",
        answering.join(", ")
    );
    Failure::sender("NotImplemented", 501, message)
}

fn unknown_action(action: &str, version: Option<&str>) -> Failure {
    let message = match version {
        Some(version) => format!("Could not find operation {action} for version {version}"),
        None => format!("The action {action} is not valid for this endpoint."),
    };
    Failure::sender("InvalidAction", 400, message)
}

fn unknown_path() -> Failure {
    Failure::sender(
        "UnknownOperationException",
        404,
        "The path is not /service/{service}/operation/{operation}.",
    )
}

/// The operation that a request to an RPC service names.
pub(crate) fn operation(
    route: Route<'_>,
    signs: &Signs<'_>,
) -> Result<&'static OperationRoute, Failure> {
    let schema = route.service.schema;
    let named = match route.protocol {
        Protocol::Cbor => signs
            .smithy_path()
            .map(|(_, operation)| operation.to_owned()),
        Protocol::Query | Protocol::Ec2 => signs.action(),
        _ => signs
            .target()
            .filter(|(prefix, _)| schema.target_prefix == Some(prefix))
            .map(|(_, operation)| operation.to_owned()),
    };
    if let Some(operation) = named.as_deref().and_then(|name| schema.operation(name)) {
        return Ok(operation);
    }
    match (named, route.protocol) {
        (None, Protocol::Query | Protocol::Ec2) => Err(Failure::sender(
            "MissingAction",
            400,
            "The request must contain the parameter Action",
        )),
        (Some(name), Protocol::Query | Protocol::Ec2) => {
            Err(unknown_action(&name, Some(schema.api_version)))
        }
        (named, _) => {
            let named = named
                .or_else(|| signs.header("x-amz-target").map(str::to_owned))
                .unwrap_or_default();
            let message = format!("{} has no operation `{named}`", schema.id);
            Err(Failure::sender("UnknownOperationException", 400, message))
        }
    }
}

/// What an operation is answered that the model has and we do not.
pub(crate) fn not_implemented(service: &Service, operation: &str) -> Failure {
    let name = service.schema.name;
    let message = match service.reason(operation) {
        None => format!("cumulog does not implement {name}.{operation}"),
        Some(reason) => format!("cumulog does not implement {name}.{operation}: {reason}"),
    };
    Failure::sender("NotImplemented", 501, message)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::sigv4;

    const SIGNED_SQS: &str = "authorization: AWS4-HMAC-SHA256 Credential=any/20261122/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=00";
    const SIGNED_LAMBDA: &str = "authorization: AWS4-HMAC-SHA256 Credential=any/20261122/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00";
    const SIGNED_S3: &str = "authorization: AWS4-HMAC-SHA256 Credential=any/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00";
    const SIGNED_DYNAMODB: &str = "authorization: AWS4-HMAC-SHA256 Credential=any/20261122/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00";
    const FORM: &str = "content-type: application/x-www-form-urlencoded";
    const JSON: &str = "content-type: application/x-amz-json-1.0";

    /// Routes `METHOD /path?query` with `headers` and a form; says `service protocol
    /// operation`, or the failure's code and the protocol that it is written in.
    fn routed(request: &str, headers: &[&str], form: &str) -> String {
        let (method, target) = request.split_once(' ').expect("the test's own");
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(path, query)| (path, Some(query)));
        let headers = headers.iter().map(|line| {
            let (name, value) = line.split_once(": ").expect("the test's own");
            let name: HeaderName = name.parse().expect("the test's own");
            (name, HeaderValue::from_str(value).expect("the test's own"))
        });
        let headers: HeaderMap = headers.collect();
        let credential = sigv4::from_request(&headers, query);
        let method: Method = method.parse().expect("the test's own");
        let form = Some(form).filter(|form| !form.is_empty());
        let signs = Signs {
            method: &method,
            path,
            query,
            headers: &headers,
            credential: credential.as_ref(),
            peer: None,
            form,
        };
        let services = crate::services::all();
        let route = match find(&services, &signs) {
            Ok(route) => route,
            Err(lost) => return format!("{} {:?}", lost.failure.code, lost.protocol),
        };
        let operation = match route.protocol {
            Protocol::RestXml => "-",
            _ => match operation(route, &signs) {
                Ok(operation) => operation.name,
                Err(failure) => return format!("{} {:?}", failure.code, route.protocol),
            },
        };
        format!(
            "{} {:?} {operation}",
            route.service.schema.name, route.protocol
        )
    }

    #[test]
    fn the_strongest_sign_wins() {
        let check = |request, headers: &[&str], form, expected: &str| {
            assert_eq!(
                routed(request, headers, form),
                expected,
                "{request} {headers:?} {form}"
            );
        };
        let target = "x-amz-target: AmazonSQS.SendMessage";
        check(
            "POST /",
            &[SIGNED_SQS, target, JSON],
            "",
            "sqs Json10 SendMessage",
        );
        check("POST /", &[target, JSON], "", "sqs Json10 SendMessage");
        // Two services have one signing name.
        for (target, expected) in [
            ("DynamoDB_20120810.ListTables", "dynamodb Json10 ListTables"),
            (
                "DynamoDBStreams_20120810.ListStreams",
                "dynamodbstreams Json10 ListStreams",
            ),
        ] {
            let target = format!("x-amz-target: {target}");
            check("POST /", &[SIGNED_DYNAMODB, &target, JSON], "", expected);
        }
        check(
            "POST /",
            &[SIGNED_SQS, FORM],
            "Action=SendMessage",
            "sqs Query SendMessage",
        );
        check(
            "POST /",
            &[FORM],
            "Action=SendMessage&Version=2012-11-05",
            "sqs Query SendMessage",
        );
        check(
            "POST /",
            &[FORM],
            "Action=GetCallerIdentity",
            "sts Query GetCallerIdentity",
        );
        check(
            "GET /000000000000/q?Action=ReceiveMessage",
            &[],
            "",
            "sqs Query ReceiveMessage",
        );
        check(
            "POST /service/AmazonSQS/operation/SendMessage",
            &["smithy-protocol: rpc-v2-cbor"],
            "",
            "sqs Cbor SendMessage",
        );
        check(
            "POST /service/SQS/operation/SendMessage",
            &["smithy-protocol: rpc-v2-cbor"],
            "",
            "sqs Cbor SendMessage",
        );
        check(
            "GET /",
            &["host: sqs.us-east-1.amazonaws.com"],
            "",
            "MissingAction Query",
        );
        check("GET /bucket/key", &[], "", "s3 RestXml -");
        check(
            "POST /bucket?delete",
            &[SIGNED_S3, FORM],
            "",
            "s3 RestXml -",
        );
    }

    #[test]
    fn what_is_unknown_is_named_in_its_own_protocol() {
        let check = |request, headers: &[&str], form, expected: &str| {
            assert_eq!(
                routed(request, headers, form),
                expected,
                "{request} {headers:?} {form}"
            );
        };
        check(
            "POST /",
            &[SIGNED_LAMBDA, JSON],
            "",
            "NotImplemented Json10",
        );
        check(
            "GET /2015-03-31/functions",
            &[SIGNED_LAMBDA],
            "",
            "NotImplemented RestJson",
        );
        check(
            "POST /",
            &[SIGNED_DYNAMODB, FORM],
            "Action=ListTables",
            "UnknownOperationException Json10",
        );
        check(
            "POST /",
            &["x-amz-target: Kinesis_20131202.PutRecord"],
            "",
            "NotImplemented Json10",
        );
        check(
            "POST /",
            &[FORM],
            "Action=PutMetricData&Version=2010-08-01",
            "InvalidAction Query",
        );
        check(
            "POST /",
            &["x-amz-target: AmazonSQS.Fly", JSON],
            "",
            "UnknownOperationException Json10",
        );
        check(
            "POST /",
            &[SIGNED_SQS, FORM],
            "Version=2012-11-05",
            "MissingAction Query",
        );
        check(
            "POST /",
            &[SIGNED_SQS, FORM],
            "Action=Fly",
            "InvalidAction Query",
        );
        check(
            "POST /service/Nothing/operation/Fly",
            &["smithy-protocol: rpc-v2-cbor"],
            "",
            "NotImplemented Cbor",
        );
        check(
            "POST /elsewhere",
            &["smithy-protocol: rpc-v2-cbor"],
            "",
            "UnknownOperationException Cbor",
        );
    }
}
