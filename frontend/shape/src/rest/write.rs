//! Answers: a member at a time to where it belongs.

use std::borrow::Cow;

use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::RestAnswer;
use crate::xml::codec::write_structure;
use crate::xml::writer::Writer;
use crate::{
    ByteStream, Entries, List, Location, Member, OperationSchema, ServiceSchema, Slot, Struct,
    TimestampFormat, View, XmlNamespace, text,
};

/// Writes `output` as an answer. A streaming body is moved out of it, all else is copied.
///
/// Control characters in header values become spaces, since they would end the header; they can only come from a query
/// string such as `response-content-type`.
pub fn write(
    service: &ServiceSchema,
    operation: &OperationSchema,
    output: &mut dyn Struct,
) -> RestAnswer {
    let schema = output.schema();
    let mut answer = RestAnswer {
        status: operation.http.status,
        headers: HeaderMap::new(),
        body: ByteStream::default(),
    };
    for (index, member) in schema.members.iter().enumerate() {
        match (member.location, output.get(index)) {
            (_, View::None) => {}
            (Location::Status, View::Int(status)) => {
                answer.status = u16::try_from(status).unwrap_or(operation.http.status)
            }
            (Location::Header, view) => write_header(&mut answer.headers, member, view),
            (Location::PrefixHeaders, View::Map(map)) => {
                write_prefix_headers(&mut answer.headers, member.wire, map)
            }
            _ => {}
        }
    }
    let content_type = match schema.payload {
        Some(index) => write_payload(service, index, output, &mut answer.body),
        None => write_body(service, operation, output, &mut answer.body),
    };
    // A part of the whole is a 206, whatever the model says of the operation.
    if answer.status == 200 && answer.headers.contains_key(CONTENT_RANGE) {
        answer.status = 206;
    }
    if let Some(content_type) = content_type {
        answer
            .headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(content_type));
    }
    answer
}

fn write_header(headers: &mut HeaderMap, member: &Member, view: View<'_>) {
    let format = member.timestamp_format(TimestampFormat::HttpDate);
    let text = match view {
        View::List(list) => Cow::Owned(join(list, format)),
        view if member.json_value => match text::write(view, format) {
            Some(json) => Cow::Owned(base64_simd::STANDARD.encode_to_string(json.as_bytes())),
            None => return,
        },
        view => match text::write(view, format) {
            Some(text) => text,
            None => return,
        },
    };
    let name =
        HeaderName::from_bytes(member.wire.as_bytes()).expect("models name headers as HTTP does");
    headers.insert(name, header_value(&text));
}

/// Entries whose keys cannot be part of a header's name are left out, as S3 does.
fn write_prefix_headers(headers: &mut HeaderMap, prefix: &str, map: &dyn Entries) {
    for index in 0..map.len() {
        let (key, view) = map.entry(index);
        let name = HeaderName::from_bytes(format!("{prefix}{key}").as_bytes());
        if let (Ok(name), Some(text)) = (name, text::write(view, TimestampFormat::HttpDate)) {
            headers.insert(name, header_value(&text));
        }
    }
}

/// Items with a comma or a quote are quoted, except dates, whose comma all readers expect.
fn join(list: &dyn List, format: TimestampFormat) -> String {
    let mut joined = String::new();
    for index in 0..list.len() {
        let view = list.get(index);
        let is_date = matches!(view, View::Timestamp(_));
        let text = text::write(view, format).unwrap_or_default();
        if index > 0 {
            joined.push_str(", ");
        }
        if !is_date && text.contains([',', '"']) {
            joined.push('"');
            joined.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
            joined.push('"');
        } else {
            joined.push_str(&text);
        }
    }
    joined
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_bytes(text.as_bytes()).unwrap_or_else(|_| {
        let clean: String = text
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .collect();
        HeaderValue::from_bytes(clean.as_bytes())
            .expect("without control characters every text is a header value")
    })
}

/// Writes the payload member; returns the type of what was written.
fn write_payload(
    service: &ServiceSchema,
    index: usize,
    output: &mut dyn Struct,
    body: &mut ByteStream,
) -> Option<&'static str> {
    let member = &output.schema().members[index];
    let (bytes, content_type) = match output.get(index) {
        View::Stream(_) => {
            if let Slot::Stream(stream) = output.slot(index) {
                *body = std::mem::take(stream);
            }
            return Some("application/octet-stream");
        }
        View::Struct(value) => (document(service, member.xml, value), "application/xml"),
        View::Blob(bytes) => (bytes.to_vec(), "application/octet-stream"),
        view => {
            let text = text::write(view, member.timestamp_format(TimestampFormat::Iso8601))?;
            (text.into_owned().into_bytes(), "text/plain")
        }
    };
    *body = bytes.into();
    Some(content_type)
}

/// Writes all body members as one document, if the output can have any.
fn write_body(
    service: &ServiceSchema,
    operation: &OperationSchema,
    output: &dyn Struct,
    body: &mut ByteStream,
) -> Option<&'static str> {
    let schema = output.schema();
    let index = schema
        .members
        .iter()
        .position(|member| member.location == Location::Body)?;
    *body = match operation.unwrapped_output {
        true => unwrapped(service, &schema.members[index], output.get(index)),
        false => document(service, schema.xml_name, output),
    }
    .into();
    Some("application/xml")
}

fn document(service: &ServiceSchema, root: &str, value: &dyn Struct) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut writer = Writer::new(&mut out);
    writer.declaration();
    write_structure(&mut writer, root, value, namespace(service));
    out
}

/// S3's GetBucketLocation: the root is the output's only member, and it is there even when that is absent.
fn unwrapped(service: &ServiceSchema, member: &Member, view: View<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out);
    writer.declaration();
    writer.begin(member.xml);
    if let Some(uri) = service.xml_namespace {
        writer.attribute("xmlns", uri);
    }
    writer.end_tag();
    writer.text(&text::write(view, TimestampFormat::Iso8601).unwrap_or_default());
    writer.close(member.xml);
    out
}

fn namespace(service: &ServiceSchema) -> Option<XmlNamespace> {
    service
        .xml_namespace
        .map(|uri| XmlNamespace { uri, prefix: None })
}
