//! Scalars as text: what XML elements, form parameters, headers, labels and query strings have in common.

use std::borrow::Cow;

use crate::{BindError, Path, Slot, Timestamp, TimestampFormat, View};

/// What a text should have been, in words for people.
pub(crate) type Wanted = &'static str;

/// Reads `text`, which stands at `path` under the wire name `name`, into the scalar `slot`; timestamps in `format`.
///
/// # Errors
///
/// When `text` is not what the slot wants; the slot then keeps its default.
pub(crate) fn read(
    text: Cow<'_, str>,
    slot: Slot<'_>,
    format: TimestampFormat,
    name: &str,
    path: &Path<'_>,
) -> Result<(), BindError> {
    if let Slot::Str(into) = slot {
        *into = text.into_owned();
        return Ok(());
    }
    scalar(&text, slot, format).map_err(|wanted| BindError::Value {
        name: name.to_owned(),
        path: path.to_string(),
        text: text.into_owned(),
        wanted,
    })
}

fn scalar(text: &str, slot: Slot<'_>, format: TimestampFormat) -> Result<(), Wanted> {
    match slot {
        Slot::Str(into) => text.clone_into(into),
        Slot::Enum(into) => into.set(text),
        Slot::Bool(into) => *into = boolean(text)?,
        Slot::Int(into) => *into = text.trim().parse().map_err(|_| "an integer")?,
        Slot::Long(into) => *into = text.trim().parse().map_err(|_| "a long integer")?,
        Slot::Float(into) => *into = float(text)? as f32,
        Slot::Double(into) => *into = float(text)?,
        Slot::Blob(into) => *into = base64(text)?.into(),
        Slot::Timestamp(into) => {
            *into = Timestamp::parse(format, text.trim()).ok_or("a timestamp")?
        }
        Slot::Document(into) => {
            *into = serde_json::from_str(text).map_err(|_| "a JSON document")?
        }
        Slot::None | Slot::List(_) | Slot::Map(_) | Slot::Struct(_) | Slot::Stream(_) => {
            return Err("text");
        }
    }
    Ok(())
}

/// The scalar `view` as text; `None` when it is absent or no scalar.
pub(crate) fn write(view: View<'_>, format: TimestampFormat) -> Option<Cow<'_, str>> {
    Some(match view {
        View::Str(text) => Cow::Borrowed(text),
        View::Bool(truth) => Cow::Borrowed(if truth { "true" } else { "false" }),
        View::Int(number) => Cow::Owned(itoa::Buffer::new().format(number).to_owned()),
        View::Float(number) => number_text(f64::from(number), || {
            zmij::Buffer::new().format(number).to_owned()
        }),
        View::Double(number) => {
            number_text(number, || zmij::Buffer::new().format(number).to_owned())
        }
        View::Blob(bytes) => Cow::Owned(base64_simd::STANDARD.encode_to_string(bytes)),
        View::Timestamp(at) => Cow::Owned(at.format(format)),
        View::Document(json) => Cow::Owned(json.to_string()),
        View::None | View::List(_) | View::Map(_) | View::Struct(_) | View::Stream(_) => {
            return None;
        }
    })
}

pub(crate) fn base64(text: &str) -> Result<Vec<u8>, Wanted> {
    base64_simd::forgiving_decode_to_vec(text.as_bytes()).map_err(|_| "base64")
}

fn boolean(text: &str) -> Result<bool, Wanted> {
    let text = text.trim();
    match () {
        () if text.eq_ignore_ascii_case("true") => Ok(true),
        () if text.eq_ignore_ascii_case("false") => Ok(false),
        () => Err("true or false"),
    }
}

fn float(text: &str) -> Result<f64, Wanted> {
    match text.trim() {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        // Rust also reads `inf` and `nan`, which AWS does not.
        text if text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) =>
        {
            text.parse().map_err(|_| "a number")
        }
        _ => Err("a number"),
    }
}

fn number_text(number: f64, finite: impl FnOnce() -> String) -> Cow<'static, str> {
    if number.is_nan() {
        Cow::Borrowed("NaN")
    } else if number.is_infinite() {
        Cow::Borrowed(if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        })
    } else {
        Cow::Owned(finite())
    }
}
