//! Policy documents: what AWS refuses of their form, and the one form in which it tells them.

use serde_json::{Map, Value};

use crate::services::dynamodb::error::ValidationError;

const BYTES_MAX: usize = 20_480;

fn invalid(what: &str) -> ValidationError {
    ValidationError::invalid(format!("Invalid policy document: {what}"))
}

/// Checks a document that a client sent.
pub(crate) fn check(text: &str) -> Result<(), ValidationError> {
    if text.len() > BYTES_MAX {
        return Err(ValidationError::invalid(format!(
            "Maximum policy size of {BYTES_MAX} bytes exceeded"
        )));
    }
    let document: Value =
        serde_json::from_str(text).map_err(|_| invalid("This policy contains invalid Json"))?;
    let statements = statements(&document);
    if statements.is_empty() {
        return Err(invalid("Could not parse the policy: Statement is empty!"));
    }
    let mut sids = Vec::new();
    for statement in statements {
        check_statement(statement)?;
        let sid = &statement["Sid"];
        if !sid.is_null() && sids.contains(&sid) {
            return Err(invalid("The Statement Ids in the policy are not unique"));
        }
        sids.push(sid);
    }
    Ok(())
}

fn statements(document: &Value) -> &[Value] {
    match &document["Statement"] {
        Value::Array(statements) => statements,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn check_statement(statement: &Value) -> Result<(), ValidationError> {
    let lacks = |names: [&str; 2]| names.iter().all(|name| statement[*name].is_null());
    for names in [
        ["Effect", "Effect"],
        ["Principal", "NotPrincipal"],
        ["Action", "NotAction"],
        ["Resource", "NotResource"],
    ] {
        if lacks(names) {
            return Err(invalid(&format!("Missing required field {}", names[0])));
        }
    }
    let allows = effect(statement) == "Allow";
    let everyone = match &statement["Principal"] {
        Value::String(name) => name == "*",
        principal => listed(&principal["AWS"]).any(|name| name == "*"),
    };
    if allows && everyone && statement["Condition"].is_null() {
        return Err(ValidationError::new(
            "Resource-based policy grants unbounded access in one or more elements. Please revise the policy to ensure \
             least-privilege form of access",
        ));
    }
    Ok(())
}

fn effect(statement: &Value) -> String {
    let effect = statement["Effect"].as_str().unwrap_or_default();
    match effect.to_ascii_lowercase().as_str() {
        "allow" => "Allow".to_owned(),
        "deny" => "Deny".to_owned(),
        _ => effect.to_owned(),
    }
}

/// The elements of a list, or the one that stands alone.
fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(elements) => elements.iter(),
        Value::Null => [].iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

/// What two documents that mean the same have in common. A version that is left out is none, though it is shown.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let document: Value = serde_json::from_str(text).ok()?;
    Some(written(&document, document["Version"].as_str()))
}

/// The document as AWS tells it.
pub(crate) fn shown(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(document) => written(
            &document,
            document["Version"].as_str().or(Some("2008-10-17")),
        ),
        // A version before this one took any text.
        Err(_) => text.to_owned(),
    }
}

fn written(document: &Value, version: Option<&str>) -> String {
    let mut parts = Vec::new();
    let mut push = |name: &str, value: String| parts.push(format!("\"{name}\":{value}"));
    if let Some(version) = version {
        push("Version", Value::from(version).to_string());
    }
    if !document["Id"].is_null() {
        push("Id", document["Id"].to_string());
    }
    let statements: Vec<String> = statements(document).iter().map(statement).collect();
    push("Statement", format!("[{}]", statements.join(",")));
    format!("{{{}}}", parts.join(","))
}

fn statement(statement: &Value) -> String {
    const MEMBERS: [&str; 9] = [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ];
    let member = |name: &&str| {
        let value = match (*name, &statement[*name]) {
            (_, Value::Null) => return None,
            ("Effect", _) => effect(statement).into(),
            ("Principal" | "NotPrincipal", value) => principal(value),
            ("Sid" | "Condition", value) => value.clone(),
            (_, value) => alone(value),
        };
        Some(format!("\"{name}\":{value}"))
    };
    let members: Vec<String> = MEMBERS.iter().filter_map(member).collect();
    format!("{{{}}}", members.join(","))
}

/// A list of one element is that element.
fn alone(value: &Value) -> Value {
    match value {
        Value::Array(elements) if elements.len() == 1 => elements[0].clone(),
        value => value.clone(),
    }
}

/// Accounts by their root's ARN, each once.
fn principal(value: &Value) -> Value {
    let Value::Object(kinds) = value else {
        return value.clone();
    };
    let by_kind = kinds.iter().map(|(kind, names)| {
        let mut unique: Vec<Value> = Vec::new();
        for name in listed(names).map(account) {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        (kind.clone(), alone(&Value::Array(unique)))
    });
    Value::Object(by_kind.collect::<Map<_, _>>())
}

fn account(name: &Value) -> Value {
    let is_account = |name: &&str| name.len() == 12 && name.bytes().all(|b| b.is_ascii_digit());
    match name.as_str().filter(is_account) {
        Some(account) => format!("arn:aws:iam::{account}:root").into(),
        None => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "arn:aws:dynamodb:us-east-1:1:table/t";

    #[track_caller]
    fn check_shown(text: &str, expected: &str) {
        let expected = expected.replace("TABLE", TABLE);
        assert_eq!(shown(&text.replace("TABLE", TABLE)), expected);
        assert_eq!(shown(&expected), expected, "the form is its own");
    }

    #[test]
    fn a_document_is_told_in_one_form() {
        let expected = r#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"dynamodb:GetItem","Resource":"TABLE"}]}"#;
        for text in [
            expected,
            r#"{"Statement": {"Resource": ["TABLE"], "Action": ["dynamodb:GetItem"], "Effect": "allow", "Sid": "a",
                "Principal": {"AWS": ["123456789012", "arn:aws:iam::123456789012:root"]}}, "Version": "2012-10-17"}"#,
        ] {
            check_shown(text, expected);
            assert_eq!(canonical(text), canonical(expected));
        }
        check_shown(
            r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":["a:B","a:C"],"Resource":"*","Condition":{"Bool":{"x":"y"}}}]}"#,
            r#"{"Version":"2008-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":["a:B","a:C"],"Resource":"*","Condition":{"Bool":{"x":"y"}}}]}"#,
        );
    }

    #[test]
    fn what_is_no_policy_is_refused_in_words_of_aws() {
        let check = |text: &str, expected: &str| {
            let refused = check(text).expect_err(text);
            assert!(refused.message().contains(expected), "{refused}");
        };
        check("{not json", "This policy contains invalid Json");
        check("", "This policy contains invalid Json");
        check(r#"{"Statement":[]}"#, "Statement is empty!");
        let statement =
            r#"{"Sid":"a","Effect":"Allow","Principal":{"AWS":"1"},"Action":"*","Resource":"*"}"#;
        check(
            &format!(r#"{{"Statement":[{statement},{statement}]}}"#),
            "are not unique",
        );
        let lacks = statement.replace(r#","Resource":"*""#, "");
        check(
            &format!(r#"{{"Statement":{lacks}}}"#),
            "Missing required field Resource",
        );
        for everyone in [r#""*""#, r#"{"AWS":"*"}"#, r#"{"AWS":["*"]}"#] {
            let open = statement.replace(r#"{"AWS":"1"}"#, everyone);
            check(&format!(r#"{{"Statement":{open}}}"#), "unbounded access");
        }
        check(
            &" ".repeat(20_481),
            "Maximum policy size of 20480 bytes exceeded",
        );
    }
}
