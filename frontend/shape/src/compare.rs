//! `Debug` and `==` for generated types, by reflection: a derive per type would cost compile time.

use std::fmt;

use crate::{Entries, List, Struct, View};

/// Writes `value` as a derived `Debug` would, absent members left out and sensitive ones hidden.
///
/// # Errors
///
/// The formatter's.
pub fn debug(value: &dyn Struct, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let schema = value.schema();
    let mut out = f.debug_struct(schema.name);
    for (i, member) in schema.members.iter().enumerate() {
        match value.get(i) {
            View::None => {}
            _ if schema.sensitive || member.sensitive() => {
                out.field(member.name, &format_args!("<sensitive>"));
            }
            view => {
                out.field(member.name, &view);
            }
        }
    }
    out.finish()
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            View::None => f.write_str("None"),
            View::Str(text) => text.fmt(f),
            View::Bool(value) => value.fmt(f),
            View::Int(value) => value.fmt(f),
            View::Float(value) => value.fmt(f),
            View::Double(value) => value.fmt(f),
            View::Blob(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            View::Timestamp(time) => time.fmt(f),
            View::List(list) => f
                .debug_list()
                .entries((0..list.len()).map(|i| list.get(i)))
                .finish(),
            View::Map(map) => f
                .debug_map()
                .entries((0..map.len()).map(|i| map.entry(i)))
                .finish(),
            View::Struct(value) => debug(value, f),
            View::Document(value) => value.fmt(f),
            View::Stream(stream) => stream.fmt(f),
        }
    }
}

/// Whether two values of one schema hold the same. Streams whose content is not in memory differ from everything.
pub fn equal(a: &dyn Struct, b: &dyn Struct) -> bool {
    let schema = a.schema();
    std::ptr::eq(schema, b.schema())
        && (0..schema.members.len()).all(|i| views_equal(a.get(i), b.get(i)))
}

fn views_equal(a: View<'_>, b: View<'_>) -> bool {
    match (a, b) {
        (View::None, View::None) => true,
        (View::Str(a), View::Str(b)) => a == b,
        (View::Bool(a), View::Bool(b)) => a == b,
        (View::Int(a), View::Int(b)) => a == b,
        (View::Float(a), View::Float(b)) => a == b,
        (View::Double(a), View::Double(b)) => a == b,
        (View::Blob(a), View::Blob(b)) => a == b,
        (View::Timestamp(a), View::Timestamp(b)) => a == b,
        (View::List(a), View::List(b)) => lists_equal(a, b),
        (View::Map(a), View::Map(b)) => maps_equal(a, b),
        (View::Struct(a), View::Struct(b)) => equal(a, b),
        (View::Document(a), View::Document(b)) => a == b,
        (View::Stream(a), View::Stream(b)) => {
            a.as_bytes().is_some() && a.as_bytes() == b.as_bytes()
        }
        _ => false,
    }
}

fn lists_equal(a: &dyn List, b: &dyn List) -> bool {
    a.len() == b.len() && (0..a.len()).all(|i| views_equal(a.get(i), b.get(i)))
}

/// Order counts: a map of shapes keeps it, and what we write should repeat.
fn maps_equal(a: &dyn Entries, b: &dyn Entries) -> bool {
    let entries_equal = |i| {
        let ((a_key, a), (b_key, b)) = (a.entry(i), b.entry(i));
        a_key == b_key && views_equal(a, b)
    };
    a.len() == b.len() && (0..a.len()).all(entries_equal)
}
