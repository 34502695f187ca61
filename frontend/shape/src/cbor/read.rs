//! CBOR into slots.

use bytes::Bytes;

use super::DEPTH_MAX;
use super::decoder::{Decoder, Head, Length};
use crate::read_error::{Budget, ReadError};
use crate::{Entries, Kind, List, Missing, Path, Seen, Shape, Slot, Struct, Timestamp};

/// Reads the CBOR map `body` into `into`; the required members that it lacks. An empty body is an empty map: operations
/// without input send none.
///
/// # Errors
///
/// The first thing that is not CBOR or not of the model's type. `into` then holds what came before it.
pub fn read(body: &[u8], into: &mut dyn Struct) -> Result<Missing, ReadError> {
    let mut missing = Missing::default();
    if body.is_empty() {
        missing.note_unseen(into.schema(), Seen::default(), &Path::ROOT);
        return Ok(missing);
    }
    let mut reader = Reader {
        decoder: Decoder::new(body),
        budget: Budget::new(body.len()),
        missing: &mut missing,
    };
    match reader.decoder.head()? {
        Head::Map(length) => reader.structure(length, into, &Path::ROOT, DEPTH_MAX)?,
        _ => return reader.decoder.syntax(),
    }
    reader.decoder.end()?;
    Ok(missing)
}

struct Reader<'a, 'm> {
    decoder: Decoder<'a>,
    budget: Budget,
    missing: &'m mut Missing,
}

/// What the model says of the value to read.
#[derive(Clone, Copy)]
struct Expected {
    shape: &'static Shape,
    element: bool,
}

impl Expected {
    fn not<T>(self, head: Head) -> Result<T, ReadError> {
        Err(ReadError::Type {
            found: head.found(),
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
        match (self.decoder.head()?, slot) {
            (Head::Map(length), Slot::Struct(value)) => self.structure(length, value, path, depth),
            (Head::Map(length), Slot::Map(map)) => self.map(length, map, expected, path, depth),
            (Head::Array(length), Slot::List(list)) => {
                self.list(length, list, expected, path, depth)
            }
            (Head::Tag(_), slot) => {
                let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
                self.value(slot, expected, path, depth)
            }
            (head, slot) => self.scalar(head, slot, expected),
        }
    }

    fn scalar(&mut self, head: Head, slot: Slot<'_>, expected: Expected) -> Result<(), ReadError> {
        match (head, slot) {
            (Head::Text(length), Slot::Str(place)) => {
                *place = self.decoder.text(length)?.into_owned()
            }
            (Head::Text(length), Slot::Enum(place)) => place.set(&self.decoder.text(length)?),
            (Head::Bytes(length), Slot::Blob(place)) => {
                *place = Bytes::from(self.decoder.bytes(length)?.into_owned())
            }
            (Head::Bool(value), Slot::Bool(place)) => *place = value,
            (Head::Break, _) => return self.decoder.syntax(),
            (head, slot) => match number(head) {
                Some(number) => number.put(slot).unwrap_or_else(|| expected.not(head))?,
                None => return expected.not(head),
            },
        }
        Ok(())
    }

    fn structure(
        &mut self,
        length: Length,
        value: &mut dyn Struct,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), ReadError> {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
        let schema = value.schema();
        let (mut seen, mut active, mut hint, mut count) = (Seen::default(), None, 0, 0);
        while self.decoder.more(length, count) {
            count += 1;
            let Head::Text(key) = self.decoder.head()? else {
                return self.decoder.syntax();
            };
            let key = self.decoder.text(key)?;
            let Some(i) = schema.find(&key, hint, |member| member.wire) else {
                self.decoder.skip(depth)?;
                continue;
            };
            if self.decoder.accept_null() {
                continue;
            }
            if schema.union && active.is_some_and(|other| other != i) {
                self.missing.note_union(schema, true, path);
            }
            let member = &schema.members[i];
            let expected = Expected {
                shape: member.shape,
                element: false,
            };
            self.value(value.slot(i), expected, &path.member(member), depth)?;
            seen.insert(member);
            active = Some(i);
            hint = i + 1;
        }
        if schema.union && active.is_none() {
            self.missing.note_union(schema, false, path);
        }
        self.missing.note_unseen(schema, seen, path);
        Ok(())
    }

    fn list(
        &mut self,
        length: Length,
        list: &mut dyn List,
        expected: Expected,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), ReadError> {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
        let Kind::List(element) = &expected.shape.kind else {
            return expected.not(Head::Array(length));
        };
        let expected = Expected {
            shape: element.shape,
            element: true,
        };
        list.clear();
        while self.decoder.more(length, list.len()) {
            let path = path.index(list.len());
            self.budget.take(list.item_bytes())?;
            let slot = list.push();
            if self.decoder.accept_null() {
                self.missing.note(&path, "member");
            } else {
                self.value(slot, expected, &path, depth)?;
            }
        }
        Ok(())
    }

    fn map(
        &mut self,
        length: Length,
        map: &mut dyn Entries,
        expected: Expected,
        path: &Path<'_>,
        depth: u32,
    ) -> Result<(), ReadError> {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
        let Kind::Map { value, .. } = &expected.shape.kind else {
            return expected.not(Head::Map(length));
        };
        let expected = Expected {
            shape: value.shape,
            element: true,
        };
        map.clear();
        while self.decoder.more(length, map.len()) {
            let Head::Text(key) = self.decoder.head()? else {
                return self.decoder.syntax();
            };
            let key = self.decoder.text(key)?;
            self.budget.take(map.item_bytes())?;
            let path = path.key(&key);
            let slot = map.push(key.clone().into_owned());
            if self.decoder.accept_null() {
                self.missing.note(&path, "member");
            } else {
                self.value(slot, expected, &path, depth)?;
            }
        }
        map.finish();
        Ok(())
    }
}

/// A number on its way into whatever kind of number the model has.
#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Float(f64),
}

fn number(head: Head) -> Option<Number> {
    match head {
        Head::Unsigned(value) => Some(Number::Whole(i128::from(value))),
        Head::Negative(value) => Some(Number::Whole(-1 - i128::from(value))),
        Head::Float(value) => Some(Number::Float(value)),
        _ => None,
    }
}

impl Number {
    /// Puts it into `slot`; `None` if that takes no number.
    fn put(self, slot: Slot<'_>) -> Option<Result<(), ReadError>> {
        match slot {
            Slot::Int(place) => {
                *place = self.whole().clamp(i32::MIN.into(), i32::MAX.into()) as i32
            }
            Slot::Long(place) => *place = self.whole(),
            Slot::Float(place) => *place = self.float() as f32,
            Slot::Double(place) => *place = self.float(),
            Slot::Timestamp(place) => match Timestamp::from_epoch(self.float()) {
                Some(time) => *place = time,
                None => return Some(Err(ReadError::Timestamp)),
            },
            _ => return None,
        }
        Some(Ok(()))
    }

    /// As from JSON: a fraction is cut off, what is out of range becomes the nearest in range.
    fn whole(self) -> i64 {
        match self {
            Number::Whole(value) => value.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            Number::Float(value) => value as i64,
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Whole(value) => value as f64,
            Number::Float(value) => value,
        }
    }
}
