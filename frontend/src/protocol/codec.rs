//! The protocols, told apart: bytes to inputs, outputs and failures to answers.

use std::collections::HashMap;

use bytes::Bytes;
use cumulog_shape::{
    BindError, Missing, OperationSchema, Protocol, ReadError, Struct, cbor,
    error::{self, ErrorReport},
    json, query,
    rest::{self, RestRequest},
    router::{Found, NoRoute, Router},
    uri,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::exchange::{Content, Source};
use crate::{
    failure::{Failure, Fault},
    hosts,
    http::Response,
    route::{Route, Signs},
    service::{Service, Services},
};

/// The REST routers, one for each service that has such a protocol.
pub(crate) struct Routers(HashMap<&'static str, Router>);

impl Routers {
    pub(crate) fn new(services: &Services) -> Self {
        let rest = services.iter().filter(|service| {
            let protocols = service.schema.protocols.iter();
            protocols
                .clone()
                .any(|p| matches!(p, Protocol::RestXml | Protocol::RestJson))
        });
        Self(
            rest.map(|service| (service.schema.name, Router::new(service.schema)))
                .collect(),
        )
    }

    /// The operation that a REST request names, with the labels of its path.
    pub(crate) fn find(&self, service: &Service, signs: &Signs<'_>) -> Result<Found, Failure> {
        let router = &self.0[service.schema.name];
        let path = match bucket_in_host(service, signs) {
            Some(bucket) => format!("/{bucket}{}", signs.path),
            None => signs.path.to_owned(),
        };
        let query = query_pairs(signs)?;
        router
            .find(signs.method.as_str(), &path, &query, signs.headers)
            .map_err(|none| match none {
                NoRoute::Encoding => invalid_uri(),
                NoRoute::Path | NoRoute::Method => {
                    let message = "The specified method is not allowed against this resource.";
                    Failure::sender("MethodNotAllowed", 405, message)
                        .with("Method", signs.method.as_str())
                        .with("ResourceType", resource_type(signs.path))
                }
            })
    }
}

fn bucket_in_host<'a>(service: &Service, signs: &Signs<'a>) -> Option<&'a str> {
    let host = signs.headers.get(header::HOST)?.to_str().ok()?;
    (service.schema.name == "s3")
        .then(|| hosts::bucket(host))
        .flatten()
}

fn resource_type(path: &str) -> &'static str {
    match path.trim_matches('/') {
        "" => "SERVICE",
        path if path.contains('/') => "OBJECT",
        _ => "BUCKET",
    }
}

type Pairs<'a> = Vec<(std::borrow::Cow<'a, str>, std::borrow::Cow<'a, str>)>;

fn query_pairs<'a>(signs: &Signs<'a>) -> Result<Pairs<'a>, Failure> {
    uri::pairs(signs.query.unwrap_or("")).ok_or_else(invalid_uri)
}

fn invalid_uri() -> Failure {
    Failure::sender("InvalidURI", 400, "Couldn't parse the specified URI.")
}

/// Whether the operation takes its body as it arrives.
pub(crate) fn streams(operation: &OperationSchema) -> bool {
    rest::streams(operation)
}

/// Reads an input; says which required members the request left out.
pub(crate) fn read(
    route: Route<'_>,
    operation: &OperationSchema,
    signs: &Signs<'_>,
    source: Source,
    input: &mut dyn Struct,
) -> Result<Missing, Failure> {
    match source {
        Source::Document(body) if route.protocol == Protocol::Cbor => {
            cbor::read(&body, input).map_err(|error| unreadable(route, &error))
        }
        Source::Document(body) => {
            json::read(&body, input).map_err(|error| unreadable(route, &error))
        }
        Source::Form(form) => query::read(&form, input)
            .map_err(|error| Failure::sender("MalformedInput", 400, error.to_string())),
        Source::Bound { labels, body } => {
            let query = query_pairs(signs)?;
            let body = match body {
                Content::Whole(bytes) => bytes.into(),
                Content::Stream(stream) => stream,
            };
            let request = RestRequest {
                labels: &labels,
                query: &query,
                headers: signs.headers,
                body,
            };
            rest::read(operation, request, input).map_err(unbound)
        }
    }
}

/// A document that is not of the model's types, in the words of AWS's common framework.
fn unreadable(route: Route<'_>, error: &ReadError) -> Failure {
    let message = error
        .message(route.service.schema.error_namespace)
        .unwrap_or_default();
    Failure::sender(ReadError::CODE, 400, message)
}

/// A REST request that is not of the model's types, in S3's words.
fn unbound(error: BindError) -> Failure {
    match error {
        BindError::Malformed(_) => {
            let message = "The XML you provided was not well-formed or did not validate against our published schema";
            Failure::sender("MalformedXML", 400, message)
        }
        BindError::Value {
            name, text, wanted, ..
        } => {
            let message = match wanted {
                "an integer" | "a long integer" => {
                    format!("Provided {name} not an integer or within integer range")
                }
                _ => format!("Invalid value for {name}"),
            };
            Failure::sender("InvalidArgument", 400, message)
                .with("ArgumentName", name)
                .with("ArgumentValue", text)
        }
    }
}

/// Most answers fit, and so are not copied while they grow.
const ANSWER_BYTES: usize = 512;

/// Writes an output as the answer.
pub(crate) fn write(
    route: Route<'_>,
    operation: &OperationSchema,
    output: &mut dyn Struct,
    request_id: &str,
) -> Result<Response, Failure> {
    let mut body = Vec::with_capacity(ANSWER_BYTES);
    match route.protocol {
        Protocol::RestXml | Protocol::RestJson => {
            let answer = rest::write(route.service.schema, operation, output);
            let mut response = Response::new(answer.body.into());
            *response.status_mut() = status(answer.status);
            *response.headers_mut() = answer.headers;
            Ok(response)
        }
        Protocol::Query | Protocol::Ec2 => {
            query::write(
                route.service.schema,
                operation,
                output,
                request_id,
                &mut body,
            );
            Ok(document("text/xml", body))
        }
        Protocol::Cbor => {
            let mut response = match operation.has_output {
                true => {
                    cbor::write(output, &mut body);
                    document("application/cbor", body)
                }
                false => Response::new(Bytes::new().into()),
            };
            mark_cbor(response.headers_mut());
            Ok(response)
        }
        Protocol::Json10 | Protocol::Json11 => {
            if operation.has_output {
                json::write(output, &mut body);
            }
            let crc = crc32fast::hash(&body);
            let mut response = document(json_type(route.protocol), body);
            response
                .headers_mut()
                .insert(HeaderName::from_static("x-amz-crc32"), crc.into());
            Ok(response)
        }
    }
}

fn document(kind: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Bytes::from(body).into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn json_type(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Json11 => "application/x-amz-json-1.1",
        _ => "application/x-amz-json-1.0",
    }
}

fn mark_cbor(headers: &mut HeaderMap) {
    headers.insert(
        HeaderName::from_static("smithy-protocol"),
        HeaderValue::from_static("rpc-v2-cbor"),
    );
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Writes a failure in the protocol's form; `service` is absent when the request's
/// could not be found.
pub(crate) fn write_failure(
    protocol: Protocol,
    service: Option<&Service>,
    failure: &Failure,
    request_id: &str,
    host_id: Option<&str>,
) -> Response {
    let report = ErrorReport {
        code: &failure.code,
        query_code: failure.query_code,
        status: failure.status,
        sender: failure.fault == Fault::Sender,
        message: &failure.message,
        fields: &failure.fields,
        detail: failure.detail.as_deref(),
        request_id,
        host_id,
    };
    let answer = error::write(protocol, service.map(|service| service.schema), &report);
    let mut response = Response::new(answer.body.into());
    *response.status_mut() = status(answer.status);
    *response.headers_mut() = answer.headers;
    for (name, value) in &failure.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    response
}
