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
use crate::services::dynamodb::size::value_size;
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

/// What `size()` says: bytes, or elements.
fn size(value: &Value) -> Option<usize> {
    match value {
        Value::S(_) | Value::B(_) => Some(value_size(value)),
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
        if let Some((function, _)) = self
            .functions
            .iter()
            .find(|(function, _)| operand_count(function.name).is_none())
        {
            return Err(format!(
                "Invalid function name; function: {}",
                function.name
            ));
        }
        if let Some((function, _)) = self
            .functions
            .iter()
            .find(|(function, is_operand)| (function.name == "size") != *is_operand)
        {
            return Err(format!(
                "The function is not allowed to be used this way in an expression; function: {}",
                function.name
            ));
        }
        path::check_reserved(self.paths.iter().copied())
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
