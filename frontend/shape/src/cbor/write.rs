//! CBOR from views.

use crate::{Location, Struct, Timestamp, View};

/// Appends `from` as a CBOR map, absent members left out.
pub fn write(from: &dyn Struct, out: &mut Vec<u8>) {
    write_map(&[], Some(from), out);
}

/// Appends a map of `fields` and the members of `from` that are not among them: an error's `__type` and `message`
/// before its shape's members.
pub fn write_map(fields: &[(&str, &str)], from: Option<&dyn Struct>, out: &mut Vec<u8>) {
    let members = || {
        from.into_iter()
            .flat_map(members)
            .filter(|(name, _)| fields.iter().all(|field| field.0 != *name))
    };
    head(MAP, (fields.len() + members().count()) as u64, out);
    for (name, value) in fields {
        write_text(name, out);
        write_text(value, out);
    }
    for (name, view) in members() {
        write_text(name, out);
        write_value(view, out);
    }
}

/// The members that are present and travel in the body, with their names there.
fn members(from: &dyn Struct) -> impl Iterator<Item = (&'static str, View<'_>)> {
    let members = from.schema().members;
    let candidates = from.active().map_or(0..members.len(), |i| i..i + 1);
    candidates
        .filter(|&i| members[i].location == Location::Body)
        .map(|i| (members[i].wire, from.get(i)))
        .filter(|(_, view)| !matches!(view, View::None | View::Stream(_)))
}

/// Appends `text` as a text string.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    head(TEXT, text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const FLOAT: u8 = 0xfa;
const DOUBLE: u8 = 0xfb;

/// Major type and argument, in the shortest form.
fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    if argument < 24 {
        out.push(major | argument as u8);
    } else if let Ok(argument) = u8::try_from(argument) {
        out.extend_from_slice(&[major | 24, argument]);
    } else if let Ok(argument) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend_from_slice(&argument.to_be_bytes());
    } else if let Ok(argument) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend_from_slice(&argument.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
}

fn write_value(view: View<'_>, out: &mut Vec<u8>) {
    match view {
        View::None | View::Stream(_) => out.push(NULL),
        View::Str(text) => write_text(text, out),
        View::Bool(value) => out.push(if value { TRUE } else { FALSE }),
        View::Int(value) => write_int(value, out),
        View::Float(value) => {
            out.push(FLOAT);
            out.extend_from_slice(&value.to_be_bytes());
        }
        View::Double(value) => write_double(value, out),
        View::Blob(bytes) => {
            head(BYTES, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
        View::Timestamp(time) => write_timestamp(time, out),
        View::List(list) => {
            head(ARRAY, list.len() as u64, out);
            (0..list.len()).for_each(|i| write_value(list.get(i), out));
        }
        View::Map(map) => {
            head(MAP, map.len() as u64, out);
            for (key, value) in (0..map.len()).map(|i| map.entry(i)) {
                write_text(key, out);
                write_value(value, out);
            }
        }
        View::Struct(value) => write(value, out),
        // The protocol has no documents; as JSON text none is lost.
        View::Document(value) => write_text(&value.to_string(), out),
    }
}

fn write_int(value: i64, out: &mut Vec<u8>) {
    match u64::try_from(value) {
        Ok(value) => head(UNSIGNED, value, out),
        Err(_) => head(NEGATIVE, value.unsigned_abs() - 1, out),
    }
}

fn write_double(value: f64, out: &mut Vec<u8>) {
    out.push(DOUBLE);
    out.extend_from_slice(&value.to_be_bytes());
}

fn write_timestamp(time: Timestamp, out: &mut Vec<u8>) {
    head(TAG, 1, out);
    if time.0 % 1000 == 0 {
        write_int(time.seconds(), out);
    } else {
        write_double(time.0 as f64 / 1000.0, out);
    }
}
