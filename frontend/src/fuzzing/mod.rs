//! Fuzz targets: any bytes in, a panic where an oracle is hurt. For `fuzz/` and the tests, and for nobody else.

mod form;
mod requests;
mod rows;

pub use requests::{cbor, json, query, xml};
pub(crate) use rows::Trial;
pub use rows::row;

use bytes::Bytes;

use crate::checksum::{Algorithm, Checksum};
use crate::chunked::{ChunkError, ChunkedDecoder, Framing, Step};
use crate::services::fuzzing::{check_expression, check_number};

/// A DynamoDB expression: parsed and evaluated or refused.
///
/// The first byte says of what kind it is; names, values and item are fixed. A negated condition holds where the
/// condition does not, one in parentheses where it does. A projection of a projection changes nothing. What an update
/// makes can be stored and read back.
pub fn expression(input: &[u8]) {
    if let Some((kind, source)) = split_text(input) {
        check_expression(kind, source);
    }
}

/// Two numbers, one a line: what is a number is spelt so that it reads as itself, has a key that sorts as it does and is
/// as long as its size says, and what was added can be taken away.
pub fn number(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        let (one, two) = text.split_once('\n').unwrap_or((text, "0"));
        check_number(one, two);
    }
}

fn split_text(input: &[u8]) -> Option<(u8, &str)> {
    let (first, rest) = input.split_first()?;
    Some((*first, std::str::from_utf8(rest).ok()?))
}

/// A chunked body comes to the same, be it data or an error, in whatever pieces it arrives.
///
/// The input is flags, the length that the headers announce (2 bytes), a seed for the pieces, and the body.
pub fn chunked(input: &[u8]) {
    let &[flags, low, high, seed, ref body @ ..] = input else {
        return;
    };
    let trailers: &[Algorithm] = match flags >> 1 & 3 {
        0 => &[],
        1 => &[Algorithm::Crc32],
        2 => &[Algorithm::Crc64Nvme],
        _ => &[Algorithm::Sha256, Algorithm::Crc32c],
    };
    let framing = Framing {
        signed: flags & 1 != 0,
        decoded_bytes: u16::from_le_bytes([low, high]).into(),
        trailers: trailers.to_vec(),
    };
    let whole = unchunk(&framing, body, || usize::MAX);
    assert_eq!(unchunk(&framing, body, || 1), whole, "byte by byte");
    let mut piece = usize::from(seed);
    let pieces = unchunk(&framing, body, || {
        piece = (piece * 5 + 3) % 61;
        piece + 1
    });
    assert_eq!(pieces, whole, "in pieces");
    if whole.1.is_ok() {
        assert_eq!(whole.0.len() as u64, framing.decoded_bytes);
    }
}

type Unchunked = (Vec<u8>, Result<Vec<Checksum>, ChunkError>);

/// The data that came out, and how it ended.
fn unchunk(framing: &Framing, mut body: &[u8], mut piece: impl FnMut() -> usize) -> Unchunked {
    let mut decoder = ChunkedDecoder::new(framing.clone());
    let mut data = Vec::new();
    while !body.is_empty() {
        let (arrived, rest) = body.split_at(piece().min(body.len()));
        let mut arrived = Bytes::copy_from_slice(arrived);
        body = rest;
        loop {
            match decoder.feed(&mut arrived) {
                Ok(Step::Data(slice)) => data.extend_from_slice(&slice),
                Ok(Step::More) => break,
                Err(error) => return (data, Err(error)),
            }
        }
        assert!(arrived.is_empty(), "it wants more, but left some");
    }
    (data, decoder.finish())
}

#[cfg(test)]
mod tests {
    use cumulog_fuzz_slice::check;

    #[test]
    fn json_requests_are_read_as_they_are_written() {
        check("json", super::json);
    }

    #[test]
    fn cbor_requests_are_read_as_they_are_written() {
        check("cbor", super::cbor);
    }

    #[test]
    fn forms_are_read_as_they_are_written() {
        check("query", super::query);
    }

    #[test]
    fn xml_bodies_are_read_as_they_are_written() {
        check("xml", super::xml);
    }

    #[test]
    fn chunked_bodies_do_not_depend_on_their_pieces() {
        check("chunked", super::chunked);
    }

    #[test]
    fn expressions_mean_what_they_say() {
        check("expression", super::expression);
    }

    #[test]
    fn numbers_read_as_they_are_spelt() {
        check("number", super::number);
    }

    #[test]
    fn rows_are_read_as_they_are_written() {
        check("row", super::row);
    }
}
