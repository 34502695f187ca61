//! Version ids: 32 characters that say nothing to clients, and to us where the version stands.

use super::error::S3Error;
use super::rows::{BucketRow, ObjectRow, Versioning};
use crate::checksum::Algorithm;
use crate::ids::Random;
use base64_simd::URL_SAFE_NO_PAD;

/// The id of a version that was written while its bucket kept none.
const NULL: &str = "null";

/// The bytes of an id: random, then the masked sequence number, then a checksum of both.
const ID_BYTES: usize = 24;

/// A new id for a version of that sequence number: 32 characters that say nothing to clients, as AWS's do.
pub(super) fn new_id(random: &dyn Random, sequence: u64) -> String {
    let mut bytes = [0; ID_BYTES];
    random.fill(&mut bytes[..12]);
    let masked = sequence ^ mask(&bytes);
    bytes[12..20].copy_from_slice(&masked.to_be_bytes());
    let checksum = Algorithm::Crc32.checksum(&bytes[..20]);
    bytes[20..].copy_from_slice(checksum.value());
    URL_SAFE_NO_PAD.encode_to_string(bytes).replace('-', ".")
}

/// So that numbers that follow each other do not look it.
fn mask(bytes: &[u8; ID_BYTES]) -> u64 {
    let random = (bytes[..8].iter()).fold(0, |mask: u64, byte| mask << 8 | u64::from(*byte));
    random.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// The sequence number in an id. `None`: no version ever had that id.
fn sequence_of(id: &str) -> Option<u64> {
    if id.len() != 32 || id.contains('-') {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode_to_vec(id.replace('.', "-")).ok()?;
    let bytes: [u8; ID_BYTES] = bytes.try_into().ok()?;
    if Algorithm::Crc32.checksum(&bytes[..20]).value() != &bytes[20..] {
        return None;
    }
    let masked: [u8; 8] = bytes[12..20].try_into().ok()?;
    Some(u64::from_be_bytes(masked) ^ mask(&bytes))
}

/// A version id as clients see it.
pub(super) fn shown(id: &str) -> &str {
    match id {
        "" => NULL,
        id => id,
    }
}

/// The version id that answers carry: none from buckets that never kept versions.
pub(super) fn answered(bucket: &BucketRow, id: &str) -> Option<String> {
    (bucket.versioning != Versioning::Never).then(|| shown(id).to_owned())
}

/// The id of a version that has one of its own.
pub(super) fn named(row: &ObjectRow) -> Option<String> {
    Some(row.version.clone()).filter(|id| !id.is_empty())
}

/// A version id as a client gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VersionId<'a> {
    Null,
    /// An id, and the sequence number in it.
    Of(&'a str, u64),
}

impl<'a> VersionId<'a> {
    /// Refuses what no version ever was.
    pub(super) fn parse(id: &'a str, argument: &'static str) -> Result<VersionId<'a>, S3Error> {
        if id == NULL {
            return Ok(VersionId::Null);
        }
        if id.is_empty() {
            let message = "Version id cannot be the empty string";
            return Err(S3Error::argument(argument, id, message));
        }
        let refused = || S3Error::argument(argument, id, "Invalid version id specified");
        sequence_of(id)
            .map(|sequence| VersionId::Of(id, sequence))
            .ok_or_else(refused)
    }

    /// As rows keep it.
    pub(super) fn id(self) -> &'a str {
        match self {
            VersionId::Null => "",
            VersionId::Of(id, _) => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SystemRandom;

    #[test]
    fn ids_carry_their_sequence_number_and_nothing_else_passes() {
        let random = SystemRandom::new();
        for sequence in [0, 1, 2, u64::from(u32::MAX), u64::MAX] {
            let id = new_id(&random, sequence);
            assert_eq!(id.len(), 32);
            assert_eq!(sequence_of(&id), Some(sequence), "{id}");
            let mut other = id.into_bytes();
            other[5] = if other[5] == b'x' { b'y' } else { b'x' };
            let other = String::from_utf8(other).expect("it was text");
            assert_eq!(sequence_of(&other), None, "{other}");
        }
        for id in ["", "null", "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD", "é"] {
            assert_eq!(sequence_of(id), None, "{id}");
        }
    }
}
