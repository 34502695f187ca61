//! Requests: a member at a time from where it stands.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::RestRequest;
use crate::router::Query;
use crate::xml::codec::{expect, read_members, read_structure};
use crate::xml::reader::Reader;
use crate::{
    BindError, ByteStream, Kind, List, Location, Member, Missing, OperationSchema, Path, Schema,
    Seen, Slot, Struct, Timestamp, TimestampFormat, text,
};

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
            if member.wire.starts_with("If-") && Timestamp::parse(format, &value).is_none() =>
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
