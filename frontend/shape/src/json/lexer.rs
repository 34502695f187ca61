//! JSON tokens out of a body that is known to be UTF-8.

use std::borrow::Cow;

use super::scan::plain_bytes;
use crate::read_error::{Found, ReadError};

/// A cursor over a JSON text.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// What the next value is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, ReadError> {
        let text = std::str::from_utf8(body).map_err(|error| ReadError::Syntax {
            offset: error.valid_up_to(),
        })?;
        Ok(Lexer { text, at: 0 })
    }

    pub(crate) fn syntax<T>(&self) -> Result<T, ReadError> {
        Err(ReadError::Syntax { offset: self.at })
    }

    /// The byte after white space; 0 at the end, which no token begins with.
    pub(crate) fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    /// What value comes next.
    pub(crate) fn next(&mut self) -> Result<Next, ReadError> {
        Ok(match self.peek() {
            b'{' => Next::Object,
            b'[' => Next::Array,
            b'"' => Next::String,
            b't' => Next::True,
            b'f' => Next::False,
            b'n' => Next::Null,
            b'-' | b'0'..=b'9' => Next::Number,
            _ => return self.syntax(),
        })
    }

    /// Takes `byte`, after white space.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), ReadError> {
        if self.peek() != byte {
            return self.syntax();
        }
        self.at += 1;
        Ok(())
    }

    /// Takes `byte` if it comes next.
    pub(crate) fn accept(&mut self, byte: u8) -> bool {
        let there = self.peek() == byte;
        self.at += usize::from(there);
        there
    }

    /// Takes `true`, `false` or `null`.
    pub(crate) fn literal(&mut self, literal: &str) -> Result<(), ReadError> {
        if !self.text.as_bytes()[self.at..].starts_with(literal.as_bytes()) {
            return self.syntax();
        }
        self.at += literal.len();
        Ok(())
    }

    /// Nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), ReadError> {
        if self.peek() == 0 && self.at == self.text.len() {
            Ok(())
        } else {
            self.syntax()
        }
    }

    /// After an element: whether another one follows in a list or object that `close` ends.
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, ReadError> {
        if self.accept(b',') {
            return Ok(true);
        }
        self.expect(close)?;
        Ok(false)
    }

    /// A string; borrowed from the body unless it has escapes.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, ReadError> {
        self.expect(b'"')?;
        let start = self.at;
        self.skip_plain();
        match self.text.as_bytes().get(self.at) {
            Some(b'"') => {
                self.at += 1;
                Ok(Cow::Borrowed(&self.text[start..self.at - 1]))
            }
            Some(b'\\') => self.escaped_string(start).map(Cow::Owned),
            _ => self.syntax(),
        }
    }

    fn escaped_string(&mut self, mut start: usize) -> Result<String, ReadError> {
        let mut out = String::new();
        loop {
            out.push_str(&self.text[start..self.at]);
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return self.syntax(),
            }
            start = self.at;
            self.skip_plain();
        }
    }

    /// Moves to the next quote, backslash or control character.
    fn skip_plain(&mut self) {
        self.at += plain_bytes(&self.text.as_bytes()[self.at..]);
    }

    fn escape(&mut self) -> Result<char, ReadError> {
        let escape = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match escape {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => {
                // Back on a character boundary: what follows the backslash may be the first byte of several.
                self.at -= 2;
                return self.syntax();
            }
        })
    }

    /// The rest of `\uXXXX`, and of a second one when they are a surrogate pair. Half a pair is no text.
    fn unicode_escape(&mut self) -> Result<char, ReadError> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..0xdc00 => {
                self.literal("\\u")?;
                match self.hex4()? {
                    second @ 0xdc00..0xe000 => {
                        0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => return self.syntax(),
                }
            }
            plain => plain,
        };
        char::from_u32(code).map_or_else(|| self.syntax(), Ok)
    }

    fn hex4(&mut self) -> Result<u32, ReadError> {
        let Some(digits) = self.text.as_bytes()[self.at..].first_chunk::<4>() else {
            return self.syntax();
        };
        let mut code = 0;
        for digit in digits {
            let Some(value) = char::from(*digit).to_digit(16) else {
                return self.syntax();
            };
            code = code * 16 + value;
        }
        self.at += 4;
        Ok(code)
    }

    /// A number as text, and whether it has a fraction or an exponent.
    pub(crate) fn number(&mut self) -> Result<(&'a str, Found), ReadError> {
        let start = self.at;
        let mut found = Found::Integer;
        self.at += usize::from(self.byte() == b'-');
        match self.byte() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return self.syntax(),
        }
        if self.byte() == b'.' {
            found = Found::Decimal;
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            found = Found::Decimal;
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), b'+' | b'-'));
            self.some_digits()?;
        }
        Ok((&self.text[start..self.at], found))
    }

    fn some_digits(&mut self) -> Result<(), ReadError> {
        if !self.byte().is_ascii_digit() {
            return self.syntax();
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
    }

    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Skips a value of any kind; its text.
    pub(crate) fn skip(&mut self, depth: u32) -> Result<&'a str, ReadError> {
        let next = self.next()?;
        let start = self.at;
        match next {
            Next::String => {
                self.string()?;
            }
            Next::Number => {
                self.number()?;
            }
            Next::True => self.literal("true")?,
            Next::False => self.literal("false")?,
            Next::Null => self.literal("null")?,
            Next::Array => self.skip_array(depth)?,
            Next::Object => self.skip_object(depth)?,
        }
        Ok(&self.text[start..self.at])
    }

    fn skip_array(&mut self, depth: u32) -> Result<(), ReadError> {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
        self.expect(b'[')?;
        if self.accept(b']') {
            return Ok(());
        }
        loop {
            self.skip(depth)?;
            if !self.more(b']')? {
                return Ok(());
            }
        }
    }

    fn skip_object(&mut self, depth: u32) -> Result<(), ReadError> {
        let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
        self.expect(b'{')?;
        if self.accept(b'}') {
            return Ok(());
        }
        loop {
            self.string()?;
            self.expect(b':')?;
            self.skip(depth)?;
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }
}
