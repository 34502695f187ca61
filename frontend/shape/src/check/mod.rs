//! The validator: what the model demands of a request, in the words of AWS's own framework.
//!
//! ```text
//! 2 validation errors detected: Value 'X' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint:
//! Member must satisfy enum value set: [B, N, S]; Value null at 'keySchema' failed to satisfy constraint: Member must not
//! be null
//! ```
//!
//! Structures in lists and maps are checked member by member, each under its own path. Elements of any other kind are
//! reported once, at the list or map that holds them, with all of their rules: that is how AWS does it.

mod java;
mod pattern;

use std::fmt::Write;

use crate::{
    Bound, Element, Entries, Kind, List, Member, Missing, Path, Schema, Shape, Struct, View,
};

/// AWS stops counting here.
const FINDINGS_MAX: usize = 10;

/// How a service departs from the framework's common behaviour.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The error's code: `ValidationException`, or `ValidationError` of the query services.
    pub code: &'static str,
    /// Members that the service checks itself, or not at all.
    pub skip: fn(&Schema, &Member) -> bool,
    /// Whether the rules of elements end in `Member must not be null`. Old services leave it out.
    pub element_not_null: bool,
}

impl Dialect {
    /// What most services speak.
    pub const COMMON: Dialect = Dialect {
        code: "ValidationException",
        skip: |_, _| false,
        element_not_null: true,
    };
}

/// What is wrong with `input`, of which `missing` was not in the request: the whole message, or `None` if nothing is.
pub fn check(input: &dyn Struct, missing: &Missing, dialect: &Dialect) -> Option<String> {
    let mut checker = Checker {
        missing,
        dialect,
        findings: Vec::new(),
    };
    checker.structure(input, &Path::ROOT, false);
    let count = checker.findings.len();
    let plural = if count == 1 { "" } else { "s" };
    (count > 0).then(|| {
        format!(
            "{count} validation error{plural} detected: {}",
            checker.findings.join("; ")
        )
    })
}

struct Checker<'c> {
    missing: &'c Missing,
    dialect: &'c Dialect,
    findings: Vec<String>,
}

impl Checker<'_> {
    fn structure(&mut self, value: &dyn Struct, path: &Path<'_>, hidden: bool) {
        let hidden = hidden || value.schema().sensitive;
        match value.active() {
            Some(i) => self.member(value, i, path, hidden),
            None => {
                (0..value.schema().members.len()).for_each(|i| self.member(value, i, path, hidden))
            }
        }
    }

    fn member(&mut self, value: &dyn Struct, i: usize, path: &Path<'_>, hidden: bool) {
        let schema = value.schema();
        let member = &schema.members[i];
        if self.findings.len() == FINDINGS_MAX || (self.dialect.skip)(schema, member) {
            return;
        }
        let path = path.member(member);
        if member.required && self.missing.contains(&path) {
            self.find("Value null", &path, NOT_NULL);
        } else {
            self.value(value.get(i), member.shape, &path, hidden);
        }
    }

    fn value(&mut self, view: View<'_>, shape: &Shape, path: &Path<'_>, hidden: bool) {
        let broken = broken(view, shape);
        if !broken.is_empty() {
            let value = self.print(view, shape, path, hidden);
            for rule in broken.iter() {
                self.find(&value, path, &rule.text(shape));
            }
        }
        self.inside(view, shape, path, hidden);
    }

    fn inside(&mut self, view: View<'_>, shape: &Shape, path: &Path<'_>, hidden: bool) {
        match (view, &shape.kind) {
            (View::Struct(value), _) => self.structure(value, path, hidden),
            (View::List(list), Kind::List(element)) => {
                self.list(list, element, shape, path, hidden)
            }
            (View::Map(map), Kind::Map { key, value }) => {
                self.keys(map, key, shape, path, hidden);
                self.values(map, value, shape, path, hidden);
            }
            _ => {}
        }
    }

    fn list(
        &mut self,
        list: &dyn List,
        element: &Element,
        shape: &Shape,
        path: &Path<'_>,
        hidden: bool,
    ) {
        let mut sound = true;
        for i in 0..list.len() {
            if self.findings.len() == FINDINGS_MAX {
                return;
            }
            let path = path.index(i);
            sound &= self.element(list.get(i), element.shape, &path, hidden);
        }
        if !sound {
            let value = self.print(View::List(list), shape, path, hidden);
            self.find_elements(&value, path, "Member", element.shape);
        }
    }

    fn keys(
        &mut self,
        map: &dyn Entries,
        key: &Element,
        shape: &Shape,
        path: &Path<'_>,
        hidden: bool,
    ) {
        if (0..map.len()).any(|i| !broken(View::Str(map.entry(i).0), key.shape).is_empty()) {
            let value = self.print(View::Map(map), shape, path, hidden);
            self.find_elements(&value, path, "Map keys", key.shape);
        }
    }

    fn values(
        &mut self,
        map: &dyn Entries,
        element: &Element,
        shape: &Shape,
        path: &Path<'_>,
        hidden: bool,
    ) {
        let mut sound = true;
        for i in 0..map.len() {
            if self.findings.len() == FINDINGS_MAX {
                return;
            }
            let (key, value) = map.entry(i);
            sound &= self.element(value, element.shape, &path.key(key), hidden);
        }
        if !sound {
            let value = self.print(View::Map(map), shape, path, hidden);
            self.find_elements(&value, path, "Map value", element.shape);
        }
    }

    /// Checks what is inside an element; whether the element itself is sound.
    fn element(&mut self, view: View<'_>, shape: &Shape, path: &Path<'_>, hidden: bool) -> bool {
        if self.missing.contains(path) {
            return false;
        }
        self.inside(view, shape, path, hidden);
        broken(view, shape).is_empty()
    }

    fn find_elements(&mut self, value: &str, path: &Path<'_>, what: &str, shape: &Shape) {
        let mut rules: Vec<String> = [Rule::Max, Rule::Min, Rule::Pattern, Rule::Enum]
            .iter()
            .filter(|rule| rule.is_in(shape))
            .map(|rule| rule.text(shape))
            .collect();
        if self.dialect.element_not_null || rules.is_empty() {
            rules.push(NOT_NULL.into());
        }
        self.find(
            value,
            path,
            &format!("{what} must satisfy constraint: [{}]", rules.join(", ")),
        );
    }

    fn find(&mut self, value: &str, path: &Path<'_>, rule: &str) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(format!(
                "{value} at '{path}' failed to satisfy constraint: {rule}"
            ));
        }
    }

    /// `Value '…'`, or `Value` alone where the value must not be shown.
    fn print(&self, view: View<'_>, shape: &Shape, path: &Path<'_>, hidden: bool) -> String {
        if hidden || java::is_hidden(shape) {
            return "Value".into();
        }
        let mut text = String::from("Value '");
        java::print(view, shape, self.missing, path, &mut text);
        text.push('\'');
        text
    }
}

const NOT_NULL: &str = "Member must not be null";

/// A constraint that a value of one shape can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Pattern,
    Enum,
    Max,
    Min,
}

impl Rule {
    /// In the order in which AWS reports them of one value.
    const ALL: [Rule; 4] = [Rule::Pattern, Rule::Enum, Rule::Max, Rule::Min];

    fn is_in(self, shape: &Shape) -> bool {
        match self {
            Rule::Pattern => shape.pattern.is_some(),
            Rule::Enum => matches!(shape.kind, Kind::Enum(_)),
            Rule::Max => shape.max.is_some(),
            Rule::Min => shape.min.is_some(),
        }
    }

    fn text(self, shape: &Shape) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match self {
            Rule::Pattern => {
                write!(
                    text,
                    "Member must satisfy regular expression pattern: {}",
                    shape.pattern.unwrap_or_default()
                )
            }
            Rule::Enum => match shape.kind {
                Kind::Enum(values) => write!(
                    text,
                    "Member must satisfy enum value set: [{}]",
                    values.join(", ")
                ),
                _ => Ok(()),
            },
            Rule::Max => write!(
                text,
                "Member must have {} less than or equal to {}",
                measure(shape),
                limit(shape.max)
            ),
            Rule::Min => {
                write!(
                    text,
                    "Member must have {} greater than or equal to {}",
                    measure(shape),
                    limit(shape.min)
                )
            }
        };
        text
    }
}

fn measure(shape: &Shape) -> &'static str {
    match shape.kind {
        Kind::Integer | Kind::Long | Kind::Float | Kind::Double => "value",
        _ => "length",
    }
}

fn limit(bound: Option<Bound>) -> String {
    match bound {
        Some(Bound::Int(limit)) => limit.to_string(),
        Some(Bound::Float(limit)) => java::double(limit),
        None => String::new(),
    }
}

/// The rules that a value breaks.
#[derive(Debug, Clone, Copy, Default)]
struct Broken(u8);

impl Broken {
    fn insert_if(&mut self, rule: Rule, broken: bool) {
        self.0 |= u8::from(broken) << rule as u8;
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL
            .into_iter()
            .filter(move |&rule| self.0 & 1 << rule as u8 != 0)
    }
}

fn broken(view: View<'_>, shape: &Shape) -> Broken {
    let mut broken = Broken::default();
    match view {
        View::Str(text) => {
            check_length(|limit| text_is_longer(text, limit), shape, &mut broken);
            if let Kind::Enum(values) = shape.kind {
                broken.insert_if(Rule::Enum, !values.contains(&text));
            }
            if let Some(source) = shape.pattern {
                broken.insert_if(Rule::Pattern, !pattern::matches(source, text));
            }
        }
        View::Blob(bytes) => check_length(|limit| bytes.len() as i64 > limit, shape, &mut broken),
        View::List(list) => check_length(|limit| list.len() as i64 > limit, shape, &mut broken),
        View::Map(map) => check_length(|limit| map.len() as i64 > limit, shape, &mut broken),
        View::Int(value) => {
            broken.insert_if(
                Rule::Max,
                matches!(shape.max, Some(Bound::Int(max)) if value > max),
            );
            broken.insert_if(
                Rule::Min,
                matches!(shape.min, Some(Bound::Int(min)) if value < min),
            );
        }
        View::Float(value) => check_float(f64::from(value), shape, &mut broken),
        View::Double(value) => check_float(value, shape, &mut broken),
        View::None
        | View::Bool(_)
        | View::Timestamp(_)
        | View::Struct(_)
        | View::Document(_)
        | View::Stream(_) => {}
    }
    broken
}

fn check_length(is_longer_than: impl Fn(i64) -> bool, shape: &Shape, broken: &mut Broken) {
    if let Some(Bound::Int(max)) = shape.max {
        broken.insert_if(Rule::Max, is_longer_than(max));
    }
    if let Some(Bound::Int(min)) = shape.min {
        broken.insert_if(Rule::Min, min > 0 && !is_longer_than(min - 1));
    }
}

fn check_float(value: f64, shape: &Shape, broken: &mut Broken) {
    broken.insert_if(
        Rule::Max,
        matches!(shape.max, Some(Bound::Float(max)) if value > max),
    );
    broken.insert_if(
        Rule::Min,
        matches!(shape.min, Some(Bound::Float(min)) if value < min),
    );
}

/// Java's length is in UTF-16 units. They are counted only where the bytes leave it open: a unit takes one to three.
fn text_is_longer(text: &str, limit: i64) -> bool {
    let bytes = text.len() as i64;
    bytes > limit && (bytes > limit.saturating_mul(3) || text.encode_utf16().count() as i64 > limit)
}
