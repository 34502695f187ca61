//! The conditions of statements.

use super::pattern;
use cumulog_shape::{Timestamp, TimestampFormat};
use std::cmp::Ordering;
use std::net::IpAddr;

/// A condition on the values of one key.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    operator: Operator,
    quantifier: Quantifier,
    /// Holds where the key is absent.
    if_exists: bool,
    /// In lower case.
    key: String,
    values: Vec<String>,
}

/// How a value of the request is held against one of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    /// Whether the key is absent.
    Null,
    Is {
        test: Test,
        negated: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Text,
    TextIgnoringCase,
    Pattern,
    Arn,
    Number(Relation),
    Date(Relation),
    Truth,
    Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    fn fits(self, ordering: Ordering) -> bool {
        match self {
            Relation::Equal => ordering.is_eq(),
            Relation::Less => ordering.is_lt(),
            Relation::LessOrEqual => ordering.is_le(),
            Relation::Greater => ordering.is_gt(),
            Relation::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// How many of the request's values must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    Any,
    All,
}

impl Operator {
    fn named(name: &str) -> Option<Operator> {
        use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let is = |test| {
            Some(Operator::Is {
                test,
                negated: false,
            })
        };
        let not = |test| {
            Some(Operator::Is {
                test,
                negated: true,
            })
        };
        match name {
            "Null" => Some(Operator::Null),
            "StringEquals" | "BinaryEquals" => is(Test::Text),
            "StringNotEquals" => not(Test::Text),
            "StringEqualsIgnoreCase" => is(Test::TextIgnoringCase),
            "StringNotEqualsIgnoreCase" => not(Test::TextIgnoringCase),
            "StringLike" => is(Test::Pattern),
            "StringNotLike" => not(Test::Pattern),
            "ArnEquals" | "ArnLike" => is(Test::Arn),
            "ArnNotEquals" | "ArnNotLike" => not(Test::Arn),
            "NumericEquals" => is(Test::Number(Equal)),
            "NumericNotEquals" => not(Test::Number(Equal)),
            "NumericLessThan" => is(Test::Number(Less)),
            "NumericLessThanEquals" => is(Test::Number(LessOrEqual)),
            "NumericGreaterThan" => is(Test::Number(Greater)),
            "NumericGreaterThanEquals" => is(Test::Number(GreaterOrEqual)),
            "DateEquals" => is(Test::Date(Equal)),
            "DateNotEquals" => not(Test::Date(Equal)),
            "DateLessThan" => is(Test::Date(Less)),
            "DateLessThanEquals" => is(Test::Date(LessOrEqual)),
            "DateGreaterThan" => is(Test::Date(Greater)),
            "DateGreaterThanEquals" => is(Test::Date(GreaterOrEqual)),
            "Bool" => is(Test::Truth),
            "IpAddress" => is(Test::Address),
            "NotIpAddress" => not(Test::Address),
            _ => None,
        }
    }
}

impl Test {
    /// Whether the request's `value` is what the policy's `wanted` says.
    fn fits(self, wanted: &str, value: &str) -> bool {
        match self {
            Test::Text => wanted == value,
            Test::TextIgnoringCase => wanted.eq_ignore_ascii_case(value),
            Test::Pattern => pattern::matches(wanted, value),
            Test::Arn => fits_arn(wanted, value),
            Test::Truth => wanted.eq_ignore_ascii_case(value),
            Test::Number(relation) => {
                let number = |text: &str| text.trim().parse::<f64>().ok();
                let (Some(value), Some(wanted)) = (number(value), number(wanted)) else {
                    return false;
                };
                value
                    .partial_cmp(&wanted)
                    .is_some_and(|ordering| relation.fits(ordering))
            }
            Test::Date(relation) => match (date(value), date(wanted)) {
                (Some(value), Some(wanted)) => relation.fits(value.cmp(&wanted)),
                _ => false,
            },
            Test::Address => fits_network(wanted, value),
        }
    }
}

/// Each of an ARN's six parts is a pattern of its own.
fn fits_arn(wanted: &str, value: &str) -> bool {
    let (wanted, value): (Vec<_>, Vec<_>) = (
        wanted.splitn(6, ':').collect(),
        value.splitn(6, ':').collect(),
    );
    wanted.len() == value.len()
        && wanted
            .iter()
            .zip(value)
            .all(|(wanted, value)| pattern::matches(wanted, value))
}

/// ISO 8601, or seconds since 1970.
fn date(text: &str) -> Option<i64> {
    match text.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(1000),
        Err(_) => Timestamp::parse(TimestampFormat::Iso8601, text).map(|time| time.0),
    }
}

/// Whether the address is in a network such as `10.0.0.0/8`.
fn fits_network(network: &str, address: &str) -> bool {
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    match parse_network(network) {
        Some((base, length)) => {
            let (base, base_bits) = bits(base);
            let (address, address_bits) = bits(address);
            let shift = u32::from(base_bits - length);
            base_bits == address_bits
                && base.checked_shr(shift).unwrap_or(0) == address.checked_shr(shift).unwrap_or(0)
        }
        None => false,
    }
}

/// A network's address and how many bits of it count.
fn parse_network(network: &str) -> Option<(IpAddr, u8)> {
    let (base, length) = match network.split_once('/') {
        Some((base, length)) => (base, Some(length.parse().ok()?)),
        None => (network, None),
    };
    let base: IpAddr = base.parse().ok()?;
    let all = bits(base).1;
    let length = length.unwrap_or(all);
    (length <= all).then_some((base, length))
}

fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

/// The keys that can hold an allowance for everyone to a network, account or organisation, if their values are fixed.
const CONFINING: [&str; 12] = [
    "aws:sourceip",
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceowner",
    "aws:sourceaccount",
    "aws:userid",
    "aws:principalorgid",
    "aws:principalarn",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:dataaccesspointarn",
    "s3:dataaccesspointaccount",
];

/// A network that is larger than this is as good as everyone.
const NETWORK_BITS_MIN: u8 = 8;

impl Condition {
    /// `None`: there is no such operator.
    pub(super) fn new(operator: &str, key: &str, values: Vec<String>) -> Option<Condition> {
        let (quantifier, rest) = match operator.split_once(':') {
            Some(("ForAllValues", rest)) => (Quantifier::All, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::Any, rest),
            Some(_) => return None,
            None => (Quantifier::Any, operator),
        };
        let (name, if_exists) = match rest.strip_suffix("IfExists") {
            Some(name) if name != "Null" => (name, true),
            _ => (rest, false),
        };
        Some(Condition {
            operator: Operator::named(name)?,
            quantifier,
            if_exists,
            key: key.to_ascii_lowercase(),
            values,
        })
    }

    /// Whether it holds for the values that a request has of its key.
    pub(super) fn holds(&self, values: &dyn Fn(&str) -> Vec<String>) -> bool {
        let given = values(&self.key);
        let (test, negated) = match self.operator {
            Operator::Null => {
                let absent = if given.is_empty() { "true" } else { "false" };
                return self
                    .values
                    .iter()
                    .any(|value| value.eq_ignore_ascii_case(absent));
            }
            Operator::Is { test, negated } => (test, negated),
        };
        if given.is_empty() {
            return self.if_exists || negated || self.quantifier == Quantifier::All;
        }
        // A negated test must fail for all of the policy's values.
        let fits =
            |value: &String| self.values.iter().any(|wanted| test.fits(wanted, value)) != negated;
        match self.quantifier {
            Quantifier::Any => given.iter().any(fits),
            Quantifier::All => given.iter().all(fits),
        }
    }

    /// Whether it holds an allowance for everyone to some.
    pub(super) fn confines(&self) -> bool {
        let Operator::Is {
            test,
            negated: false,
        } = self.operator
        else {
            return false;
        };
        let is_fixed = |value: &String| match test {
            Test::Address => {
                parse_network(value).is_some_and(|(_, length)| length >= NETWORK_BITS_MIN)
            }
            _ => !value.contains(['*', '?', '$']),
        };
        CONFINING.contains(&self.key.as_str())
            && !self.if_exists
            && self.values.iter().all(is_fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(operator: &str, wanted: &[&str], given: &[&str], expected: bool) {
        let values = wanted.iter().map(|value| (*value).to_owned()).collect();
        let condition =
            Condition::new(operator, "aws:Key", values).expect("there is such an operator");
        let given: Vec<String> = given.iter().map(|value| (*value).to_owned()).collect();
        let found = condition.holds(&|key| {
            assert_eq!(key, "aws:key");
            given.clone()
        });
        assert_eq!(found, expected, "{operator} {wanted:?} {given:?}");
    }

    #[test]
    fn operators_compare_as_their_names_say() {
        check("StringEquals", &["a", "b"], &["b"], true);
        check("StringEquals", &["a"], &["A"], false);
        check("StringEquals", &["*"], &["a"], false);
        check("StringEqualsIgnoreCase", &["a"], &["A"], true);
        check("StringNotEquals", &["a", "b"], &["c"], true);
        check("StringNotEquals", &["a", "b"], &["b"], false);
        check("StringLike", &["a*"], &["abc"], true);
        check("StringNotLike", &["a*"], &["abc"], false);
        check("NumericLessThan", &["10"], &["9.5"], true);
        check("NumericLessThan", &["10"], &["x"], false);
        check("NumericGreaterThanEquals", &["10"], &["10"], true);
        check(
            "DateLessThan",
            &["2030-01-01T00:00:00Z"],
            &["2029-12-31T23:59:59Z"],
            true,
        );
        check(
            "DateGreaterThan",
            &["1800000000"],
            &["2020-01-01T00:00:00Z"],
            false,
        );
        check("Bool", &["true"], &["true"], true);
        check("Bool", &["true"], &["false"], false);
        check("IpAddress", &["10.0.0.0/8"], &["10.1.2.3"], true);
        check("IpAddress", &["10.0.0.0/8"], &["11.1.2.3"], false);
        check("IpAddress", &["0.0.0.0/0"], &["11.1.2.3"], true);
        check("IpAddress", &["::/0"], &["11.1.2.3"], false);
        check("IpAddress", &["2001:db8::/32"], &["2001:db8:1::1"], true);
        check("NotIpAddress", &["10.0.0.0/8"], &["10.1.2.3"], false);
        check(
            "ArnLike",
            &["arn:aws:s3:*:*:b*"],
            &["arn:aws:s3:::bucket"],
            true,
        );
        check(
            "ArnLike",
            &["arn:aws:sqs:*:*:b*"],
            &["arn:aws:s3:::bucket"],
            false,
        );
        check("Null", &["true"], &[], true);
        check("Null", &["false"], &["x"], true);
        check("Null", &["true"], &["x"], false);
    }

    #[test]
    fn absent_keys_and_many_values() {
        check("StringEquals", &["a"], &[], false);
        check("StringNotEquals", &["a"], &[], true);
        check("StringEqualsIfExists", &["a"], &[], true);
        check("StringEqualsIfExists", &["a"], &["b"], false);
        check("ForAllValues:StringEquals", &["a", "b"], &["a", "b"], true);
        check("ForAllValues:StringEquals", &["a", "b"], &["a", "c"], false);
        check("ForAllValues:StringEquals", &["a"], &[], true);
        check("ForAnyValue:StringEquals", &["a"], &["a", "c"], true);
        check("ForAnyValue:StringEquals", &["a"], &[], false);
        assert!(Condition::new("StringIs", "a", Vec::new()).is_none());
        assert!(Condition::new("ForSome:StringEquals", "a", Vec::new()).is_none());
    }
}
