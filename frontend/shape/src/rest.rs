//! The REST binding with XML bodies: an input is spread over path, query, headers and body, an output over status,
//! headers and body.
//!
//! Each member's [`Location`] says where it travels. What stands in no other place is the body: the one payload member
//! (a structure as XML, a blob or text as it is, a stream that is passed on unread), or else an XML document of all the
//! members that are left.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::router::Query;
use crate::xml::codec::{expect, read_members, read_structure, write_structure};
use crate::xml::reader::Reader;
use crate::xml::writer::Writer;
use crate::{
    BindError, ByteStream, Entries, Kind, List, Location, Member, Missing, OperationSchema, Path,
    Schema, Seen, ServiceSchema, Slot, Struct, TimestampFormat, View, XmlNamespace, text,
};

/// What a request brings.
pub struct RestRequest<'a> {
    /// From the router.
    pub labels: &'a [(&'static str, String)],
    /// Decoded query pairs.
    pub query: &'a Query<'a>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body: in memory, unless [`streams`] says that the operation takes it as it comes.
    pub body: ByteStream,
}

/// What an answer is made of.
#[derive(Debug)]
pub struct RestAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers that the output says, and the body's type.
    pub headers: HeaderMap,
    /// The body; moved out of the output if that streams.
    pub body: ByteStream,
}

/// Whether the operation's request body is passed on unread.
pub fn streams(operation: &OperationSchema) -> bool {
    operation
        .input
        .payload
        .is_some_and(|index| operation.input.members[index].streaming)
}

/// Reads a request into `into`; returns which required members it left out.
///
/// # Errors
///
/// When the body is not the XML that the model wants, or a text is not a value of its member's type.
pub fn read(
    operation: &OperationSchema,
    request: RestRequest<'_>,
    into: &mut dyn Struct,
) -> Result<Missing, BindError> {
    let schema = into.schema();
    let mut seen = Seen::default();
    let mut missing = Missing::default();
    read_headers(schema, request.headers, into, &mut seen)?;
    read_labels_and_query(schema, &request, into, &mut seen)?;
    match schema.payload {
        Some(index) => read_payload(index, request.body, into, &mut seen, &mut missing)?,
        None => read_body(operation, request.body, into, &mut seen, &mut missing)?,
    }
    missing.note_unseen(schema, seen, &Path::ROOT);
    Ok(missing)
}

/// Walks the headers rather than the members: a request has a dozen, S3's inputs have up to fifty.
fn read_headers(
    schema: &'static Schema,
    headers: &HeaderMap,
    into: &mut dyn Struct,
    seen: &mut Seen,
) -> Result<(), BindError> {
    let header = |member: &Member, name: &HeaderName| {
        member.location == Location::Header && name.as_str().eq_ignore_ascii_case(member.wire)
    };
    for name in headers.keys() {
        if let Some(index) = schema
            .members
            .iter()
            .position(|member| header(member, name))
        {
            let member = &schema.members[index];
            let values: Vec<Cow<'_, str>> = headers.get_all(name).iter().map(header_text).collect();
            if read_header(member, values, index, into)? {
                seen.insert(member);
            }
        }
    }
    for (index, member) in schema
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.location == Location::PrefixHeaders)
    {
        let named = headers
            .keys()
            .filter_map(|name| Some((name, strip_prefix(name.as_str(), member.wire)?)));
        let mut named = named.peekable();
        if named.peek().is_none() {
            continue;
        }
        if let Slot::Map(map) = into.slot(index) {
            for (name, key) in named {
                let values: Vec<Cow<'_, str>> =
                    headers.get_all(name).iter().map(header_text).collect();
                let slot = map.push(key.to_owned());
                let path = Path::ROOT.member(member);
                text::read(
                    Cow::Owned(values.join(",")),
                    slot,
                    TimestampFormat::HttpDate,
                    name.as_str(),
                    &path,
                )?;
            }
            map.finish();
        }
        seen.insert(member);
    }
    Ok(())
}

/// Reads one header; false if it stands for an absent member.
fn read_header(
    member: &Member,
    values: Vec<Cow<'_, str>>,
    index: usize,
    into: &mut dyn Struct,
) -> Result<bool, BindError> {
    let path = Path::ROOT.member(member);
    let format = member.timestamp_format(TimestampFormat::HttpDate);
    if let Kind::List(_) = member.shape.kind {
        if let Slot::List(list) = into.slot(index) {
            values
                .iter()
                .flat_map(|value| split_list(value))
                .try_for_each(|item| read_item(item, list, format, member, &path))?;
        }
        return Ok(true);
    }
    let Some(value) = values.into_iter().next() else {
        return Ok(false);
    };
    match member.shape.kind {
        Kind::String | Kind::Enum(_) => {}
        // An empty header says nothing that is no text.
        _ if value.trim().is_empty() => return Ok(false),
        // A condition on a date that is none is as if it were not there (RFC 9110, 13.1.3).
        Kind::Timestamp
            if member.wire.starts_with("If-")
                && crate::Timestamp::parse(format, &value).is_none() =>
        {
            return Ok(false);
        }
        _ => {}
    }
    let value = match member.json_value {
        true => json_value(value, member, &path)?,
        false => value,
    };
    text::read(value, into.slot(index), format, member.wire, &path)?;
    Ok(true)
}

/// The JSON that a header carries as base64.
fn json_value<'a>(
    value: Cow<'a, str>,
    member: &Member,
    path: &Path<'_>,
) -> Result<Cow<'a, str>, BindError> {
    match text::base64(&value)
        .ok()
        .and_then(|json| String::from_utf8(json).ok())
    {
        Some(json) => Ok(Cow::Owned(json)),
        None => Err(BindError::Value {
            name: member.wire.to_owned(),
            path: path.to_string(),
            text: value.into_owned(),
            wanted: "base64 of JSON",
        }),
    }
}

/// Header values should be ASCII. What is not is taken as UTF-8, and what is not that, as HTTP once had it, as Latin-1.
fn header_text(value: &HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(
            value
                .as_bytes()
                .iter()
                .map(|&byte| char::from(byte))
                .collect(),
        ),
    }
}

/// Header names are lower-case by now; prefixes in models need not be.
fn strip_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Items of a header list: split at commas outside quotes, trimmed, unquoted.
fn split_list(value: &str) -> Vec<Cow<'_, str>> {
    let mut quoted = false;
    value
        .split(move |letter| {
            quoted ^= letter == '"';
            letter == ',' && !quoted
        })
        .map(|item| item.trim())
        .filter(|item| !item.is_empty())
        .map(|item| {
            match item
                .strip_prefix('"')
                .and_then(|item| item.strip_suffix('"'))
            {
                Some(inner) if inner.contains('\\') => {
                    Cow::Owned(inner.replace("\\\"", "\"").replace("\\\\", "\\"))
                }
                Some(inner) => Cow::Borrowed(inner),
                None => Cow::Borrowed(item),
            }
        })
        .collect()
}

fn read_item(
    item: Cow<'_, str>,
    list: &mut dyn List,
    format: TimestampFormat,
    member: &Member,
    path: &Path<'_>,
) -> Result<(), BindError> {
    let path = path.index(list.len());
    text::read(item, list.push(), format, member.wire, &path)
}

fn read_labels_and_query(
    schema: &'static Schema,
    request: &RestRequest<'_>,
    into: &mut dyn Struct,
    seen: &mut Seen,
) -> Result<(), BindError> {
    for (index, member) in schema.members.iter().enumerate() {
        let present = match (member.location, &member.shape.kind) {
            (Location::Query, Kind::Map { .. }) => {
                read_query_map(schema, request.query, index, into)?
            }
            (Location::Query, Kind::List(_)) => {
                read_query_list(member, request.query, index, into)?
            }
            _ => match label_or_query(member, request) {
                Some(value) => {
                    let format = member.timestamp_format(TimestampFormat::Iso8601);
                    let path = Path::ROOT.member(member);
                    let value = Cow::Borrowed(value);
                    text::read(value, into.slot(index), format, member.wire, &path)?;
                    true
                }
                None => false,
            },
        };
        if present {
            seen.insert(member);
        }
    }
    Ok(())
}

/// The text of a member that stands in the path, or as one value in the query.
fn label_or_query<'a>(member: &Member, request: &'a RestRequest<'_>) -> Option<&'a str> {
    match member.location {
        Location::Label | Location::GreedyLabel => {
            let mut labels = request.labels.iter();
            let (_, value) = labels.find(|(name, _)| *name == member.wire)?;
            Some(value)
        }
        Location::Query => {
            let mut pairs = request.query.iter();
            let (_, value) = pairs.find(|(name, _)| name == member.wire)?;
            Some(value)
        }
        _ => None,
    }
}

/// A list takes every value of its key.
fn read_query_list(
    member: &Member,
    query: &Query<'_>,
    index: usize,
    into: &mut dyn Struct,
) -> Result<bool, BindError> {
    let values = query.iter().filter(|(name, _)| name == member.wire);
    let mut values = values.map(|(_, value)| value).peekable();
    if values.peek().is_none() {
        return Ok(false);
    }
    let format = member.timestamp_format(TimestampFormat::Iso8601);
    let path = Path::ROOT.member(member);
    if let Slot::List(list) = into.slot(index) {
        values
            .try_for_each(|value| read_item(Cow::Borrowed(value), list, format, member, &path))?;
    }
    Ok(true)
}

/// A map takes every query key that no other member has.
fn read_query_map(
    schema: &Schema,
    query: &Query<'_>,
    index: usize,
    into: &mut dyn Struct,
) -> Result<bool, BindError> {
    let bound = |name: &str| {
        let named = |member: &&Member| member.location == Location::Query && member.wire == name;
        schema
            .members
            .iter()
            .filter(named)
            .any(|member| !matches!(member.shape.kind, Kind::Map { .. }))
    };
    let mut free = query.iter().filter(|(key, _)| !bound(key)).peekable();
    if free.peek().is_none() {
        return Ok(false);
    }
    let Slot::Map(map) = into.slot(index) else {
        return Ok(false);
    };
    for (key, value) in free {
        match map.push(key.clone().into_owned()) {
            Slot::List(list) => text::read(
                Cow::Borrowed(value),
                list.push(),
                TimestampFormat::Iso8601,
                key,
                &Path::ROOT,
            )?,
            slot => text::read(
                Cow::Borrowed(value),
                slot,
                TimestampFormat::Iso8601,
                key,
                &Path::ROOT,
            )?,
        }
    }
    map.finish();
    Ok(true)
}

fn read_payload(
    index: usize,
    mut body: ByteStream,
    into: &mut dyn Struct,
    seen: &mut Seen,
    missing: &mut Missing,
) -> Result<(), BindError> {
    let member = &into.schema().members[index];
    if member.streaming {
        if let Slot::Stream(stream) = into.slot(index) {
            *stream = body;
        }
        seen.insert(member);
        return Ok(());
    }
    let body = in_memory(&mut body)?;
    match &member.shape.kind {
        Kind::Structure(_) => {
            let Some((mut reader, root)) = Reader::document(&body)? else {
                return Ok(());
            };
            expect(&root, member.xml)?;
            if let Slot::Struct(payload) = into.slot(index) {
                read_structure(
                    &mut reader,
                    &root,
                    payload,
                    &Path::ROOT.member(member),
                    missing,
                )?;
            }
            reader.finish()?;
        }
        _ if body.is_empty() => return Ok(()),
        Kind::Blob => {
            if let Slot::Blob(blob) = into.slot(index) {
                *blob = body;
            }
        }
        _ => {
            let utf8 = std::str::from_utf8(&body)
                .map_err(|_| BindError::malformed("the body is not UTF-8"))?;
            let format = member.timestamp_format(TimestampFormat::Iso8601);
            text::read(
                Cow::Borrowed(utf8),
                into.slot(index),
                format,
                member.wire,
                &Path::ROOT.member(member),
            )?;
        }
    }
    seen.insert(member);
    Ok(())
}

/// Reads a document of all body members.
fn read_body(
    operation: &OperationSchema,
    mut body: ByteStream,
    into: &mut dyn Struct,
    seen: &mut Seen,
    missing: &mut Missing,
) -> Result<(), BindError> {
    if !into
        .schema()
        .members
        .iter()
        .any(|member| member.location == Location::Body)
    {
        return Ok(());
    }
    let body = in_memory(&mut body)?;
    let Some((mut reader, root)) = Reader::document(&body)? else {
        return Ok(());
    };
    if let Some(wrapper) = &operation.input_wrapper {
        expect(&root, wrapper.name)?;
    }
    read_members(&mut reader, &root, into, &Path::ROOT, seen, missing)?;
    Ok(reader.finish()?)
}

fn in_memory(body: &mut ByteStream) -> Result<Bytes, BindError> {
    match body.take_bytes() {
        Some(bytes) => Ok(bytes),
        None if body.length() == Some(0) => Ok(Bytes::new()),
        None => Err(BindError::malformed("the body is not in memory")),
    }
}

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
