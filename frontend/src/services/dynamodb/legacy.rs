//! The parameters from before expressions: Expected, AttributeUpdates, KeyConditions, QueryFilter, ScanFilter,
//! AttributesToGet and ConditionalOperator. They become the same conditions and updates that expressions become.

use cumulog_model::dynamodb as model;
use cumulog_shape::Map;
use model::{AttributeAction, ComparisonOperator as Operator, ConditionalOperator};

use super::error::ValidationError;
use super::expression::{
    Action, Assigned, Comparator, Condition, KeyCondition, KeyConditions, KeyTest, Operand, Path,
    Term, Update,
};
use super::value::{self, Value, type_name};

/// Which of a request's parameters are there, for the rule that expressions and legacy parameters do not mix.
pub(crate) struct Parameters<'p> {
    pub(crate) expressions: &'p [(&'static str, bool)],
    pub(crate) legacy: &'p [(&'static str, bool)],
    pub(crate) names: bool,
    pub(crate) values: bool,
}

impl Parameters<'_> {
    pub(crate) fn check(&self) -> Result<(), ValidationError> {
        let present = |parameters: &[(&'static str, bool)]| {
            parameters
                .iter()
                .filter(|(_, there)| *there)
                .map(|(name, _)| *name)
                .collect::<Vec<_>>()
        };
        let expressions = present(self.expressions);
        let legacy = present(self.legacy);
        if !expressions.is_empty() && !legacy.is_empty() {
            return Err(ValidationError::new(format!(
                "Can not use both expression and non-expression parameters in the same request: \
                 Non-expression parameters: {{{}}} Expression parameters: {{{}}}",
                legacy.join(", "),
                expressions.join(", ")
            )));
        }
        if self.names && expressions.is_empty() {
            return Err(ValidationError::new(
                "ExpressionAttributeNames can only be specified when using expressions",
            ));
        }
        let with_values: Vec<&str> = self
            .expressions
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| *name != "ProjectionExpression")
            .collect();
        if self.values && !with_values.iter().any(|name| expressions.contains(name)) {
            let are = if with_values.len() > 1 { "are" } else { "is" };
            return Err(ValidationError::new(format!(
                "ExpressionAttributeValues can only be specified when using expressions: {} {are} null",
                with_values.join(" and ")
            )));
        }
        Ok(())
    }
}

/// Checks AttributesToGet by itself.
pub(crate) fn check_attributes_to_get(names: Option<&Vec<String>>) -> Result<(), ValidationError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names.into_iter().flatten() {
        value::check_name(name)?;
        if !seen.insert(name) {
            return Err(ValidationError::invalid(format!(
                "Duplicate value in attribute name: {name}"
            )));
        }
    }
    Ok(())
}

/// ConditionalOperator joins conditions, so there must be some.
pub(crate) fn check_conditional_operator(
    operator: Option<&ConditionalOperator>,
    conditions: usize,
) -> Result<(), ValidationError> {
    match (operator, conditions) {
        (None, _) | (Some(_), 2..) => Ok(()),
        (Some(_), 0) => Err(ValidationError::invalid(
            "ConditionalOperator cannot be used without Filter or Expected",
        )),
        (Some(_), _) => Err(ValidationError::invalid(
            "ConditionalOperator can only be used when Filter or Expected has two or more elements",
        )),
    }
}

fn join<'a>(
    mut conditions: Vec<Condition<'a>>,
    operator: Option<&ConditionalOperator>,
) -> Option<Condition<'a>> {
    match conditions.len() {
        0 => None,
        1 => conditions.pop(),
        _ if operator == Some(&ConditionalOperator::Or) => Some(Condition::Or(conditions)),
        _ => Some(Condition::And(conditions)),
    }
}

/// Checks Expected and normalises its numbers.
pub(crate) fn check_expected(
    expected: Option<&mut Map<model::ExpectedAttributeValue>>,
) -> Result<(), ValidationError> {
    for (name, condition) in expected.into_iter().flat_map(Map::iter_mut) {
        check_expected_one(name, condition)?;
    }
    Ok(())
}

fn check_expected_one(
    name: &str,
    condition: &mut model::ExpectedAttributeValue,
) -> Result<(), ValidationError> {
    if condition.attribute_value_list.is_some() && condition.value.is_some() {
        return Err(ValidationError::invalid(format!(
            "Value and AttributeValueList cannot be used together for Attribute: {name}"
        )));
    }
    match (&condition.comparison_operator, condition.exists) {
        (Some(_), Some(_)) => {
            return Err(ValidationError::invalid(format!(
                "Exists and ComparisonOperator cannot be used together for Attribute: {name}"
            )));
        }
        (Some(operator), None) => {
            let operands = match (&mut condition.attribute_value_list, &mut condition.value) {
                (Some(list), _) => &mut list[..],
                (None, Some(value)) => std::slice::from_mut(value),
                (None, None) if matches!(operator, Operator::Null | Operator::NotNull) => &mut [],
                (None, None) => {
                    return Err(ValidationError::invalid(format!(
                        "Value or AttributeValueList must be used with ComparisonOperator: {} for Attribute: {name}",
                        operator.as_str()
                    )));
                }
            };
            return check_operands(operator, operands);
        }
        (None, _) if condition.attribute_value_list.is_some() => {
            return Err(ValidationError::invalid(format!(
                "AttributeValueList can only be used with a ComparisonOperator for Attribute: {name}"
            )));
        }
        (None, Some(false)) if condition.value.is_some() => {
            return Err(ValidationError::invalid(format!(
                "Value cannot be used when Exists is false for Attribute: {name}"
            )));
        }
        (None, Some(true) | None) if condition.value.is_none() => {
            let exists = condition.exists.map_or("null", |_| "true");
            return Err(ValidationError::invalid(format!(
                "Value must be provided when Exists is {exists} for Attribute: {name}"
            )));
        }
        (None, _) => {}
    }
    condition.value.as_mut().map_or(Ok(()), value::check)
}

/// What Expected, once checked, asks for.
pub(crate) fn expected_condition<'a>(
    expected: Option<&'a Map<model::ExpectedAttributeValue>>,
    operator: Option<&ConditionalOperator>,
) -> Option<Condition<'a>> {
    let condition = |(name, condition): (&'a str, &'a model::ExpectedAttributeValue)| match (
        &condition.comparison_operator,
        &condition.value,
    ) {
        (Some(operator), value) => {
            let operands: &[Value] = match (&condition.attribute_value_list, value) {
                (Some(list), _) => list,
                (None, Some(value)) => std::slice::from_ref(value),
                (None, None) => &[],
            };
            comparison(name, operator, operands)
        }
        (None, Some(value)) => comparison(name, &Operator::Eq, std::slice::from_ref(value)),
        (None, None) => Condition::NotExists(Path::attribute(name)),
    };
    join(expected?.iter().map(condition).collect(), operator)
}

/// Checks QueryFilter, ScanFilter or KeyConditions and normalises their numbers.
pub(crate) fn check_conditions(
    conditions: Option<&mut Map<model::Condition>>,
) -> Result<(), ValidationError> {
    for (_, condition) in conditions.into_iter().flat_map(Map::iter_mut) {
        let operands = condition
            .attribute_value_list
            .as_deref_mut()
            .unwrap_or_default();
        operands.iter_mut().try_for_each(value::check)?;
        check_operands(&condition.comparison_operator, operands)?;
    }
    Ok(())
}

/// What a filter, once checked, asks for.
pub(crate) fn filter_condition<'a>(
    filter: Option<&'a Map<model::Condition>>,
    operator: Option<&ConditionalOperator>,
) -> Option<Condition<'a>> {
    let condition = |(name, condition): (&'a str, &'a model::Condition)| {
        comparison(
            name,
            &condition.comparison_operator,
            condition
                .attribute_value_list
                .as_deref()
                .unwrap_or_default(),
        )
    };
    join(filter?.iter().map(condition).collect(), operator)
}

/// What KeyConditions, once checked, ask for.
pub(crate) fn key_conditions(conditions: &Map<model::Condition>) -> KeyConditions<'_> {
    let conditions = conditions
        .iter()
        .map(|(attribute, condition)| KeyCondition {
            attribute,
            test: key_test(condition),
        })
        .collect();
    KeyConditions { conditions }
}

fn key_test(condition: &model::Condition) -> KeyTest<'_> {
    match (
        &condition.comparison_operator,
        condition
            .attribute_value_list
            .as_deref()
            .unwrap_or_default(),
    ) {
        (Operator::Between, [low, high]) => KeyTest::Between(low, high),
        (Operator::BeginsWith, [prefix]) => KeyTest::BeginsWith(prefix),
        (Operator::Ne, _) => KeyTest::NotIndexable,
        (operator, [value]) => comparator(operator).map_or(KeyTest::NotIndexable, |comparator| {
            KeyTest::Compare(comparator, value)
        }),
        _ => KeyTest::NotIndexable,
    }
}

fn comparator(operator: &Operator) -> Option<Comparator> {
    Some(match operator {
        Operator::Eq => Comparator::Equal,
        Operator::Ne => Comparator::NotEqual,
        Operator::Lt => Comparator::Less,
        Operator::Le => Comparator::LessOrEqual,
        Operator::Gt => Comparator::Greater,
        Operator::Ge => Comparator::GreaterOrEqual,
        _ => return None,
    })
}

/// The number and types of operands have been checked.
fn comparison<'a>(name: &'a str, operator: &Operator, operands: &'a [Value]) -> Condition<'a> {
    let path = || Path::attribute(name);
    let attribute = || Operand::Path(path());
    match (operator, operands) {
        (Operator::NotNull, _) => Condition::Exists(path()),
        (Operator::Contains, [part]) => Condition::Contains(attribute(), Operand::Value(part)),
        (Operator::NotContains, [part]) => Condition::And(vec![
            Condition::Exists(path()),
            Condition::Not(Box::new(Condition::Contains(
                attribute(),
                Operand::Value(part),
            ))),
        ]),
        (Operator::BeginsWith, [prefix]) => {
            Condition::BeginsWith(attribute(), Operand::Value(prefix))
        }
        (Operator::Between, [low, high]) => Condition::Between(Box::new([
            attribute(),
            Operand::Value(low),
            Operand::Value(high),
        ])),
        (Operator::In, candidates) => {
            Condition::In(attribute(), candidates.iter().map(Operand::Value).collect())
        }
        (operator, [value]) if comparator(operator).is_some() => Condition::Compare(
            comparator(operator).unwrap_or(Comparator::Equal),
            attribute(),
            Operand::Value(value),
        ),
        _ => Condition::NotExists(path()),
    }
}

fn check_operands(operator: &Operator, operands: &mut [Value]) -> Result<(), ValidationError> {
    operands.iter_mut().try_for_each(value::check)?;
    let count_fits = match operator {
        Operator::Null | Operator::NotNull => operands.is_empty(),
        Operator::In => !operands.is_empty(),
        Operator::Between => operands.len() == 2,
        _ => operands.len() == 1,
    };
    if !count_fits {
        return Err(ValidationError::invalid(format!(
            "Invalid number of argument(s) for the {} ComparisonOperator",
            operator.as_str()
        )));
    }
    if operands
        .windows(2)
        .any(|pair| type_name(&pair[0]) != type_name(&pair[1]))
    {
        return Err(ValidationError::invalid(
            "AttributeValues inside AttributeValueList must be of same type",
        ));
    }
    if let Some(operand) = operands
        .iter()
        .find(|operand| !type_fits(operator, operand))
    {
        return Err(ValidationError::invalid(format!(
            "ComparisonOperator {} is not valid for {} AttributeValue type",
            operator.as_str(),
            type_name(operand)
        )));
    }
    check_range(operator, operands)
}

fn check_range(operator: &Operator, operands: &[Value]) -> Result<(), ValidationError> {
    match (operator, operands) {
        (Operator::Between, [low, high])
            if value::compare(low, high).is_some_and(|order| order.is_gt()) =>
        {
            Err(ValidationError::new(
                "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound",
            ))
        }
        _ => Ok(()),
    }
}

fn type_fits(operator: &Operator, operand: &Value) -> bool {
    match operator {
        Operator::Eq | Operator::Ne => true,
        Operator::BeginsWith => matches!(operand, Value::S(_) | Value::B(_)),
        _ => value::is_ordered(operand),
    }
}

/// Checks AttributeUpdates and normalises their numbers.
pub(crate) fn check_attribute_updates(
    updates: Option<&mut Map<model::AttributeValueUpdate>>,
) -> Result<(), ValidationError> {
    for (name, update) in updates.into_iter().flat_map(Map::iter_mut) {
        value::check_name(name)?;
        let action = update.action.as_ref().unwrap_or(&AttributeAction::Put);
        let Some(value) = &mut update.value else {
            if *action == AttributeAction::Delete {
                continue;
            }
            return Err(ValidationError::invalid(
                "Only DELETE action is allowed when no attribute value is specified",
            ));
        };
        value::check(value)?;
        let is_set = matches!(value, Value::Ss(_) | Value::Ns(_) | Value::Bs(_));
        let refusal = match action {
            AttributeAction::Delete if !is_set => "DELETE action with value",
            AttributeAction::Add if !is_set && !matches!(value, Value::N(_) | Value::L(_)) => {
                "ADD action"
            }
            _ => continue,
        };
        return Err(ValidationError::invalid(format!(
            "{refusal} is not supported for the type {}",
            type_name(value)
        )));
    }
    Ok(())
}

/// What AttributeUpdates, once checked, change.
pub(crate) fn attribute_updates(updates: &Map<model::AttributeValueUpdate>) -> Update<'_> {
    let actions = updates.iter().map(|(name, update)| {
        let path = Path::attribute(name);
        match (&update.action, &update.value) {
            (_, None) => Action::Remove(path),
            (Some(AttributeAction::Delete), Some(value)) => Action::Delete(path, value),
            (Some(AttributeAction::Add), Some(value)) => Action::Add(path, value),
            (_, Some(value)) => Action::Set(path, Assigned::Term(Term::Value(value))),
        }
    });
    Update::of_attribute_updates(actions.collect())
}
