//! Structures as XML elements, both ways: the bodies of restXml and the answers of the query protocols.

use std::borrow::Cow;

use super::reader::{Element as Tag, Reader, local};
use super::writer::Writer;
use crate::{
    BindError, Element, Entries, Kind, List, Location, Member, Missing, Path, Schema, Seen, Shape,
    Slot, Struct, TimestampFormat, View, XmlNamespace, text,
};

/// Reads the element that `tag` has opened into `into`, and stands behind it afterwards.
///
/// An element that the schema does not know is refused, as AWS does: to skip it could mean to lose what was asked for.
pub(crate) fn read_structure(
    reader: &mut Reader<'_>,
    tag: &Tag<'_>,
    into: &mut dyn Struct,
    path: &Path<'_>,
    missing: &mut Missing,
) -> Result<(), BindError> {
    let mut seen = Seen::default();
    read_members(reader, tag, into, path, &mut seen, missing)?;
    missing.note_unseen(into.schema(), seen, path);
    Ok(())
}

/// As [`read_structure`], but leaves it to the caller to note which required members were not seen.
pub(crate) fn read_members(
    reader: &mut Reader<'_>,
    tag: &Tag<'_>,
    into: &mut dyn Struct,
    path: &Path<'_>,
    seen: &mut Seen,
    missing: &mut Missing,
) -> Result<(), BindError> {
    let schema = into.schema();
    for (index, member) in schema
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.xml_attribute)
    {
        if let Some(value) = tag.attribute(local(member.xml))? {
            let format = member.timestamp_format(TimestampFormat::Iso8601);
            text::read(
                Cow::Owned(value),
                into.slot(index),
                format,
                member.xml,
                &path.member(member),
            )?;
            seen.insert(member);
        }
    }
    let mut next = 0;
    let mut maps: Vec<usize> = Vec::new();
    while let Some(child) = reader.child()? {
        let index = find(schema, child.name(), next)
            .ok_or_else(|| BindError::malformed(format!("unknown element `{}`", child.name())))?;
        let member = &schema.members[index];
        seen.insert(member);
        let path = path.member(member);
        match (into.slot(index), &member.shape.kind) {
            (Slot::List(list), Kind::List(element)) if member.flattened => {
                read_item(reader, &child, list, element, &path, missing)?;
            }
            (Slot::Map(map), Kind::Map { key, value }) if member.flattened => {
                read_entry(reader, map, key, value, &path, missing)?;
                if !maps.contains(&index) {
                    maps.push(index);
                }
            }
            (slot, _) => {
                let format = member.timestamp_format(TimestampFormat::Iso8601);
                read_value(reader, &child, slot, member.shape, format, &path, missing)?;
            }
        }
        // Members mostly come in the model's order, and a flattened list repeats its own.
        next = if member.flattened { index } else { index + 1 };
    }
    for index in maps {
        if let Slot::Map(map) = into.slot(index) {
            map.finish();
        }
    }
    Ok(())
}

fn find(schema: &Schema, name: &str, next: usize) -> Option<usize> {
    let index = schema.find(name, next, |member| local(member.xml))?;
    let body = |member: &Member| member.location == Location::Body && !member.xml_attribute;
    if body(&schema.members[index]) {
        return Some(index);
    }
    schema
        .members
        .iter()
        .position(|member| body(member) && local(member.xml) == name)
}

fn read_value(
    reader: &mut Reader<'_>,
    tag: &Tag<'_>,
    slot: Slot<'_>,
    shape: &'static Shape,
    format: TimestampFormat,
    path: &Path<'_>,
    missing: &mut Missing,
) -> Result<(), BindError> {
    match (slot, &shape.kind) {
        (Slot::Struct(into), _) => read_structure(reader, tag, into, path, missing),
        (Slot::List(list), Kind::List(element)) => {
            list.clear();
            while let Some(child) = reader.child()? {
                expect(&child, element.xml)?;
                read_item(reader, &child, list, element, path, missing)?;
            }
            Ok(())
        }
        (Slot::Map(map), Kind::Map { key, value }) => {
            map.clear();
            while let Some(child) = reader.child()? {
                expect(&child, "entry")?;
                read_entry(reader, map, key, value, path, missing)?;
            }
            map.finish();
            Ok(())
        }
        (slot, _) => text::read(reader.text()?, slot, format, tag.name(), path),
    }
}

fn read_item(
    reader: &mut Reader<'_>,
    tag: &Tag<'_>,
    list: &mut dyn List,
    element: &Element,
    path: &Path<'_>,
    missing: &mut Missing,
) -> Result<(), BindError> {
    let path = path.index(list.len());
    reader.pay(list.item_bytes())?;
    read_value(
        reader,
        tag,
        list.push(),
        element.shape,
        element_format(element),
        &path,
        missing,
    )
}

/// Reads `<key>…</key><value>…</value>`; the key must come first, as all clients send it.
fn read_entry(
    reader: &mut Reader<'_>,
    map: &mut dyn Entries,
    key: &Element,
    value: &Element,
    path: &Path<'_>,
    missing: &mut Missing,
) -> Result<(), BindError> {
    let none = || BindError::malformed("a map entry has no key or no value");
    let child = reader.child()?.ok_or_else(none)?;
    expect(&child, key.xml)?;
    let name = reader.text()?.into_owned();
    let child = reader.child()?.ok_or_else(none)?;
    expect(&child, value.xml)?;
    reader.pay(map.item_bytes())?;
    let slot = map.push(name.clone());
    read_value(
        reader,
        &child,
        slot,
        value.shape,
        element_format(value),
        &path.key(&name),
        missing,
    )?;
    match reader.child()? {
        None => Ok(()),
        Some(_) => Err(BindError::malformed(
            "a map entry has more than a key and a value",
        )),
    }
}

/// Refuses an element that is not called `name`.
pub(crate) fn expect(tag: &Tag<'_>, name: &str) -> Result<(), BindError> {
    if tag.name() == name {
        return Ok(());
    }
    Err(BindError::malformed(format!(
        "element `{}` where `{name}` belongs",
        tag.name()
    )))
}

fn element_format(element: &Element) -> TimestampFormat {
    element.shape.timestamp.unwrap_or(TimestampFormat::Iso8601)
}

/// Writes `value` as element `name`.
pub(crate) fn write_structure(
    writer: &mut Writer<'_>,
    name: &str,
    value: &dyn Struct,
    namespace: Option<XmlNamespace>,
) {
    writer.begin(name);
    write_namespace(writer, value.schema().xml_namespace.or(namespace));
    for (index, member) in value
        .schema()
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.xml_attribute)
    {
        let format = member.timestamp_format(TimestampFormat::Iso8601);
        if let Some(text) = text::write(value.get(index), format) {
            writer.attribute(member.xml, &text);
        }
    }
    writer.end_tag();
    write_members(writer, value);
    writer.close(name);
}

/// Writes what stands inside the element of `value`.
pub(crate) fn write_members(writer: &mut Writer<'_>, value: &dyn Struct) {
    let members = value.schema().members;
    let indexes = match value.active() {
        Some(index) => index..index + 1,
        None => 0..members.len(),
    };
    for index in indexes {
        let member = &members[index];
        if member.location == Location::Body && !member.xml_attribute {
            write_member(writer, member, value.get(index));
        }
    }
}

fn write_member(writer: &mut Writer<'_>, member: &Member, view: View<'_>) {
    match (view, &member.shape.kind) {
        (View::List(list), Kind::List(element)) if member.flattened => {
            write_items(writer, member.xml, list, element)
        }
        (View::Map(map), Kind::Map { key, value }) if member.flattened => {
            write_entries(writer, member.xml, map, key, value)
        }
        _ => {
            let format = member.timestamp_format(TimestampFormat::Iso8601);
            write_value(
                writer,
                member.xml,
                view,
                member.shape,
                format,
                member.xml_namespace,
            );
        }
    }
}

fn write_value(
    writer: &mut Writer<'_>,
    name: &str,
    view: View<'_>,
    shape: &Shape,
    format: TimestampFormat,
    namespace: Option<XmlNamespace>,
) {
    match (view, &shape.kind) {
        (View::Struct(value), _) => return write_structure(writer, name, value, namespace),
        (View::None | View::Stream(_), _) => return,
        _ => {}
    }
    writer.begin(name);
    write_namespace(writer, namespace);
    writer.end_tag();
    match (view, &shape.kind) {
        (View::List(list), Kind::List(element)) => write_items(writer, element.xml, list, element),
        (View::Map(map), Kind::Map { key, value }) => {
            write_entries(writer, "entry", map, key, value)
        }
        (View::Str(text), _) => writer.text(text),
        (view, _) => writer.text(&text::write(view, format).unwrap_or_default()),
    }
    writer.close(name);
}

fn write_items(writer: &mut Writer<'_>, name: &str, list: &dyn List, element: &Element) {
    for index in 0..list.len() {
        let format = element_format(element);
        write_value(
            writer,
            name,
            list.get(index),
            element.shape,
            format,
            element.xml_namespace,
        );
    }
}

fn write_entries(
    writer: &mut Writer<'_>,
    name: &str,
    map: &dyn Entries,
    key: &Element,
    value: &Element,
) {
    for index in 0..map.len() {
        let (entry_key, view) = map.entry(index);
        writer.open(name);
        writer.leaf(key.xml, entry_key);
        write_value(
            writer,
            value.xml,
            view,
            value.shape,
            element_format(value),
            value.xml_namespace,
        );
        writer.close(name);
    }
}

fn write_namespace(writer: &mut Writer<'_>, namespace: Option<XmlNamespace>) {
    match namespace {
        None => {}
        Some(XmlNamespace { uri, prefix: None }) => writer.attribute("xmlns", uri),
        Some(XmlNamespace {
            uri,
            prefix: Some(prefix),
        }) => writer.attribute(&format!("xmlns:{prefix}"), uri),
    }
}
