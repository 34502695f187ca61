//! Keys as bytes that sort as their parts do.
//!
//! ```text
//! u8 u16 u32 u64   big-endian
//! i64              big-endian with the sign bit flipped
//! bool             0 or 1
//! String, bytes    the bytes, each 00 as 00 FF, then 00 01
//! tuples           their parts, one behind the other
//! ```
//!
//! The terminator 00 01 is below every escaped content byte, so a text sorts before its own extensions, and the encoding
//! of a tuple's first parts is a prefix of the whole tuple's: that is what prefix scans stand on. This is a format on
//! disk: add types, never change one.

use std::borrow::Cow;

/// A key of a [`Table`](crate::Table): encodes to bytes whose order is the order of its parts.
pub trait Key: Sized {
    /// Appends the encoding.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads one key off the front of `input`; `None` if there is none.
    fn decode(input: &mut &[u8]) -> Option<Self>;
}

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xFF;
const END: u8 = 0x01;

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    for part in bytes.split_inclusive(|byte| *byte == ESCAPE) {
        out.extend_from_slice(part);
        if part.last() == Some(&ESCAPE) {
            out.push(ESCAPED_ZERO);
        }
    }
    out.extend_from_slice(&[ESCAPE, END]);
}

fn decode_bytes(input: &mut &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    loop {
        let zero = input.iter().position(|byte| *byte == ESCAPE)?;
        out.extend_from_slice(&input[..zero]);
        let mark = *input.get(zero + 1)?;
        *input = &input[zero + 2..];
        match mark {
            END => return Some(out),
            ESCAPED_ZERO => out.push(ESCAPE),
            _ => return None,
        }
    }
}

macro_rules! integer_key {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn decode(input: &mut &[u8]) -> Option<Self> {
                let (bytes, rest) = input.split_first_chunk()?;
                *input = rest;
                Some(Self::from_be_bytes(*bytes))
            }
        }
    )*};
}
integer_key!(u8, u16, u32, u64);

impl Key for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.cast_unsigned() ^ (1 << 63)).encode(out);
    }
    fn decode(input: &mut &[u8]) -> Option<Self> {
        Some((u64::decode(input)? ^ (1 << 63)).cast_signed())
    }
}

impl Key for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(input: &mut &[u8]) -> Option<Self> {
        match u8::decode(input)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Key for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self, out);
    }
    fn decode(input: &mut &[u8]) -> Option<Self> {
        decode_bytes(input)
    }
}

impl Key for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), out);
    }
    fn decode(input: &mut &[u8]) -> Option<Self> {
        String::from_utf8(decode_bytes(input)?).ok()
    }
}

/// Encodes as `String` does; for look-ups that borrow.
impl Key for Cow<'_, str> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bytes(self.as_bytes(), out);
    }
    fn decode(input: &mut &[u8]) -> Option<Self> {
        String::decode(input).map(Cow::Owned)
    }
}

macro_rules! tuple_key {
    ($($part:ident),*) => {
        impl<$($part: Key),*> Key for ($($part,)*) {
            #[allow(non_snake_case, unused_variables)]
            fn encode(&self, out: &mut Vec<u8>) {
                let ($($part,)*) = self;
                $($part.encode(out);)*
            }
            #[allow(unused_variables)]
            fn decode(input: &mut &[u8]) -> Option<Self> {
                Some(($($part::decode(input)?,)*))
            }
        }
    };
}
tuple_key!();
tuple_key!(A);
tuple_key!(A, B);
tuple_key!(A, B, C);
tuple_key!(A, B, C, D);
tuple_key!(A, B, C, D, E);
tuple_key!(A, B, C, D, E, F);

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    fn encoded(key: &impl Key) -> Vec<u8> {
        let mut out = Vec::new();
        key.encode(&mut out);
        out
    }

    /// Each comes back as it was, and their encodings sort as they are listed.
    fn check<K: Key + Debug + PartialEq>(ascending: &[K]) {
        for key in ascending {
            let bytes = encoded(key);
            let mut input = &bytes[..];
            assert_eq!(K::decode(&mut input).as_ref(), Some(key));
            assert!(input.is_empty(), "{key:?} left bytes");
        }
        let keys: Vec<_> = ascending.iter().map(encoded).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{ascending:?} as {keys:?}");
    }

    #[test]
    fn encodings_sort_as_their_parts() {
        check(&[0u8, 1, 255]);
        check(&[0u32, 1, 256, u32::MAX]);
        check(&[i64::MIN, -1, 0, 1, i64::MAX]);
        check(
            &[
                "", "\0", "\0\0", "\0a", "\u{1}", "a", "a\0", "a\0b", "aa", "b", "ÿ",
            ]
            .map(String::from),
        );
        check(&[
            vec![],
            vec![0],
            vec![0, 255],
            vec![1],
            vec![255],
            vec![255, 0],
        ]);
        check(&[
            ("a".to_string(), 9u64),
            ("a\0".to_string(), 1),
            ("ab".to_string(), 0),
        ]);
        check(&[(false, 7u16), (true, 0)]);
        check(&[()]);
    }

    #[test]
    fn damaged_keys_do_not_decode() {
        for mut bytes in [&b""[..], b"a", b"a\0", b"a\0\x02", b"\xFF\0\x01"] {
            assert_eq!(String::decode(&mut bytes), None);
        }
        assert_eq!(u64::decode(&mut &[0; 7][..]), None);
        assert_eq!(bool::decode(&mut &[2][..]), None);
    }

    #[test]
    fn first_parts_are_a_prefix_of_the_tuple() {
        let whole = encoded(&("a".to_string(), 7u32));
        assert!(whole.starts_with(&encoded(&("a".to_string(),))));
        assert_eq!(encoded(&(Cow::Borrowed("a"), 7u32)), whole);
    }
}
