//! Key conditions: equality on the partition key, and at most a range on the sort key.

use super::condition::{Condition, Operand};
use super::parser::Message;
use super::placeholders::Placeholders;
use super::syntax::Comparator;
use crate::services::dynamodb::value::Value;

/// Conditions on key attributes, in the order written.
#[derive(Debug, Default)]
pub(crate) struct KeyConditions<'a> {
    pub(crate) conditions: Vec<KeyCondition<'a>>,
}

#[derive(Debug)]
pub(crate) struct KeyCondition<'a> {
    pub(crate) attribute: &'a str,
    pub(crate) test: KeyTest<'a>,
}

/// What a key attribute is to satisfy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum KeyTest<'a> {
    Compare(Comparator, &'a Value),
    Between(&'a Value, &'a Value),
    BeginsWith(&'a Value),
    /// A legacy operator that no key can be searched by.
    NotIndexable,
}

impl<'a> KeyTest<'a> {
    pub(crate) fn is_equality(&self) -> bool {
        matches!(self, KeyTest::Compare(Comparator::Equal, _))
    }

    /// The values that the key is compared with.
    pub(crate) fn values(&self) -> Vec<&'a Value> {
        match self {
            KeyTest::Compare(_, value) | KeyTest::BeginsWith(value) => vec![value],
            KeyTest::Between(low, high) => vec![low, high],
            KeyTest::NotIndexable => vec![],
        }
    }

    /// The operator as the legacy parameters call it.
    pub(crate) fn operator(&self) -> &'static str {
        match self {
            KeyTest::Compare(comparator, _) => match comparator {
                Comparator::Equal => "EQ",
                Comparator::NotEqual => "NE",
                Comparator::Less => "LT",
                Comparator::LessOrEqual => "LE",
                Comparator::Greater => "GT",
                Comparator::GreaterOrEqual => "GE",
            },
            KeyTest::Between(..) => "BETWEEN",
            KeyTest::BeginsWith(_) => "BEGINS_WITH",
            KeyTest::NotIndexable => "",
        }
    }
}

impl<'a> KeyConditions<'a> {
    /// Parses a KeyConditionExpression. What is well-formed but no key condition comes as the inner error: AWS words it
    /// without the name of the parameter.
    pub(crate) fn parse(
        source: &'a str,
        placeholders: &Placeholders<'a>,
    ) -> Result<Result<KeyConditions<'a>, Message>, Message> {
        let condition = Condition::parse(source, placeholders)?;
        let mut keys = KeyConditions::default();
        Ok(keys.collect(condition).map(|()| keys))
    }

    fn collect(&mut self, condition: Condition<'a>) -> Result<(), Message> {
        let operator = |operator: &str| {
            Err(format!(
                "Invalid operator used in KeyConditionExpression: {operator}"
            ))
        };
        match condition {
            Condition::And(terms) => terms.into_iter().try_for_each(|term| self.collect(term)),
            Condition::Or(_) => operator("OR"),
            Condition::Not(_) => operator("NOT"),
            Condition::In(..) => operator("IN"),
            Condition::Compare(Comparator::NotEqual, ..) => operator("<>"),
            Condition::Exists(_) => operator("attribute_exists"),
            Condition::NotExists(_) => operator("attribute_not_exists"),
            Condition::HasType(..) => operator("attribute_type"),
            Condition::Contains(..) => operator("contains"),
            Condition::Compare(comparator, left, right) => self.compare(comparator, left, right),
            Condition::Between(operands) => {
                let [key, low, high] = *operands;
                first_is_key(&key, "BETWEEN")?;
                let attribute = attribute([&key, &low, &high])?;
                match (low, high) {
                    (Operand::Value(low), Operand::Value(high)) => {
                        self.add(attribute, KeyTest::Between(low, high))
                    }
                    _ => Err(no_attribute()),
                }
            }
            Condition::BeginsWith(key, prefix) => {
                first_is_key(&key, "begins_with")?;
                let attribute = attribute([&key, &prefix])?;
                match prefix {
                    Operand::Value(prefix) => self.add(attribute, KeyTest::BeginsWith(prefix)),
                    _ => Err(no_attribute()),
                }
            }
        }
    }

    fn compare(
        &mut self,
        comparator: Comparator,
        left: Operand<'a>,
        right: Operand<'a>,
    ) -> Result<(), Message> {
        let attribute = attribute([&left, &right])?;
        let test = match (left, right) {
            (Operand::Path(_), Operand::Value(value)) => KeyTest::Compare(comparator, value),
            (Operand::Value(value), Operand::Path(_)) => {
                KeyTest::Compare(comparator.mirrored(), value)
            }
            _ => return Err(no_attribute()),
        };
        self.add(attribute, test)
    }

    fn add(&mut self, attribute: &'a str, test: KeyTest<'a>) -> Result<(), Message> {
        if self.find(attribute).is_some() {
            return Err("KeyConditionExpressions must only contain one condition per key".into());
        }
        self.conditions.push(KeyCondition { attribute, test });
        Ok(())
    }

    /// The condition on an attribute.
    pub(crate) fn find(&self, attribute: &str) -> Option<&KeyTest<'a>> {
        self.conditions
            .iter()
            .find(|condition| condition.attribute == attribute)
            .map(|condition| &condition.test)
    }
}

fn first_is_key(operand: &Operand<'_>, operator: &str) -> Result<(), Message> {
    match operand {
        Operand::Path(_) => Ok(()),
        Operand::Value(_) | Operand::Size(_) => Err(format!(
            "Invalid condition in KeyConditionExpression: {operator} operator must have the key attribute as its first operand"
        )),
    }
}

/// The one attribute that a condition names.
fn attribute<'a, const N: usize>(operands: [&Operand<'a>; N]) -> Result<&'a str, Message> {
    let mut found = None;
    for operand in operands {
        match operand {
            Operand::Path(_) if found.is_some() => {
                return Err(
                    "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition".into()
                );
            }
            Operand::Path(path) if path.is_nested() => {
                return Err(
                    "KeyConditionExpressions cannot have conditions on nested attributes".into(),
                );
            }
            Operand::Path(path) => found = Some(path.head()),
            Operand::Size(_) => {
                return Err("KeyConditionExpressions cannot contain nested operations".into());
            }
            Operand::Value(_) => {}
        }
    }
    found.ok_or_else(no_attribute)
}

fn no_attribute() -> Message {
    "Invalid condition in KeyConditionExpression: No key attribute specified".into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::with_placeholders;
    use super::*;

    #[track_caller]
    fn check(expression: &str, expected: Result<&str, &str>) {
        with_placeholders(
            expression,
            r#"{":a": "x", ":b": "y"}"#,
            |expression, placeholders| {
                let parsed = KeyConditions::parse(expression, placeholders).expect(expression);
                let shown = parsed.map(|keys| {
                    let conditions: Vec<String> = keys
                        .conditions
                        .iter()
                        .map(|condition| {
                            format!("{} {}", condition.attribute, condition.test.operator())
                        })
                        .collect();
                    conditions.join(", ")
                });
                assert_eq!(
                    shown.as_deref().map_err(String::as_str),
                    expected,
                    "{expression}"
                );
            },
        );
    }

    #[test]
    fn key_conditions_are_equality_and_a_range() {
        check("p = :a", Ok("p EQ"));
        check(":a = p AND :b < c", Ok("p EQ, c GT"));
        check("(p = :a) AND (c BETWEEN :a AND :b)", Ok("p EQ, c BETWEEN"));
        check(
            "begins_with(c, :b) AND #n = :a",
            Ok("c BEGINS_WITH, name EQ"),
        );
        check(
            "p = :a OR c = :b",
            Err("Invalid operator used in KeyConditionExpression: OR"),
        );
        check(
            "NOT p = :a",
            Err("Invalid operator used in KeyConditionExpression: NOT"),
        );
        check(
            "p <> :a",
            Err("Invalid operator used in KeyConditionExpression: <>"),
        );
        check(
            "p IN (:a)",
            Err("Invalid operator used in KeyConditionExpression: IN"),
        );
        check(
            "contains(p, :a)",
            Err("Invalid operator used in KeyConditionExpression: contains"),
        );
        check(
            "size(p) = :a",
            Err("KeyConditionExpressions cannot contain nested operations"),
        );
        check(
            "p.q = :a",
            Err("KeyConditionExpressions cannot have conditions on nested attributes"),
        );
        check(
            "p = q",
            Err(
                "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
            ),
        );
        check(
            "p = :a AND p = :b",
            Err("KeyConditionExpressions must only contain one condition per key"),
        );
        check(
            "begins_with(:a, p)",
            Err(
                "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand",
            ),
        );
    }
}
