use super::reader::Reader;
use super::writer::Writer;
use super::*;
use crate::disk::{Access, Disk, Simulated};
use crate::error::Error;
use std::io::IoSlice;

const PATH: &str = "00000301-000000000042.snap";

const ORIGIN: Origin = Origin {
    store: *b"store-----------",
    space: 0x301,
    lsn: Lsn(42),
};

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn written(entries: &[(Vec<u8>, Vec<u8>)]) -> (Simulated, Summary) {
    let disk = Simulated::default();
    let mut writer = Writer::create(&disk, Path::new(PATH), &ORIGIN).expect("there is a disk");
    for (key, value) in entries {
        if !writer.fits(key, value) {
            writer.flush().expect("there is a disk");
        }
        writer.push(key, value);
    }
    let summary = writer.finish().expect("there is a disk");
    assert_eq!(writer.bytes(), disk.files()[Path::new(PATH)].len() as u64);
    (disk, summary)
}

fn read(disk: &Simulated) -> Result<(Entries, Summary), Error> {
    let mut reader = Reader::open(disk, Path::new(PATH), &ORIGIN)?;
    let mut entries = Vec::new();
    while reader.block(|key, value| entries.push((key.to_vec(), value.to_vec())))? {}
    Ok((entries, reader.summary()))
}

fn entries(count: u32, value_bytes: usize) -> Entries {
    (0..count)
        .map(|number| {
            (
                number.to_be_bytes().to_vec(),
                vec![number as u8; value_bytes],
            )
        })
        .collect()
}

/// A disk with such a file.
fn disk_with(bytes: &[u8]) -> Simulated {
    let disk = Simulated::default();
    let file = disk.create(Path::new(PATH)).expect("there is a disk");
    file.write_at(&[IoSlice::new(bytes)], 0)
        .expect("there is a disk");
    disk
}

fn bytes(disk: &Simulated) -> Vec<u8> {
    disk.files()[Path::new(PATH)].clone()
}

#[test]
fn a_snapshot_comes_back_as_it_was() {
    let check = |entries: Entries| {
        let (disk, summary) = written(&entries);
        let (found, found_summary) = read(&disk).expect("it was just written");
        assert!(found == entries);
        assert_eq!(found_summary, summary);
        let total: usize = entries
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        assert_eq!(
            (summary.count, summary.bytes),
            (entries.len() as u64, total as u64)
        );
    };
    check(entries(0, 0));
    check(entries(1, 0));
    check(vec![(Vec::new(), b"an empty key".to_vec())]);
    check(entries(5000, 100));
    check(entries(3, BLOCK_BYTES_MAX));
    check(entries(2, 5 << 20));
}

#[test]
fn bytes_on_disk_are_pinned() {
    let (disk, _) = written(&[(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), Vec::new())]);
    let hex: String = bytes(&disk)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hex,
        "89434c530d0a1a0a01000000010300000000000000000000000000000000000073746f72652d2d2d2d2d2d2d2d2d2d2d2a0000000000000000000000e3ee5e1171172202130000000200000000000000010000000100000061310100000000000000624129d74a180000000000000000000000020000000000000003000000000000003f37261494cbddbf"
    );
}

/// However the entries are laid out.
#[test]
fn the_hash_is_one_of_the_state() {
    let entries = entries(100, 3);
    let (_, summary) = written(&entries);
    let disk = Simulated::default();
    let mut writer = Writer::create(&disk, Path::new(PATH), &ORIGIN).expect("there is a disk");
    for (key, value) in &entries {
        writer.push(key, value);
        writer.flush().expect("there is a disk");
    }
    assert_eq!(writer.finish().expect("there is a disk"), summary);
    assert_ne!(written(&entries[1..]).1.hash, summary.hash);
}

#[test]
fn any_flipped_bit_is_noticed() {
    let (disk, _) = written(&entries(20, 7));
    let bytes = bytes(&disk);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = read(&disk_with(&flipped)).expect_err("it is damaged");
        assert!(matches!(error, Error::Corrupt { .. }), "bit {bit}: {error}");
    }
}

#[test]
fn what_is_cut_off_or_follows_is_noticed() {
    let (disk, _) = written(&entries(20, 7));
    let bytes = bytes(&disk);
    for end in 0..bytes.len() {
        read(&disk_with(&bytes[..end])).expect_err("it is cut");
    }
    read(&disk_with(&[&bytes[..], b"x"].concat())).expect_err("it is too long");
}

/// Blocks that are whole, but not where they belong.
#[test]
fn no_block_passes_for_another() {
    let (disk, _) = written(&entries(3000, 100));
    let bytes = bytes(&disk);
    let second = bytes[HEADER_BYTES + 4..][..4]
        .try_into()
        .expect("four bytes");
    let second = HEADER_BYTES + BLOCK_HEADER_BYTES + u32::from_le_bytes(second) as usize;
    let without = [&bytes[..HEADER_BYTES], &bytes[second..]].concat();
    let error = read(&disk_with(&without)).expect_err("a block is missing");
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[test]
fn a_file_of_another_origin_is_named() {
    let (disk, _) = written(&entries(1, 1));
    let check = |change: fn(&mut Origin), expected: &str| {
        let mut origin = ORIGIN;
        change(&mut origin);
        let error = Reader::open(&disk, Path::new(PATH), &origin)
            .err()
            .expect("it is another's");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(|origin| origin.store[0] = 0, "belongs to another store");
    check(|origin| origin.space = 0x302, "another snapshot's name");
    check(|origin| origin.lsn = Lsn(41), "another snapshot's name");
    let absent = Reader::open(&Simulated::default(), Path::new(PATH), &ORIGIN);
    let error = absent.err().expect("there is no file").to_string();
    assert!(
        error.contains("(record 42): MANIFEST names it, but it is missing"),
        "{error}"
    );
}

#[test]
fn newer_versions_and_features_are_named() {
    let check = |at: usize, byte, expected: &str| {
        let (disk, _) = written(&entries(1, 1));
        let mut header = bytes(&disk)[..HEADER_BYTES].to_vec();
        header[at] = byte;
        let crc = crc32fast::hash(&header[..60]);
        header[60..].copy_from_slice(&crc.to_le_bytes());
        let file = disk
            .open(Path::new(PATH), Access::Write)
            .expect("it was written");
        file.write_at(&[IoSlice::new(&header)], 0)
            .expect("there is a disk");
        let error = read(&disk).expect_err("it is newer").to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(8, 2, "has format version 2");
    check(16, 4, "has format features 0x4");
}

#[test]
fn names_hold_key_space_and_transaction() {
    let name = file_name(0x301, Lsn(42));
    assert_eq!(name, PATH);
    assert_eq!(named(&name), Some((0x301, Lsn(42))));
    assert!(is_temporary("00000301-000000000042.snap.tmp"));
    for name in [
        "301-42.snap",
        "00000301-000000000042.snap.tmp",
        "MANIFEST",
        "+0000301-000000000042.snap",
    ] {
        assert_eq!(named(name), None, "{name}");
    }
}

/// A bug wrote it: all checksums are right.
#[test]
fn who_goes_on_behind_damage_gets_keys_in_order_all_the_same() {
    let disk = Simulated::default();
    let mut writer = Writer::create(&disk, Path::new(PATH), &ORIGIN).expect("there is a disk");
    for block in [&b"5936"[..], b"78"] {
        block.iter().for_each(|key| writer.push(&[*key], b""));
        writer.flush().expect("there is a disk");
    }
    writer.finish().expect("there is a disk");
    let mut reader = Reader::open(&disk, Path::new(PATH), &ORIGIN).expect("it is there");
    let mut keys = Vec::new();
    let mut damages = 0;
    loop {
        match reader.block(|key, _| keys.extend_from_slice(key)) {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) if reader.is_at_footer() => break,
            Err(_) => {
                damages += 1;
                assert!(reader.skip().expect("there is a disk"));
            }
        }
    }
    assert_eq!((keys.as_slice(), damages), (&b"59"[..], 2));
}
