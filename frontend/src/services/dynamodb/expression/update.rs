//! Update expressions: what they mean, what AWS refuses about them, and how they change an item.
//!
//! All values are computed from the item as it was, and all list indexes are those that it had: so values are set first,
//! elements beyond a list's end are appended in the order of their indexes, and removals come last, from the back.

use super::condition::{check_functions, wrong_count, wrong_type};
use super::parser::{Message, parse_update};
use super::path::{self, Path, Step};
use super::placeholders::Placeholders;
use super::syntax::{
    ActionSyntax, AssignedSyntax, FunctionSyntax, OperandSyntax, PathSyntax, UpdateSyntax,
};
use crate::services::dynamodb::error::ValidationError;
use crate::services::dynamodb::number::{Number, NumberError};
use crate::services::dynamodb::value::{Item, Value, type_name};

/// What to change about an item.
#[derive(Debug)]
pub(crate) struct Update<'a> {
    pub(crate) actions: Vec<Action<'a>>,
    dialect: Dialect,
}

/// AttributeUpdates differ from expressions in words, and let ADD append to lists.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dialect {
    Expression,
    AttributeUpdates,
}

#[derive(Debug)]
pub(crate) enum Action<'a> {
    Set(Path<'a>, Assigned<'a>),
    Remove(Path<'a>),
    Add(Path<'a>, &'a Value),
    Delete(Path<'a>, &'a Value),
}

/// The right side of a SET.
#[derive(Debug)]
pub(crate) enum Assigned<'a> {
    Term(Term<'a>),
    Plus(Term<'a>, Term<'a>),
    Minus(Term<'a>, Term<'a>),
}

#[derive(Debug)]
pub(crate) enum Term<'a> {
    Path(Path<'a>),
    Value(&'a Value),
    IfNotExists(Path<'a>, Box<Term<'a>>),
    ListAppend(Box<Term<'a>>, Box<Term<'a>>),
}

impl<'a> Update<'a> {
    pub(crate) fn parse(
        source: &'a str,
        placeholders: &Placeholders<'a>,
    ) -> Result<Update<'a>, Message> {
        let syntax = parse_update(source)?;
        check_syntax(&syntax, placeholders)?;
        let actions = syntax
            .actions
            .iter()
            .map(|action| Action::resolve(action, placeholders))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Update {
            actions,
            dialect: Dialect::Expression,
        })
    }

    /// The changes of the legacy parameter AttributeUpdates.
    pub(crate) fn of_attribute_updates(actions: Vec<Action<'a>>) -> Update<'a> {
        Update {
            actions,
            dialect: Dialect::AttributeUpdates,
        }
    }

    /// The paths that the update changes.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path<'a>> {
        self.actions.iter().map(Action::path)
    }

    /// The paths that the update changes or reads.
    pub(crate) fn all_paths(&self) -> Vec<&Path<'a>> {
        let mut paths = Vec::new();
        for action in &self.actions {
            paths.push(action.path());
            match action {
                Action::Set(_, Assigned::Term(term)) => term.collect_paths(&mut paths),
                Action::Set(_, Assigned::Plus(left, right) | Assigned::Minus(left, right)) => {
                    left.collect_paths(&mut paths);
                    right.collect_paths(&mut paths);
                }
                Action::Remove(_) | Action::Add(..) | Action::Delete(..) => {}
            }
        }
        paths
    }

    /// Whether the update can only take away: then it makes no item where there is none.
    pub(crate) fn only_removes(&self) -> bool {
        !self.actions.is_empty()
            && self
                .actions
                .iter()
                .all(|action| matches!(action, Action::Remove(_) | Action::Delete(..)))
    }

    /// Changes `item`. An item that did not exist yet holds its key only.
    pub(crate) fn apply(&self, item: &mut Item, existed: bool) -> Result<(), ValidationError> {
        let mut writes = Vec::new();
        let mut removals = Vec::new();
        for action in &self.actions {
            let path = action.path();
            if let Action::Remove(_) = action {
                // AWS lets REMOVE lead nowhere if there is no item at all.
                if (existed || !path.is_nested()) && parent_holds(item, path)? {
                    removals.push(path);
                }
                continue;
            }
            parent_holds(item, path)?;
            match self.result(action, item)? {
                Outcome::Unchanged => {}
                Outcome::Removed => removals.push(path),
                Outcome::Written(value) => writes.push((path, value)),
            }
        }
        // Values beyond a list's end are appended by rising index.
        writes.sort_by(|(one, _), (two, _)| order(one).cmp(&order(two)));
        writes
            .into_iter()
            .for_each(|(path, value)| write(item, path, value));
        removals.sort_by(|one, two| order(two).cmp(&order(one)));
        removals.into_iter().for_each(|path| remove(item, path));
        Ok(())
    }

    fn result(&self, action: &Action<'a>, item: &Item) -> Result<Outcome, ValidationError> {
        match action {
            Action::Set(_, assigned) => assigned.evaluate(item).map(Outcome::Written),
            Action::Remove(_) => Ok(Outcome::Removed),
            Action::Add(path, operand) => {
                self.added(path.find(item), operand).map(Outcome::Written)
            }
            Action::Delete(path, operand) => match path.find(item) {
                None => Ok(Outcome::Unchanged),
                Some(value) => Ok(self
                    .without(value, operand)?
                    .map_or(Outcome::Removed, Outcome::Written)),
            },
        }
    }

    fn added(&self, value: Option<&Value>, operand: &Value) -> Result<Value, ValidationError> {
        match (value, operand) {
            (None, operand) => Ok(operand.clone()),
            (Some(Value::N(one)), Value::N(two)) => sum(one, two, Number::add),
            (Some(Value::Ss(one)), Value::Ss(two)) => Ok(Value::Ss(union(one, two))),
            (Some(Value::Ns(one)), Value::Ns(two)) => Ok(Value::Ns(union(one, two))),
            (Some(Value::Bs(one)), Value::Bs(two)) => Ok(Value::Bs(union(one, two))),
            (Some(Value::L(one)), Value::L(two)) if self.dialect == Dialect::AttributeUpdates => {
                Ok(Value::L([one.as_slice(), two.as_slice()].concat()))
            }
            _ => Err(self.type_mismatch()),
        }
    }

    /// `None` if nothing remains.
    fn without(&self, value: &Value, operand: &Value) -> Result<Option<Value>, ValidationError> {
        Ok(match (value, operand) {
            (Value::Ss(one), Value::Ss(two)) => difference(one, two).map(Value::Ss),
            (Value::Ns(one), Value::Ns(two)) => difference(one, two).map(Value::Ns),
            (Value::Bs(one), Value::Bs(two)) => difference(one, two).map(Value::Bs),
            _ => return Err(self.type_mismatch()),
        })
    }

    fn type_mismatch(&self) -> ValidationError {
        match self.dialect {
            Dialect::Expression => incorrect_type(),
            Dialect::AttributeUpdates => {
                ValidationError::new("Type mismatch for attribute to update")
            }
        }
    }
}

enum Outcome {
    Unchanged,
    Removed,
    Written(Value),
}

impl<'a> Action<'a> {
    pub(crate) fn path(&self) -> &Path<'a> {
        match self {
            Action::Set(path, _)
            | Action::Remove(path)
            | Action::Add(path, _)
            | Action::Delete(path, _) => path,
        }
    }

    /// The type that the action gives its path, if it is known before there is an item.
    pub(crate) fn static_type(&self) -> Option<&'static str> {
        match self {
            Action::Set(_, assigned) => assigned.static_type(),
            Action::Add(_, value) | Action::Delete(_, value) => Some(type_name(value)),
            Action::Remove(_) => None,
        }
    }

    fn resolve(
        syntax: &ActionSyntax<'a>,
        placeholders: &Placeholders<'a>,
    ) -> Result<Action<'a>, Message> {
        let path = Path::resolve(path_of(syntax), placeholders)?;
        Ok(match syntax {
            ActionSyntax::Set(_, assigned) => {
                Action::Set(path, Assigned::resolve(assigned, placeholders)?)
            }
            ActionSyntax::Remove(_) => Action::Remove(path),
            ActionSyntax::Add(_, value) => Action::Add(path, placeholders.value(value)?),
            ActionSyntax::Delete(_, value) => Action::Delete(path, placeholders.value(value)?),
        })
    }
}

impl<'a> Assigned<'a> {
    fn resolve(
        syntax: &AssignedSyntax<'a>,
        placeholders: &Placeholders<'a>,
    ) -> Result<Assigned<'a>, Message> {
        let term = |operand| Term::resolve(operand, placeholders);
        Ok(match syntax {
            AssignedSyntax::Operand(operand) => Assigned::Term(term(operand)?),
            AssignedSyntax::Plus(left, right) => {
                let (left, right) = (term(left)?, term(right)?);
                check_type("+", &left, "N")?;
                check_type("+", &right, "N")?;
                Assigned::Plus(left, right)
            }
            AssignedSyntax::Minus(left, right) => {
                let (left, right) = (term(left)?, term(right)?);
                check_type("-", &left, "N")?;
                check_type("-", &right, "N")?;
                Assigned::Minus(left, right)
            }
        })
    }

    fn static_type(&self) -> Option<&'static str> {
        match self {
            Assigned::Term(term) => term.static_type(),
            Assigned::Plus(..) | Assigned::Minus(..) => Some("N"),
        }
    }

    fn evaluate(&self, item: &Item) -> Result<Value, ValidationError> {
        let number = |term: &Term<'a>| match term.evaluate(item)? {
            Value::N(number) => Ok(number),
            _ => Err(incorrect_type()),
        };
        match self {
            Assigned::Term(term) => term.evaluate(item),
            Assigned::Plus(left, right) => sum(&number(left)?, &number(right)?, Number::add),
            Assigned::Minus(left, right) => sum(&number(left)?, &number(right)?, Number::subtract),
        }
    }
}

impl<'a> Term<'a> {
    fn resolve(
        syntax: &OperandSyntax<'a>,
        placeholders: &Placeholders<'a>,
    ) -> Result<Term<'a>, Message> {
        match syntax {
            OperandSyntax::Path(path) => Path::resolve(path, placeholders).map(Term::Path),
            OperandSyntax::Value(name) => placeholders.value(name).map(Term::Value),
            OperandSyntax::Function(function) => Term::resolve_function(function, placeholders),
        }
    }

    fn resolve_function(
        function: &FunctionSyntax<'a>,
        placeholders: &Placeholders<'a>,
    ) -> Result<Term<'a>, Message> {
        let [first, second] = &function.arguments[..] else {
            return Err(wrong_count(function));
        };
        let first = Term::resolve(first, placeholders)?;
        let second = Term::resolve(second, placeholders)?;
        if function.name == "list_append" {
            check_type("list_append", &first, "L")?;
            check_type("list_append", &second, "L")?;
            return Ok(Term::ListAppend(Box::new(first), Box::new(second)));
        }
        match first {
            Term::Path(path) => Ok(Term::IfNotExists(path, Box::new(second))),
            _ => Err(format!(
                "Operator or function requires a document path; operator or function: {}",
                function.name
            )),
        }
    }

    fn collect_paths<'s>(&'s self, paths: &mut Vec<&'s Path<'a>>) {
        match self {
            Term::Path(path) => paths.push(path),
            Term::Value(_) => {}
            Term::IfNotExists(path, term) => {
                paths.push(path);
                term.collect_paths(paths);
            }
            Term::ListAppend(head, tail) => {
                head.collect_paths(paths);
                tail.collect_paths(paths);
            }
        }
    }

    fn static_type(&self) -> Option<&'static str> {
        match self {
            Term::Path(_) => None,
            Term::Value(value) => Some(type_name(value)),
            Term::IfNotExists(_, term) => term.static_type(),
            Term::ListAppend(..) => Some("L"),
        }
    }

    fn evaluate(&self, item: &Item) -> Result<Value, ValidationError> {
        match self {
            Term::Path(path) => path.find(item).cloned().ok_or_else(|| {
                ValidationError::new("The provided expression refers to an attribute that does not exist in the item")
            }),
            Term::Value(value) => Ok((*value).clone()),
            Term::IfNotExists(path, term) => match path.find(item) {
                Some(value) => Ok(value.clone()),
                None => term.evaluate(item),
            },
            Term::ListAppend(head, tail) => match (head.evaluate(item)?, tail.evaluate(item)?) {
                (Value::L(mut head), Value::L(tail)) => {
                    head.extend(tail);
                    Ok(Value::L(head))
                }
                _ => Err(incorrect_type()),
            },
        }
    }
}

fn incorrect_type() -> ValidationError {
    ValidationError::new("An operand in the update expression has an incorrect data type")
}

fn sum(
    left: &str,
    right: &str,
    operation: fn(Number, Number) -> Result<Number, NumberError>,
) -> Result<Value, ValidationError> {
    let sum = operation(Number::of(left), Number::of(right));
    sum.map(|sum| Value::N(sum.to_string()))
        .map_err(|error| ValidationError::new(error.to_string()))
}

fn union<T: Ord + Clone>(one: &[T], two: &[T]) -> Vec<T> {
    let known: std::collections::BTreeSet<&T> = one.iter().collect();
    one.iter()
        .chain(two.iter().filter(|member| !known.contains(member)))
        .cloned()
        .collect()
}

fn difference<T: Ord + Clone>(one: &[T], two: &[T]) -> Option<Vec<T>> {
    let gone: std::collections::BTreeSet<&T> = two.iter().collect();
    let rest: Vec<T> = one
        .iter()
        .filter(|member| !gone.contains(member))
        .cloned()
        .collect();
    (!rest.is_empty()).then_some(rest)
}

/// Checks that the path's parent is there and of the right type, and says whether it holds the path's last step.
fn parent_holds(item: &Item, path: &Path<'_>) -> Result<bool, ValidationError> {
    let Some((last, parent)) = path
        .steps
        .split_last()
        .filter(|(_, parent)| !parent.is_empty())
    else {
        return Ok(item.contains_key(path.head()));
    };
    let parent = Path {
        steps: parent.to_vec(),
    };
    match (parent.find(item), last) {
        (Some(Value::M(members)), Step::Attribute(name)) => Ok(members.contains_key(name)),
        (Some(Value::L(elements)), Step::Index(index)) => Ok(*index < elements.len()),
        _ => Err(ValidationError::new(
            "The document path provided in the update expression is invalid for update",
        )),
    }
}

/// Orders paths so that of two that lead into one list the one with the lower index is first.
fn order<'p>(path: &'p Path<'_>) -> Vec<(usize, &'p str)> {
    let key = |step: &'p Step<'_>| match step {
        Step::Attribute(name) => (0, *name),
        Step::Index(index) => (*index, ""),
    };
    path.steps.iter().map(key).collect()
}

/// The map or list that holds the last of several steps.
fn parent_mut<'i>(item: &'i mut Item, path: &Path<'_>) -> Option<&'i mut Value> {
    let (_, parent) = path.steps.split_last()?;
    let mut value = item.get_mut(path.head())?;
    for step in &parent[1..] {
        value = match (step, value) {
            (Step::Attribute(name), Value::M(members)) => members.get_mut(name)?,
            (Step::Index(index), Value::L(elements)) => elements.get_mut(*index)?,
            _ => return None,
        };
    }
    Some(value)
}

fn write(item: &mut Item, path: &Path<'_>, value: Value) {
    if !path.is_nested() {
        item.insert(path.head(), value);
        return;
    }
    let last = path.steps.last().copied();
    match (parent_mut(item, path), last) {
        (Some(Value::M(members)), Some(Step::Attribute(name))) => {
            members.insert(name, value);
        }
        (Some(Value::L(elements)), Some(Step::Index(index))) => match elements.get_mut(index) {
            Some(element) => *element = value,
            None => elements.push(value),
        },
        _ => unreachable!("the parent was checked, and paths do not overlap"),
    }
}

fn remove(item: &mut Item, path: &Path<'_>) {
    if !path.is_nested() {
        item.remove(path.head());
        return;
    }
    let last = path.steps.last().copied();
    match (parent_mut(item, path), last) {
        (Some(Value::M(members)), Some(Step::Attribute(name))) => {
            members.remove(name);
        }
        (Some(Value::L(elements)), Some(Step::Index(index))) if index < elements.len() => {
            elements.remove(index);
        }
        _ => {}
    }
}

/// What AWS checks over the whole expression, one kind of refusal after the other.
fn check_syntax<'a>(
    syntax: &UpdateSyntax<'a>,
    placeholders: &Placeholders<'a>,
) -> Result<(), Message> {
    let mut parts = Parts::default();
    syntax
        .actions
        .iter()
        .for_each(|action| parts.collect(action));
    path::check_reserved(parts.paths.iter().copied())?;
    check_functions(&parts.functions, |function, nested| match function.name {
        "if_not_exists" => false,
        "list_append" => nested,
        _ => true,
    })?;
    if let Some(section) = syntax.repeated {
        return Err(format!(
            "The \"{}\" section can only be used once in an update expression;",
            section.keyword()
        ));
    }
    for path in &parts.paths {
        Path::resolve(path, placeholders)?;
    }
    for value in &parts.values {
        placeholders.value(value)?;
    }
    let changed = syntax
        .actions
        .iter()
        .map(|action| Path::resolve(path_of(action), placeholders))
        .collect::<Result<Vec<_>, _>>()?;
    path::check_distinct(&changed.iter().collect::<Vec<_>>())?;
    syntax
        .actions
        .iter()
        .try_for_each(|action| check_operand(action, placeholders))
}

fn path_of<'s, 'a>(action: &'s ActionSyntax<'a>) -> &'s PathSyntax<'a> {
    match action {
        ActionSyntax::Set(path, _)
        | ActionSyntax::Remove(path)
        | ActionSyntax::Add(path, _)
        | ActionSyntax::Delete(path, _) => path,
    }
}

fn check_operand<'a>(
    action: &ActionSyntax<'a>,
    placeholders: &Placeholders<'a>,
) -> Result<(), Message> {
    let (operator, value) = match action {
        ActionSyntax::Add(_, value) => ("ADD", placeholders.value(value)?),
        ActionSyntax::Delete(_, value) => ("DELETE", placeholders.value(value)?),
        ActionSyntax::Set(..) | ActionSyntax::Remove(_) => return Ok(()),
    };
    let name = match value {
        Value::Ss(_) | Value::Ns(_) | Value::Bs(_) => return Ok(()),
        Value::N(_) if operator == "ADD" => return Ok(()),
        Value::N(_) => "NUMBER",
        Value::S(_) => "STRING",
        Value::B(_) => "BINARY",
        Value::Null(_) => "NULL",
        Value::Bool(_) => "BOOLEAN",
        Value::L(_) => "LIST",
        Value::M(_) => "MAP",
    };
    Err(format!(
        "Incorrect operand type for operator or function; operator: {operator}, operand type: {name}"
    ))
}

fn check_type(operator: &str, term: &Term<'_>, wanted: &str) -> Result<(), Message> {
    match term {
        Term::Value(value) if type_name(value) != wanted => {
            Err(wrong_type(operator, type_name(value)))
        }
        _ => Ok(()),
    }
}

/// All paths, values and functions of an update, in order; functions with whether they stand within another one.
#[derive(Default)]
struct Parts<'s, 'a> {
    paths: Vec<&'s PathSyntax<'a>>,
    values: Vec<&'a str>,
    functions: Vec<(&'s FunctionSyntax<'a>, bool)>,
}

impl<'s, 'a> Parts<'s, 'a> {
    fn collect(&mut self, action: &'s ActionSyntax<'a>) {
        self.paths.push(path_of(action));
        match action {
            ActionSyntax::Set(_, AssignedSyntax::Operand(operand)) => self.operand(operand, false),
            ActionSyntax::Set(
                _,
                AssignedSyntax::Plus(left, right) | AssignedSyntax::Minus(left, right),
            ) => {
                self.operand(left, false);
                self.operand(right, false);
            }
            ActionSyntax::Remove(_) => {}
            ActionSyntax::Add(_, value) | ActionSyntax::Delete(_, value) => self.values.push(value),
        }
    }

    fn operand(&mut self, operand: &'s OperandSyntax<'a>, nested: bool) {
        match operand {
            OperandSyntax::Path(path) => self.paths.push(path),
            OperandSyntax::Value(value) => self.values.push(value),
            OperandSyntax::Function(function) => {
                function
                    .arguments
                    .iter()
                    .for_each(|argument| self.operand(argument, true));
                self.functions.push((function, nested));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{item, with_placeholders};
    use super::*;

    const VALUES: &str = r#"{
        ":s": "new", ":n": 2, ":l": ["x"], ":ss": {"SS": ["b", "c"]}, ":m": {"k": 1}, ":big": {"N": "99999999999999999999"}
    }"#;

    /// Applies an update to an item, both as JSON.
    #[track_caller]
    fn check(expression: &str, before: &str, after: &str) {
        with_placeholders(expression, VALUES, |expression, placeholders| {
            let update = Update::parse(expression, placeholders)
                .unwrap_or_else(|error| panic!("{expression}: {error}"));
            let mut changed = item(before);
            update
                .apply(&mut changed, true)
                .unwrap_or_else(|error| panic!("{expression}: {error}"));
            let (mut changed, mut after) = (changed, item(after));
            changed.sort();
            after.sort();
            assert_eq!(changed, after, "{expression}");
        });
    }

    #[track_caller]
    fn fail(expression: &str, before: &str, message: &str) {
        with_placeholders(expression, VALUES, |expression, placeholders| {
            let update = Update::parse(expression, placeholders).expect(expression);
            let error = update.apply(&mut item(before), true).expect_err(expression);
            assert_eq!(error.to_string(), message, "{expression}");
        });
    }

    #[track_caller]
    fn refuse(expression: &str, message: &str) {
        with_placeholders(expression, VALUES, |expression, placeholders| {
            assert_eq!(
                Update::parse(expression, placeholders).expect_err(expression),
                message,
                "{expression}"
            );
        });
    }

    #[test]
    fn set_computes_from_the_item_as_it_was() {
        check("SET a = :s", "{}", r#"{"a": "new"}"#);
        check(
            "set a = b, b = a",
            r#"{"a": 1, "b": 2}"#,
            r#"{"a": 2, "b": 1}"#,
        );
        check(
            "SET a = a + :n, b = :n - a",
            r#"{"a": 5}"#,
            r#"{"a": 7, "b": -3}"#,
        );
        check("SET a = (a + :n)", r#"{"a": 5}"#, r#"{"a": 7}"#);
        check("SET a = if_not_exists(a, :n) + :n", "{}", r#"{"a": 4}"#);
        check(
            "SET a = if_not_exists(b, if_not_exists(c, :s))",
            "{}",
            r#"{"a": "new"}"#,
        );
        check(
            "SET a = list_append(:l, a)",
            r#"{"a": [1]}"#,
            r#"{"a": ["x", 1]}"#,
        );
        check(
            "SET #n.k = :n, #d = :n",
            r#"{"name": {}}"#,
            r#"{"name": {"k": 2}, "a.b": 2}"#,
        );
        check(
            "SET m.els[1].k = m.els[0]",
            r#"{"m": {"els": [7, {}]}}"#,
            r#"{"m": {"els": [7, {"k": 7}]}}"#,
        );
    }

    #[test]
    fn list_indexes_are_those_before_the_update() {
        check(
            "REMOVE a[1] SET a[3] = :n",
            r#"{"a": [2, 3, 4, 5, 6]}"#,
            r#"{"a": [2, 4, 2, 6]}"#,
        );
        check(
            "REMOVE a[0], a[2], a[9]",
            r#"{"a": [0, 1, 2, 3]}"#,
            r#"{"a": [1, 3]}"#,
        );
        check(
            "SET a[9] = :n, a[5] = :s",
            r#"{"a": [0]}"#,
            r#"{"a": [0, "new", 2]}"#,
        );
        check(
            "REMOVE a[1].b, a[0]",
            r#"{"a": [0, {"b": 1, "c": 2}]}"#,
            r#"{"a": [{"c": 2}]}"#,
        );
    }

    #[test]
    fn add_and_delete_change_numbers_and_sets() {
        check("ADD a :n", "{}", r#"{"a": 2}"#);
        check("ADD a :n", r#"{"a": -2}"#, r#"{"a": 0}"#);
        check(
            "ADD a :ss",
            r#"{"a": {"SS": ["a", "b"]}}"#,
            r#"{"a": {"SS": ["a", "b", "c"]}}"#,
        );
        check(
            "DELETE a :ss",
            r#"{"a": {"SS": ["a", "b"]}}"#,
            r#"{"a": {"SS": ["a"]}}"#,
        );
        check("DELETE a :ss", r#"{"a": {"SS": ["b"]}}"#, "{}");
        check("DELETE a :ss", "{}", "{}");
        check(
            "ADD a :big",
            r#"{"a": 1}"#,
            r#"{"a": {"N": "100000000000000000000"}}"#,
        );
    }

    #[test]
    fn what_does_not_fit_the_item_fails() {
        fail(
            "SET a = b",
            "{}",
            "The provided expression refers to an attribute that does not exist in the item",
        );
        let path = "The document path provided in the update expression is invalid for update";
        fail("SET a.b = :s", "{}", path);
        fail("SET a[0] = :s", r#"{"a": {}}"#, path);
        fail("REMOVE a.b", r#"{"a": 1}"#, path);
        let operand = "An operand in the update expression has an incorrect data type";
        fail("SET a = a + :n", r#"{"a": "x"}"#, operand);
        fail("SET a = list_append(a, :l)", r#"{"a": 1}"#, operand);
        fail("ADD a :n", r#"{"a": "x"}"#, operand);
        fail("DELETE a :ss", r#"{"a": {"NS": [1]}}"#, operand);
    }

    #[test]
    fn refusals_come_in_awss_order() {
        refuse("SET", "Syntax error; token: \"<EOF>\", near: \"SET\"");
        refuse(
            "SET _a = :s",
            "Syntax error; token: \"_\", near: \"SET _a\"",
        );
        refuse(
            "SET a = :n + :n + :n",
            "Syntax error; token: \"+\", near: \":n + :n\"",
        );
        refuse(
            "SET a = f(b), name = :s",
            "Attribute name is a reserved keyword; reserved keyword: name",
        );
        refuse(
            "SET a = f(:x) SET b = :s",
            "Invalid function name; function: f",
        );
        refuse(
            "SET a = list_append(list_append(:l, :l), :l)",
            "The function is not allowed to be used this way in an expression; function: list_append",
        );
        refuse(
            "SET a = :x REMOVE b SET b = :s",
            "The \"SET\" section can only be used once in an update expression;",
        );
        refuse(
            "SET a = :x, #x = :s",
            "An expression attribute name used in the document path is not defined; attribute name: #x",
        );
        refuse(
            "SET a = :x REMOVE a",
            "An expression attribute value used in expression is not defined; attribute value: :x",
        );
        refuse(
            "SET a.b = :s REMOVE a[1], a",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; \
             path one: [a, b], path two: [a]",
        );
        refuse(
            "SET a.b = :s REMOVE a[1]",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; \
             path one: [a, b], path two: [a, [1]]",
        );
        refuse(
            "ADD a :s",
            "Incorrect operand type for operator or function; operator: ADD, operand type: STRING",
        );
        refuse(
            "DELETE a :n",
            "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER",
        );
        refuse(
            "SET a = :s + :n",
            "Incorrect operand type for operator or function; operator or function: +, operand type: S",
        );
        refuse(
            "SET a = if_not_exists(:s, :n)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        );
        refuse(
            "SET a = list_append(:l)",
            "Incorrect number of operands for operator or function; operator or function: list_append, \
             number of operands: 1",
        );
    }
}
