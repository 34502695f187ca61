//! Fuzz targets: any bytes in, a panic where an oracle is hurt. For `fuzz/` and the tests, and for nobody else.

mod compacted;
mod recovery;
#[cfg(test)]
mod seeds;

pub use compacted::{manifest, snapshot};
pub use recovery::recovery;

/// The tree, for benchmarks.
pub mod tree {
    pub use crate::tree::{Batch, Builder, Tree};
}

use crate::Key;
use crate::log::record::{HEADER_BYTES, Header, PAYLOAD_BYTES_MAX, Seed};
use crate::log::segment::{self, Block};
use crate::wire;
use std::fmt::Debug;

/// A salt, a record's header and a payload: what decodes, encodes to what was read.
///
/// The header is tried as it came and with its checksum mended. The same bytes are also tried as a segment's header.
pub fn record(input: &[u8]) {
    check_block(segment::Header::decode(input));
    let Some((salt, record)) = input.split_first_chunk() else {
        return;
    };
    let seed = Seed::new(u64::from_le_bytes(*salt));
    if let Some((header, payload)) = record.split_first_chunk::<HEADER_BYTES>() {
        check_header(&seed, *header);
        check_payload(payload);
        let mut record = record.to_vec();
        if let Some(mended) = mend(&seed, 7, true, &mut record) {
            // Zeros never decode, not even with the right checksums.
            let expected = (mended.kind != 0).then_some(mended);
            assert_eq!(Header::decode(&seed, &record), expected);
            check_header(&seed, *record.first_chunk().expect("a header was there"));
        }
    }
}

/// What a decoded header of a segment says, it says again once encoded.
fn check_block(block: Block) {
    if let Block::Header(header) = block {
        assert_eq!(
            segment::Header::decode(&header.encode()),
            Block::Header(header)
        );
    }
}

fn check_header(seed: &Seed, bytes: [u8; HEADER_BYTES]) {
    if let Some(header) = Header::decode(seed, &bytes) {
        assert_eq!(header.encode(seed), bytes);
        assert!(header.payload_bytes as usize <= PAYLOAD_BYTES_MAX);
        assert!(header.proven() <= header.lsn);
    }
}

/// Makes the first of `records` valid: its checksums, its link to the one before. `None`: its payload is not all there.
fn mend(seed: &Seed, previous_crc: u32, with_payload: bool, records: &mut [u8]) -> Option<Header> {
    let (bytes, rest) = records.split_first_chunk_mut::<HEADER_BYTES>()?;
    let mut header = Header::parse(bytes);
    let payload = rest.get(..header.payload_bytes as usize)?;
    header.previous_crc = previous_crc;
    if with_payload {
        header.payload_crc = seed.payload_crc(header.lsn, payload);
    }
    *bytes = header.encode(seed);
    (header.record_bytes() <= records.len()).then_some(header)
}

/// Effects that decode encode to bytes that decode to the same effects, and take no more than they were said to.
fn check_payload(payload: &[u8]) {
    let mut effects = Vec::new();
    let Ok(label) = wire::decode(payload, |effect| effects.push(effect)) else {
        return;
    };
    let (mut encoded, mut again) = (Vec::new(), Vec::new());
    for effect in &effects {
        let before = encoded.len();
        wire::encode_effect(*effect, &mut encoded);
        assert!(encoded.len() - before <= effect.bytes_max(), "{effect:?}");
    }
    let count = u32::try_from(effects.len()).expect("an effect takes a byte at least");
    let mut whole = Vec::new();
    wire::encode(Some(&label), count, &encoded, &mut whole);
    let label_again = wire::decode(&whole, |effect| again.push(effect));
    assert_eq!(label_again.expect("it was just encoded"), label);
    assert_eq!(again, effects);
}

/// Two keys of a type that the first byte chooses: what decodes, encodes to what was read, and sorts as the values do.
pub fn key(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else {
        return;
    };
    match kind % 8 {
        0 => check_keys::<(String, String, String)>(rest),
        1 => check_keys::<(u64, i64, u64)>(rest),
        2 => check_keys::<(Vec<u8>, bool, Vec<u8>)>(rest),
        3 => check_keys::<(u8, u16, u32, String)>(rest),
        4 => check_keys::<(u64, i64, String, String)>(rest),
        5 => check_keys::<(String, u32)>(rest),
        6 => check_keys::<(i64, Vec<u8>)>(rest),
        _ => check_keys::<()>(rest),
    }
}

fn check_keys<K: Key + Ord + Debug>(mut input: &[u8]) {
    let mut decoded = Vec::new();
    while let Some(key) = K::decode(&mut input) {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        let mut again = &bytes[..];
        assert_eq!(K::decode(&mut again).as_ref(), Some(&key));
        assert!(again.is_empty(), "{key:?} left bytes");
        decoded.push((key, bytes));
        if input.is_empty() || decoded.len() > 16 {
            break;
        }
    }
    for (key, bytes) in &decoded {
        for (other, other_bytes) in &decoded {
            assert_eq!(
                key.cmp(other),
                bytes.cmp(other_bytes),
                "{key:?} and {other:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_are_written() {
        cumulog_fuzz_slice::check("record", record);
    }

    #[test]
    fn snapshots_are_read_as_they_are_written() {
        cumulog_fuzz_slice::check("snapshot", snapshot);
    }

    #[test]
    fn manifests_are_read_as_they_are_written() {
        cumulog_fuzz_slice::check("manifest", manifest);
    }

    #[test]
    fn any_files_are_recovered_or_refused() {
        cumulog_fuzz_slice::check("recovery", recovery);
    }

    #[test]
    fn keys_are_read_as_they_are_written_and_sort_as_their_values() {
        cumulog_fuzz_slice::check("key", key);
    }
}
