//! Document paths: `a.b[2]`.

use std::fmt;

use super::parser::Message;
use super::placeholders::Placeholders;
use super::reserved::is_reserved;
use super::syntax::{Element, PathSyntax};
use crate::services::dynamodb::value::{Item, Value};

/// The way to a value within an item. The first step is always an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    pub(crate) steps: Vec<Step<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Attribute(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// A whole attribute.
    pub(crate) fn attribute(name: &'a str) -> Path<'a> {
        Path {
            steps: vec![Step::Attribute(name)],
        }
    }

    pub(crate) fn resolve(
        syntax: &PathSyntax<'a>,
        placeholders: &Placeholders<'a>,
    ) -> Result<Path<'a>, Message> {
        let steps = syntax.elements.iter().map(|element| {
            Ok(match *element {
                Element::Word(name) => Step::Attribute(name),
                Element::Name(placeholder) => Step::Attribute(placeholders.name(placeholder)?),
                Element::Index(index) => Step::Index(index as usize),
            })
        });
        Ok(Path {
            steps: steps.collect::<Result<_, Message>>()?,
        })
    }

    /// The attribute that the path starts at.
    pub(crate) fn head(&self) -> &'a str {
        match self.steps.first() {
            Some(Step::Attribute(name)) => name,
            _ => unreachable!("a path starts with an attribute"),
        }
    }

    /// Whether the path leads into an attribute instead of to the whole of it.
    pub(crate) fn is_nested(&self) -> bool {
        self.steps.len() > 1
    }

    /// The value there, if there is one.
    pub(crate) fn find<'i>(&self, item: &'i Item) -> Option<&'i Value> {
        let first = item.get(self.head())?;
        self.steps[1..]
            .iter()
            .try_fold(first, |value, step| match (step, value) {
                (Step::Attribute(name), Value::M(members)) => members.get(name),
                (Step::Index(index), Value::L(elements)) => elements.get(*index),
                _ => None,
            })
    }
}

/// As AWS prints a path in messages: `[a, b, [2]]`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            match step {
                Step::Attribute(name) => f.write_str(name)?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        f.write_str("]")
    }
}

/// Refuses reserved words that are written as attributes.
pub(crate) fn check_reserved<'a>(
    paths: impl IntoIterator<Item = &'a PathSyntax<'a>>,
) -> Result<(), Message> {
    let words = paths
        .into_iter()
        .flat_map(|path| &path.elements)
        .filter_map(|element| match element {
            Element::Word(word) => Some(*word),
            _ => None,
        });
    match words.into_iter().find(|word| is_reserved(word)) {
        None => Ok(()),
        Some(word) => Err(format!(
            "Attribute name is a reserved keyword; reserved keyword: {word}"
        )),
    }
}

/// Refuses paths of which one leads into, or demands another type of, what another one names.
///
/// All overlaps are reported before any conflict, each with the paths in the order written.
pub(crate) fn check_distinct(paths: &[&Path<'_>]) -> Result<(), Message> {
    let mut conflict = None;
    for (index, two) in paths.iter().enumerate() {
        for one in &paths[..index] {
            match relation(one, two) {
                Relation::Apart => {}
                Relation::Overlap => return Err(refusal("overlap", one, two)),
                Relation::Conflict => {
                    conflict.get_or_insert_with(|| refusal("conflict", one, two));
                }
            }
        }
    }
    conflict.map_or(Ok(()), Err)
}

enum Relation {
    Apart,
    /// One leads to the other, or they are the same.
    Overlap,
    /// One sees a map where the other sees a list.
    Conflict,
}

fn relation(one: &Path<'_>, two: &Path<'_>) -> Relation {
    for (one, two) in one.steps.iter().zip(&two.steps) {
        match (one, two) {
            (Step::Attribute(_), Step::Index(_)) | (Step::Index(_), Step::Attribute(_)) => {
                return Relation::Conflict;
            }
            _ if one != two => return Relation::Apart,
            _ => {}
        }
    }
    Relation::Overlap
}

fn refusal(how: &str, one: &Path<'_>, two: &Path<'_>) -> Message {
    format!(
        "Two document paths {how} with each other; must remove or rewrite one of these paths; \
         path one: {one}, path two: {two}"
    )
}
