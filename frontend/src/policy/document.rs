//! A policy as it is written: JSON in which one thing may stand for a list of one.

use super::condition::Condition;
use super::{Principal, pattern};
use serde_json::{Map, Value};

/// A policy.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    pub(crate) statements: Vec<Statement>,
}

/// One statement of a policy.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// It denies, otherwise.
    pub(super) allows: bool,
    pub(super) principals: Principals,
    pub(crate) actions: Named,
    pub(crate) resources: Named,
    pub(super) conditions: Vec<Condition>,
}

/// What is named, or everything else.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) patterns: Vec<String>,
    /// `NotAction`, `NotResource`.
    pub(crate) others: bool,
}

impl Named {
    pub(super) fn include(&self, matches: impl Fn(&String) -> bool) -> bool {
        self.patterns.iter().any(matches) != self.others
    }
}

/// Whom a statement is about.
#[derive(Clone, Debug)]
pub(super) struct Principals {
    named: Vec<(Kind, String)>,
    /// `NotPrincipal`.
    others: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Aws,
    Service,
    /// `Federated` and `CanonicalUser`, which no request of ours is by.
    Other,
}

impl Principals {
    pub(super) fn include(&self, principal: Principal<'_>) -> bool {
        let is = |(kind, name): &(Kind, String)| match (kind, principal) {
            (Kind::Aws, _) if name == "*" => true,
            (Kind::Aws, Principal::Identity { account, arn }) => {
                name == account || name == arn || account_of_root(name) == Some(account)
            }
            (Kind::Service, Principal::Service(service)) => pattern::matches(name, service),
            _ => false,
        };
        self.named.iter().any(is) != self.others
    }

    pub(super) fn includes_everyone(&self) -> bool {
        let is_anyone = |(kind, name): &(Kind, String)| *kind == Kind::Aws && name == "*";
        self.others || self.named.iter().any(is_anyone)
    }
}

/// The account that `arn:aws:iam::ACCOUNT:root` stands for.
fn account_of_root(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:aws:iam::")?.strip_suffix(":root")
}

/// Why a text is no policy. The words are those of S3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("Policies must be valid JSON and the first byte must be '{{'")]
    NoJson,
    #[error("Missing required field {0}")]
    Missing(&'static str),
    #[error("Unknown field {0}")]
    Unknown(String),
    #[error("The policy must contain a valid version string")]
    Version,
    #[error("Could not parse the policy: Statement is empty!")]
    NoStatement,
    #[error("Invalid effect: {0}")]
    Effect(String),
    #[error("Invalid principal in policy")]
    Principal,
    #[error("Policy has invalid action")]
    Action,
    #[error("Policy has invalid resource")]
    Resource,
    #[error("Action does not apply to any resource(s) in statement")]
    Inapplicable,
    #[error("Invalid Condition type : {0}")]
    Operator(String),
    #[error("Invalid policy syntax.")]
    Syntax,
}

type Object = Map<String, Value>;

impl Document {
    /// Reads a policy.
    pub(crate) fn parse(text: &str) -> Result<Document, Malformed> {
        let value: Value = serde_json::from_str(text).map_err(|_| Malformed::NoJson)?;
        let object = value.as_object().ok_or(Malformed::NoJson)?;
        known_fields(object, &["Version", "Id", "Statement"])?;
        match object.get("Version").map(Value::as_str) {
            None | Some(Some("2008-10-17" | "2012-10-17")) => {}
            Some(_) => return Err(Malformed::Version),
        }
        let statements = match object.get("Statement") {
            None => return Err(Malformed::Missing("Statement")),
            Some(Value::Array(list)) if list.is_empty() => return Err(Malformed::NoStatement),
            Some(Value::Array(list)) => list.iter().collect(),
            Some(one) => vec![one],
        };
        let objects = statements
            .into_iter()
            .map(|statement| statement.as_object().ok_or(Malformed::Syntax));
        let objects: Vec<&Object> = objects.collect::<Result<_, _>>()?;
        let statements = objects.into_iter().map(Statement::parse);
        Ok(Document {
            statements: statements.collect::<Result<_, _>>()?,
        })
    }
}

fn known_fields(object: &Object, known: &[&str]) -> Result<(), Malformed> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Malformed::Unknown(name.clone())),
    }
}

impl Statement {
    fn parse(object: &Object) -> Result<Statement, Malformed> {
        known_fields(
            object,
            &[
                "Sid",
                "Effect",
                "Principal",
                "NotPrincipal",
                "Action",
                "NotAction",
                "Resource",
                "NotResource",
                "Condition",
            ],
        )?;
        let allows = match object.get("Effect") {
            None => return Err(Malformed::Missing("Effect")),
            Some(Value::String(effect)) if effect == "Allow" => true,
            Some(Value::String(effect)) if effect == "Deny" => false,
            Some(Value::String(effect)) => return Err(Malformed::Effect(effect.clone())),
            Some(_) => return Err(Malformed::Syntax),
        };
        Ok(Statement {
            allows,
            principals: Principals::parse(object)?,
            actions: named(object, ["Action", "NotAction"], Malformed::Action)?,
            resources: named(object, ["Resource", "NotResource"], Malformed::Resource)?,
            conditions: conditions(object.get("Condition"))?,
        })
    }
}

/// The member called by the first name, or all but the one called by the second.
fn either<'v>(
    object: &'v Object,
    [name, not_name]: [&'static str; 2],
) -> Result<(&'v Value, bool), Malformed> {
    match (object.get(name), object.get(not_name)) {
        (Some(value), None) => Ok((value, false)),
        (None, Some(value)) => Ok((value, true)),
        (None, None) => Err(Malformed::Missing(name)),
        (Some(_), Some(_)) => Err(Malformed::Syntax),
    }
}

fn named(
    object: &Object,
    names: [&'static str; 2],
    malformed: Malformed,
) -> Result<Named, Malformed> {
    let (value, others) = either(object, names)?;
    match texts(value) {
        Some(patterns) if !patterns.is_empty() => Ok(Named { patterns, others }),
        _ => Err(malformed),
    }
}

/// A text, or a list of texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(list) => {
            let texts = list.iter().map(|value| value.as_str().map(str::to_owned));
            texts.collect()
        }
        _ => None,
    }
}

impl Principals {
    fn parse(object: &Object) -> Result<Principals, Malformed> {
        let (value, others) = either(object, ["Principal", "NotPrincipal"])?;
        let named = match value {
            Value::String(anyone) if anyone == "*" => vec![(Kind::Aws, "*".to_owned())],
            Value::Object(kinds) if !kinds.is_empty() => {
                let mut named = Vec::new();
                for (kind, value) in kinds {
                    let kind = match kind.as_str() {
                        "AWS" => Kind::Aws,
                        "Service" => Kind::Service,
                        "Federated" | "CanonicalUser" => Kind::Other,
                        _ => return Err(Malformed::Principal),
                    };
                    for name in texts(value).ok_or(Malformed::Principal)? {
                        check_principal(kind, &name)?;
                        named.push((kind, name));
                    }
                }
                named
            }
            _ => return Err(Malformed::Principal),
        };
        Ok(Principals { named, others })
    }
}

/// Whether it can be one: an account, or somebody in it. Whether there is such a user cannot be known here.
fn check_principal(kind: Kind, name: &str) -> Result<(), Malformed> {
    let is_account =
        |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_arn = |arn: &str| {
        let mut parts = arn.splitn(6, ':');
        parts.next() == Some("arn")
            && parts
                .next()
                .is_some_and(|partition| partition.starts_with("aws"))
            && matches!(parts.next(), Some("iam" | "sts"))
            && parts.next() == Some("")
            && parts.next().is_some_and(is_account)
            && parts.next().is_some_and(|rest| !rest.is_empty())
    };
    // A user that was deleted is shown by its unique id.
    let is_id = |id: &str| id.len() > 16 && (id.starts_with("AIDA") || id.starts_with("AROA"));
    match kind {
        Kind::Aws if name == "*" || is_account(name) || is_arn(name) || is_id(name) => Ok(()),
        Kind::Aws => Err(Malformed::Principal),
        Kind::Service | Kind::Other if name.is_empty() => Err(Malformed::Principal),
        Kind::Service | Kind::Other => Ok(()),
    }
}

fn conditions(value: Option<&Value>) -> Result<Vec<Condition>, Malformed> {
    let operators = match value {
        None => return Ok(Vec::new()),
        Some(value) => value.as_object().ok_or(Malformed::Syntax)?,
    };
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        for (key, values) in keys.as_object().ok_or(Malformed::Syntax)? {
            let values = scalars(values).ok_or(Malformed::Syntax)?;
            let condition = Condition::new(operator, key, values);
            conditions.push(condition.ok_or_else(|| Malformed::Operator(operator.clone()))?);
        }
    }
    Ok(conditions)
}

/// As [`texts`]; numbers and truth values may stand without quotes.
fn scalars(value: &Value) -> Option<Vec<String>> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(list) => list.iter().map(scalar).collect(),
        one => Some(vec![scalar(one)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_policy_is_told() {
        let check = |text: &str, expected: &str| {
            let found = Document::parse(text).expect_err(text);
            assert_eq!(found.to_string(), expected, "{text}");
        };
        let of =
            |statement: &str| format!(r#"{{"Version": "2012-10-17", "Statement": {statement}}}"#);
        check(
            "",
            "Policies must be valid JSON and the first byte must be '{'",
        );
        check(
            "[]",
            "Policies must be valid JSON and the first byte must be '{'",
        );
        check("{}", "Missing required field Statement");
        check(
            r#"{"Version": "2012", "Statement": []}"#,
            "The policy must contain a valid version string",
        );
        check(
            r#"{"Statement": [], "Statements": []}"#,
            "Unknown field Statements",
        );
        check(&of("[]"), "Could not parse the policy: Statement is empty!");
        check(&of("[1]"), "Invalid policy syntax.");
        check(&of("{}"), "Missing required field Effect");
        check(&of(r#"{"Effect": "Maybe"}"#), "Invalid effect: Maybe");
        check(
            &of(r#"{"Effect": "Allow"}"#),
            "Missing required field Principal",
        );
        let with = |more: &str| of(&format!(r#"{{"Effect": "Allow", "Principal": "*"{more}}}"#));
        check(&with(""), "Missing required field Action");
        check(&with(r#", "Action": 1"#), "Policy has invalid action");
        check(
            &with(r#", "Action": "*""#),
            "Missing required field Resource",
        );
        check(
            &with(r#", "Action": "*", "NotAction": "*""#),
            "Invalid policy syntax.",
        );
        let whole = r#", "Action": "*", "Resource": "*""#;
        let condition = r#", "Condition": {"StringIs": {"a": "b"}}"#;
        check(
            &with(&format!("{whole}{condition}")),
            "Invalid Condition type : StringIs",
        );
        for principal in [
            r#""me""#,
            r#"{"AWS": "me"}"#,
            r#"{"AWS": "123"}"#,
            r#"{"Me": "*"}"#,
            "{}",
            "1",
        ] {
            let statement = format!(r#"{{"Effect": "Allow", "Principal": {principal}{whole}}}"#);
            check(&of(&statement), "Invalid principal in policy");
        }
    }
}
