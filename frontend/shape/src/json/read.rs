//! JSON into slots.

use std::borrow::Cow;

use bytes::Bytes;

use super::DEPTH_MAX;
use super::lexer::{Lexer, Next};
use crate::read_error::{Base64Fault, Budget, Found, ReadError};
use crate::{
    Element, Entries, Kind, List, Location, Member, Missing, Path, Seen, Shape, Slot, Struct,
    Timestamp, TimestampFormat,
};

/// Reads the JSON object `body` into `into`; the required members that it lacks.
///
/// Members that the model does not have are skipped, and `null` is as good as absent.
///
/// # Errors
///
/// The first thing that is not JSON or not of the model's type. `into` then holds what came before it.
pub fn read(body: &[u8], into: &mut dyn Struct) -> Result<Missing, ReadError> {
    let mut missing = Missing::default();
    let seen = read_members(body, into, &mut missing)?;
    missing.note_unseen(into.schema(), seen, &Path::ROOT);
    Ok(missing)
}

/// As [`read`], but leaves it to the caller to note what is missing on the top level: some members of a REST request
/// stand in headers, path or query.
///
/// # Errors
///
/// As [`read`].
pub fn read_members(
    body: &[u8],
    into: &mut dyn Struct,
    missing: &mut Missing,
) -> Result<Seen, ReadError> {
    let mut reader = Reader {
        lexer: Lexer::new(body)?,
        budget: Budget::new(body.len()),
        missing,
    };
    let seen = reader.members(into, &Path::ROOT, DEPTH_MAX)?;
    reader.lexer.end()?;
    Ok(seen)
}

struct Reader<'a, 'm> {
    lexer: Lexer<'a>,
    budget: Budget,
    missing: &'m mut Missing,
}

/// What the model says of the value to read.
#[derive(Clone, Copy)]
struct Expected {
    shape: &'static Shape,
    timestamp: TimestampFormat,
    element: bool,
}

impl Expected {
    fn member(member: &'static Member) -> Expected {
        let timestamp = member.timestamp_format(TimestampFormat::Epoch);
        Expected {
            shape: member.shape,
            timestamp,
            element: false,
        }
    }

    fn element(element: &'static Element) -> Expected {
        let timestamp = element.shape.timestamp.unwrap_or(TimestampFormat::Epoch);
        Expected {
            shape: element.shape,
            timestamp,
            element: true,
        }
    }

    fn not<T>(self, found: Found) -> Result<T, ReadError> {
        Err(ReadError::Type {
            found,
            expected: self.shape,
            element: self.element,
        })
    }
}

impl Reader<'_, '_> {
    fn value(
        &mut self,
        slot: Slot<'_>,
        expected: Expected,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), ReadError> {
        match (self.lexer.next()?, slot) {
            (_, Slot::Document(document)) => self.document(document, depth),
            (Next::String, slot) => self.string(slot, expected),
            (Next::Number, slot) => self.number(slot, expected),
            (Next::Object, Slot::Struct(value)) => self.structure(value, path, depth),
            (Next::Object, Slot::Map(map)) => self.map(map, expected, path, depth),
            (Next::Object, _) => expected.not(Found::Map),
            (Next::Array, Slot::List(list)) => self.list(list, expected, path, depth),
            (Next::Array, _) => expected.not(Found::List),
            (Next::True, slot) => self.boolean("true", slot, expected),
            (Next::False, slot) => self.boolean("false", slot, expected),
            (Next::Null, _) => self.lexer.literal("null"),
        }
    }

    fn structure(
        &mut self,
        value: &mut dyn Struct,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), ReadError> {
        let seen = self.members(value, path, depth)?;
        self.missing.note_unseen(value.schema(), seen, path);
        Ok(())
    }

    fn members(
        &mut self,
        value: &mut dyn Struct,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<Seen, ReadError> {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
        let schema = value.schema();
        let mut seen = Seen::default();
        let mut active = None;
        let mut hint = 0;
        self.lexer.expect(b'{')?;
        let mut more = !self.lexer.accept(b'}');
        while more {
            let key = self.lexer.string()?;
            self.lexer.expect(b':')?;
            match schema.find(&key, hint, |member| member.wire) {
                Some(i)
                    if self.lexer.next()? != Next::Null
                        && schema.members[i].location == Location::Body =>
                {
                    let member = &schema.members[i];
                    if schema.union && active.is_some_and(|other| other != i) {
                        self.missing.note_union(schema, true, path);
                    }
                    self.value(
                        value.slot(i),
                        Expected::member(member),
                        &path.member(member),
                        depth,
                    )?;
                    seen.insert(member);
                    active = Some(i);
                    hint = i + 1;
                }
                _ => {
                    self.lexer.skip(depth)?;
                }
            }
            more = self.lexer.more(b'}')?;
        }
        if schema.union && active.is_none() {
            self.missing.note_union(schema, false, path);
        }
        Ok(seen)
    }

    fn list(
        &mut self,
        list: &mut dyn List,
        expected: Expected,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), ReadError> {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
        let Kind::List(element) = &expected.shape.kind else {
            return expected.not(Found::List);
        };
        list.clear();
        self.lexer.expect(b'[')?;
        let mut more = !self.lexer.accept(b']');
        while more {
            let path = path.index(list.len());
            self.budget.take(list.item_bytes())?;
            // A null stays as a default element, so that positions hold, and counts as missing.
            if self.lexer.next()? == Next::Null {
                self.missing.note(&path, "member");
            }
            self.value(list.push(), Expected::element(element), &path, depth)?;
            more = self.lexer.more(b']')?;
        }
        Ok(())
    }

    fn map(
        &mut self,
        map: &mut dyn Entries,
        expected: Expected,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), ReadError> {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
        let Kind::Map { value, .. } = &expected.shape.kind else {
            return expected.not(Found::Map);
        };
        map.clear();
        self.lexer.expect(b'{')?;
        let mut more = !self.lexer.accept(b'}');
        while more {
            let key = self.lexer.string()?;
            self.lexer.expect(b':')?;
            self.budget.take(map.item_bytes())?;
            let path = path.key(&key);
            if self.lexer.next()? == Next::Null {
                self.missing.note(&path, "member");
            }
            self.value(
                map.push(key.clone().into_owned()),
                Expected::element(value),
                &path,
                depth,
            )?;
            more = self.lexer.more(b'}')?;
        }
        map.finish();
        Ok(())
    }

    fn document(&mut self, document: &mut crate::Document, depth: u32) -> Result<(), ReadError> {
        let text = self.lexer.skip(depth)?;
        self.budget.take(text.len().saturating_mul(16))?;
        *document = serde_json::from_str(text).or_else(|_| self.lexer.syntax())?;
        Ok(())
    }

    fn boolean(
        &mut self,
        literal: &str,
        slot: Slot<'_>,
        expected: Expected,
    ) -> Result<(), ReadError> {
        self.lexer.literal(literal)?;
        let value = literal == "true";
        match slot {
            Slot::Bool(place) => *place = value,
            _ => return expected.not(if value { Found::True } else { Found::False }),
        }
        Ok(())
    }

    fn string(&mut self, slot: Slot<'_>, expected: Expected) -> Result<(), ReadError> {
        let text = self.lexer.string()?;
        match slot {
            Slot::Str(place) => set_string(place, text),
            Slot::Enum(place) => place.set(&text),
            Slot::Blob(place) => *place = decode_base64(&text)?,
            Slot::Timestamp(place) if expected.timestamp != TimestampFormat::Epoch => {
                *place = Timestamp::parse(expected.timestamp, &text).ok_or(ReadError::Timestamp)?;
            }
            Slot::Bool(place) => match spelled_boolean(&text) {
                Some(value) => *place = value,
                None => return expected.not(Found::String),
            },
            Slot::Float(place) => match non_finite(&text) {
                Some(value) => *place = value as f32,
                None => return expected.not(Found::String),
            },
            Slot::Double(place) => match non_finite(&text) {
                Some(value) => *place = value,
                None => return expected.not(Found::String),
            },
            _ => return expected.not(Found::String),
        }
        Ok(())
    }

    fn number(&mut self, slot: Slot<'_>, expected: Expected) -> Result<(), ReadError> {
        let (text, found) = self.lexer.number()?;
        let float = || text.parse::<f64>().unwrap_or(f64::NAN);
        match slot {
            Slot::Int(place) => {
                *place = whole(text).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
            }
            Slot::Long(place) => *place = whole(text),
            Slot::Float(place) => *place = float() as f32,
            Slot::Double(place) => *place = float(),
            Slot::Timestamp(place) if expected.timestamp == TimestampFormat::Epoch => {
                *place = Timestamp::from_epoch(float()).ok_or(ReadError::Timestamp)?;
            }
            _ => return expected.not(found),
        }
        Ok(())
    }
}

/// As AWS reads whole numbers: a fraction is cut off, what is out of range becomes the nearest in range, where the
/// validator finds it.
fn whole(text: &str) -> i64 {
    // A float's cast saturates and cuts off just so.
    text.parse()
        .unwrap_or_else(|_| text.parse::<f64>().unwrap_or(0.0) as i64)
}

fn set_string(place: &mut String, text: Cow<'_, str>) {
    match text {
        Cow::Owned(text) => *place = text,
        Cow::Borrowed(text) => {
            place.clear();
            place.push_str(text);
        }
    }
}

/// What AWS takes for a boolean though it is text.
fn spelled_boolean(text: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 3]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    match (
        is_one_of(["true", "yes", "1"]),
        is_one_of(["false", "no", "0"]),
    ) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The numbers that JSON cannot write otherwise.
fn non_finite(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn decode_base64(text: &str) -> Result<Bytes, ReadError> {
    if let Ok(bytes) = base64_simd::STANDARD.decode_to_vec(text) {
        return Ok(bytes.into());
    }
    let plain = text.trim_end_matches('=');
    let foreign = plain
        .chars()
        .find(|&letter| !letter.is_ascii_alphanumeric() && letter != '+' && letter != '/');
    Err(ReadError::Base64(match foreign {
        Some('=') => Base64Fault::LastCharacter,
        Some(letter) => Base64Fault::Character(letter),
        None if !text.len().is_multiple_of(4) => Base64Fault::Length(text.len()),
        None => Base64Fault::LastCharacter,
    }))
}
