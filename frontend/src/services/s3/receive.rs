//! A body on its way in, held against everything that the client said about it.
//!
//! Length, `Content-MD5` and checksums are verified before the transaction that makes the body part of an object, so
//! nothing that fails them is ever seen.

use super::body::{Body, Upload};
use super::error::S3Error;
use crate::call::Call;
use crate::checksum::{Algorithm, Checksum, Hasher};
use crate::failure::Failure;
use cumulog_model::s3::ChecksumAlgorithm;
use cumulog_shape::ByteStream;

/// The checksums that an input may carry as headers, as pairs of algorithm and value. By name, as many inputs have them.
macro_rules! given_checksums {
    ($input:expr) => {{
        use $crate::checksum::Algorithm;
        let input = &$input;
        [
            (Algorithm::Crc32, input.checksum_crc32.as_deref()),
            (Algorithm::Crc32c, input.checksum_crc32_c.as_deref()),
            (Algorithm::Crc64Nvme, input.checksum_crc64_nvme.as_deref()),
            (Algorithm::Sha1, input.checksum_sha1.as_deref()),
            (Algorithm::Sha256, input.checksum_sha256.as_deref()),
            (Algorithm::Sha512, input.checksum_sha512.as_deref()),
            (Algorithm::Md5, input.checksum_md5.as_deref()),
            (Algorithm::XxHash64, input.checksum_xxhash64.as_deref()),
            (Algorithm::XxHash3, input.checksum_xxhash3.as_deref()),
            (Algorithm::XxHash128, input.checksum_xxhash128.as_deref()),
        ]
    }};
}
pub(super) use given_checksums;

/// What inputs say by [`given_checksums`].
pub(super) type Given<'a> = [(Algorithm, Option<&'a str>); 10];

/// What the client said of a body before it sent it.
pub(super) struct Expected {
    md5: Option<Checksum>,
    /// By header. One that comes as a trailer is verified before the body's end is seen.
    checksum: Option<Checksum>,
    /// By header or trailer.
    algorithm: Option<Algorithm>,
}

impl Expected {
    /// Reads the headers that announce a body.
    pub(super) fn parse(
        call: &Call,
        body: &ByteStream,
        content_md5: Option<&str>,
        algorithm: Option<&ChecksumAlgorithm>,
        given: Given<'_>,
    ) -> Result<Expected, S3Error> {
        let bytes = announced_length(call, body)?;
        let bytes_max = call.world.object_bytes_max;
        if bytes > bytes_max {
            return Err(S3Error::EntityTooLarge { bytes, bytes_max });
        }
        let named = named_algorithm(algorithm)?;
        let checksum = given_checksum(given)?;
        let trailer = trailing_algorithm(call)?;
        if checksum.is_some() && trailer.is_some() {
            return Err(one_checksum_only());
        }
        let algorithm = checksum.as_ref().map(Checksum::algorithm).or(trailer);
        match (named, algorithm) {
            (Some(_), None) => Err(S3Error::request(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer \
                 headers were found.",
            )),
            (Some(named), Some(algorithm)) if named != algorithm => Err(S3Error::request(
                "Value for x-amz-sdk-checksum-algorithm header is invalid.",
            )),
            _ => Ok(()),
        }?;
        Ok(Expected {
            md5: parse_md5(content_md5)?,
            checksum,
            algorithm,
        })
    }

    /// What the fields of a form say of its file.
    pub(super) fn of_form(
        algorithm: Option<&ChecksumAlgorithm>,
        given: Given<'_>,
    ) -> Result<Expected, S3Error> {
        let checksum = given_checksum(given)?;
        let sent = checksum.as_ref().map(Checksum::algorithm);
        Ok(Expected {
            md5: None,
            algorithm: sent.or(named_algorithm(algorithm)?),
            checksum,
        })
    }

    /// The algorithm of the client's checksum, if it sends one.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Whether the client said anything that the body is held against.
    pub(super) fn is_given(&self) -> bool {
        self.md5.is_some() || self.algorithm.is_some()
    }
}

/// How long the body will be. S3 wants to know beforehand.
fn announced_length(call: &Call, body: &ByteStream) -> Result<u64, S3Error> {
    match body.length() {
        Some(0) if !announces_length(call) => Err(S3Error::MissingContentLength),
        Some(bytes) => Ok(bytes),
        None => Err(S3Error::header("Transfer-Encoding")),
    }
}

fn announces_length(call: &Call) -> bool {
    let names = ["content-length", "x-amz-decoded-content-length"];
    names.iter().any(|name| call.header(name).is_some())
}

/// The one checksum that headers may give.
fn given_checksum(given: Given<'_>) -> Result<Option<Checksum>, S3Error> {
    let mut values = given
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?)));
    let first = values.next();
    if values.next().is_some() {
        return Err(one_checksum_only());
    }
    first
        .map(|(algorithm, value)| parse_checksum(algorithm, value))
        .transpose()
}

/// The algorithm of the checksum that comes after the body.
fn trailing_algorithm(call: &Call) -> Result<Option<Algorithm>, S3Error> {
    let Some(name) = call
        .header("x-amz-trailer")
        .map(str::trim)
        .filter(|name| !name.is_empty())
    else {
        return Ok(None);
    };
    Algorithm::from_header(name)
        .map(Some)
        .ok_or_else(|| S3Error::header(name))
}

fn one_checksum_only() -> S3Error {
    S3Error::request(
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    )
}

/// The algorithm that a header or element names.
pub(super) fn named_algorithm(
    name: Option<&ChecksumAlgorithm>,
) -> Result<Option<Algorithm>, S3Error> {
    let known = |name: &ChecksumAlgorithm| {
        Algorithm::from_name(name.as_str()).ok_or_else(|| {
            S3Error::request(
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, \
                 CRC32C, CRC64NVME, SHA1, SHA256]",
            )
        })
    };
    name.map(known).transpose()
}

/// Reads the value of a checksum header or element.
pub(super) fn parse_checksum(algorithm: Algorithm, value: &str) -> Result<Checksum, S3Error> {
    Checksum::from_base64(algorithm, value).ok_or_else(|| {
        S3Error::request(format!(
            "Value for {} header is invalid.",
            algorithm.header()
        ))
    })
}

/// Reads `Content-MD5`.
pub(super) fn parse_md5(value: Option<&str>) -> Result<Option<Checksum>, S3Error> {
    let parse = |value: &str| {
        Checksum::from_base64(Algorithm::Md5, value).ok_or_else(|| S3Error::InvalidDigest {
            given: value.to_owned(),
        })
    };
    value.map(parse).transpose()
}

/// A body that is all here and is what the client said.
pub(super) struct Received {
    pub(super) body: Body,
    pub(super) md5: Checksum,
    checksums: Vec<Checksum>,
}

impl Received {
    /// Its checksum by an algorithm that was asked for or sent.
    pub(super) fn checksum(&self, algorithm: Algorithm) -> Option<&Checksum> {
        self.checksums
            .iter()
            .find(|checksum| checksum.algorithm() == algorithm)
    }
}

/// Takes `body` in, computing `also` beside the client's own checksum.
pub(super) async fn receive(
    call: &Call,
    mut body: ByteStream,
    expected: Expected,
    also: Option<Algorithm>,
) -> Result<Received, Failure> {
    let mut upload = Upload::new(call);
    let mut md5 = Algorithm::Md5.hasher();
    let client = expected.algorithm();
    let mut hashers: Vec<Hasher> = client.map(Algorithm::hasher).into_iter().collect();
    hashers.extend(
        also.filter(|also| client != Some(*also))
            .map(Algorithm::hasher),
    );
    let bytes_max = call.world.object_bytes_max;
    let body_bytes = body.length();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        let bytes = upload.bytes() + chunk.len() as u64;
        if bytes > bytes_max {
            return Err(S3Error::EntityTooLarge { bytes, bytes_max }.into());
        }
        md5.update(&chunk);
        hashers.iter_mut().for_each(|hasher| hasher.update(&chunk));
        upload.write(chunk).await?;
    }
    if body_bytes.is_some_and(|bytes| bytes != upload.bytes()) {
        return Err(S3Error::IncompleteBody.into());
    }
    let checksums = hashers.into_iter().map(Hasher::finish).collect();
    let received = Received {
        body: upload.finish().await?,
        md5: md5.finish(),
        checksums,
    };
    verify(&received, expected)?;
    Ok(received)
}

fn verify(received: &Received, expected: Expected) -> Result<(), S3Error> {
    if let Some(md5) = expected.md5.filter(|md5| *md5 != received.md5) {
        return Err(S3Error::BadContentMd5 {
            expected: md5.base64(),
            calculated: received.md5.base64(),
        });
    }
    match expected.checksum {
        Some(checksum) if received.checksum(checksum.algorithm()) != Some(&checksum) => {
            Err(S3Error::BadDigest {
                checksum: checksum.algorithm().name(),
            })
        }
        _ => Ok(()),
    }
}
