//! Fuzz targets: any bytes in, a panic where an oracle is hurt. For `fuzz/` and the tests, and for nobody else.

mod form;
mod requests;
mod rows;

pub use requests::{cbor, json, query, xml};
pub(crate) use rows::Trial;
pub use rows::row;

use bytes::Bytes;
use cumulog_shape::ByteStream;
use futures_util::{FutureExt as _, stream};

use crate::checksum::{Algorithm, Checksum};
use crate::chunked::{ChunkError, ChunkedDecoder, Framing, Step};
use crate::multipart::{Form, Part};
use crate::policy::{self, Decision, Document, Principal, Statement};
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

/// A form comes to the same parts, or to none, in whatever pieces it arrives.
///
/// The input is a seed for the pieces, and the body; the boundary is `b`.
pub fn multipart(input: &[u8]) {
    let Some((seed, body)) = input.split_first() else {
        return;
    };
    let whole = parts(body, || usize::MAX);
    assert_eq!(parts(body, || 1), whole, "byte by byte");
    let mut piece = usize::from(*seed);
    let pieces = parts(body, || {
        piece = (piece * 5 + 3) % 61;
        piece + 1
    });
    assert_eq!(pieces, whole, "in pieces");
}

/// A policy of a bucket: refused, or it decides about any request, and as it did before if asked again. What it denies to
/// all, it allows to nobody.
pub fn policy(input: &[u8]) {
    let Some(document) = std::str::from_utf8(input)
        .ok()
        .and_then(|text| Document::parse(text).ok())
    else {
        return;
    };
    let values = |key: &str| match key {
        "aws:sourceip" => vec!["10.0.0.1".to_owned()],
        "s3:prefix" => vec!["a/b".to_owned(), String::new()],
        "s3:max-keys" => vec!["5".to_owned()],
        _ => Vec::new(),
    };
    let decide = |action| {
        document.decide(&policy::Request {
            principal: Principal::Anonymous,
            action,
            resource: "arn:aws:s3:::b/k",
            values: &values,
        })
    };
    for action in ["s3:GetObject", "s3:PutObject", "s3:ListBucket"] {
        let decision = decide(action);
        assert_eq!(decide(action), decision);
        let allows = document.statements.iter().any(Statement::allows);
        assert!(
            allows || decision != Decision::Allow,
            "nothing allows {action}"
        );
    }
    let _ = document.is_public();
}

/// The parts of a form, each with its content; `None`: it is malformed.
fn parts(body: &[u8], mut piece: impl FnMut() -> usize) -> Option<Vec<(Part, String)>> {
    let mut chunks = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (arrived, left) = rest.split_at(piece().min(rest.len()));
        chunks.push(Ok(Bytes::copy_from_slice(arrived)));
        rest = left;
    }
    let body = ByteStream::new(stream::iter(chunks), None);
    let mut form = Form::new("multipart/form-data; boundary=b", body)?;
    let read = async {
        let mut parts = Vec::new();
        while let Some(part) = form.next_part().await.ok()? {
            parts.push((part, form.text(usize::MAX).await.ok()?));
        }
        Some(parts)
    };
    // It waits for nothing but what is there.
    read.now_or_never()?
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
    fn forms_do_not_depend_on_their_pieces() {
        check("multipart", super::multipart);
    }

    #[test]
    fn policies_decide_about_everything() {
        check("policy", super::policy);
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
