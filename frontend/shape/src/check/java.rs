//! Values as Java's `toString` prints them, which is what AWS puts into its messages.

use std::fmt::Write;

use crate::path::lower_first;
use crate::{Element, Kind, Missing, Path, Schema, Shape, Struct, Timestamp, View};

/// Longer values are cut: a request of megabytes would come back ten times over.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Whether a value of `shape` must not be shown: it or its elements are sensitive. Structures print, less their sensitive
/// members.
pub(super) fn is_hidden(shape: &Shape) -> bool {
    shape.is_sensitive()
        || match &shape.kind {
            Kind::List(element) => element.shape.is_sensitive(),
            Kind::Map { key, value } => key.shape.is_sensitive() || value.shape.is_sensitive(),
            _ => false,
        }
}

/// Appends `view`, which stands at `path`. What is in `missing` prints as `null`.
pub(super) fn print(
    view: View<'_>,
    shape: &Shape,
    missing: &Missing,
    path: &Path<'_>,
    out: &mut String,
) {
    let limit = out.len() + VALUE_BYTES_MAX;
    Printer { missing, limit }.value(view, shape, path, out);
    out.truncate(out.floor_char_boundary(limit));
}

/// A double as Java prints it.
pub(super) fn double(value: f64) -> String {
    let magnitude = value.abs();
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 {
            "Infinity".into()
        } else {
            "-Infinity".into()
        }
    } else if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        format!("{value:?}")
    } else {
        // Rust's shortest digits, Java's one digit at least after the point: 1.0E10.
        let text = format!("{value:E}");
        let (digits, exponent) = text.split_once('E').unwrap_or((&text, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        format!("{digits}{point}E{exponent}")
    }
}

struct Printer<'m> {
    missing: &'m Missing,
    limit: usize,
}

impl Printer<'_> {
    fn value(&self, view: View<'_>, shape: &Shape, path: &Path<'_>, out: &mut String) {
        if out.len() >= self.limit {
            return;
        }
        if self.missing.contains(path) {
            return out.push_str("null");
        }
        if shape.is_sensitive() {
            return out.push_str("*** Sensitive Data Redacted ***");
        }
        match (view, &shape.kind) {
            (View::None, _) => out.push_str("null"),
            (View::Struct(value), _) => self.structure(value, path, out),
            (View::List(list), Kind::List(element)) => {
                self.sequence('[', ']', list.len(), out, |i, out| {
                    self.value(list.get(i), element.shape, &path.index(i), out);
                })
            }
            (View::Map(map), Kind::Map { value: element, .. }) => {
                self.sequence('{', '}', map.len(), out, |i, out| {
                    let (key, value) = map.entry(i);
                    self.entry(key, value, element, path, out);
                })
            }
            (view, _) => scalar(view, out),
        }
    }

    fn entry(
        &self,
        key: &str,
        value: View<'_>,
        element: &Element,
        path: &Path<'_>,
        out: &mut String,
    ) {
        out.push_str(key);
        out.push('=');
        self.value(value, element.shape, &path.key(key), out);
    }

    fn structure(&self, value: &dyn Struct, path: &Path<'_>, out: &mut String) {
        let schema: &Schema = value.schema();
        out.push_str(schema.name);
        let members: Vec<usize> = match value.active() {
            Some(i) => vec![i],
            None => (0..schema.members.len()).collect(),
        };
        self.sequence('(', ')', members.len(), out, |n, out| {
            let i = members[n];
            let member = &schema.members[i];
            out.push_str(&lower_first(member.name));
            out.push('=');
            self.value(value.get(i), member.shape, &path.member(member), out);
        });
    }

    fn sequence(
        &self,
        open: char,
        close: char,
        count: usize,
        out: &mut String,
        item: impl Fn(usize, &mut String),
    ) {
        out.push(open);
        for i in 0..count {
            if out.len() >= self.limit {
                return;
            }
            if i > 0 {
                out.push_str(", ");
            }
            item(i, out);
        }
        out.push(close);
    }
}

fn scalar(view: View<'_>, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match view {
        View::Str(text) => write!(out, "{text}"),
        View::Bool(value) => write!(out, "{value}"),
        View::Int(value) => write!(out, "{value}"),
        View::Float(value) => write!(out, "{}", float(value)),
        View::Double(value) => write!(out, "{}", double(value)),
        View::Blob(bytes) => write!(
            out,
            "java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]",
            bytes.len()
        ),
        View::Timestamp(time) => write!(out, "{}", date(time)),
        View::Document(value) => write!(out, "{value}"),
        View::None | View::List(_) | View::Map(_) | View::Struct(_) | View::Stream(_) => Ok(()),
    };
}

/// A float prints as the double with its own shortest digits.
fn float(value: f32) -> String {
    double(value.to_string().parse().unwrap_or(f64::from(value)))
}

/// `Tue Nov 14 22:13:20 UTC 2023`
fn date(time: Timestamp) -> String {
    time.to_java_date()
}
