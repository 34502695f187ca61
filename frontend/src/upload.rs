//! Streamed request bodies: what arrives, unframed and verified as it passes.
//!
//! A body is never held whole. Its errors (broken framing, a checksum or hash that is
//! not its own, a client that went away) come out of the stream as [`Failure`]s, after
//! the bytes and before the end, so a handler that has seen the end has seen a body
//! that is right.

use bytes::Bytes;
use cumulog_shape::{ByteStream, Location, Schema, StreamError};
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use hyper::body::Body as _;

use crate::{
    checksum::{Algorithm, Checksum},
    chunked::{ChunkError, ChunkedDecoder, Framing, Step},
    failure::Failure,
    http::{Arriving, BodyError, Chunks},
};

/// The body of a request whose operation takes a stream.
///
/// # Errors
///
/// The headers announce a framing that does not exist.
pub(crate) fn open(headers: &HeaderMap, body: Arriving) -> Result<ByteStream, Failure> {
    let bytes = body.size_hint().exact();
    let chunks = Chunks(body);
    match Framing::from_headers(headers)? {
        Some(framing) => {
            let bytes = framing.decoded_bytes;
            Ok(ByteStream::new(
                unframed(chunks, ChunkedDecoder::new(framing)),
                Some(bytes),
            ))
        }
        None => match payload_hash(headers) {
            Some(expected) => Ok(ByteStream::new(hashed(chunks, expected), bytes)),
            None => Ok(ByteStream::new(chunks, bytes)),
        },
    }
}

/// Verifies a body that was read whole against what the headers say of it:
/// `x-amz-content-sha256`, `Content-MD5` and `x-amz-checksum-…`. A header that `input` binds to a member is
/// the handler's: it may speak of something else, such as a whole object.
pub(crate) fn verify(headers: &HeaderMap, input: &Schema, body: &[u8]) -> Result<(), Failure> {
    if let Some(expected) = payload_hash(headers) {
        check_hash(&Algorithm::Sha256.checksum(body), expected)?;
    }
    let is_bound = |name: &str| {
        let mut members = input
            .members
            .iter()
            .filter(|member| member.location == Location::Header);
        members.any(|member| member.wire.eq_ignore_ascii_case(name))
    };
    let sums = Algorithm::ALL
        .iter()
        .map(|algorithm| (algorithm.header(), *algorithm));
    for (name, algorithm) in sums.chain([("content-md5", Algorithm::Md5)]) {
        let Some(value) = headers.get(name).filter(|_| !is_bound(name)) else {
            continue;
        };
        let claimed = value
            .to_str()
            .ok()
            .and_then(|value| Checksum::from_base64(algorithm, value));
        match claimed {
            None => return Err(invalid_digest(name)),
            Some(claimed) if claimed != algorithm.checksum(body) => {
                return Err(bad_digest(name, algorithm));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn invalid_digest(name: &str) -> Failure {
    if name == "content-md5" {
        return Failure::sender(
            "InvalidDigest",
            400,
            "The Content-MD5 you specified was invalid.",
        );
    }
    Failure::sender(
        "InvalidRequest",
        400,
        format!("Value for {name} header is invalid."),
    )
}

fn bad_digest(name: &str, algorithm: Algorithm) -> Failure {
    let message = match name {
        "content-md5" => "The Content-MD5 you specified did not match what we received.".to_owned(),
        _ => format!(
            "The {} you specified did not match the calculated checksum.",
            algorithm.name()
        ),
    };
    Failure::sender("BadDigest", 400, message)
}

type Parts = Result<Bytes, StreamError>;

/// The data of an `aws-chunked` body.
fn unframed(
    chunks: Chunks,
    decoder: ChunkedDecoder,
) -> impl futures_util::Stream<Item = Parts> + Send {
    let state = (chunks, decoder, Bytes::new());
    stream::try_unfold(Some(state), |state| async move {
        let Some((mut chunks, mut decoder, mut arrived)) = state else {
            return Ok(None);
        };
        loop {
            match decoder.feed(&mut arrived).map_err(boxed)? {
                Step::Data(data) => return Ok(Some((data, Some((chunks, decoder, arrived))))),
                Step::More => match chunks.next().await {
                    Some(chunk) => arrived = chunk?,
                    None => {
                        decoder.finish().map_err(boxed)?;
                        return Ok(None);
                    }
                },
            }
        }
    })
}

fn boxed(error: ChunkError) -> StreamError {
    Box::new(Failure::from(error))
}

impl From<ChunkError> for Failure {
    fn from(error: ChunkError) -> Self {
        let failure = Failure::sender(error.code(), error.status(), error.to_string());
        Failure {
            fields: error.fields(),
            ..failure
        }
    }
}

/// `x-amz-content-sha256`, when it is a hash and not the name of a framing.
fn payload_hash(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-amz-content-sha256")?.to_str().ok()?;
    let is_hash = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| value.to_ascii_lowercase())
}

/// A body whose hash the request has signed.
fn hashed(chunks: Chunks, expected: String) -> impl futures_util::Stream<Item = Parts> + Send {
    let state = (chunks, Algorithm::Sha256.hasher(), expected);
    stream::try_unfold(state, |(mut chunks, mut hasher, expected)| async move {
        match chunks.next().await {
            Some(chunk) => {
                let chunk = chunk?;
                hasher.update(&chunk);
                Ok(Some((chunk, (chunks, hasher, expected))))
            }
            None => check_hash(&hasher.finish(), expected)
                .map(|()| None)
                .map_err(Into::into),
        }
    })
}

fn check_hash(computed: &Checksum, expected: String) -> Result<(), Failure> {
    let computed = computed.hex();
    if computed == expected {
        return Ok(());
    }
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    Err(Failure::sender("XAmzContentSHA256Mismatch", 400, message)
        .with("ClientComputedContentSHA256", expected)
        .with("S3ComputedContentSHA256", computed))
}

/// What a stream's error is to the client.
impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        match error.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(error) if error.is::<BodyError>() => {
                let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
                Failure::sender("IncompleteBody", 400, message)
            }
            Err(error) => Failure::internal(error.to_string()),
        }
    }
}
