//! What a simulated disk holds: what its platters have, what is only in the cache, and what a crash makes of both.
//!
//! Every file has its bytes twice: as readers see them, and as they are on the platters. What stands between is the list
//! of unsynced changes, in order; the same goes for names. A sync applies a file's list (a directory's list) to the
//! platters. A loss of power decides for each change by itself whether it got there.
//!
//! The model takes one thing for granted: a write damages no byte outside of its own range, even where it shares a
//! sector with bytes that were synced before ("powersafe overwrite"). Disks of this century keep a sector whole.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Loss, NameOrder};

/// What is torn is torn at multiples of this.
const SECTOR_BYTES: usize = 512;

#[derive(Clone, Debug)]
pub(super) struct Medium {
    /// By inode; an inode is never used again.
    files: Vec<Content>,
    names: BTreeMap<PathBuf, Node>,
    names_on_platter: BTreeMap<PathBuf, Node>,
    names_unsynced: Vec<NameChange>,
    name_order: NameOrder,
    /// The number of the next unsynced change, over all files and names.
    sequence: u64,
}

/// Number of a file, whatever its names are.
pub(super) type Inode = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    File(Inode),
    Directory,
}

/// A change that an operation makes; an interrupted operation may have made it or not.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Create(PathBuf),
    CreateDirectory(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Remove(PathBuf),
    Write(Inode, u64, Vec<u8>),
    SetLength(Inode, u64),
    Allocate(Inode, u64),
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// As read.
    cached: Vec<u8>,
    platter: Vec<u8>,
    unsynced: Vec<(u64, ContentChange)>,
    /// So many bytes from the start have their space.
    reserved: u64,
}

#[derive(Clone, Debug, Hash)]
enum ContentChange {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

/// Entries of one directory that change together.
#[derive(Clone, Debug)]
struct NameChange {
    sequence: u64,
    directory: PathBuf,
    entries: Vec<(PathBuf, Option<Node>)>,
}

/// What a loss of power does to one change.
#[derive(Clone, Debug)]
enum Fate {
    Kept,
    Lost,
    /// Sector by sector, if it has sectors; else kept.
    Torn(Random, &'static [Sector]),
}

/// What a sector of an interrupted write holds afterwards.
#[derive(Clone, Copy, Debug)]
enum Sector {
    Old,
    New,
    Zeros,
    Garbage,
}

impl Medium {
    pub(super) fn new(name_order: NameOrder) -> Self {
        Medium {
            files: Vec::new(),
            names: BTreeMap::new(),
            names_on_platter: BTreeMap::new(),
            names_unsynced: Vec::new(),
            name_order,
            sequence: 0,
        }
    }

    pub(super) fn set_name_order(&mut self, name_order: NameOrder) {
        self.name_order = name_order;
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<Inode> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Directory) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// One of the names of a file.
    pub(super) fn name(&self, inode: Inode) -> Option<&Path> {
        let mut names = self.names.iter();
        let named = |(path, node)| (node == &Node::File(inode)).then_some(path);
        names.find_map(named).map(PathBuf::as_path)
    }

    /// All files by name, as they are read now.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.names.iter().filter_map(|(path, node)| match node {
            Node::File(inode) => Some((path.as_path(), self.bytes(*inode))),
            Node::Directory => None,
        })
    }

    pub(super) fn bytes(&self, inode: Inode) -> &[u8] {
        &self.files[inode].cached
    }

    pub(super) fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.require_directory(directory)?;
        let entries = self
            .names
            .keys()
            .filter(|path| path.parent() == Some(directory));
        Ok(entries
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    pub(super) fn reserved(&self, inode: Inode) -> u64 {
        self.files[inode].reserved
    }

    /// The space that is free once this name is gone.
    pub(super) fn freed_with(&self, path: &Path) -> u64 {
        let Ok(inode) = self.file(path) else { return 0 };
        let names = self
            .names
            .values()
            .filter(|node| **node == Node::File(inode))
            .count();
        if names == 1 { self.reserved(inode) } else { 0 }
    }

    /// How many unsynced changes there are, to bytes, lengths and names.
    pub(super) fn unsynced(&self) -> usize {
        self.files
            .iter()
            .map(|file| file.unsynced.len())
            .sum::<usize>()
            + self.names_unsynced.len()
    }

    pub(super) fn apply(&mut self, change: &Change) -> io::Result<()> {
        match change {
            Change::Create(path) => self.create(path),
            Change::CreateDirectory(path) => self.create_directory(path),
            Change::Rename(from, to) => self.rename(from, to),
            Change::Link(from, to) => {
                let node = Node::File(self.file(from)?);
                self.require_free(to)?;
                self.change_names(to, vec![(to.clone(), Some(node))])
            }
            Change::Remove(path) => {
                self.file(path)?;
                self.change_names(path, vec![(path.clone(), None)])
            }
            Change::Write(inode, offset, bytes) => self.write(*inode, *offset, bytes),
            Change::SetLength(inode, bytes) => {
                let length = index(*bytes)?;
                let file = &mut self.files[*inode];
                file.reserved = file.reserved.min(*bytes);
                self.change_content(*inode, ContentChange::Length(length));
                Ok(())
            }
            Change::Allocate(inode, bytes) => {
                let length = self.bytes(*inode).len() as u64;
                self.files[*inode].reserved = self.reserved(*inode).max(*bytes);
                if *bytes > length {
                    self.write(*inode, length, &vec![0; index(bytes - length)?])
                } else {
                    Ok(())
                }
            }
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<()> {
        self.require_free(path)?;
        let inode = self.files.len();
        self.change_names(path, vec![(path.to_owned(), Some(Node::File(inode)))])?;
        self.files.push(Content::default());
        Ok(())
    }

    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Node::Directory) => return Ok(()),
            Some(Node::File(_)) => return Err(ErrorKind::AlreadyExists.into()),
            None if is_root(path) => return Ok(()),
            None => {}
        }
        self.create_directory(path.parent().unwrap_or(Path::new("")))?;
        self.change_names(path, vec![(path.to_owned(), Some(Node::Directory))])
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.file(from)?;
        match self.names.get(to) {
            // Two names of one file: POSIX does nothing then.
            Some(Node::File(replaced)) if *replaced == inode => return Ok(()),
            Some(Node::Directory) => return Err(ErrorKind::IsADirectory.into()),
            Some(Node::File(_)) | None => {}
        }
        self.change_names(
            from,
            vec![
                (to.to_owned(), Some(Node::File(inode))),
                (from.to_owned(), None),
            ],
        )
    }

    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let from = index(offset)?;
        let to = from
            .checked_add(bytes.len())
            .ok_or(ErrorKind::FileTooLarge)?;
        // The length is a change of its own: it may get to the platter without the bytes, or they without it.
        if to > self.bytes(inode).len() {
            self.change_content(inode, ContentChange::Length(to));
        }
        self.change_content(inode, ContentChange::Bytes(from, bytes.to_vec()));
        self.files[inode].reserved = self.reserved(inode).max(to as u64);
        Ok(())
    }

    fn change_content(&mut self, inode: Inode, change: ContentChange) {
        let sequence = self.next_sequence();
        let file = &mut self.files[inode];
        change.apply(&mut file.cached);
        file.unsynced.push((sequence, change));
    }

    /// `path` is one of the names that change: all are in its directory.
    fn change_names(
        &mut self,
        path: &Path,
        entries: Vec<(PathBuf, Option<Node>)>,
    ) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        self.require_directory(&directory)?;
        let sequence = self.next_sequence();
        let change = NameChange {
            sequence,
            directory,
            entries,
        };
        change.apply(&mut self.names);
        self.names_unsynced.push(change);
        Ok(())
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn require_directory(&self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Node::Directory) => Ok(()),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None if is_root(path) => Ok(()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn require_free(&self, path: &Path) -> io::Result<()> {
        if self.names.contains_key(path) {
            Err(ErrorKind::AlreadyExists.into())
        } else {
            Ok(())
        }
    }

    pub(super) fn sync_data(&mut self, inode: Inode) {
        let file = &mut self.files[inode];
        for (_, change) in file.unsynced.drain(..) {
            change.apply(&mut file.platter);
        }
    }

    /// A sync that fails: the bytes are given up, though readers still see them. Lengths go another way, by the journal,
    /// and may yet arrive.
    pub(super) fn fail_to_sync_data(&mut self, inode: Inode) {
        self.files[inode]
            .unsynced
            .retain(|(_, change)| matches!(change, ContentChange::Length(_)));
    }

    pub(super) fn sync_directory(&mut self, directory: &Path) -> io::Result<()> {
        self.require_directory(directory)?;
        let (synced, unsynced) = self.split_names(directory);
        for change in synced {
            change.apply(&mut self.names_on_platter);
        }
        self.names_unsynced = unsynced;
        Ok(())
    }

    /// A sync that fails: the names are given up, though readers still see them.
    pub(super) fn fail_to_sync_directory(&mut self, directory: &Path) {
        (_, self.names_unsynced) = self.split_names(directory);
    }

    /// The changes that syncing `directory` takes to the platter, and the others.
    fn split_names(&mut self, directory: &Path) -> (Vec<NameChange>, Vec<NameChange>) {
        let all = std::mem::take(&mut self.names_unsynced);
        match self.name_order {
            // The journal is written from its start.
            NameOrder::Prefix => (all, Vec::new()),
            NameOrder::Any => all
                .into_iter()
                .partition(|change| change.directory == directory),
        }
    }

    /// Flips one bit of a file, in the cache and on the platter.
    pub(super) fn flip(&mut self, inode: Inode, bit: u64) {
        let Ok(byte) = usize::try_from(bit / 8) else {
            return;
        };
        let file = &mut self.files[inode];
        for bytes in [&mut file.cached, &mut file.platter] {
            if let Some(byte) = bytes.get_mut(byte) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Loses power: decides what became of each unsynced change, and forgets the cache.
    pub(super) fn lose_power(&mut self, loss: Loss) {
        let fates = self.fates(loss);
        let fate = |sequence: u64| fates.get(&sequence).cloned().unwrap_or(Fate::Lost);
        let mut lost = false;
        for change in std::mem::take(&mut self.names_unsynced) {
            lost = matches!(fate(change.sequence), Fate::Lost)
                || (lost && self.name_order == NameOrder::Prefix);
            if !lost {
                change.apply(&mut self.names_on_platter);
            }
        }
        self.drop_unreachable_names();
        for file in &mut self.files {
            file.lose_power(fate);
        }
        self.forget_unnamed_files();
    }

    /// What becomes of each unsynced change, by its sequence number.
    fn fates(&self, loss: Loss) -> BTreeMap<u64, Fate> {
        let in_files = self
            .files
            .iter()
            .flat_map(|file| &file.unsynced)
            .map(|(sequence, _)| *sequence);
        let in_names = self.names_unsynced.iter().map(|change| change.sequence);
        let mut sequences: Vec<u64> = in_files.chain(in_names).collect();
        sequences.sort_unstable();
        sequences
            .into_iter()
            .enumerate()
            .map(|(rank, sequence)| (sequence, Fate::new(loss, rank, sequence)))
            .collect()
    }

    /// A name is of no use in a directory that did not survive.
    fn drop_unreachable_names(&mut self) {
        self.names.clear();
        for (path, node) in &self.names_on_platter {
            // In order, so parents come before their children.
            if self
                .require_directory(path.parent().unwrap_or(Path::new("")))
                .is_ok()
            {
                self.names.insert(path.clone(), *node);
            }
        }
        self.names_on_platter.clone_from(&self.names);
    }

    /// Numbers the files that still have a name anew, so that disks of equal content are equal.
    fn forget_unnamed_files(&mut self) {
        let mut files = Vec::new();
        let mut numbers = BTreeMap::new();
        for node in self.names.values_mut() {
            if let Node::File(inode) = node {
                *inode = *numbers.entry(*inode).or_insert_with(|| {
                    files.push(std::mem::take(&mut self.files[*inode]));
                    files.len() - 1
                });
            }
        }
        self.names_on_platter.clone_from(&self.names);
        self.files = files;
    }

    /// Hashes all that a later operation or crash could tell.
    pub(super) fn hash(&self, hasher: &mut impl Hasher) {
        self.names.hash(hasher);
        self.names_on_platter.hash(hasher);
        for change in &self.names_unsynced {
            change.entries.hash(hasher);
        }
        for file in &self.files {
            (
                &file.cached,
                &file.platter,
                file.reserved,
                file.unsynced.len(),
            )
                .hash(hasher);
            for (_, change) in &file.unsynced {
                change.hash(hasher);
            }
        }
    }
}

impl Content {
    fn lose_power(&mut self, fate: impl Fn(u64) -> Fate) {
        let mut length = self.platter.len();
        for (sequence, change) in std::mem::take(&mut self.unsynced) {
            match (fate(sequence), change) {
                (Fate::Lost, _) => {}
                (Fate::Kept | Fate::Torn(..), ContentChange::Length(bytes)) => {
                    length = bytes;
                    self.platter.truncate(length);
                }
                (Fate::Kept, change @ ContentChange::Bytes(..)) => change.apply(&mut self.platter),
                (Fate::Torn(random, choices), ContentChange::Bytes(offset, bytes)) => {
                    write_torn(&mut self.platter, offset, &bytes, random, choices);
                }
            }
        }
        // Bytes past the length don't exist; a length without its bytes reads as zeros.
        self.platter.resize(length, 0);
        self.cached.clone_from(&self.platter);
        self.reserved = length as u64;
    }
}

impl ContentChange {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            ContentChange::Length(bytes) => content.resize(*bytes, 0),
            ContentChange::Bytes(offset, bytes) => {
                range_of(content, *offset, bytes.len()).copy_from_slice(bytes);
            }
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        for (path, node) in &self.entries {
            match node {
                Some(node) => names.insert(path.clone(), *node),
                None => names.remove(path),
            };
        }
    }
}

impl Fate {
    fn new(loss: Loss, rank: usize, sequence: u64) -> Self {
        let kept = |kept| if kept { Fate::Kept } else { Fate::Lost };
        match loss {
            Loss::All => Fate::Lost,
            Loss::None => Fate::Kept,
            Loss::One(lost) => kept(rank != lost),
            Loss::Prefix(count) => kept(rank < count),
            Loss::Zeros => Fate::Torn(Random::new(0, sequence), &[Sector::Zeros]),
            Loss::Garbage(seed) => Fate::Torn(Random::new(seed, sequence), &[Sector::Garbage]),
            Loss::Torn(seed) => {
                let mut random = Random::new(seed, sequence);
                match random.below(4) {
                    0 => Fate::Kept,
                    1 => Fate::Lost,
                    _ => Fate::Torn(
                        random,
                        &[Sector::Old, Sector::New, Sector::Zeros, Sector::Garbage],
                    ),
                }
            }
        }
    }
}

/// Writes `bytes` sector by sector, each as one of `choices` says.
fn write_torn(
    content: &mut Vec<u8>,
    offset: usize,
    bytes: &[u8],
    mut random: Random,
    choices: &[Sector],
) {
    let mut from = offset;
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = rest.len().min(SECTOR_BYTES - from % SECTOR_BYTES);
        let (sector, after) = rest.split_at(count);
        let target = range_of(content, from, count);
        match choices[random.below(choices.len())] {
            Sector::Old => {}
            Sector::New => target.copy_from_slice(sector),
            Sector::Zeros => target.fill(0),
            Sector::Garbage => target
                .iter_mut()
                .for_each(|byte| *byte = random.next().to_le_bytes()[7]),
        }
        from += count;
        rest = after;
    }
}

/// The bytes in question, the content made long enough for them.
fn range_of(content: &mut Vec<u8>, offset: usize, count: usize) -> &mut [u8] {
    let end = offset + count;
    if content.len() < end {
        content.resize(end, 0);
    }
    &mut content[offset..end]
}

/// Files of a simulated disk are in memory, so their offsets must fit it.
fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge.into())
}

fn is_root(path: &Path) -> bool {
    path.parent().is_none()
}

/// SplitMix64: the same numbers for the same seed on every machine.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Different for every change, so that what becomes of one does not hang on the others.
    fn new(seed: u64, sequence: u64) -> Self {
        let mut random = Random(seed);
        random.0 = random.next() ^ sequence;
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, which is small.
    fn below(&mut self, count: usize) -> usize {
        (self.next() >> 33) as usize % count
    }
}
