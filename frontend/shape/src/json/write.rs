//! JSON from views.

use super::scan::plain_bytes;
use crate::{Element, Kind, Location, Shape, Struct, TimestampFormat, View};

/// Appends `from` as a JSON object, absent members left out.
///
/// Members that travel elsewhere (headers, streams) are left out too: they are their owners' to send.
pub fn write(from: &dyn Struct, out: &mut Vec<u8>) {
    out.push(b'{');
    write_members(from, out);
    out.push(b'}');
}

/// Appends the members of `from` without the braces, after a comma unless `out` ends with the opening brace: so that a
/// caller can put members of its own first, such as `__type`.
pub fn write_members(from: &dyn Struct, out: &mut Vec<u8>) {
    match from.active() {
        Some(i) => write_member(from, i, out),
        None => (0..from.schema().members.len()).for_each(|i| write_member(from, i, out)),
    }
}

/// Appends `text` in quotes, escaped.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_bytes(rest));
        out.extend_from_slice(plain);
        let Some((&byte, after)) = special.split_first() else {
            break;
        };
        write_escape(byte, out);
        rest = after;
    }
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

fn write_member(from: &dyn Struct, i: usize, out: &mut Vec<u8>) {
    let Some(member) = from.schema().members.get(i) else {
        return;
    };
    let view = from.get(i);
    if matches!(view, View::None | View::Stream(_)) || member.location != Location::Body {
        return;
    }
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    // The models' names need no escapes.
    out.push(b'"');
    out.extend_from_slice(member.wire.as_bytes());
    out.extend_from_slice(b"\":");
    write_value(
        view,
        member.shape,
        member.timestamp_format(TimestampFormat::Epoch),
        out,
    );
}

fn write_value(view: View<'_>, shape: &Shape, format: TimestampFormat, out: &mut Vec<u8>) {
    match view {
        View::None | View::Stream(_) => out.extend_from_slice(b"null"),
        View::Str(text) => write_string(text, out),
        View::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        View::Int(value) => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        View::Float(value) => {
            write_number(f64::from(value), zmij::Buffer::new().format(value), out)
        }
        View::Double(value) => write_number(value, zmij::Buffer::new().format(value), out),
        View::Blob(bytes) => write_blob(bytes, out),
        View::Timestamp(time) => {
            let text = time.format(format);
            match format {
                TimestampFormat::Epoch => out.extend_from_slice(text.as_bytes()),
                TimestampFormat::Iso8601 | TimestampFormat::HttpDate => write_string(&text, out),
            }
        }
        View::List(list) => {
            let Kind::List(element) = &shape.kind else {
                return out.extend_from_slice(b"[]");
            };
            write_sequence(b'[', b']', list.len(), out, |i, out| {
                write_element(list.get(i), element, out)
            });
        }
        View::Map(map) => {
            let Kind::Map { value: element, .. } = &shape.kind else {
                return out.extend_from_slice(b"{}");
            };
            write_sequence(b'{', b'}', map.len(), out, |i, out| {
                let (key, value) = map.entry(i);
                write_string(key, out);
                out.push(b':');
                write_element(value, element, out);
            });
        }
        View::Struct(value) => write(value, out),
        // A `Value` always has text keys and finite numbers, so writing it to memory cannot fail.
        View::Document(value) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

fn write_element(view: View<'_>, element: &Element, out: &mut Vec<u8>) {
    write_value(
        view,
        element.shape,
        element.shape.timestamp.unwrap_or(TimestampFormat::Epoch),
        out,
    );
}

fn write_sequence(
    open: u8,
    close: u8,
    count: usize,
    out: &mut Vec<u8>,
    mut item: impl FnMut(usize, &mut Vec<u8>),
) {
    out.push(open);
    for i in 0..count {
        if i > 0 {
            out.push(b',');
        }
        item(i, out);
    }
    out.push(close);
}

fn write_number(value: f64, text: &str, out: &mut Vec<u8>) {
    match value {
        _ if value.is_finite() => out.extend_from_slice(text.as_bytes()),
        _ if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
        _ if value > 0.0 => out.extend_from_slice(b"\"Infinity\""),
        _ => out.extend_from_slice(b"\"-Infinity\""),
    }
}

fn write_blob(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    base64_simd::STANDARD.encode_append(bytes, out);
    out.push(b'"');
}
