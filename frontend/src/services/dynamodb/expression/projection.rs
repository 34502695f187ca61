//! What of an item an answer holds.

use cumulog_shape::Map;

use super::parser::{Message, parse_projection};
use super::path::{self, Path, Step};
use super::placeholders::Placeholders;
use crate::services::dynamodb::value::{Item, Value};

/// The paths to keep.
#[derive(Debug)]
pub(crate) struct Projection<'a> {
    paths: Vec<Path<'a>>,
}

impl<'a> Projection<'a> {
    /// Whole attributes, as AttributesToGet names them.
    pub(crate) fn attributes(names: impl IntoIterator<Item = &'a str>) -> Projection<'a> {
        Projection {
            paths: names.into_iter().map(Path::attribute).collect(),
        }
    }

    pub(crate) fn parse(
        source: &'a str,
        placeholders: &Placeholders<'a>,
    ) -> Result<Projection<'a>, Message> {
        let syntax = parse_projection(source)?;
        path::check_reserved(&syntax)?;
        let paths: Vec<Path<'a>> = syntax
            .iter()
            .map(|path| Path::resolve(path, placeholders))
            .collect::<Result<_, _>>()?;
        path::check_distinct(&paths.iter().collect::<Vec<_>>())?;
        Ok(Projection { paths })
    }

    /// The paths to keep.
    pub(crate) fn paths(&self) -> &[Path<'a>] {
        &self.paths
    }

    /// The part of `item` that the paths lead to, in its own structure. Whole attributes are moved, not copied.
    pub(crate) fn apply(&self, mut item: Item) -> Item {
        if self.paths.iter().any(Path::is_nested) {
            return extract(&item, self.paths.iter());
        }
        let mut kept = Map::with_capacity(self.paths.len());
        for path in &self.paths {
            if let Some(value) = item.remove(path.head()) {
                kept.append(path.head().to_owned(), value);
            }
        }
        kept
    }
}

/// Copies what `paths` lead to. Elements of a list stay in their order and close up.
pub(crate) fn extract<'p, 'a: 'p>(item: &Item, paths: impl Iterator<Item = &'p Path<'a>>) -> Item {
    let mut parts = Parts::default();
    for path in paths {
        if let Some(value) = path.find(item) {
            parts.add(&path.steps, value);
        }
    }
    parts.into_map()
}

/// A tree of the parts found so far.
#[derive(Default)]
struct Parts<'i> {
    branches: Vec<(Branch<'i>, Part<'i>)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Branch<'i> {
    Attribute(&'i str),
    Index(usize),
}

enum Part<'i> {
    Whole(&'i Value),
    Inner(Parts<'i>),
}

impl<'i> Parts<'i> {
    fn add<'a: 'i>(&mut self, steps: &[Step<'a>], value: &'i Value) {
        let Some((step, rest)) = steps.split_first() else {
            return;
        };
        let branch = match *step {
            Step::Attribute(name) => Branch::Attribute(name),
            Step::Index(index) => Branch::Index(index),
        };
        if rest.is_empty() {
            self.branches.push((branch, Part::Whole(value)));
            return;
        }
        let at = self
            .branches
            .iter()
            .position(|(known, _)| *known == branch)
            .unwrap_or_else(|| {
                self.branches.push((branch, Part::Inner(Parts::default())));
                self.branches.len() - 1
            });
        if let Part::Inner(inner) = &mut self.branches[at].1 {
            inner.add(rest, value);
        }
    }

    fn into_map(self) -> Item {
        let members = self
            .branches
            .into_iter()
            .filter_map(|(branch, part)| match branch {
                Branch::Attribute(name) => Some((name.to_owned(), part.into_value())),
                Branch::Index(_) => None,
            });
        members.collect()
    }

    fn into_list(mut self) -> Vec<Value> {
        self.branches.sort_by_key(|(branch, _)| match branch {
            Branch::Index(index) => *index,
            Branch::Attribute(_) => 0,
        });
        self.branches
            .into_iter()
            .map(|(_, part)| part.into_value())
            .collect()
    }
}

impl Part<'_> {
    fn into_value(self) -> Value {
        match self {
            Part::Whole(value) => value.clone(),
            Part::Inner(parts) if matches!(parts.branches.first(), Some((Branch::Index(_), _))) => {
                Value::L(parts.into_list())
            }
            Part::Inner(parts) => Value::M(parts.into_map()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{item, with_placeholders};
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: &str) {
        with_placeholders(expression, "{}", |expression, placeholders| {
            let projection = Projection::parse(expression, placeholders)
                .unwrap_or_else(|error| panic!("{error}"));
            let whole =
                item(r#"{"a": {"b": [0, 1, {"c": 2, "d": 3}], "e": 4}, "f": 5, "name": 6}"#);
            let (mut found, mut expected) = (projection.apply(whole), item(expected));
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{expression}");
        });
    }

    #[test]
    fn parts_keep_their_place() {
        check("f", r#"{"f": 5}"#);
        check("f, #n, absent", r#"{"f": 5, "name": 6}"#);
        check("a.e", r#"{"a": {"e": 4}}"#);
        check("a.b[2].c, a.b[0]", r#"{"a": {"b": [0, {"c": 2}]}}"#);
        check("a.b[2].d, a.b[2].c", r#"{"a": {"b": [{"d": 3, "c": 2}]}}"#);
        check("a.x, a.b[9], f.g", "{}");
    }

    #[track_caller]
    fn refuse(expression: &str, message: &str) {
        with_placeholders(expression, "{}", |expression, placeholders| {
            assert_eq!(
                Projection::parse(expression, placeholders).expect_err(expression),
                message
            );
        });
    }

    #[test]
    fn overlapping_paths_are_refused() {
        refuse(
            "a, a.b",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; \
             path one: [a], path two: [a, b]",
        );
        refuse(
            "a.b, a[0]",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; \
             path one: [a, b], path two: [a, [0]]",
        );
        refuse(
            "a[99999999999]",
            "List index is not within the allowable range; index: [99999999999]",
        );
    }
}
