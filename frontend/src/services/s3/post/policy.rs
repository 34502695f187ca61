//! The policy of a form: which fields it may have, until when. Not to be confused with those of buckets.

use crate::failure::Failure;
use base64_simd::STANDARD;
use cumulog_shape::{Timestamp, TimestampFormat};
use serde_json::Value;

/// What a form's policy demands of it.
#[derive(Debug)]
pub(super) struct Policy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
}

#[derive(Debug)]
enum Condition {
    /// A field, by name in lower case.
    Field {
        name: String,
        test: Test,
        wanted: String,
        /// As the refusal shows it.
        shown: String,
    },
    /// Bytes of the file.
    Length { min: u64, max: u64 },
    /// One that no form meets.
    Never { shown: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equal,
    StartsWith,
}

fn invalid(why: impl std::fmt::Display) -> Failure {
    Failure::sender(
        "InvalidPolicyDocument",
        400,
        format!("Invalid Policy: {why}"),
    )
}

fn denied(why: impl std::fmt::Display) -> Failure {
    Failure::sender(
        "AccessDenied",
        403,
        format!("Invalid according to Policy: {why}"),
    )
}

impl Policy {
    /// Reads the `policy` field: JSON in base64.
    pub(super) fn parse(field: &str) -> Result<Policy, Failure> {
        let field: String = field.split_whitespace().collect();
        let json = STANDARD.decode_to_vec(field).ok();
        let document = json.and_then(|json| serde_json::from_slice::<Value>(&json).ok());
        let document = document.ok_or_else(|| invalid("Invalid JSON."))?;
        let document = document
            .as_object()
            .ok_or_else(|| invalid("Invalid JSON."))?;
        let expiration = document
            .get("expiration")
            .ok_or_else(|| invalid("Policy missing expiration."))?;
        let text = expiration.as_str().unwrap_or_default();
        // In full and in UTC, unlike elsewhere.
        let expiration = (text.contains('T') && text.ends_with('Z'))
            .then(|| Timestamp::parse(TimestampFormat::Iso8601, text))
            .flatten()
            .ok_or_else(|| invalid(format_args!("Invalid 'expiration' value: '{text}'")))?;
        let conditions = document
            .get("conditions")
            .ok_or_else(|| invalid("Policy missing conditions."))?;
        let conditions = conditions
            .as_array()
            .ok_or_else(|| invalid("Invalid 'conditions' value: must be a List."))?;
        Ok(Policy {
            expiration,
            conditions: conditions.iter().map(condition).collect::<Result<_, _>>()?,
        })
    }

    /// Holds the fields of a form, with names in lower case, against the policy.
    pub(super) fn check(&self, now: Timestamp, fields: &[(String, String)]) -> Result<(), Failure> {
        if now.0 >= self.expiration.0 {
            return Err(denied("Policy expired."));
        }
        let value = |name: &str| {
            let mut named = fields.iter().filter(|(field, _)| field == name);
            named.next().map_or("", |(_, value)| value.as_str())
        };
        for condition in &self.conditions {
            let (met, shown) = match condition {
                Condition::Field {
                    name,
                    test,
                    wanted,
                    shown,
                } => (test.fits(name, wanted, value(name)), shown),
                Condition::Never { shown } => (false, shown),
                Condition::Length { .. } => continue,
            };
            if !met {
                return Err(denied(format_args!("Policy Condition failed: {shown}")));
            }
        }
        match fields.iter().find(|(name, _)| !self.knows(name)) {
            None => Ok(()),
            Some((name, _)) => Err(denied(format_args!("Extra input fields: {name}"))),
        }
    }

    /// Whether a field may be there: one that a condition names, or that needs none.
    fn knows(&self, field: &str) -> bool {
        const FREE: [&str; 7] = [
            "policy",
            "signature",
            "awsaccesskeyid",
            "x-amz-signature",
            "file",
            "submit",
            "bucket",
        ];
        let names = |condition: &Condition| matches!(condition, Condition::Field { name, .. } if name == field);
        FREE.contains(&field) || field.starts_with("x-ignore-") || self.conditions.iter().any(names)
    }

    /// Holds the length of the file against the policy.
    pub(super) fn check_length(&self, bytes: u64) -> Result<(), Failure> {
        for condition in &self.conditions {
            match condition {
                Condition::Length { min, .. } if bytes < *min => {
                    let message = "Your proposed upload is smaller than the minimum allowed size";
                    return Err(Failure::sender("EntityTooSmall", 400, message)
                        .with("ProposedSize", bytes.to_string())
                        .with("MinSizeAllowed", min.to_string()));
                }
                Condition::Length { max, .. } if bytes > *max => {
                    let message = "Your proposed upload exceeds the maximum allowed size";
                    return Err(Failure::sender("EntityTooLarge", 400, message)
                        .with("ProposedSize", bytes.to_string())
                        .with("MaxSizeAllowed", max.to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Test {
    fn fits(self, name: &str, wanted: &str, value: &str) -> bool {
        match self {
            Test::Equal => value == wanted,
            // A list of types is judged one by one.
            Test::StartsWith if name == "content-type" => value
                .split(',')
                .all(|one| one.trim_start().starts_with(wanted)),
            Test::StartsWith => value.starts_with(wanted),
        }
    }
}

fn condition(value: &Value) -> Result<Condition, Failure> {
    match value {
        Value::Object(pairs) => {
            let mut pairs = pairs.iter();
            let (Some((name, wanted)), None) = (pairs.next(), pairs.next()) else {
                return Err(invalid(
                    "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
                ));
            };
            let wanted = wanted
                .as_str()
                .ok_or_else(|| invalid("Invalid Simple-Condition: value must be a string."))?;
            Ok(field("eq", &format!("${name}"), Test::Equal, wanted))
        }
        Value::Array(list) => {
            let (operator, rest) = list
                .split_first()
                .and_then(|(operator, rest)| Some((operator.as_str()?, rest)))
                .ok_or_else(|| invalid("Invalid Condition: missing operation identifier."))?;
            match operator.to_ascii_lowercase().as_str() {
                "eq" => by_operator(operator, Test::Equal, rest),
                "starts-with" => by_operator(operator, Test::StartsWith, rest),
                "content-length-range" => length(rest),
                _ => Err(invalid(format_args!(
                    "Invalid Condition: unknown operation '{operator}'."
                ))),
            }
        }
        _ => Err(invalid(
            "Invalid Condition: must be a List or a Simple-Condition.",
        )),
    }
}

fn by_operator(operator: &str, test: Test, rest: &[Value]) -> Result<Condition, Failure> {
    let wrong = || {
        invalid(format_args!(
            "Invalid Condition: wrong number of arguments for operation '{operator}'."
        ))
    };
    let [name, wanted] = rest else {
        return Err(wrong());
    };
    let (Some(name), Some(wanted)) = (name.as_str(), wanted.as_str()) else {
        return Err(wrong());
    };
    Ok(field(operator, name, test, wanted))
}

fn field(operator: &str, name: &str, test: Test, wanted: &str) -> Condition {
    let shown = shown(&[operator, name, wanted]);
    match name.strip_prefix('$') {
        Some(name) => Condition::Field {
            name: name.to_ascii_lowercase(),
            test,
            wanted: wanted.to_owned(),
            shown,
        },
        None => Condition::Never { shown },
    }
}

/// A condition as refusals show it.
fn shown(parts: &[&str]) -> String {
    let quoted: Vec<String> = parts
        .iter()
        .map(|part| Value::from(*part).to_string())
        .collect();
    format!("[{}]", quoted.join(", "))
}

fn length(rest: &[Value]) -> Result<Condition, Failure> {
    let [min, max] = rest else {
        return Err(invalid(
            "Invalid Condition: wrong number of arguments for operation 'content-length-range'.",
        ));
    };
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let number = |value: &Value| {
        value
            .as_i64()
            .or_else(|| value.as_str()?.trim().parse().ok())
    };
    let (Some(min_bytes), Some(max_bytes)) = (number(min), number(max)) else {
        return Ok(Condition::Never {
            shown: shown(&["content-length-range", &text(min), &text(max)]),
        });
    };
    match (u64::try_from(min_bytes), u64::try_from(max_bytes)) {
        (Ok(min), Ok(max)) => Ok(Condition::Length { min, max }),
        _ => Err(invalid(
            "Invalid Condition: content-length-range must not be negative.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn judged(document: &str, fields: &[(&str, &str)]) -> Result<(), Failure> {
        let policy = Policy::parse(&STANDARD.encode_to_string(document))?;
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        policy.check(NOW, &fields.iter().map(owned).collect::<Vec<_>>())?;
        policy.check_length(10)
    }

    #[track_caller]
    fn check(conditions: &str, fields: &[(&str, &str)], expected: &str) {
        let document =
            format!(r#"{{"expiration": "2100-01-01T00:00:00Z", "conditions": [{conditions}]}}"#);
        let found = judged(&document, fields)
            .err()
            .map(|failure| failure.message)
            .unwrap_or_default();
        assert_eq!(found, expected, "{conditions}");
    }

    #[test]
    fn conditions_name_fields() {
        check(r#"{"key": "k"}"#, &[("key", "k")], "");
        check(
            r#"{"KEY": "k"}, ["Starts-With", "$ACL", "p"]"#,
            &[("key", "k"), ("acl", "private")],
            "",
        );
        check(
            r#"["starts-with", "$key", ""]"#,
            &[("key", "anything"), ("policy", "x"), ("x-ignore-me", "x")],
            "",
        );
        check(
            r#"["starts-with", "$Content-Type", "image/"]"#,
            &[("content-type", "image/a, image/b")],
            "",
        );
        check(
            r#"["eq", "$key", "k"]"#,
            &[("key", "K")],
            r#"Invalid according to Policy: Policy Condition failed: ["eq", "$key", "k"]"#,
        );
        check(
            r#"["eq", "key", "k"]"#,
            &[("key", "k")],
            r#"Invalid according to Policy: Policy Condition failed: ["eq", "key", "k"]"#,
        );
        check(
            r#"{"key": "k"}"#,
            &[("key", "k"), ("acl", "private")],
            "Invalid according to Policy: Extra input fields: acl",
        );
    }

    #[test]
    fn lengths_are_limited() {
        check(r#"["content-length-range", 10, 10]"#, &[], "");
        check(
            r#"["content-length-range", "11", 20]"#,
            &[],
            "Your proposed upload is smaller than the minimum allowed size",
        );
        check(
            r#"["content-length-range", 0, 9]"#,
            &[],
            "Your proposed upload exceeds the maximum allowed size",
        );
        check(
            r#"["content-length-range", "test", 10]"#,
            &[],
            r#"Invalid according to Policy: Policy Condition failed: ["content-length-range", "test", "10"]"#,
        );
        check(
            r#"["content-length-range", 0]"#,
            &[],
            "Invalid Policy: Invalid Condition: wrong number of arguments for operation 'content-length-range'.",
        );
    }

    #[test]
    fn documents_are_checked() {
        let check = |document: &str, expected: &str| {
            let found = judged(document, &[]).expect_err(document);
            assert_eq!(found.message, expected, "{document}");
        };
        check("", "Invalid Policy: Invalid JSON.");
        check("[]", "Invalid Policy: Invalid JSON.");
        check(
            r#"{"conditions": []}"#,
            "Invalid Policy: Policy missing expiration.",
        );
        check(
            r#"{"expiration": "soon", "conditions": []}"#,
            "Invalid Policy: Invalid 'expiration' value: 'soon'",
        );
        check(
            r#"{"expiration": "2100-01-01T00:00:00Z"}"#,
            "Invalid Policy: Policy missing conditions.",
        );
        check(
            r#"{"expiration": "2000-01-01T00:00:00Z", "conditions": []}"#,
            "Invalid according to Policy: Policy expired.",
        );
        check(
            r#"{"expiration": "2100-01-01T00:00:00Z", "conditions": [{}]}"#,
            "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
        );
    }
}
