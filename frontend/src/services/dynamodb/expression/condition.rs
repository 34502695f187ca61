//! Conditions and filters: what they mean, and what AWS refuses about them.
//!
//! # Precedence of refusals
//!
//! Functions that don't exist come first, then functions at the wrong place, then reserved words, each anywhere in the
//! expression. What remains is found comparison by comparison, from left to right, and within one: undefined names and
//! values, wrong numbers of operands, operands that must differ, wrong types.

use std::borrow::Cow;

use super::parser::{Message, parse_condition};
use super::path::{self, Path};
use super::placeholders::Placeholders;
use super::syntax::{Comparator, ConditionSyntax, FunctionSyntax, OperandSyntax, PathSyntax};
use crate::services::dynamodb::value::{self, Item, TYPE_NAMES, Value, type_name};

const IN_OPERANDS_MAX: usize = 100;

/// A condition on one item.
#[derive(Debug)]
pub(crate) enum Condition<'a> {
    Or(Vec<Condition<'a>>),
    And(Vec<Condition<'a>>),
    Not(Box<Condition<'a>>),
    Compare(Comparator, Operand<'a>, Operand<'a>),
    Between(Box<[Operand<'a>; 3]>),
    In(Operand<'a>, Vec<Operand<'a>>),
    Exists(Path<'a>),
    NotExists(Path<'a>),
    HasType(Operand<'a>, &'a str),
    BeginsWith(Operand<'a>, Operand<'a>),
    Contains(Operand<'a>, Operand<'a>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand<'a> {
    Path(Path<'a>),
    Value(&'a Value),
    Size(Box<Operand<'a>>),
}

impl<'a> Condition<'a> {
    pub(crate) fn parse(
        source: &'a str,
        placeholders: &Placeholders<'a>,
    ) -> Result<Condition<'a>, Message> {
        let syntax = parse_condition(source)?;
        let mut parts = Parts::default();
        parts.collect(&syntax);
        parts.check()?;
        resolve(&syntax, placeholders)
    }

    /// Whether the condition holds for `item`; an item that does not exist is an empty one.
    pub(crate) fn holds(&self, item: &Item) -> bool {
        match self {
            Condition::Or(terms) => terms.iter().any(|term| term.holds(item)),
            Condition::And(terms) => terms.iter().all(|term| term.holds(item)),
            Condition::Not(inner) => !inner.holds(item),
            Condition::Compare(comparator, left, right) => compare(
                *comparator,
                left.value(item).as_deref(),
                right.value(item).as_deref(),
            ),
            Condition::Between(operands) => {
                let [operand, low, high] = &**operands;
                let value = operand.value(item);
                compare(
                    Comparator::GreaterOrEqual,
                    value.as_deref(),
                    low.value(item).as_deref(),
                ) && compare(
                    Comparator::LessOrEqual,
                    value.as_deref(),
                    high.value(item).as_deref(),
                )
            }
            Condition::In(operand, candidates) => {
                let value = operand.value(item);
                candidates.iter().any(|candidate| {
                    compare(
                        Comparator::Equal,
                        value.as_deref(),
                        candidate.value(item).as_deref(),
                    )
                })
            }
            Condition::Exists(path) => path.find(item).is_some(),
            Condition::NotExists(path) => path.find(item).is_none(),
            Condition::HasType(operand, name) => operand
                .value(item)
                .is_some_and(|value| type_name(&value) == *name),
            Condition::BeginsWith(whole, prefix) => both(item, whole, prefix, value::begins_with),
            Condition::Contains(whole, part) => both(item, whole, part, value::contains),
        }
    }

    /// Calls `visit` with every path of the condition.
    pub(crate) fn visit_paths<'s>(&'s self, visit: &mut impl FnMut(&'s Path<'a>)) {
        match self {
            Condition::Or(terms) | Condition::And(terms) => {
                terms.iter().for_each(|term| term.visit_paths(visit));
            }
            Condition::Not(inner) => inner.visit_paths(visit),
            Condition::Exists(path) | Condition::NotExists(path) => visit(path),
            Condition::Between(operands) => operands
                .iter()
                .for_each(|operand| operand.visit_paths(visit)),
            Condition::In(operand, candidates) => {
                operand.visit_paths(visit);
                candidates
                    .iter()
                    .for_each(|candidate| candidate.visit_paths(visit));
            }
            Condition::HasType(operand, _) => operand.visit_paths(visit),
            Condition::Compare(_, left, right)
            | Condition::BeginsWith(left, right)
            | Condition::Contains(left, right) => {
                left.visit_paths(visit);
                right.visit_paths(visit);
            }
        }
    }
}

/// An attribute that is not there equals nothing, not even another one that is not there, and has no order.
fn compare(comparator: Comparator, left: Option<&Value>, right: Option<&Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return comparator == Comparator::NotEqual;
    };
    match comparator {
        Comparator::Equal => value::equal(left, right),
        Comparator::NotEqual => !value::equal(left, right),
        Comparator::Less => value::compare(left, right).is_some_and(|order| order.is_lt()),
        Comparator::LessOrEqual => value::compare(left, right).is_some_and(|order| order.is_le()),
        Comparator::Greater => value::compare(left, right).is_some_and(|order| order.is_gt()),
        Comparator::GreaterOrEqual => {
            value::compare(left, right).is_some_and(|order| order.is_ge())
        }
    }
}

fn both(
    item: &Item,
    left: &Operand<'_>,
    right: &Operand<'_>,
    test: fn(&Value, &Value) -> bool,
) -> bool {
    match (left.value(item), right.value(item)) {
        (Some(left), Some(right)) => test(&left, &right),
        _ => false,
    }
}

impl<'a> Operand<'a> {
    /// The operand's value for `item`; only sizes have to be made for that.
    fn value<'i>(&'i self, item: &'i Item) -> Option<Cow<'i, Value>> {
        match self {
            Operand::Path(path) => path.find(item).map(Cow::Borrowed),
            Operand::Value(value) => Some(Cow::Borrowed(value)),
            Operand::Size(inner) => {
                let size = size(&*inner.value(item)?)?;
                Some(Cow::Owned(Value::N(size.to_string())))
            }
        }
    }

    fn visit_paths<'s>(&'s self, visit: &mut impl FnMut(&'s Path<'a>)) {
        match self {
            Operand::Path(path) => visit(path),
            Operand::Value(_) => {}
            Operand::Size(inner) => inner.visit_paths(visit),
        }
    }

    /// The type, if it is known before there is an item.
    fn static_type(&self) -> Option<&'static str> {
        match self {
            Operand::Path(_) => None,
            Operand::Value(value) => Some(type_name(value)),
            Operand::Size(_) => Some("N"),
        }
    }
}

/// What `size()` says: of texts the UTF-16 units, as Java counts; else bytes or elements.
fn size(value: &Value) -> Option<usize> {
    match value {
        Value::S(text) => Some(text.encode_utf16().count()),
        Value::B(bytes) => Some(bytes.len()),
        Value::Ss(members) | Value::Ns(members) => Some(members.len()),
        Value::Bs(members) => Some(members.len()),
        Value::L(elements) => Some(elements.len()),
        Value::M(members) => Some(members.len()),
        Value::N(_) | Value::Bool(_) | Value::Null(_) => None,
    }
}

/// The functions and paths of a condition, in the order in which AWS looks at them.
#[derive(Default)]
struct Parts<'s, 'a> {
    /// Inner ones first; whether the function stands where an operand is expected.
    functions: Vec<(&'s FunctionSyntax<'a>, bool)>,
    paths: Vec<&'s PathSyntax<'a>>,
}

impl<'s, 'a> Parts<'s, 'a> {
    fn collect(&mut self, condition: &'s ConditionSyntax<'a>) {
        match condition {
            ConditionSyntax::Or(terms) | ConditionSyntax::And(terms) => {
                terms.iter().for_each(|term| self.collect(term));
            }
            ConditionSyntax::Not(inner) => self.collect(inner),
            ConditionSyntax::Function(function) => self.function(function, false),
            leaf => operands(leaf).for_each(|operand| self.operand(operand)),
        }
    }

    fn operand(&mut self, operand: &'s OperandSyntax<'a>) {
        match operand {
            OperandSyntax::Path(path) => self.paths.push(path),
            OperandSyntax::Value(_) => {}
            OperandSyntax::Function(function) => self.function(function, true),
        }
    }

    fn function(&mut self, function: &'s FunctionSyntax<'a>, is_operand: bool) {
        function
            .arguments
            .iter()
            .for_each(|argument| self.operand(argument));
        self.functions.push((function, is_operand));
    }

    fn check(&self) -> Result<(), Message> {
        let misplaced = |function: &FunctionSyntax<'_>, is_operand: bool| {
            operand_count(function.name).is_none() || (function.name == "size") != is_operand
        };
        check_functions(&self.functions, misplaced)?;
        path::check_reserved(self.paths.iter().copied())
    }
}

/// Refuses functions that do not exist, then those of which `misplaced` says that they stand at the wrong place.
pub(super) fn check_functions(
    functions: &[(&FunctionSyntax<'_>, bool)],
    misplaced: impl Fn(&FunctionSyntax<'_>, bool) -> bool,
) -> Result<(), Message> {
    let exists = |name: &str| {
        operand_count(name).is_some() || matches!(name, "if_not_exists" | "list_append")
    };
    if let Some((function, _)) = functions
        .iter()
        .find(|(function, _)| !exists(function.name))
    {
        return Err(format!(
            "Invalid function name; function: {}",
            function.name
        ));
    }
    match functions
        .iter()
        .find(|(function, nested)| misplaced(function, *nested))
    {
        None => Ok(()),
        Some((function, _)) => Err(format!(
            "The function is not allowed to be used this way in an expression; function: {}",
            function.name
        )),
    }
}

/// The operands of a comparison or function, in order.
fn operands<'s, 'a>(
    leaf: &'s ConditionSyntax<'a>,
) -> Box<dyn Iterator<Item = &'s OperandSyntax<'a>> + 's> {
    match leaf {
        ConditionSyntax::Compare(_, left, right) => Box::new([left, right].into_iter()),
        ConditionSyntax::Between(operands) => Box::new(operands.iter()),
        ConditionSyntax::In(operand, candidates) => {
            Box::new(std::iter::once(operand).chain(candidates))
        }
        ConditionSyntax::Function(function) => Box::new(function.arguments.iter()),
        ConditionSyntax::Or(_) | ConditionSyntax::And(_) | ConditionSyntax::Not(_) => {
            Box::new(std::iter::empty())
        }
    }
}

/// How many operands a function takes; `None` if there is no such function.
fn operand_count(function: &str) -> Option<usize> {
    match function {
        "attribute_exists" | "attribute_not_exists" | "size" => Some(1),
        "attribute_type" | "begins_with" | "contains" => Some(2),
        _ => None,
    }
}

fn resolve<'a>(
    syntax: &ConditionSyntax<'a>,
    placeholders: &Placeholders<'a>,
) -> Result<Condition<'a>, Message> {
    let all = |terms: &[ConditionSyntax<'a>]| {
        terms
            .iter()
            .map(|term| resolve(term, placeholders))
            .collect::<Result<Vec<_>, _>>()
    };
    match syntax {
        ConditionSyntax::Or(terms) => Ok(Condition::Or(all(terms)?)),
        ConditionSyntax::And(terms) => Ok(Condition::And(all(terms)?)),
        ConditionSyntax::Not(inner) => Ok(Condition::Not(Box::new(resolve(inner, placeholders)?))),
        leaf => resolve_leaf(leaf, placeholders),
    }
}

fn resolve_leaf<'a>(
    leaf: &ConditionSyntax<'a>,
    placeholders: &Placeholders<'a>,
) -> Result<Condition<'a>, Message> {
    operands(leaf).try_for_each(|operand| check_defined(operand, placeholders))?;
    operands(leaf).try_for_each(check_counts)?;
    let resolved = operands(leaf)
        .map(|operand| resolve_operand(operand, placeholders))
        .collect::<Result<Vec<_>, _>>();
    match leaf {
        ConditionSyntax::Compare(comparator, ..) => {
            let [left, right] = exactly(resolved?);
            check_distinct(comparator.symbol(), &left, &right)?;
            check_sizes(operands(leaf), placeholders)?;
            if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
                check_ordered(comparator.symbol(), [&left, &right])?;
            }
            Ok(Condition::Compare(*comparator, left, right))
        }
        ConditionSyntax::Between(_) => {
            let resolved: [Operand<'a>; 3] = exactly(resolved?);
            check_sizes(operands(leaf), placeholders)?;
            check_ordered("BETWEEN", &resolved)?;
            check_bounds(&resolved[1], &resolved[2])?;
            Ok(Condition::Between(Box::new(resolved)))
        }
        ConditionSyntax::In(..) => {
            let mut resolved = resolved?;
            check_sizes(operands(leaf), placeholders)?;
            if resolved.len() > IN_OPERANDS_MAX {
                return Err(format!(
                    "The IN operator is provided with too many operands; number of operands: {}",
                    resolved.len()
                ));
            }
            let operand = resolved.remove(0);
            Ok(Condition::In(operand, resolved))
        }
        ConditionSyntax::Function(function) => resolve_function(function, resolved, placeholders),
        ConditionSyntax::Or(_) | ConditionSyntax::And(_) | ConditionSyntax::Not(_) => {
            unreachable!("a leaf is no connective")
        }
    }
}

fn exactly<T, const N: usize>(operands: Vec<T>) -> [T; N] {
    operands
        .try_into()
        .unwrap_or_else(|_| unreachable!("the number of operands was checked"))
}

fn resolve_function<'a>(
    function: &FunctionSyntax<'a>,
    resolved: Result<Vec<Operand<'a>>, Message>,
    placeholders: &Placeholders<'a>,
) -> Result<Condition<'a>, Message> {
    let name = function.name;
    if operand_count(name) != Some(function.arguments.len()) {
        return Err(wrong_count(function));
    }
    let resolved = resolved?;
    if let [left, right] = &resolved[..] {
        check_distinct(name, left, right)?;
    }
    check_sizes(function.arguments.iter(), placeholders)?;
    match name {
        "attribute_exists" | "attribute_not_exists" => {
            let [operand] = exactly(resolved);
            match operand {
                Operand::Path(path) if name == "attribute_exists" => Ok(Condition::Exists(path)),
                Operand::Path(path) => Ok(Condition::NotExists(path)),
                _ => Err(format!(
                    "Operator or function requires a document path; operator or function: {name}"
                )),
            }
        }
        "attribute_type" => {
            let [operand, name] = exactly(resolved);
            Ok(Condition::HasType(operand, attribute_type(&name)?))
        }
        "begins_with" => {
            let [whole, prefix] = exactly(resolved);
            for operand in [&whole, &prefix] {
                if let Some(found) = operand
                    .static_type()
                    .filter(|found| !matches!(*found, "S" | "B"))
                {
                    return Err(wrong_type(name, found));
                }
            }
            Ok(Condition::BeginsWith(whole, prefix))
        }
        _ => {
            let [whole, part] = exactly(resolved);
            Ok(Condition::Contains(whole, part))
        }
    }
}

/// The operand of `attribute_type` must be known beforehand and name a type.
fn attribute_type<'a>(operand: &Operand<'a>) -> Result<&'a str, Message> {
    match operand {
        Operand::Value(Value::S(name)) if TYPE_NAMES.contains(&name.as_str()) => Ok(name),
        Operand::Value(Value::S(name)) => Err(format!(
            "Invalid attribute type name found; type: {name}, valid types: {{B,NULL,SS,BOOL,L,BS,N,NS,S,M}}"
        )),
        other => Err(wrong_type(
            "attribute_type",
            other
                .static_type()
                .unwrap_or("{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"),
        )),
    }
}

fn resolve_operand<'a>(
    operand: &OperandSyntax<'a>,
    placeholders: &Placeholders<'a>,
) -> Result<Operand<'a>, Message> {
    match operand {
        OperandSyntax::Path(path) => Path::resolve(path, placeholders).map(Operand::Path),
        OperandSyntax::Value(name) => placeholders.value(name).map(Operand::Value),
        OperandSyntax::Function(size) => match &size.arguments[..] {
            [argument] => Ok(Operand::Size(Box::new(resolve_operand(
                argument,
                placeholders,
            )?))),
            _ => Err(wrong_count(size)),
        },
    }
}

/// Looks up every name and value, in order.
fn check_defined<'a>(
    operand: &OperandSyntax<'a>,
    placeholders: &Placeholders<'a>,
) -> Result<(), Message> {
    match operand {
        OperandSyntax::Path(path) => Path::resolve(path, placeholders).map(drop),
        OperandSyntax::Value(name) => placeholders.value(name).map(drop),
        OperandSyntax::Function(function) => function
            .arguments
            .iter()
            .try_for_each(|argument| check_defined(argument, placeholders)),
    }
}

fn check_counts(operand: &OperandSyntax<'_>) -> Result<(), Message> {
    let OperandSyntax::Function(function) = operand else {
        return Ok(());
    };
    function.arguments.iter().try_for_each(check_counts)?;
    if operand_count(function.name) == Some(function.arguments.len()) {
        Ok(())
    } else {
        Err(wrong_count(function))
    }
}

/// The types of what sizes are taken of; inner ones first.
fn check_sizes<'s, 'a: 's>(
    mut operands: impl Iterator<Item = &'s OperandSyntax<'a>>,
    placeholders: &Placeholders<'a>,
) -> Result<(), Message> {
    operands.try_for_each(|operand| {
        let OperandSyntax::Function(function) = operand else {
            return Ok(());
        };
        check_sizes(function.arguments.iter(), placeholders)?;
        let [argument] = &function.arguments[..] else {
            return Err(wrong_count(function));
        };
        match resolve_operand(argument, placeholders)?.static_type() {
            Some(found @ ("N" | "BOOL" | "NULL")) => Err(wrong_type("size", found)),
            _ => Ok(()),
        }
    })
}

fn check_distinct(operator: &str, left: &Operand<'_>, right: &Operand<'_>) -> Result<(), Message> {
    match (left, right) {
        (Operand::Path(left), Operand::Path(right)) if left == right => Err(format!(
            "The first operand must be distinct from the remaining operands for this operator or function; \
             operator: {operator}, first operand: {left}"
        )),
        _ => Ok(()),
    }
}

fn check_ordered<'s, 'a: 's>(
    operator: &str,
    operands: impl IntoIterator<Item = &'s Operand<'a>>,
) -> Result<(), Message> {
    for operand in operands {
        if let Operand::Value(value) = operand
            && !value::is_ordered(value)
        {
            return Err(wrong_type(operator, type_name(value)));
        }
    }
    Ok(())
}

fn check_bounds(low: &Operand<'_>, high: &Operand<'_>) -> Result<(), Message> {
    let (Operand::Value(low), Operand::Value(high)) = (low, high) else {
        return Ok(());
    };
    let rule = match value::compare(low, high) {
        None => "same data type for lower and upper bounds",
        Some(order) if order.is_gt() => "upper bound to be greater than or equal to lower bound",
        Some(_) => return Ok(()),
    };
    Err(format!(
        "The BETWEEN operator requires {rule}; lower bound operand: AttributeValue: {}, \
         upper bound operand: AttributeValue: {}",
        value::printed(low),
        value::printed(high)
    ))
}

pub(super) fn wrong_count(function: &FunctionSyntax<'_>) -> Message {
    format!(
        "Incorrect number of operands for operator or function; operator or function: {}, number of operands: {}",
        function.name,
        function.arguments.len()
    )
}

pub(super) fn wrong_type(operator: &str, found: &str) -> Message {
    format!(
        "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {found}"
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{item, with_placeholders};
    use super::*;

    const VALUES: &str = r#"{
        ":s": "abc", ":n": 5, ":t": true, ":z": null, ":l": ["x", 5], ":m": {"k": 1}, ":ss": {"SS": ["a", "b"]},
        ":b": {"B": "ab"}, ":type": "S", ":dog": "DOG", ":low": 1, ":high": 9
    }"#;

    const ITEM: &str = r#"{
        "s": "abc", "n": 5, "m": {"k": 5, "els": [1, {"deep": "x"}]}, "l": ["x", 5], "ss": {"SS": ["b", "a"]},
        "name": "abc", "a.b": 7, "t": true, "e": "ab\u00ff"
    }"#;

    #[track_caller]
    fn check(expression: &str, holds: bool) {
        with_placeholders(expression, VALUES, |expression, placeholders| {
            let condition = Condition::parse(expression, placeholders)
                .unwrap_or_else(|error| panic!("{expression}: {error}"));
            assert_eq!(condition.holds(&item(ITEM)), holds, "{expression}");
        });
    }

    #[track_caller]
    fn refuse(expression: &str, message: &str) {
        with_placeholders(expression, VALUES, |expression, placeholders| {
            let error = Condition::parse(expression, placeholders).expect_err(expression);
            assert_eq!(error, message, "{expression}");
        });
    }

    #[test]
    fn comparisons_hold_between_equal_types_only() {
        check("s = :s", true);
        check(":s = s", true);
        check("s = :n", false);
        check("s <> :n", true);
        check("n < :high", true);
        check("n < :s", false);
        check("n >= :n AND n <= :n", true);
        check("n > :n", false);
        check("ss = :ss", true);
        check("l = :l", true);
        check("m = :m", false);
        check("t = :t", true);
        check("n BETWEEN :low AND :high", true);
        check("n between :high and n", false);
        check("s IN (:n, :s)", true);
        check("n IN (:s)", false);
    }

    #[test]
    fn an_attribute_that_is_missing_equals_nothing() {
        check("absent = :s", false);
        check("absent <> :s", true);
        check("absent = neither", false);
        check("absent <> neither", true);
        check("absent < :n", false);
        check("absent BETWEEN :low AND :high", false);
        check("absent IN (:s)", false);
    }

    #[test]
    fn functions_look_at_what_is_there() {
        check("attribute_exists(s)", true);
        check("attribute_not_exists(m.els[1].deep)", false);
        check("attribute_not_exists(m.els[2])", true);
        check("attribute_type(s, :type)", true);
        check("attribute_type(n, :type)", false);
        check("begins_with(s, :s)", true);
        check("begins_with(:s, s)", true);
        check("begins_with(n, :s)", false);
        check("contains(ss, :s)", false);
        check("contains(l, :n)", true);
        check("contains(s, :s)", true);
        check("size(s) = size(#n)", true);
        check("size(e) < :n", true);
        check("size(n) = :n", false);
        check("size(m.els) > :low", true);
    }

    #[test]
    fn not_binds_tighter_than_and_than_or() {
        check("s = :s OR s = :n AND s = :n", true);
        check("(s = :s OR s = :n) AND s = :n", false);
        check("NOT s = :n AND s = :s", true);
        check("NOT (s = :s AND s = :n)", true);
        check("NOT NOT s = :s", true);
        check(
            "((s) = :s) and (((n)) = (:n)) or attribute_exists(x)"
                .replace("(((n)) = (:n))", "((n) = (:n))")
                .as_str(),
            true,
        );
    }

    #[test]
    fn paths_lead_into_documents() {
        check("m.k = :n", true);
        check("m.els[0] < :n", true);
        check("(m).k = :n", true);
        check("(m.els)[1].deep = :s", false);
        check("#n = :s", true);
        check("#d > :n", true);
        check("s.k = :n", false);
        check("l[0].k = :n", false);
    }

    #[test]
    fn syntax_errors_quote_the_place() {
        refuse("", "The expression can not be empty;");
        refuse(" ", "Syntax error; token: \"<EOF>\", near: \"\"");
        refuse("a", "Syntax error; token: \"<EOF>\", near: \"a\"");
        refuse("a = ", "Syntax error; token: \"<EOF>\", near: \"=\"");
        refuse("a b", "Syntax error; token: \"b\", near: \"a b\"");
        refuse(
            "a = :s AND",
            "Syntax error; token: \"<EOF>\", near: \"AND\"",
        );
        refuse("a = :s b", "Syntax error; token: \"b\", near: \":s b\"");
        refuse("(a = :s", "Syntax error; token: \"<EOF>\", near: \":s\"");
        refuse("a = :s)", "Syntax error; token: \")\", near: \":s)\"");
        refuse(
            "(a = :s) = :s",
            "Syntax error; token: \"=\", near: \") = :s\"",
        );
        refuse("a IN ()", "Syntax error; token: \")\", near: \"()\"");
        refuse("a[-1] = :s", "Syntax error; token: \"-\", near: \"[-1\"");
        refuse(
            "a = (:s AND b)",
            "Syntax error; token: \"AND\", near: \":s AND b\"",
        );
        refuse("and = :s", "Syntax error; token: \"and\", near: \"and =\"");
    }

    #[test]
    fn refusals_come_in_awss_order() {
        refuse("((a = :s))", "The expression has redundant parentheses;");
        refuse("((a)) = :s", "The expression has redundant parentheses;");
        refuse(
            "f(a) AND size(a) AND name = :x",
            "Invalid function name; function: f",
        );
        refuse(
            "size(a) AND name = :x",
            "The function is not allowed to be used this way in an expression; function: size",
        );
        refuse(
            "contains(a, begins_with(a, :s))",
            "The function is not allowed to be used this way in an expression; function: begins_with",
        );
        refuse(
            "a = :x AND Name = :s",
            "Attribute name is a reserved keyword; reserved keyword: Name",
        );
        refuse(
            "#x = :x",
            "An expression attribute name used in the document path is not defined; attribute name: #x",
        );
        refuse(
            "a = :x AND contains(b)",
            "An expression attribute value used in expression is not defined; attribute value: :x",
        );
        refuse(
            "contains(b) AND a = :x",
            "Incorrect number of operands for operator or function; operator or function: contains, number of operands: 1",
        );
        refuse(
            "m.k = m.k",
            "The first operand must be distinct from the remaining operands for this operator or function; \
             operator: =, first operand: [m, k]",
        );
    }

    #[test]
    fn operands_that_can_never_fit_are_refused() {
        refuse(
            "begins_with(s, :n)",
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        );
        refuse(
            "size(:n) = :n",
            "Incorrect operand type for operator or function; operator or function: size, operand type: N",
        );
        refuse(
            "attribute_exists(:s)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        );
        refuse(
            "attribute_type(s, :dog)",
            "Invalid attribute type name found; type: DOG, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        );
        refuse(
            "attribute_type(s, a)",
            "Incorrect operand type for operator or function; operator or function: attribute_type, \
             operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}",
        );
        refuse(
            "a BETWEEN :s AND :n",
            "The BETWEEN operator requires same data type for lower and upper bounds; \
             lower bound operand: AttributeValue: {S:abc}, upper bound operand: AttributeValue: {N:5}",
        );
        refuse(
            "a BETWEEN :high AND :low",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; \
             lower bound operand: AttributeValue: {N:9}, upper bound operand: AttributeValue: {N:1}",
        );
        refuse(
            "a < :l",
            "Incorrect operand type for operator or function; operator or function: <, operand type: L",
        );
    }

    #[test]
    fn limits_are_kept_whatever_the_nesting() {
        let operators = |count: usize| format!("s = :s{}", " OR s = :s".repeat(count));
        check(&operators(149), true);
        refuse(
            &operators(150),
            "The expression contains too many operators; operator count: 301",
        );
        check(
            &format!("{}a < :n{}", "not (".repeat(298), ")".repeat(298)),
            false,
        );
        let nested = format!(
            "s = :s {}{}",
            "or (s = :s and (s = :s ".repeat(70),
            "))".repeat(70)
        );
        check(&nested, true);
        let long = format!("a = :s{}", " ".repeat(4091));
        refuse(
            &long,
            "Expression size has exceeded the maximum allowed size; expression size: 4097",
        );
        refuse(
            &"(".repeat(4096),
            "Syntax error; token: \"<EOF>\", near: \"(\"",
        );
        refuse(
            &format!("a < {}b{}", "f(".repeat(1000), ")".repeat(1000)),
            "Invalid function name; function: f",
        );
        let deep = format!("a{} = :s", ".b".repeat(32));
        refuse(
            &deep,
            "The document path has too many nesting levels; nesting levels: 33",
        );
    }
}
