//! CBOR data items (RFC 8949) out of a body.

use std::borrow::Cow;

use crate::read_error::{Found, ReadError};

/// A cursor over a CBOR body.
pub(super) struct Decoder<'a> {
    body: &'a [u8],
    at: usize,
}

/// The head of a data item: all of a number or simple value, the length of what follows otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Head {
    Unsigned(u64),
    /// Stands for −1 − n.
    Negative(u64),
    Bytes(Length),
    Text(Length),
    Array(Length),
    Map(Length),
    Tag(u64),
    Bool(bool),
    /// `null` and `undefined`.
    Null,
    Float(f64),
    /// Ends what has no length.
    Break,
}

/// Bytes of a string, elements of an array, or pairs of a map; `None`: until a break.
pub(super) type Length = Option<usize>;

impl Head {
    /// What to call it in a type error.
    pub(super) fn found(self) -> Found {
        match self {
            Head::Unsigned(_) | Head::Negative(_) | Head::Tag(_) | Head::Null | Head::Break => {
                Found::Integer
            }
            Head::Bytes(_) => Found::Blob,
            Head::Text(_) => Found::String,
            Head::Array(_) => Found::List,
            Head::Map(_) => Found::Map,
            Head::Bool(true) => Found::True,
            Head::Bool(false) => Found::False,
            Head::Float(_) => Found::Decimal,
        }
    }
}

impl<'a> Decoder<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Decoder { body, at: 0 }
    }

    pub(super) fn syntax<T>(&self) -> Result<T, ReadError> {
        Err(ReadError::Syntax { offset: self.at })
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Result<(), ReadError> {
        if self.at == self.body.len() {
            Ok(())
        } else {
            self.syntax()
        }
    }

    /// Takes the head of the next item.
    pub(super) fn head(&mut self) -> Result<Head, ReadError> {
        let start = self.at;
        let [first] = self.array()?;
        let info = first & 0x1f;
        Ok(match first >> 5 {
            0 => Head::Unsigned(self.argument(info)?),
            1 => Head::Negative(self.argument(info)?),
            2 => Head::Bytes(self.length(info, 1)?),
            3 => Head::Text(self.length(info, 1)?),
            4 => Head::Array(self.length(info, 1)?),
            5 => Head::Map(self.length(info, 2)?),
            6 => Head::Tag(self.argument(info)?),
            _ => match info {
                20 | 21 => Head::Bool(info == 21),
                22 | 23 => Head::Null,
                25 => Head::Float(half(u16::from_be_bytes(self.array()?))),
                26 => Head::Float(f64::from(f32::from_be_bytes(self.array()?))),
                27 => Head::Float(f64::from_be_bytes(self.array()?)),
                31 => Head::Break,
                _ => {
                    self.at = start;
                    return self.syntax();
                }
            },
        })
    }

    /// Takes a break if one is next.
    pub(super) fn accept_break(&mut self) -> bool {
        let there = self.body.get(self.at) == Some(&0xff);
        self.at += usize::from(there);
        there
    }

    /// Takes a null if one is next.
    pub(super) fn accept_null(&mut self) -> bool {
        let there = matches!(self.body.get(self.at), Some(0xf6 | 0xf7));
        self.at += usize::from(there);
        there
    }

    /// Whether another element follows in an array or map of `length`, of which `count` are read. Takes the break.
    pub(super) fn more(&mut self, length: Length, count: usize) -> bool {
        match length {
            Some(length) => count < length,
            None => !self.accept_break(),
        }
    }

    /// The bytes of a string whose head said `length`.
    pub(super) fn bytes(&mut self, length: Length) -> Result<Cow<'a, [u8]>, ReadError> {
        self.string(length, |head| match head {
            Head::Bytes(length) => length,
            _ => None,
        })
    }

    /// The text of a string whose head said `length`.
    pub(super) fn text(&mut self, length: Length) -> Result<Cow<'a, str>, ReadError> {
        let bytes = self.string(length, |head| match head {
            Head::Text(length) => length,
            _ => None,
        })?;
        match bytes {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .or_else(|_| self.syntax()),
            Cow::Owned(bytes) => String::from_utf8(bytes)
                .map(Cow::Owned)
                .or_else(|_| self.syntax()),
        }
    }

    /// A string in one piece, or in chunks of the same kind until a break.
    fn string(
        &mut self,
        length: Length,
        chunk: fn(Head) -> Length,
    ) -> Result<Cow<'a, [u8]>, ReadError> {
        if let Some(length) = length {
            return self.take(length).map(Cow::Borrowed);
        }
        let mut whole = Vec::new();
        while !self.accept_break() {
            let Some(length) = chunk(self.head()?) else {
                return self.syntax();
            };
            whole.extend_from_slice(self.take(length)?);
        }
        Ok(Cow::Owned(whole))
    }

    /// Skips an item of any kind.
    pub(super) fn skip(&mut self, depth: u32) -> Result<(), ReadError> {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
        match self.head()? {
            Head::Bytes(length) => self.bytes(length).map(drop),
            Head::Text(length) => self.text(length).map(drop),
            Head::Array(length) => self.skip_items(length, 1, depth),
            Head::Map(length) => self.skip_items(length, 2, depth),
            Head::Tag(_) => self.skip(depth),
            Head::Break => self.syntax(),
            Head::Unsigned(_) | Head::Negative(_) | Head::Bool(_) | Head::Null | Head::Float(_) => {
                Ok(())
            }
        }
    }

    fn skip_items(&mut self, length: Length, items: usize, depth: u32) -> Result<(), ReadError> {
        let mut count = 0;
        while self.more(length, count) {
            for _ in 0..items {
                self.skip(depth)?;
            }
            count += 1;
        }
        Ok(())
    }

    fn argument(&mut self, info: u8) -> Result<u64, ReadError> {
        Ok(match info {
            0..24 => u64::from(info),
            24 => u64::from(u8::from_be_bytes(self.array()?)),
            25 => u64::from(u16::from_be_bytes(self.array()?)),
            26 => u64::from(u32::from_be_bytes(self.array()?)),
            27 => u64::from_be_bytes(self.array()?),
            _ => return self.syntax(),
        })
    }

    /// A length that the rest of the body can hold, at `item_bytes` an element: no claim is believed beyond that.
    fn length(&mut self, info: u8, item_bytes: usize) -> Result<Length, ReadError> {
        if info == 31 {
            return Ok(None);
        }
        let claimed = self.argument(info)?;
        let left = (self.body.len() - self.at) / item_bytes;
        match usize::try_from(claimed) {
            Ok(length) if length <= left => Ok(Some(length)),
            _ => self.syntax(),
        }
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], ReadError> {
        let Some(taken) = self.body.get(self.at..).and_then(|rest| rest.get(..bytes)) else {
            return self.syntax();
        };
        self.at += bytes;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let Some(array) = self.body[self.at..].first_chunk() else {
            return self.syntax();
        };
        self.at += N;
        Ok(*array)
    }
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], head: Head) {
        assert_eq!(Decoder::new(bytes).head().ok(), Some(head), "{bytes:x?}");
    }

    #[test]
    fn reads_the_examples_of_rfc_8949() {
        check(&[0x17], Head::Unsigned(23));
        check(&[0x18, 0x18], Head::Unsigned(24));
        check(
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Head::Unsigned(u64::MAX),
        );
        check(&[0x39, 0x03, 0xe7], Head::Negative(999));
        check(&[0xf9, 0x00, 0x01], Head::Float(5.960_464_477_539_063e-8));
        check(&[0xf9, 0x7b, 0xff], Head::Float(65504.0));
        check(&[0xf9, 0xc4, 0x00], Head::Float(-4.0));
        check(&[0xf9, 0xfc, 0x00], Head::Float(f64::NEG_INFINITY));
        check(&[0xfa, 0x47, 0xc3, 0x50, 0x00], Head::Float(100_000.0));
        check(&[0xc1], Head::Tag(1));
        check(&[0xf5], Head::Bool(true));
        check(&[0xf7], Head::Null);
        check(&[0x9f], Head::Array(None));
    }
}
