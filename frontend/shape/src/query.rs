//! The query protocol: a form comes in, XML goes out.
//!
//! A form is flat; its keys are paths into the input, in three styles: `Queue.Url`, `Entries.member.2.Id` (or, flattened,
//! `Entry.2.Id`), `Tags.entry.1.key` (or, flattened, `Tag.1.Key`). Sorted by path, all keys of one member stand together,
//! and a list's elements stand in the order of their numbers: nothing is ever allocated for a number, so an index of
//! 999999999 costs no more than one of 1. Numbers may have gaps, as in AWS, and a single flattened one may be left out.
//!
//! Names that the input does not have are skipped: `Action`, `Version`, and whatever signs the request, are among them.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::xml::codec::{write_members, write_structure};
use crate::xml::writer::Writer;
use crate::{
    BindError, Budget, Element, Entries, Kind, List, Member, Missing, OperationSchema, Path, Seen,
    ServiceSchema, Shape, Slot, Struct, TimestampFormat, text, uri,
};

/// Deeper than any model nests; a path with more steps is no member's.
const DEPTH_MAX: usize = 64;

/// Reads a form body into `into`; returns which required members it left out.
///
/// # Errors
///
/// When the form is not UTF-8, or a value is not of its member's type.
pub fn read(form: &[u8], into: &mut dyn Struct) -> Result<Missing, BindError> {
    let not_utf8 = || BindError::malformed("the form is not UTF-8");
    let form = std::str::from_utf8(form).map_err(|_| not_utf8())?;
    let pairs = uri::pairs(form.trim_ascii_end()).ok_or_else(not_utf8)?;
    read_pairs(&pairs, into)
}

/// Reads decoded pairs, be they of a form or of a query string: `GET /?Action=…` is a query request too.
///
/// # Errors
///
/// When a value is not of its member's type.
pub fn read_pairs(
    pairs: &[(Cow<'_, str>, Cow<'_, str>)],
    into: &mut dyn Struct,
) -> Result<Missing, BindError> {
    let mut pairs: Vec<Pair<'_>> = pairs
        .iter()
        .map(|(key, value)| Pair { key, value })
        .collect();
    // Stable, so that of equal keys the first stays first; that one counts.
    pairs.sort_by(|a, b| a.compare(b));
    let bytes = pairs
        .iter()
        .map(|pair| pair.key.len() + pair.value.len() + 2)
        .sum();
    let mut notes = Notes {
        missing: Missing::default(),
        budget: Budget::new(bytes),
    };
    read_structure(&pairs, 0, into, &Path::ROOT, &mut notes)?;
    Ok(notes.missing)
}

/// What is kept of a whole request while its members are read.
struct Notes {
    missing: Missing,
    budget: Budget,
}

impl Notes {
    /// Pays for an element of a list or map that takes `bytes` of memory.
    fn pay(&mut self, bytes: usize) -> Result<(), BindError> {
        let too_many = |_| BindError::malformed("the form holds too many empty elements");
        self.budget.take(bytes).map_err(too_many)
    }
}

#[derive(Clone, Copy)]
struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> Pair<'a> {
    /// Step `level` of the path.
    fn step(&self, level: usize) -> Option<&'a str> {
        self.key.split('.').nth(level)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let mut steps = self.key.split('.');
        let mut others = other.key.split('.');
        loop {
            match (steps.next(), others.next()) {
                (Some(step), Some(other)) => match compare_steps(step, other) {
                    Ordering::Equal => {}
                    different => return different,
                },
                (step, other) => return step.is_some().cmp(&other.is_some()),
            }
        }
    }
}

/// Numbers by value and before names; names by their letters.
fn compare_steps(a: &str, b: &str) -> Ordering {
    match (number(a), number(b)) {
        // Of numbers without leading zeros the longer one is the greater one, however long.
        (Some(a), Some(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// The digits of a number, without leading zeros.
fn number(step: &str) -> Option<&str> {
    let digits = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| step.trim_start_matches('0'))
}

/// Splits sorted pairs into runs that agree in step `level`.
fn groups<'p, 'a>(
    pairs: &'p [Pair<'a>],
    level: usize,
) -> impl Iterator<Item = (&'a str, &'p [Pair<'a>])> {
    let same = move |a: &Pair<'_>, b: &Pair<'_>| match (a.step(level), b.step(level)) {
        (Some(a), Some(b)) => compare_steps(a, b).is_eq(),
        (a, b) => a.is_none() && b.is_none(),
    };
    pairs
        .chunk_by(same)
        .filter_map(move |group| Some((group.first()?.step(level)?, group)))
}

/// As [`groups`], of those that are numbered.
fn numbered<'p, 'a>(pairs: &'p [Pair<'a>], level: usize) -> impl Iterator<Item = &'p [Pair<'a>]> {
    groups(pairs, level)
        .filter(|(step, _)| number(step).is_some())
        .map(|(_, group)| group)
}

fn read_structure(
    pairs: &[Pair<'_>],
    level: usize,
    into: &mut dyn Struct,
    path: &Path<'_>,
    notes: &mut Notes,
) -> Result<(), BindError> {
    if level > DEPTH_MAX {
        return Err(BindError::malformed("a parameter nests too deeply"));
    }
    let schema = into.schema();
    let mut seen = Seen::default();
    for (step, group) in groups(pairs, level) {
        let Some(index) = schema.find(step, 0, |member| member.query) else {
            continue;
        };
        let member = &schema.members[index];
        if !is_present(group, level + 1, &member.shape.kind) {
            continue;
        }
        seen.insert(member);
        let place = Place {
            shape: member.shape,
            flattened: member.query_flattened,
            name: step,
            format: format(member),
        };
        read_value(
            group,
            level + 1,
            into.slot(index),
            place,
            &path.member(member),
            notes,
        )?;
    }
    notes.missing.note_unseen(schema, seen, path);
    Ok(())
}

/// What the model says about a value.
#[derive(Clone, Copy)]
struct Place<'a> {
    shape: &'static Shape,
    flattened: bool,
    name: &'a str,
    format: TimestampFormat,
}

/// Whether one of `pairs` has a value for a shape of this kind. `Foo.1=x` has none for a scalar `Foo`, and
/// `Foo=` alone stands for an empty list; `Foo=x` is a list's only element.
fn is_present(pairs: &[Pair<'_>], level: usize, kind: &Kind) -> bool {
    let ends = |pair: &Pair<'_>| pair.step(level).is_none();
    match kind {
        Kind::List(_) => true,
        Kind::Map { .. } => pairs
            .iter()
            .any(|pair| !ends(pair) || pair.value.is_empty()),
        Kind::Structure(_) => pairs.iter().any(|pair| !ends(pair)),
        _ => pairs.iter().any(ends),
    }
}

fn read_value(
    pairs: &[Pair<'_>],
    level: usize,
    slot: Slot<'_>,
    place: Place<'_>,
    path: &Path<'_>,
    notes: &mut Notes,
) -> Result<(), BindError> {
    match (slot, &place.shape.kind) {
        (Slot::Struct(into), _) => read_structure(pairs, level, into, path, notes),
        (Slot::List(list), Kind::List(element)) if place.flattened => {
            read_unnumbered(pairs, level, list, element, path, notes)?;
            read_items(pairs, level, list, element, path, notes)
        }
        (Slot::List(list), Kind::List(element)) => {
            let mut named = groups(pairs, level).filter(|(step, _)| *step == element.query);
            named
                .try_for_each(|(_, group)| read_items(group, level + 1, list, element, path, notes))
        }
        (Slot::Map(map), Kind::Map { key, value }) if place.flattened => {
            if groups(pairs, level).any(|(step, _)| step == key.query) {
                read_entry(pairs, level, map, (key, value), path, notes)?;
            }
            read_entries(pairs, level, map, (key, value), path, notes)
        }
        (Slot::Map(map), Kind::Map { key, value }) => {
            let mut named = groups(pairs, level).filter(|(step, _)| *step == "entry");
            named.try_for_each(|(_, group)| {
                read_entries(group, level + 1, map, (key, value), path, notes)
            })
        }
        (slot, _) => match pairs.iter().find(|pair| pair.step(level).is_none()) {
            Some(pair) => text::read(
                Cow::Borrowed(pair.value),
                slot,
                place.format,
                place.name,
                path,
            ),
            None => Ok(()),
        },
    }
}

fn read_items(
    pairs: &[Pair<'_>],
    level: usize,
    list: &mut dyn List,
    element: &Element,
    path: &Path<'_>,
    notes: &mut Notes,
) -> Result<(), BindError> {
    for group in numbered(pairs, level) {
        if is_present(group, level + 1, &element.shape.kind) {
            notes.pay(list.item_bytes())?;
            let path = path.index(list.len());
            read_value(
                group,
                level + 1,
                list.push(),
                element_place(element),
                &path,
                notes,
            )?;
        }
    }
    Ok(())
}

/// Elements without a number, `AttributeName=All`: AWS's own examples have a single one so.
fn read_unnumbered(
    pairs: &[Pair<'_>],
    level: usize,
    list: &mut dyn List,
    element: &Element,
    path: &Path<'_>,
    notes: &mut Notes,
) -> Result<(), BindError> {
    if matches!(
        element.shape.kind,
        Kind::List(_) | Kind::Map { .. } | Kind::Structure(_)
    ) {
        return Ok(());
    }
    let given = |pair: &&Pair<'_>| pair.step(level).is_none() && !pair.value.is_empty();
    for pair in pairs.iter().filter(given) {
        notes.pay(list.item_bytes())?;
        let path = path.index(list.len());
        let Place { name, format, .. } = element_place(element);
        text::read(Cow::Borrowed(pair.value), list.push(), format, name, &path)?;
    }
    Ok(())
}

fn read_entries(
    pairs: &[Pair<'_>],
    level: usize,
    map: &mut dyn Entries,
    element: (&Element, &Element),
    path: &Path<'_>,
    notes: &mut Notes,
) -> Result<(), BindError> {
    for group in numbered(pairs, level) {
        read_entry(group, level + 1, map, element, path, notes)?;
    }
    map.finish();
    Ok(())
}

/// Reads the entry whose key and value are named at `level`.
fn read_entry(
    pairs: &[Pair<'_>],
    level: usize,
    map: &mut dyn Entries,
    (key, value): (&Element, &Element),
    path: &Path<'_>,
    notes: &mut Notes,
) -> Result<(), BindError> {
    let part = |name: &str| {
        groups(pairs, level)
            .find(|(step, _)| *step == name)
            .map(|(_, group)| group)
    };
    let name =
        part(key.query).and_then(|pairs| pairs.iter().find(|pair| pair.step(level + 1).is_none()));
    let Some(name) = name else {
        notes.missing.note(path, "key");
        return Ok(());
    };
    let path = path.key(name.value);
    match part(value.query) {
        Some(pairs) if is_present(pairs, level + 1, &value.shape.kind) => {
            notes.pay(map.item_bytes())?;
            let slot = map.push(name.value.to_owned());
            read_value(pairs, level + 1, slot, element_place(value), &path, notes)
        }
        _ => {
            notes.missing.note(&path, "value");
            Ok(())
        }
    }
}

fn element_place(element: &Element) -> Place<'static> {
    Place {
        shape: element.shape,
        flattened: false,
        name: element.query,
        format: element.shape.timestamp.unwrap_or(TimestampFormat::Iso8601),
    }
}

fn format(member: &Member) -> TimestampFormat {
    member.timestamp_format(TimestampFormat::Iso8601)
}

/// Appends the answer of a success: `<SendMessageResponse><SendMessageResult>…`.
pub fn write(
    service: &ServiceSchema,
    operation: &OperationSchema,
    output: &dyn Struct,
    request_id: &str,
    out: &mut Vec<u8>,
) {
    let response = format!("{}Response", operation.name);
    let mut writer = Writer::new(out);
    writer.declaration();
    writer.begin(&response);
    if let Some(uri) = service.xml_namespace {
        writer.attribute("xmlns", uri);
    }
    writer.end_tag();
    match operation.result_wrapper {
        Some(wrapper) => write_structure(&mut writer, wrapper, output, None),
        None => write_members(&mut writer, output),
    }
    writer.open("ResponseMetadata");
    writer.leaf("RequestId", request_id);
    writer.close("ResponseMetadata");
    writer.close(&response);
}
