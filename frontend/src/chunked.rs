//! `aws-chunked` request bodies, decoded as they arrive.
//!
//! ```text
//! 2000;chunk-signature=<hex>\r\n      size in hex; the signature only in signed forms
//! <8192 bytes>\r\n
//! 0;chunk-signature=<hex>\r\n
//! x-amz-checksum-crc32:<base64>\r\n   the trailers that `x-amz-trailer` announced
//! x-amz-trailer-signature:<hex>\r\n   only when signed, and only with trailers
//! \r\n
//! ```
//!
//! The decoder owns no socket and no buffer of the body: it takes what arrived and
//! gives back slices of it. What it keeps is one header line, bounded by
//! [`LINE_BYTES_MAX`], and a digest for each announced trailer. Chunk signatures must
//! be well-formed and are not verified, like every other signature; checksums in
//! trailers are.
//!
//! Codes and messages are those of S3, the one service that speaks this framing.

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::checksum::{Algorithm, Checksum, Hasher};

/// Longest chunk header or trailer line. An ECDSA chunk header has about 170 bytes.
const LINE_BYTES_MAX: usize = 1024;

/// Smallest chunk that another chunk may follow.
const CHUNK_BYTES_MIN: u64 = 8192;

const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Why a chunked body, or the headers that announce it, were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkError {
    /// `x-amz-content-sha256` names a streaming form that does not exist.
    #[error(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
         STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, \
         STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, \
         STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
    )]
    UnknownForm,

    /// No usable `x-amz-decoded-content-length`.
    #[error("You must provide the Content-Length HTTP header.")]
    MissingLength,

    /// `x-amz-trailer` announces something other than checksums that we compute.
    #[error("The value specified in the x-amz-trailer header is not supported")]
    UnsupportedTrailer,

    /// The framing is broken, or the body ended inside it.
    #[error("The request body terminated unexpectedly")]
    Incomplete,

    /// The chunks hold more or fewer bytes than `x-amz-decoded-content-length` says.
    #[error("You did not provide the number of bytes specified by the Content-Length HTTP header")]
    LengthMismatch,

    /// A chunk below [`CHUNK_BYTES_MIN`] was not the last one.
    #[error("Only the last chunk is allowed to have a size less than 8192 bytes")]
    SmallChunk { chunk: u64, bytes: u64 },

    /// Trailers that are malformed, unannounced, missing, or there twice.
    #[error(
        "The request contained trailing data that was not well-formed or did not conform to our \
         published schema."
    )]
    MalformedTrailer,

    /// A trailer's value cannot be a checksum of its algorithm.
    #[error("Value for {} trailing header is invalid.", .0.header())]
    InvalidChecksum(Algorithm),

    /// The body is not the one that the checksum was computed of.
    #[error("The {} you specified did not match the calculated checksum.", .0.name())]
    BadDigest(Algorithm),
}

impl ChunkError {
    /// S3's error code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            ChunkError::UnknownForm => "InvalidArgument",
            ChunkError::MissingLength => "MissingContentLength",
            ChunkError::UnsupportedTrailer | ChunkError::InvalidChecksum(_) => "InvalidRequest",
            ChunkError::Incomplete | ChunkError::LengthMismatch => "IncompleteBody",
            ChunkError::SmallChunk { .. } => "InvalidChunkSizeError",
            ChunkError::MalformedTrailer => "MalformedTrailerError",
            ChunkError::BadDigest(_) => "BadDigest",
        }
    }

    /// The HTTP status that goes with [`ChunkError::code`].
    pub(crate) fn status(&self) -> u16 {
        match self {
            ChunkError::MissingLength => 411,
            ChunkError::SmallChunk { .. } => 403,
            _ => 400,
        }
    }

    /// Elements that S3 adds to the error document.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            ChunkError::SmallChunk { chunk, bytes } => vec![
                ("Chunk", chunk.to_string()),
                ("BadChunkSize", bytes.to_string()),
            ],
            _ => Vec::new(),
        }
    }
}

/// What the request's headers say about its chunked body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Framing {
    /// Every chunk header carries a signature, and so do the trailers.
    pub(crate) signed: bool,
    /// Bytes of the body once decoded (`x-amz-decoded-content-length`).
    pub(crate) decoded_bytes: u64,
    /// The checksums that `x-amz-trailer` announces.
    pub(crate) trailers: Vec<Algorithm>,
}

impl Framing {
    /// Reads the framing from `x-amz-content-sha256`, or from `Content-Encoding:
    /// aws-chunked` when an anonymous client leaves the former out.
    ///
    /// `None`: the body is as it came. Other values of `x-amz-content-sha256` are
    /// not looked at here.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Framing>, ChunkError> {
        let signed = match text(headers, "x-amz-content-sha256") {
            Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => false,
            Some(
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
                | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
                | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
                | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
            ) => true,
            Some(other) if other.starts_with("STREAMING-") => return Err(ChunkError::UnknownForm),
            None if is_aws_chunked(headers) => false,
            _ => return Ok(None),
        };
        Ok(Some(Framing {
            signed,
            decoded_bytes: decoded_bytes(headers)?,
            trailers: announced_trailers(headers)?,
        }))
    }
}

/// A `Content-Encoding` without `aws-chunked`, which is framing and is not stored
/// with the object. `None` if nothing else is in it.
pub(crate) fn stored_content_encoding(value: &str) -> Option<String> {
    let kept: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn is_aws_chunked(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim().eq_ignore_ascii_case("aws-chunked"))
}

fn decoded_bytes(headers: &HeaderMap) -> Result<u64, ChunkError> {
    text(headers, "x-amz-decoded-content-length")
        .map(str::trim)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or(ChunkError::MissingLength)
}

fn announced_trailers(headers: &HeaderMap) -> Result<Vec<Algorithm>, ChunkError> {
    let mut algorithms = Vec::new();
    for value in headers.get_all("x-amz-trailer") {
        let value = value.to_str().map_err(|_| ChunkError::UnsupportedTrailer)?;
        for name in value
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            let algorithm = Algorithm::from_header(name).ok_or(ChunkError::UnsupportedTrailer)?;
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
    }
    Ok(algorithms)
}

/// What one call of [`ChunkedDecoder::feed`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes of the decoded body, a slice of the input. Feed the rest.
    Data(Bytes),
    /// The input is used up. Feed what arrives next, or `finish` if nothing will.
    More,
}

/// The state machine: bytes as they arrive in, slices of the decoded body out.
///
/// ```text
/// while let Some(mut arrived) = next_from_socket() {
///     while let Step::Data(slice) = decoder.feed(&mut arrived)? { … }
/// }
/// let checksums = decoder.finish()?;
/// ```
pub(crate) struct ChunkedDecoder {
    framing: Framing,
    state: State,
    /// The unfinished line at the end of what was fed so far.
    line: Vec<u8>,
    /// Bytes of the body that no chunk header has announced yet.
    unannounced: u64,
    /// Chunk headers seen, and the size in the last of them.
    chunks: u64,
    chunk_bytes: u64,
    /// One for each announced trailer.
    hashers: Vec<Hasher>,
    trailers: Vec<Checksum>,
    trailer_signed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ChunkHeader,
    Data {
        left: u64,
    },
    /// The line end that follows the data of a chunk.
    DataEnd,
    Trailer,
    Done,
}

impl ChunkedDecoder {
    pub(crate) fn new(framing: Framing) -> Self {
        ChunkedDecoder {
            state: State::ChunkHeader,
            line: Vec::new(),
            unannounced: framing.decoded_bytes,
            chunks: 0,
            chunk_bytes: 0,
            hashers: framing
                .trailers
                .iter()
                .map(|trailer| trailer.hasher())
                .collect(),
            trailers: Vec::new(),
            trailer_signed: false,
            framing,
        }
    }

    /// Takes from the front of `input` until there is data to hand out or nothing left.
    ///
    /// # Errors
    ///
    /// The body is refused; the decoder is of no further use.
    pub(crate) fn feed(&mut self, input: &mut Bytes) -> Result<Step, ChunkError> {
        loop {
            if let State::Data { left } = self.state {
                if input.is_empty() {
                    return Ok(Step::More);
                }
                return Ok(Step::Data(self.take_data(input, left)));
            }
            if !self.take_line(input)? {
                return Ok(Step::More);
            }
            let line = std::mem::take(&mut self.line);
            self.state = self.after_line(&line)?;
        }
    }

    /// The body has ended: returns the checksums of its trailers, verified.
    ///
    /// # Errors
    ///
    /// The end came too early, or a checksum is not that of the data.
    pub(crate) fn finish(self) -> Result<Vec<Checksum>, ChunkError> {
        if self.state != State::Done || !self.line.is_empty() {
            return Err(ChunkError::Incomplete);
        }
        for computed in self.hashers.into_iter().map(Hasher::finish) {
            // `trailers_end` saw to it that each algorithm has its trailer.
            if !self.trailers.contains(&computed) {
                return Err(ChunkError::BadDigest(computed.algorithm()));
            }
        }
        Ok(self.trailers)
    }

    fn take_data(&mut self, input: &mut Bytes, left: u64) -> Bytes {
        let taken = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let left = left - taken as u64;
        self.state = if left == 0 {
            State::DataEnd
        } else {
            State::Data { left }
        };
        let data = input.split_to(taken);
        for hasher in &mut self.hashers {
            hasher.update(&data);
        }
        data
    }

    /// Moves input up to and with the next `\n` into `line`, without the line end.
    /// `false`: the input ended first.
    fn take_line(&mut self, input: &mut Bytes) -> Result<bool, ChunkError> {
        let end = memchr::memchr(b'\n', input);
        let taken = end.unwrap_or(input.len());
        if self.line.len() + taken > LINE_BYTES_MAX {
            return Err(match self.state {
                State::Trailer | State::Done => ChunkError::MalformedTrailer,
                _ => ChunkError::Incomplete,
            });
        }
        self.line.extend_from_slice(&input[..taken]);
        input.advance(taken);
        if end.is_none() {
            return Ok(false);
        }
        input.advance(1);
        Ok(true)
    }

    fn after_line(&mut self, line: &[u8]) -> Result<State, ChunkError> {
        let stripped = line.strip_suffix(b"\r");
        match self.state {
            State::ChunkHeader => self.chunk_header(stripped.ok_or(ChunkError::Incomplete)?),
            State::DataEnd if line == b"\r" => Ok(State::ChunkHeader),
            State::DataEnd => Err(ChunkError::Incomplete),
            // Some writers end a trailer's line with a bare line feed.
            State::Trailer => self.trailer(stripped.unwrap_or(line)),
            // Some close the trailers twice.
            State::Done if stripped.unwrap_or(line).is_empty() => Ok(State::Done),
            State::Done => Err(ChunkError::MalformedTrailer),
            State::Data { .. } => unreachable!("data is not read by lines"),
        }
    }

    fn chunk_header(&mut self, line: &[u8]) -> Result<State, ChunkError> {
        let bytes = parse_chunk_header(line, self.framing.signed).ok_or(ChunkError::Incomplete)?;
        if bytes == 0 {
            if self.unannounced > 0 {
                return Err(ChunkError::LengthMismatch);
            }
            return Ok(State::Trailer);
        }
        if self.chunks > 0 && self.chunk_bytes < CHUNK_BYTES_MIN {
            return Err(ChunkError::SmallChunk {
                chunk: self.chunks,
                bytes: self.chunk_bytes,
            });
        }
        self.unannounced = (self.unannounced)
            .checked_sub(bytes)
            .ok_or(ChunkError::LengthMismatch)?;
        self.chunks += 1;
        self.chunk_bytes = bytes;
        Ok(State::Data { left: bytes })
    }

    fn trailer(&mut self, line: &[u8]) -> Result<State, ChunkError> {
        if line.is_empty() {
            return self.trailers_end();
        }
        let (name, value) = parse_trailer(line).ok_or(ChunkError::MalformedTrailer)?;
        if name.eq_ignore_ascii_case(TRAILER_SIGNATURE)
            && self.framing.signed
            && !self.trailer_signed
        {
            self.trailer_signed = true;
            return Ok(State::Trailer);
        }
        let algorithm = Algorithm::from_header(name)
            .filter(|algorithm| self.framing.trailers.contains(algorithm))
            .filter(|algorithm| {
                !self
                    .trailers
                    .iter()
                    .any(|seen| seen.algorithm() == *algorithm)
            })
            .ok_or(ChunkError::MalformedTrailer)?;
        let checksum = Checksum::from_base64(algorithm, value)
            .ok_or(ChunkError::InvalidChecksum(algorithm))?;
        self.trailers.push(checksum);
        Ok(State::Trailer)
    }

    fn trailers_end(&self) -> Result<State, ChunkError> {
        if self.trailers.len() != self.framing.trailers.len() {
            return Err(ChunkError::MalformedTrailer);
        }
        // AWS's own description of the signed form has an empty line before the signature.
        if self.framing.signed && !self.trailers.is_empty() && !self.trailer_signed {
            return Ok(State::Trailer);
        }
        Ok(State::Done)
    }
}

/// The size in a chunk header; `None` if the header is malformed.
fn parse_chunk_header(line: &[u8], signed: bool) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let (size, extension) = match line.split_once(';') {
        Some((size, extension)) => (size, Some(extension)),
        None => (line, None),
    };
    if signed {
        let signature = extension?.trim().strip_prefix("chunk-signature=")?;
        // ECDSA signatures are padded with asterisks to a fixed length.
        let signature = signature.trim_end_matches('*');
        if signature.is_empty() || !is_hex(signature) {
            return None;
        }
    }
    let size = size.trim();
    // `from_str_radix` would take a sign.
    if !is_hex(size) {
        return None;
    }
    u64::from_str_radix(size, 16).ok()
}

fn parse_trailer(line: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
    let value = value.trim();
    (!value.is_empty()).then_some((name.trim(), value))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(signed: bool, decoded_bytes: u64, trailers: &[Algorithm]) -> Framing {
        Framing {
            signed,
            decoded_bytes,
            trailers: trailers.to_vec(),
        }
    }

    type Decoded = Result<(String, Vec<(String, String)>), ChunkError>;

    /// Decodes `body` in pieces of `piece` bytes.
    fn decode_in(framing: &Framing, body: &[u8], piece: usize) -> Decoded {
        let mut decoder = ChunkedDecoder::new(framing.clone());
        let mut data = Vec::new();
        for piece in body.chunks(piece) {
            let mut input = Bytes::copy_from_slice(piece);
            while let Step::Data(slice) = decoder.feed(&mut input)? {
                assert!(!slice.is_empty());
                data.extend_from_slice(&slice);
            }
            assert!(input.is_empty());
        }
        let trailers = decoder.finish()?.into_iter();
        let trailers = trailers.map(|sum| (sum.algorithm().header().to_owned(), sum.base64()));
        let data = String::from_utf8(data).expect("tests send text");
        Ok((data, trailers.collect()))
    }

    /// Decodes `body` whole, byte by byte and in threes: how it arrives must not matter.
    fn decode(framing: &Framing, body: &str) -> Decoded {
        let whole = decode_in(framing, body.as_bytes(), body.len().max(1));
        for piece in [1, 3] {
            assert_eq!(
                decode_in(framing, body.as_bytes(), piece),
                whole,
                "{body:?}"
            );
        }
        whole
    }

    #[track_caller]
    fn check(framing: &Framing, body: &str, data: &str, trailers: &[(&str, &str)]) {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let expected = (data.to_owned(), trailers.iter().map(owned).collect());
        assert_eq!(decode(framing, body), Ok(expected), "{body:?}");
    }

    #[track_caller]
    fn refuse(framing: &Framing, body: &str, error: ChunkError) {
        assert_eq!(decode(framing, body), Err(error), "{body:?}");
    }

    const CRC: &str = "x-amz-checksum-crc32";
    const CRC32: &[Algorithm] = &[Algorithm::Crc32];
    const SIGNATURE: &str = "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648";

    #[test]
    fn decodes_unsigned_bodies() {
        let plain = framing(false, 5, &[]);
        check(&plain, "5\r\nhello\r\n0\r\n\r\n", "hello", &[]);
        check(&plain, "005\r\nhello\r\n000\r\n\r\n", "hello", &[]);
        check(&plain, "5;ext=1\r\nhello\r\n0\r\n\r\n", "hello", &[]);
        check(
            &framing(false, 10, &[]),
            "a\r\n\r\n0\r\n\r\n\r\n\r\r\n0\r\n\r\n",
            "\r\n0\r\n\r\n\r\n\r",
            &[],
        );
        check(&framing(false, 0, &[]), "0\r\n\r\n", "", &[]);
    }

    #[test]
    fn decodes_trailers() {
        let trailing = framing(false, 5, CRC32);
        let expected = [(CRC, "NhCmhg==")];
        check(
            &trailing,
            "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
            "hello",
            &expected,
        );
        check(
            &trailing,
            "5\r\nhello\r\n0\r\nX-Amz-Checksum-CRC32: NhCmhg== \n\r\n",
            "hello",
            &expected,
        );
        check(
            &trailing,
            "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n\r\n",
            "hello",
            &expected,
        );
    }

    #[test]
    fn decodes_signed_bodies() {
        let head =
            format!("5;chunk-signature={SIGNATURE}\r\nhello\r\n0;chunk-signature={SIGNATURE}\r\n");
        check(&framing(true, 5, &[]), &format!("{head}\r\n"), "hello", &[]);
        let trailing = framing(true, 5, CRC32);
        let expected = [(CRC, "NhCmhg==")];
        for body in [
            format!("{head}{CRC}:NhCmhg==\r\nx-amz-trailer-signature:{SIGNATURE}\r\n\r\n"),
            format!("{head}{CRC}:NhCmhg==\n\r\nx-amz-trailer-signature:{SIGNATURE}\n\r\n\r\n"),
            format!("{head}{CRC}:NhCmhg==\r\n\r\nx-amz-trailer-signature:{SIGNATURE}\r\n\r\n"),
        ] {
            check(&trailing, &body, "hello", &expected);
        }
        let padded =
            format!("5;chunk-signature={SIGNATURE}****\r\nhello\r\n0;chunk-signature=0f**\r\n\r\n");
        check(&framing(true, 5, &[]), &padded, "hello", &[]);
    }

    #[test]
    fn refuses_broken_framing() {
        let ten = framing(false, 10, &[]);
        for body in [
            "",
            "A\ndummy data\r\n0\r\n\r\n",
            "A\r\ndummy data0\r\n\r\n",
            "A\r\nXYZ\r\ndummy data\r\n0\r\n\r\n",
            "A\r\nA\r\ndummy data\r\n0\r\n\r\n",
            "A\r\ndummy data\r\n0\r\n",
            "A\r\ndummy data\r\n",
            "A\r\ndummy data",
            "A\r\ndummy",
            "A\r\n",
            "A",
            "-1\r\n",
            "+A\r\ndummy data\r\n0\r\n\r\n",
            "0xA\r\ndummy data\r\n0\r\n\r\n",
            "\r\ndummy data\r\n0\r\n\r\n",
            "10000000000000000\r\n",
            "A\r\ndummy data\r\nJ\r\n\r\n",
            "\u{661}\r\n",
        ] {
            refuse(&ten, body, ChunkError::Incomplete);
        }
        refuse(
            &ten,
            &"0".repeat(LINE_BYTES_MAX + 1),
            ChunkError::Incomplete,
        );
    }

    #[test]
    fn refuses_another_length_than_announced() {
        refuse(
            &framing(false, 5, &[]),
            "b\r\nabcdefghijk\r\n0\r\n\r\n",
            ChunkError::LengthMismatch,
        );
        refuse(
            &framing(false, 200, &[]),
            "b\r\nabcdefghijk\r\n0\r\n\r\n",
            ChunkError::LengthMismatch,
        );
        refuse(
            &framing(false, 1, &[]),
            "0\r\n\r\n",
            ChunkError::LengthMismatch,
        );
        refuse(
            &framing(false, u64::MAX, &[]),
            "5\r\nhello\r\n0\r\n\r\n",
            ChunkError::LengthMismatch,
        );
        // Refused at the header: no byte beyond the announced length is ever handed out.
        refuse(
            &framing(false, 5, &[]),
            "ffffffffffffffff\r\n",
            ChunkError::LengthMismatch,
        );
    }

    #[test]
    fn refuses_small_chunks_before_the_last() {
        let body = |sizes: &[usize]| {
            let chunk = |&bytes: &usize| format!("{bytes:x}\r\n{}\r\n", "x".repeat(bytes));
            sizes
                .iter()
                .map(chunk)
                .chain(["0\r\n\r\n".to_owned()])
                .collect::<String>()
        };
        let decode = |sizes: &[usize]| {
            let framing = framing(false, sizes.iter().sum::<usize>() as u64, &[]);
            decode_in(&framing, body(sizes).as_bytes(), 1000).map(|(data, _)| data.len())
        };
        assert_eq!(decode(&[8192, 8192, 100]), Ok(16484));
        assert_eq!(decode(&[100]), Ok(100));
        assert_eq!(
            decode(&[100, 8192]),
            Err(ChunkError::SmallChunk {
                chunk: 1,
                bytes: 100
            })
        );
        assert_eq!(
            decode(&[8192, 8191, 1]),
            Err(ChunkError::SmallChunk {
                chunk: 2,
                bytes: 8191
            })
        );
    }

    #[test]
    fn refuses_bad_trailers() {
        let trailing = framing(false, 5, CRC32);
        for trailer in [
            "",
            "x-amz-checksum-crc32\r\n",
            "x-amz-checksum-crc32:\r\n",
            "x-amz-checksum-sha1:NhCmhg==\r\n",
            "x-amz-checksum-crc32:NhCmhg==\r\nx-amz-checksum-crc32:NhCmhg==\r\n",
            "x-amz-checksum-crc32:NhCmhg==\r\nhost:example\r\n",
            "x-amz-checksum-crc32:NhCmhg==\r\nx-amz-trailer-signature:00\r\n",
            "x amz:NhCmhg==\r\n",
        ] {
            let body = format!("5\r\nhello\r\n0\r\n{trailer}\r\n");
            refuse(&trailing, &body, ChunkError::MalformedTrailer);
        }
        let unannounced = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        refuse(
            &framing(false, 5, &[]),
            unannounced,
            ChunkError::MalformedTrailer,
        );
        let endless = format!("5\r\nhello\r\n0\r\n{}", "x".repeat(LINE_BYTES_MAX + 1));
        refuse(&trailing, &endless, ChunkError::MalformedTrailer);
        refuse(
            &trailing,
            "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhC",
            ChunkError::Incomplete,
        );
        let more = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\nGET / HTTP/1.1\r\n";
        refuse(&trailing, more, ChunkError::MalformedTrailer);
    }

    #[test]
    fn refuses_checksums_of_other_data() {
        let trailing = framing(false, 5, CRC32);
        let refuse_value = |value: &str, error| {
            let body = format!("5\r\nhello\r\n0\r\n{CRC}:{value}\r\n\r\n");
            refuse(&trailing, &body, error);
        };
        refuse_value("NhCmhw==", ChunkError::BadDigest(Algorithm::Crc32));
        for value in ["invalid", "NhCm", "\u{7f}", "NhCmhgAA"] {
            refuse_value(value, ChunkError::InvalidChecksum(Algorithm::Crc32));
        }
        let error = ChunkError::BadDigest(Algorithm::Crc32);
        assert_eq!(
            error.to_string(),
            "The CRC32 you specified did not match the calculated checksum."
        );
        let error = ChunkError::InvalidChecksum(Algorithm::Sha1);
        assert_eq!(
            error.to_string(),
            "Value for x-amz-checksum-sha1 trailing header is invalid."
        );
    }

    #[test]
    fn refuses_missing_signatures() {
        let signed = framing(true, 5, &[]);
        for body in [
            "5\r\nhello\r\n0\r\n\r\n",
            "5;chunk-signature=\r\nhello\r\n0\r\n\r\n",
            "5;chunk-signature=zz\r\nhello\r\n0\r\n\r\n",
            "5;signature=00\r\nhello\r\n0\r\n\r\n",
        ] {
            refuse(&signed, body, ChunkError::Incomplete);
        }
        let unsigned_trailer = "5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
        refuse(
            &framing(true, 5, CRC32),
            unsigned_trailer,
            ChunkError::Incomplete,
        );
    }

    /// Random bytes and every prefix and single-byte change of a good body: an answer
    /// each time, the same however the body arrives, and never more data than announced.
    #[test]
    fn survives_hostile_bytes() {
        let good = format!(
            "5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\n{CRC}:NhCmhg==\r\nx-amz-trailer-signature:00\r\n\r\n"
        );
        let framing = framing(true, 5, CRC32);
        let run = |body: &[u8]| {
            let mut decoder = ChunkedDecoder::new(framing.clone());
            let mut input = Bytes::copy_from_slice(body);
            let mut bytes = 0;
            while let Ok(Step::Data(slice)) = decoder.feed(&mut input) {
                bytes += slice.len() as u64;
            }
            assert!(bytes <= framing.decoded_bytes);
            decoder.finish().is_ok()
        };
        for end in 0..good.len() {
            assert!(!run(&good.as_bytes()[..end]), "prefix of {end} bytes");
        }
        assert!(run(good.as_bytes()));
        for at in 0..good.len() {
            for byte in 0..=u8::MAX {
                let mut body = good.clone().into_bytes();
                body[at] = byte;
                run(&body);
            }
        }
        let mut seed = 7u64;
        for _ in 0..20_000 {
            let body: Vec<u8> = (0..24)
                .map(|_| {
                    seed = seed
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    b"05aF;=\r\n\r\n:x-\xff*"[(seed >> 33) as usize % 15]
                })
                .collect();
            run(&body);
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value): &(&'static str, &'static str)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn reads_the_framing_from_headers() {
        let read = |pairs: &[_]| Framing::from_headers(&headers(pairs));
        const SHA: &str = "x-amz-content-sha256";
        const LENGTH: (&str, &str) = ("x-amz-decoded-content-length", "5");
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[(SHA, "UNSIGNED-PAYLOAD"), LENGTH]), Ok(None));
        assert_eq!(
            read(&[
                (SHA, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
                LENGTH,
                ("x-amz-trailer", "x-amz-checksum-crc32")
            ]),
            Ok(Some(framing(false, 5, CRC32)))
        );
        assert_eq!(
            read(&[(SHA, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), LENGTH]),
            Ok(Some(framing(true, 5, &[])))
        );
        assert_eq!(
            read(&[("content-encoding", "gzip, AWS-chunked"), LENGTH]),
            Ok(Some(framing(false, 5, &[])))
        );
        assert_eq!(
            read(&[(SHA, "STREAMING-ROT13"), LENGTH]),
            Err(ChunkError::UnknownForm)
        );
        for length in ["", "abc", "12x", "+5", "-1", "18446744073709551616"] {
            let pairs = [
                (SHA, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
                ("x-amz-decoded-content-length", length),
            ];
            assert_eq!(read(&pairs), Err(ChunkError::MissingLength), "{length:?}");
        }
        for trailer in [
            "host",
            "x-amz-meta-a",
            "x-amz-checksum-crc32, content-length",
            "a b",
        ] {
            let pairs = [
                (SHA, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
                LENGTH,
                ("x-amz-trailer", trailer),
            ];
            assert_eq!(
                read(&pairs),
                Err(ChunkError::UnsupportedTrailer),
                "{trailer:?}"
            );
        }
    }

    #[test]
    fn aws_chunked_is_not_stored_as_an_encoding() {
        assert_eq!(stored_content_encoding("aws-chunked"), None);
        assert_eq!(
            stored_content_encoding("gzip,aws-chunked").as_deref(),
            Some("gzip")
        );
        assert_eq!(
            stored_content_encoding("AWS-Chunked, gzip, br").as_deref(),
            Some("gzip,br")
        );
        assert_eq!(stored_content_encoding(""), None);
    }
}
