//! The digests that AWS lets a client send with a body, behind one streaming type.
//!
//! A [`Hasher`] takes bytes as they arrive and ends as a [`Checksum`], which compares and prints the way the
//! `x-amz-checksum-*` headers, the trailers and `Content-MD5` do: standard base64 of the big-endian value.
//!
//! The CRCs are linear, so a multipart upload's whole-object value is computed from its parts' values alone
//! ([`Checksum::append`]); the cryptographic digests can't do that, which is why S3 has composite checksums.

use base64_simd::STANDARD;
use crc_fast::CrcAlgorithm;
use sha2::Digest as _;
use std::hash::Hasher as _;

use crate::hex;

/// An algorithm that a checksum header, a trailer or `Content-MD5` may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Algorithm {
    /// CRC-32 of ISO 3309 (gzip, zip).
    Crc32,
    /// CRC-32 of Castagnoli (iSCSI).
    Crc32c,
    /// CRC-64 of NVMe: what S3 computes where nobody asks for anything.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
    /// XXH64 with seed 0.
    XxHash64,
    /// XXH3 of 64 bits, with seed 0.
    XxHash3,
    /// XXH3 of 128 bits, with seed 0.
    XxHash128,
    /// MD5: entity tags, `Content-MD5`, SQS message digests.
    Md5,
}

impl Algorithm {
    /// Every algorithm, in the order in which S3 lists its members.
    pub(crate) const ALL: [Algorithm; 10] = [
        Algorithm::Crc32,
        Algorithm::Crc32c,
        Algorithm::Crc64Nvme,
        Algorithm::Sha1,
        Algorithm::Sha256,
        Algorithm::Sha512,
        Algorithm::Md5,
        Algorithm::XxHash64,
        Algorithm::XxHash3,
        Algorithm::XxHash128,
    ];

    /// The name that `x-amz-sdk-checksum-algorithm` and `ChecksumAlgorithm` use.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "CRC32",
            Algorithm::Crc32c => "CRC32C",
            Algorithm::Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
            Algorithm::Sha512 => "SHA512",
            Algorithm::Md5 => "MD5",
            Algorithm::XxHash64 => "XXHASH64",
            Algorithm::XxHash3 => "XXHASH3",
            Algorithm::XxHash128 => "XXHASH128",
        }
    }

    /// The header or trailer that carries a value of this algorithm, in lower case.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Algorithm::Crc32 => "x-amz-checksum-crc32",
            Algorithm::Crc32c => "x-amz-checksum-crc32c",
            Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
            Algorithm::Sha512 => "x-amz-checksum-sha512",
            Algorithm::Md5 => "x-amz-checksum-md5",
            Algorithm::XxHash64 => "x-amz-checksum-xxhash64",
            Algorithm::XxHash3 => "x-amz-checksum-xxhash3",
            Algorithm::XxHash128 => "x-amz-checksum-xxhash128",
        }
    }

    /// The algorithm of that name, in any case.
    pub(crate) fn from_name(name: &str) -> Option<Algorithm> {
        (Self::ALL.into_iter()).find(|algorithm| name.eq_ignore_ascii_case(algorithm.name()))
    }

    /// The algorithm whose header or trailer that is, in any case.
    pub(crate) fn from_header(name: &str) -> Option<Algorithm> {
        (Self::ALL.into_iter()).find(|algorithm| name.eq_ignore_ascii_case(algorithm.header()))
    }

    /// How long a value is.
    pub(crate) const fn value_bytes(self) -> usize {
        match self {
            Algorithm::Crc32 | Algorithm::Crc32c => 4,
            Algorithm::Crc64Nvme | Algorithm::XxHash64 | Algorithm::XxHash3 => 8,
            Algorithm::Md5 | Algorithm::XxHash128 => 16,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }

    /// A hasher that has seen no bytes.
    pub(crate) fn hasher(self) -> Hasher {
        Hasher::new(self)
    }

    /// The checksum of bytes that are all here.
    pub(crate) fn checksum(self, bytes: &[u8]) -> Checksum {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The CRC's parameters, for those whose values can be joined.
    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Algorithm::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            _ => None,
        }
    }
}

/// A digest in the making.
#[derive(Clone)]
pub(crate) struct Hasher(State);

#[derive(Clone)]
enum State {
    /// By `crc32fast`, twice as fast here as `crc-fast`.
    Crc32(crc32fast::Hasher),
    Crc(Algorithm, Box<crc_fast::Digest>),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
    Md5(md5::Md5),
    XxHash64(Box<twox_hash::XxHash64>),
    XxHash3(Box<twox_hash::XxHash3_64>),
    XxHash128(Box<twox_hash::XxHash3_128>),
}

impl Hasher {
    /// A hasher that has seen no bytes.
    pub(crate) fn new(algorithm: Algorithm) -> Hasher {
        Hasher(match algorithm {
            Algorithm::Crc32 => State::Crc32(crc32fast::Hasher::new()),
            Algorithm::Crc32c | Algorithm::Crc64Nvme => {
                let parameters = algorithm.crc().expect("both are CRCs");
                State::Crc(algorithm, Box::new(crc_fast::Digest::new(parameters)))
            }
            Algorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Box::new(sha2::Sha512::new())),
            Algorithm::Md5 => State::Md5(md5::Md5::new()),
            Algorithm::XxHash64 => State::XxHash64(Box::new(twox_hash::XxHash64::with_seed(0))),
            Algorithm::XxHash3 => State::XxHash3(Box::default()),
            Algorithm::XxHash128 => State::XxHash128(Box::default()),
        })
    }

    /// Which algorithm it runs.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match &self.0 {
            State::Crc32(_) => Algorithm::Crc32,
            State::Crc(algorithm, _) => *algorithm,
            State::Sha1(_) => Algorithm::Sha1,
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
            State::Md5(_) => Algorithm::Md5,
            State::XxHash64(_) => Algorithm::XxHash64,
            State::XxHash3(_) => Algorithm::XxHash3,
            State::XxHash128(_) => Algorithm::XxHash128,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Crc32(hasher) => hasher.update(bytes),
            State::Crc(_, hasher) => hasher.update(bytes),
            State::Sha1(hasher) => hasher.update(bytes),
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
            State::Md5(hasher) => hasher.update(bytes),
            State::XxHash64(hasher) => hasher.write(bytes),
            State::XxHash3(hasher) => hasher.write(bytes),
            State::XxHash128(hasher) => hasher.write(bytes),
        }
    }

    /// The checksum of all bytes taken.
    pub(crate) fn finish(self) -> Checksum {
        let algorithm = self.algorithm();
        let value = match self.0 {
            State::Crc32(hasher) => hasher.finalize().to_be_bytes().to_vec(),
            State::Crc(_, hasher) => crc_value(algorithm, hasher.finalize()),
            State::Sha1(hasher) => hasher.finalize().to_vec(),
            State::Sha256(hasher) => hasher.finalize().to_vec(),
            State::Sha512(hasher) => hasher.finalize().to_vec(),
            State::Md5(hasher) => hasher.finalize().to_vec(),
            State::XxHash64(hasher) => hasher.finish().to_be_bytes().to_vec(),
            State::XxHash3(hasher) => hasher.finish().to_be_bytes().to_vec(),
            State::XxHash128(hasher) => hasher.finish_128().to_be_bytes().to_vec(),
        };
        Checksum { algorithm, value }
    }
}

/// A digest, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checksum {
    algorithm: Algorithm,
    value: Vec<u8>,
}

impl Checksum {
    /// Reads a header's or trailer's value. `None`: not base64, or not as long as the algorithm's values are.
    pub(crate) fn from_base64(algorithm: Algorithm, text: &str) -> Option<Checksum> {
        // A SHA-512 takes 88 characters; nothing longer deserves the decoder's allocation.
        if text.len() > 88 {
            return None;
        }
        let value = STANDARD.decode_to_vec(text.trim()).ok()?;
        (value.len() == algorithm.value_bytes()).then_some(Checksum { algorithm, value })
    }

    /// Which algorithm made it.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The value as headers carry it.
    pub(crate) fn base64(&self) -> String {
        STANDARD.encode_to_string(&self.value)
    }

    /// The value in lower-case hexadecimal, as entity tags carry it.
    pub(crate) fn hex(&self) -> String {
        hex::lower(&self.value)
    }

    /// The value itself, big-endian.
    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }

    /// The checksum of this one's bytes followed by `next`'s `next_bytes` bytes. `None`: not two CRCs of one kind.
    pub(crate) fn append(&self, next: &Checksum, next_bytes: u64) -> Option<Checksum> {
        let parameters = (self.algorithm == next.algorithm).then(|| self.algorithm.crc())??;
        let joined =
            crc_fast::checksum_combine(parameters, self.number(), next.number(), next_bytes);
        Some(Checksum {
            algorithm: self.algorithm,
            value: crc_value(self.algorithm, joined),
        })
    }

    /// A CRC's value as the number that it is.
    fn number(&self) -> u64 {
        self.value
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// The big-endian value of a CRC: the low end of `number`, as long as the algorithm's values are.
fn crc_value(algorithm: Algorithm, number: u64) -> Vec<u8> {
    number.to_be_bytes()[8 - algorithm.value_bytes()..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests of `hello world` that AWS gives, however the bytes are cut.
    #[test]
    fn digests_are_those_of_aws() {
        check(Algorithm::Crc32, "DUoRhQ==");
        check(Algorithm::Crc32c, "yZRlqg==");
        check(Algorithm::Crc64Nvme, "jSnVw/bqjr4=");
        check(Algorithm::Sha1, "Kq5sNclPz7QV2+lfQIuc6R7oRu0=");
        check(
            Algorithm::Sha256,
            "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
        );
        check(
            Algorithm::Sha512,
            "MJ7MSJwS1utMxA9QyQLytNDtd+5RGnx6m808qG1M2G+YndNbxf9JlnDaNCVbRbDP2DDoH2Bdz33FVC6TrpzXbw==",
        );
        check(Algorithm::Md5, "XrY7u+Ae7tCTyyK7j1rNww==");
        check(Algorithm::XxHash64, "RatnNLIeaWg=");
        check(Algorithm::XxHash3, "1Eex6kDmmIs=");
        check(Algorithm::XxHash128, "340J6T+HSQCpm4d1zBW2xw==");
    }

    fn check(algorithm: Algorithm, base64: &str) {
        let text = b"hello world";
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            let mut hasher = algorithm.hasher();
            hasher.update(head);
            hasher.update(tail);
            assert_eq!(
                hasher.finish().base64(),
                base64,
                "{algorithm:?} cut at {cut}"
            );
        }
        let checksum = algorithm.checksum(text);
        assert_eq!(Checksum::from_base64(algorithm, base64), Some(checksum));
        assert_eq!(
            Algorithm::from_name(&algorithm.name().to_lowercase()),
            Some(algorithm)
        );
        assert_eq!(Algorithm::from_header(algorithm.header()), Some(algorithm));
    }

    /// A CRC of the whole follows from the CRCs of the parts, empty ones too; other digests refuse.
    #[test]
    fn crcs_of_parts_join() {
        for algorithm in Algorithm::ALL {
            for cut in [0, 1, 5, 11] {
                let (head, tail) = b"hello world".split_at(cut);
                let joined = algorithm
                    .checksum(head)
                    .append(&algorithm.checksum(tail), tail.len() as u64);
                let whole = algorithm.crc().map(|_| algorithm.checksum(b"hello world"));
                assert_eq!(joined, whole, "{algorithm:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn values_of_another_length_are_refused() {
        for text in [
            "",
            "DUoRhQ",
            "DUoRhQ=",
            "DUoR",
            "jSnVw/bqjr4=",
            "*",
            &"A".repeat(1 << 20),
        ] {
            assert_eq!(
                Checksum::from_base64(Algorithm::Crc32, text),
                None,
                "{text:.20}"
            );
        }
    }
}
