//! Snapshots and manifests.

use crate::disk::{Disk, Simulated, write_full};
use crate::error::Error;
use crate::manifest::Manifest;
use crate::snapshot::reader::Reader;
use crate::snapshot::writer::Writer;
use crate::snapshot::{self, Origin, Summary};
use crate::store::Lsn;
use std::path::Path;

pub(super) const ORIGIN: Origin = Origin {
    store: *b"fuzz's own store",
    space: 0x200,
    lsn: Lsn(3),
};

const PATH: &str = "fuzz.snap";

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// A snapshot's file: what is read from it, gives a file that the same is read from.
///
/// It is tried as it came, and with a header and checksums that are right.
pub fn snapshot(input: &[u8]) {
    check_snapshot(input);
    let mut mended = input.to_vec();
    snapshot::mend(&mut mended, &ORIGIN);
    check_snapshot(&mended);
}

fn check_snapshot(bytes: &[u8]) {
    let Ok((entries, summary)) = read(&disk_with(bytes)) else {
        return;
    };
    assert!(entries.is_sorted_by(|before, after| before.0 < after.0));
    let disk = Simulated::default();
    let path = Path::new(PATH);
    let mut writer = Writer::create(&disk, path, &ORIGIN).expect("there is a disk");
    for (key, value) in &entries {
        if !writer.fits(key, value) {
            writer.flush().expect("there is a disk");
        }
        writer.push(key, value);
    }
    assert_eq!(writer.finish().expect("there is a disk"), summary);
    let again = read(&disk).expect("it was just written");
    assert!(again == (entries, summary));
}

fn read(disk: &Simulated) -> Result<(Entries, Summary), Error> {
    let mut reader = Reader::open(disk, Path::new(PATH), &ORIGIN)?;
    let mut entries = Vec::new();
    while reader.block(|key, value| entries.push((key.to_vec(), value.to_vec())))? {}
    Ok((entries, reader.summary()))
}

fn disk_with(bytes: &[u8]) -> Simulated {
    let disk = Simulated::default();
    let file = disk.create(Path::new(PATH)).expect("there is a disk");
    write_full(&*file, bytes, 0).expect("there is a disk");
    disk
}

/// A manifest's file: what decodes, encodes to what decodes to the same.
///
/// It is tried as it came, and with a length and a checksum that are right.
pub fn manifest(input: &[u8]) {
    check_manifest(input);
    let mut mended = input.to_vec();
    Manifest::mend(&mut mended);
    check_manifest(&mended);
}

fn check_manifest(bytes: &[u8]) {
    let decode = |bytes: &[u8]| Manifest::decode(Path::new("MANIFEST"), bytes);
    if let Ok(manifest) = decode(bytes) {
        let again = decode(&manifest.encode()).expect("it was just encoded");
        assert_eq!(again, manifest);
    }
}
