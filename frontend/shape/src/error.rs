//! One error, in the form of each protocol.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::xml::codec::write_members;
use crate::xml::writer::Writer;
use crate::{Protocol, ServiceSchema, Struct, cbor, json};

/// An error on its way out.
pub struct ErrorReport<'a> {
    /// `QueueDoesNotExist`
    pub code: &'a str,
    /// What the code was in the service's query days, where neither the code nor the model says it:
    /// `AWS.SimpleQueueService.NonExistentQueue`.
    pub query_code: Option<&'a str>,
    /// HTTP status.
    pub status: u16,
    /// Whether the request is at fault, not the server.
    pub sender: bool,
    /// For people.
    pub message: &'a str,
    /// Further elements of an XML error, such as S3's `<Key>`.
    pub fields: &'a [(&'a str, String)],
    /// The modelled error shape, where it says more than a message.
    pub detail: Option<&'a dyn Struct>,
    /// Identifies the request.
    pub request_id: &'a str,
    /// S3's second id.
    pub host_id: Option<&'a str>,
}

/// What an error answer is made of.
#[derive(Debug)]
pub struct ErrorAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body's type, and what a protocol says in headers.
    pub headers: HeaderMap,
    /// Empty where HTTP allows none. A `HEAD` request's answer is without a body too; that is the server's to know.
    pub body: Vec<u8>,
}

/// Writes `error` as `protocol` has it. `service` is absent when the request's could not be found.
pub fn write(
    protocol: Protocol,
    service: Option<&ServiceSchema>,
    error: &ErrorReport<'_>,
) -> ErrorAnswer {
    let mut answer = ErrorAnswer {
        status: error.status,
        headers: HeaderMap::new(),
        body: Vec::new(),
    };
    if error.status == 304 {
        return answer;
    }
    let content_type = match protocol {
        Protocol::Json10 => write_json(service, error, &mut answer, "application/x-amz-json-1.0"),
        Protocol::Json11 => write_json(service, error, &mut answer, "application/x-amz-json-1.1"),
        Protocol::RestJson => write_rest_json(error, &mut answer),
        Protocol::Cbor => write_cbor(service, error, &mut answer),
        Protocol::Query => {
            write_error_response(service, error, query_code(service, error), &mut answer.body)
        }
        Protocol::Ec2 => write_ec2(error, &mut answer.body),
        // S3 alone has no wrapper. What is for no service we know went to S3 by default.
        Protocol::RestXml if service.is_none_or(|service| service.id == "S3") => {
            write_s3(error, &mut answer.body)
        }
        Protocol::RestXml => write_error_response(service, error, error.code, &mut answer.body),
    };
    answer
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

/// `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"…"}`
fn write_json(
    service: Option<&ServiceSchema>,
    error: &ErrorReport<'_>,
    answer: &mut ErrorAnswer,
    content_type: &'static str,
) -> &'static str {
    say_query_error(service, error, answer);
    answer.body.extend_from_slice(b"{\"__type\":");
    json::write_string(&qualified(service, error.code), &mut answer.body);
    write_json_rest(error, &mut answer.body);
    content_type
}

fn write_rest_json(error: &ErrorReport<'_>, answer: &mut ErrorAnswer) -> &'static str {
    if let Ok(code) = HeaderValue::from_str(error.code) {
        answer
            .headers
            .insert(HeaderName::from_static("x-amzn-errortype"), code);
    }
    answer.body.push(b'{');
    write_json_rest(error, &mut answer.body);
    "application/json"
}

/// The message and the modelled members, and the end.
///
/// What AWS's framework could not even read it answers in a spelling of its own, and without a message where it has none.
fn write_json_rest(error: &ErrorReport<'_>, out: &mut Vec<u8>) {
    let unread = error.code == "SerializationException";
    let silent = unread && error.message.is_empty();
    if !says_message(error) && !silent {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        let name: &[u8] = if unread {
            b"\"Message\":"
        } else {
            b"\"message\":"
        };
        out.extend_from_slice(name);
        json::write_string(error.message, out);
    }
    if let Some(detail) = error.detail {
        json::write_members(detail, out);
    }
    out.push(b'}');
}

/// Whether the modelled shape brings the message itself: some spell it `Message`.
fn says_message(error: &ErrorReport<'_>) -> bool {
    error.detail.is_some_and(|detail| {
        let members = detail.schema().members.iter().enumerate();
        members
            .filter(|(_, member)| member.wire.eq_ignore_ascii_case("message"))
            .any(|(index, _)| !matches!(detail.get(index), crate::View::None))
    })
}

/// A service that once spoke the query protocol still tells its clients the code that they knew then, and then all
/// faults of the request had status 400.
fn say_query_error(
    service: Option<&ServiceSchema>,
    error: &ErrorReport<'_>,
    answer: &mut ErrorAnswer,
) {
    if !service.is_some_and(|service| service.query_compatible) {
        return;
    }
    let fault = if error.sender { "Sender" } else { "Receiver" };
    let value = format!("{};{fault}", query_code(service, error));
    if let Ok(value) = HeaderValue::from_str(&value) {
        answer
            .headers
            .insert(HeaderName::from_static("x-amzn-query-error"), value);
    }
    if error.sender && error.status != 501 {
        answer.status = 400;
    }
}

fn query_code<'a>(service: Option<&ServiceSchema>, error: &ErrorReport<'a>) -> &'a str {
    let modelled = || modelled(service?, error.code)?.query_code;
    error.query_code.or_else(modelled).unwrap_or(error.code)
}

fn modelled(service: &ServiceSchema, code: &str) -> Option<crate::ErrorTrait> {
    let schemas = service
        .operations
        .iter()
        .filter_map(|operation| operation.schema);
    let errors = schemas.flat_map(|schema| schema.errors.iter().filter_map(|error| error.error));
    errors.into_iter().find(|error| error.code == code)
}

/// The code with the namespace that it has in AWS: the model's own, or that of the framework.
fn qualified(service: Option<&ServiceSchema>, code: &str) -> String {
    let namespace = service.map_or("", |service| service.error_namespace);
    match service {
        Some(service) if !namespace.is_empty() => match modelled(service, code) {
            Some(_) => format!("{namespace}#{code}"),
            None if code == "ValidationException" => format!("com.amazon.coral.validate#{code}"),
            None => format!("com.amazon.coral.service#{code}"),
        },
        _ => code.to_owned(),
    }
}

/// `<ErrorResponse><Error><Type>Sender</Type><Code>…</Code><Message>…</Message></Error><RequestId>…`
fn write_error_response(
    service: Option<&ServiceSchema>,
    error: &ErrorReport<'_>,
    code: &str,
    out: &mut Vec<u8>,
) -> &'static str {
    let mut writer = Writer::new(out);
    writer.declaration();
    writer.begin("ErrorResponse");
    if let Some(uri) = service.and_then(|service| service.xml_namespace) {
        writer.attribute("xmlns", uri);
    }
    writer.end_tag();
    writer.open("Error");
    writer.leaf("Type", if error.sender { "Sender" } else { "Receiver" });
    write_error_members(&mut writer, code, error);
    writer.close("Error");
    writer.leaf("RequestId", error.request_id);
    writer.close("ErrorResponse");
    "text/xml"
}

/// `<Response><Errors><Error>…</Error></Errors><RequestID>…`
fn write_ec2(error: &ErrorReport<'_>, out: &mut Vec<u8>) -> &'static str {
    let mut writer = Writer::new(out);
    writer.declaration();
    writer.open("Response");
    writer.open("Errors");
    writer.open("Error");
    write_error_members(&mut writer, error.code, error);
    writer.close("Error");
    writer.close("Errors");
    writer.leaf("RequestID", error.request_id);
    writer.close("Response");
    "text/xml;charset=UTF-8"
}

/// `<Error><Code>NoSuchKey</Code><Message>…</Message><Key>…</Key><RequestId>…</RequestId><HostId>…</HostId></Error>`
fn write_s3(error: &ErrorReport<'_>, out: &mut Vec<u8>) -> &'static str {
    let mut writer = Writer::new(out);
    writer.declaration();
    writer.open("Error");
    write_error_members(&mut writer, error.code, error);
    writer.leaf("RequestId", error.request_id);
    if let Some(host_id) = error.host_id {
        writer.leaf("HostId", host_id);
    }
    writer.close("Error");
    "application/xml"
}

fn write_error_members(writer: &mut Writer<'_>, code: &str, error: &ErrorReport<'_>) {
    writer.leaf("Code", code);
    if !says_message(error) {
        writer.leaf("Message", error.message);
    }
    for (name, value) in error.fields {
        writer.leaf(name, value);
    }
    if let Some(detail) = error.detail {
        write_members(writer, detail);
    }
}

/// `{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "…"}`, in CBOR.
fn write_cbor(
    service: Option<&ServiceSchema>,
    error: &ErrorReport<'_>,
    answer: &mut ErrorAnswer,
) -> &'static str {
    say_query_error(service, error, answer);
    answer.headers.insert(
        HeaderName::from_static("smithy-protocol"),
        HeaderValue::from_static("rpc-v2-cbor"),
    );
    let code = qualified(service, error.code);
    let fields = [("__type", code.as_str()), ("message", error.message)];
    let fields = if says_message(error) {
        &fields[..1]
    } else {
        &fields
    };
    cbor::write_map(fields, error.detail, &mut answer.body);
    "application/cbor"
}
