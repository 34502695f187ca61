//! One record of the log.

use crate::store::Lsn;
use crc32fast::Hasher;

/// The bytes before a record's payload.
pub(crate) const HEADER_BYTES: usize = 32;

/// The most that a payload may hold: a damaged length can't make recovery reserve more.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Records start at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;

/// No sync is known, or it is further back than a lag can say.
const LAG_UNKNOWN: u32 = u32::MAX;

/// The only payload codec so far: MessagePack, see [`crate::wire`].
pub(crate) const CODEC_MESSAGEPACK: u8 = 1;

/// What a record is. 0 is no kind, so that zeros never decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A transaction's effects. The only kind that takes a new LSN; the others repeat the last one.
    Transaction = 1,
    /// Nothing new: proves by its lag that all before it is synced.
    DurableMark = 2,
    /// Reserved for the name of a checkpoint.
    Checkpoint = 3,
    /// The segment ends here; the log goes on in the next.
    Seal = 4,
    /// The store was closed here, and everything is synced.
    Close = 5,
}

impl Kind {
    pub(crate) fn of(number: u8) -> Option<Kind> {
        use Kind::{Checkpoint, Close, DurableMark, Seal, Transaction};
        [Transaction, DurableMark, Checkpoint, Seal, Close]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// Checksums of one segment, seeded with its salt: another segment's records, or a log stored as a value, don't verify.
#[derive(Clone, Debug)]
pub(crate) struct Seed(Hasher);

impl Seed {
    pub(crate) fn new(salt: u64) -> Seed {
        let mut hasher = Hasher::new();
        hasher.update(&salt.to_le_bytes());
        Seed(hasher)
    }

    fn header_crc(&self, bytes: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(bytes);
        hasher.finalize()
    }

    pub(crate) fn payload_crc(&self, lsn: Lsn, payload: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(&lsn.0.to_le_bytes());
        hasher.update(payload);
        hasher.finalize()
    }
}

/// A record's header, little-endian.
///
/// ```text
///  0..4   CRC-32 of the segment's salt and of 4..32
///  4..8   payload length, at most PAYLOAD_BYTES_MAX
///  8..16  LSN: a transaction's is the previous record's plus one, another kind repeats it
/// 16..20  lag: LSN minus the highest LSN known synced when this was written; all ones: unknown
/// 20..24  the previous record's payload CRC (of the predecessor's last record at the start of a segment)
/// 24..28  CRC-32 of the segment's salt, the LSN and the payload
/// 28      kind
/// 29      codec of the payload
/// 30..32  flags, none so far
/// 32..    payload, then zeros up to the next multiple of 8
/// ```
///
/// The header has a checksum of its own, so a length can be trusted and a damaged payload skipped: what stands after it
/// decides whether it is a torn tail or damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) payload_bytes: u32,
    pub(crate) lsn: Lsn,
    pub(crate) lag: u32,
    pub(crate) previous_crc: u32,
    pub(crate) payload_crc: u32,
    pub(crate) kind: u8,
    pub(crate) codec: u8,
    pub(crate) flags: u16,
}

impl Header {
    pub(crate) fn encode(&self, seed: &Seed) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[4..8].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.lsn.0.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.lag.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.previous_crc.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[28] = self.kind;
        bytes[29] = self.codec;
        bytes[30..32].copy_from_slice(&self.flags.to_le_bytes());
        let crc = seed.header_crc(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None`: no header of this segment stands here. Whether that is the end or damage, recovery decides.
    pub(crate) fn decode(seed: &Seed, bytes: &[u8]) -> Option<Header> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        // The cheap test first: recovery asks this at every eighth byte of a tail.
        if bytes[28] == 0 || u32_at(bytes, 0) != seed.header_crc(&bytes[4..]) {
            return None;
        }
        let header = Header::parse(bytes);
        (header.payload_bytes as usize <= PAYLOAD_BYTES_MAX).then_some(header)
    }

    /// The fields, whatever the checksum says.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Header {
        Header {
            payload_bytes: u32_at(bytes, 4),
            lsn: Lsn(u64::from(u32_at(bytes, 8)) | u64::from(u32_at(bytes, 12)) << 32),
            lag: u32_at(bytes, 16),
            previous_crc: u32_at(bytes, 20),
            payload_crc: u32_at(bytes, 24),
            kind: bytes[28],
            codec: bytes[29],
            flags: u16::from_le_bytes([bytes[30], bytes[31]]),
        }
    }

    /// The highest LSN that this record proves synced.
    pub(crate) fn proven(&self) -> Lsn {
        match self.lag {
            LAG_UNKNOWN => Lsn(0),
            lag => Lsn(self.lsn.0.saturating_sub(u64::from(lag))),
        }
    }

    /// The whole record's length, with its padding.
    pub(crate) fn record_bytes(&self) -> usize {
        record_bytes(self.payload_bytes as usize)
    }
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The lag of a record at `lsn` while `synced` is known synced.
pub(crate) fn lag(lsn: Lsn, synced: Lsn) -> u32 {
    lsn.0
        .checked_sub(synced.0)
        .and_then(|lag| u32::try_from(lag).ok())
        .unwrap_or(LAG_UNKNOWN)
}

/// The length of a record with such a payload, with its padding.
pub(crate) fn record_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// Appends a transaction's record to a batch: the payload that `write` appends, behind a header that knows only length and
/// LSN. [`Framer::frame`] fills in the rest once the segment is known.
pub(crate) fn append_unframed(batch: &mut Vec<u8>, lsn: Lsn, write: impl FnOnce(&mut Vec<u8>)) {
    let start = batch.len();
    batch.resize(start + HEADER_BYTES, 0);
    write(batch);
    let payload_bytes = batch.len() - start - HEADER_BYTES;
    let length = u32::try_from(payload_bytes).expect("the caller refused larger ones");
    batch[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    batch[start + 8..start + 16].copy_from_slice(&lsn.0.to_le_bytes());
    batch.resize(start + record_bytes(payload_bytes), 0);
}

/// The lengths of the unframed records of a batch.
fn lengths(mut batch: &[u8]) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bytes = (!batch.is_empty()).then(|| record_bytes(unframed(batch).0))?;
        batch = &batch[bytes..];
        Some(bytes)
    })
}

/// The length of the longest record of a batch.
pub(crate) fn largest_bytes(batch: &[u8]) -> usize {
    lengths(batch).max().unwrap_or(0)
}

/// The length of the records at the front of a batch that fit into `room`.
pub(crate) fn run_bytes(batch: &[u8], room: u64) -> usize {
    if batch.len() as u64 <= room {
        return batch.len();
    }
    let ends = lengths(batch).scan(0, |end, bytes| {
        *end += bytes;
        Some(*end)
    });
    ends.take_while(|end| *end as u64 <= room)
        .last()
        .unwrap_or(0)
}

/// The transactions of a batch: their LSNs and payloads.
pub(crate) fn unframed_records(batch: &[u8]) -> impl Iterator<Item = (Lsn, &[u8])> {
    let mut rest = batch;
    lengths(batch).map(move |bytes| {
        let (record, later) = rest.split_at(bytes);
        rest = later;
        let (payload_bytes, lsn) = unframed(record);
        (lsn, &record[HEADER_BYTES..HEADER_BYTES + payload_bytes])
    })
}

fn unframed(batch: &[u8]) -> (usize, Lsn) {
    let header: &[u8; HEADER_BYTES] = batch.first_chunk().expect("a batch holds whole records");
    let lsn = u64::from(u32_at(header, 8)) | u64::from(u32_at(header, 12)) << 32;
    (u32_at(header, 4) as usize, Lsn(lsn))
}

/// Where in the chain of records the log stands: what the next record must say of the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) lsn: Lsn,
    pub(crate) crc: u32,
}

/// Writes the headers of the records of one segment.
pub(crate) struct Framer<'a> {
    pub(crate) seed: &'a Seed,
    pub(crate) link: Link,
    pub(crate) synced: Lsn,
}

impl Framer<'_> {
    /// Completes the headers of a run of unframed transactions.
    pub(crate) fn frame(&mut self, mut run: &mut [u8]) {
        while !run.is_empty() {
            let (payload_bytes, lsn) = unframed(run);
            let (record, rest) = run.split_at_mut(record_bytes(payload_bytes));
            let (header, payload) = record.split_at_mut(HEADER_BYTES);
            let framed = self.header(Kind::Transaction, lsn, &payload[..payload_bytes]);
            header.copy_from_slice(&framed);
            run = rest;
        }
    }

    /// A record without payload that repeats the last LSN.
    pub(crate) fn control(&mut self, kind: Kind) -> [u8; HEADER_BYTES] {
        self.header(kind, self.link.lsn, &[])
    }

    fn header(&mut self, kind: Kind, lsn: Lsn, payload: &[u8]) -> [u8; HEADER_BYTES] {
        let header = Header {
            payload_bytes: u32::try_from(payload.len()).expect("payloads are bounded"),
            lsn,
            lag: lag(lsn, self.synced),
            previous_crc: self.link.crc,
            payload_crc: self.seed.payload_crc(lsn, payload),
            kind: kind as u8,
            codec: if payload.is_empty() {
                0
            } else {
                CODEC_MESSAGEPACK
            },
            flags: 0,
        };
        self.link = Link {
            lsn,
            crc: header.payload_crc,
        };
        header.encode(self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payload: &[u8]) -> (Seed, Vec<u8>) {
        let seed = Seed::new(7);
        let mut batch = Vec::new();
        append_unframed(&mut batch, Lsn(5), |out| out.extend_from_slice(payload));
        Framer {
            seed: &seed,
            link: Link {
                lsn: Lsn(4),
                crc: 9,
            },
            synced: Lsn(2),
        }
        .frame(&mut batch);
        (seed, batch)
    }

    #[test]
    fn a_record_says_what_it_was_framed_with() {
        let (seed, record) = framed(b"payload");
        let header = Header::decode(&seed, &record).expect("it was just framed");
        assert_eq!(
            (header.lsn, header.proven(), header.previous_crc),
            (Lsn(5), Lsn(2), 9)
        );
        assert_eq!(header.payload_crc, seed.payload_crc(Lsn(5), b"payload"));
        assert_eq!((header.record_bytes(), record.len()), (40, 40));
    }

    #[test]
    fn bytes_on_disk_are_pinned() {
        let (_, record) = framed(b"payload");
        let hex: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "0186b19307000000050000000000000003000000090000000ab7dee8010100007061796c6f616400"
        );
    }

    #[test]
    fn any_flipped_bit_of_a_header_is_noticed() {
        let (seed, record) = framed(b"payload");
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&seed, &flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn zeros_short_input_and_another_salt_do_not_decode() {
        let (seed, record) = framed(b"payload");
        assert_eq!(Header::decode(&seed, &[0; HEADER_BYTES]), None);
        assert_eq!(Header::decode(&seed, &record[..HEADER_BYTES - 1]), None);
        assert_eq!(Header::decode(&Seed::new(8), &record), None);
    }

    #[test]
    fn a_lag_that_does_not_fit_proves_nothing() {
        let check = |lsn, synced, expected| assert_eq!(lag(Lsn(lsn), Lsn(synced)), expected);
        check(9, 9, 0);
        check(9, 2, 7);
        check(u64::MAX, 0, LAG_UNKNOWN);
        check(1, 2, LAG_UNKNOWN);
    }
}
