//! Where in a request a value stands, and which required members a request left out.

use std::fmt;

use crate::{Member, Schema};

/// The way from the input to a value, linked through the reader's own stack: it becomes text only for a finding.
///
/// Prints as AWS does: `keySchema.1.member.keyType`.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Member(&'a Member),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// The input itself.
    pub const ROOT: Path<'static> = Path {
        parent: None,
        step: Step::Root,
    };

    /// Member `member` of the structure here.
    pub fn member(&'a self, member: &'a Member) -> Path<'a> {
        Path {
            parent: Some(self),
            step: Step::Member(member),
        }
    }

    /// Element `index` (from 0) of the list here.
    pub fn index(&'a self, index: usize) -> Path<'a> {
        Path {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    /// The value under `key` of the map here.
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            step: Step::Key(key),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            if !matches!(parent.step, Step::Root) {
                f.write_str(".")?;
            }
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Member(member) => f.write_str(&lower_first(member.name)),
            Step::Index(index) => write!(f, "{}.member", index + 1),
            Step::Key(key) => write!(f, "{key}.member"),
        }
    }
}

/// `KeyType` as Java names the member: `keyType`.
pub(crate) fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(letters)
        .collect()
}

/// What a reader found wanting in a request that it could read: required members that are not there, in the order of
/// reading, and unions without exactly one member.
///
/// Only the first [`Missing::NOTES_MAX`] are kept: a message names ten at most, and a hostile request could leave out millions.
#[derive(Debug, Default)]
pub struct Missing {
    members: Vec<MissingMember>,
    union_fault: Option<Box<UnionFault>>,
}

/// One required member that was left out.
#[derive(Debug)]
pub struct MissingMember {
    /// Where, as AWS writes it: `keySchema.1.member.keyType`.
    pub path: String,
    /// The model's name; `member` for a null in a list or map.
    pub name: &'static str,
}

/// A union with no member that the model knows, or with several.
///
/// AWS gets to it only after the other constraints, so it does not end the reading; but the value that was read in its
/// place means nothing, and the request must be refused.
#[derive(Debug)]
pub struct UnionFault {
    /// Where, as AWS writes it: `item.a.member`.
    pub path: String,
    /// The union.
    pub schema: &'static Schema,
    /// Several members, not none.
    pub crowded: bool,
}

impl UnionFault {
    /// In DynamoDB's words.
    pub fn message(&self) -> String {
        let fault = if self.crowded {
            "has more than one datatypes set"
        } else {
            "is empty"
        };
        format!(
            "Supplied {} {fault}, must contain exactly one of the supported datatypes",
            self.schema.name
        )
    }
}

impl Missing {
    /// How many are kept.
    pub const NOTES_MAX: usize = 32;

    /// Notes that nothing stands at `path`, where `name` is required.
    pub fn note(&mut self, path: &Path<'_>, name: &'static str) {
        if self.members.len() < Self::NOTES_MAX {
            self.members.push(MissingMember {
                path: path.to_string(),
                name,
            });
        }
    }

    /// Notes every required member of `schema`, which stands at `path`, that is not in `seen`.
    pub fn note_unseen(&mut self, schema: &'static Schema, seen: Seen, path: &Path<'_>) {
        if seen.0 == schema.required_bits {
            return;
        }
        for member in schema
            .members
            .iter()
            .filter(|member| member.required && !seen.contains(member))
        {
            self.note(&path.member(member), member.name);
        }
    }

    /// Notes that the union `schema` at `path` has no member, or several. The first one counts.
    pub fn note_union(&mut self, schema: &'static Schema, crowded: bool, path: &Path<'_>) {
        self.union_fault.get_or_insert_with(|| {
            Box::new(UnionFault {
                path: path.to_string(),
                schema,
                crowded,
            })
        });
    }

    /// The first union without exactly one member.
    pub fn union_fault(&self) -> Option<&UnionFault> {
        self.union_fault.as_deref()
    }

    /// Whether no required member is missing.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What is missing, in the order of reading.
    pub fn iter(&self) -> impl Iterator<Item = &MissingMember> {
        self.members.iter()
    }

    /// Whether `path` is missing.
    pub fn contains(&self, path: &Path<'_>) -> bool {
        !self.members.is_empty() && {
            let path = path.to_string();
            self.members.iter().any(|missing| missing.path == path)
        }
    }
}

/// The required members of one structure that a reader has met.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen(u64);

impl Seen {
    /// Notes that `member` is present.
    pub fn insert(&mut self, member: &Member) {
        if member.required {
            self.0 |= 1 << member.required_bit;
        }
    }

    /// Whether `member`, which is required, was met.
    pub fn contains(self, member: &Member) -> bool {
        self.0 & (1 << member.required_bit) != 0
    }
}
