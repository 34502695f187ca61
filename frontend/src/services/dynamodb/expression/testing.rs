//! Items and values for tests, written as plain JSON.

use serde_json::Value as Json;

use super::placeholders::Placeholders;
use crate::services::dynamodb::value::{Item, Value};

/// `"a"` is S, `1` is N, arrays are L, objects M; `{"SS": [..]}` and `{"NS": [..]}` are sets, `{"B": ".."}` is binary,
/// `{"N": ".."}` a number that JSON can't hold.
pub(super) fn value(json: &Json) -> Value {
    let texts = |json: &Json| -> Vec<String> {
        let elements = json.as_array().expect("a set is an array");
        elements
            .iter()
            .map(|element| {
                element
                    .as_str()
                    .map_or_else(|| element.to_string(), str::to_owned)
            })
            .collect()
    };
    match json {
        Json::Null => Value::Null(true),
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::N(number.to_string()),
        Json::String(text) => Value::S(text.clone()),
        Json::Array(elements) => Value::L(elements.iter().map(value).collect()),
        Json::Object(members) => match members.iter().next() {
            Some((name, set)) if name == "SS" => Value::Ss(texts(set)),
            Some((name, set)) if name == "NS" => Value::Ns(texts(set)),
            Some((name, text)) if name == "N" => {
                Value::N(text.as_str().expect("a number is text here").to_owned())
            }
            Some((name, text)) if name == "B" => Value::B(
                text.as_str()
                    .expect("binary is text here")
                    .to_owned()
                    .into_bytes()
                    .into(),
            ),
            _ => Value::M(
                members
                    .iter()
                    .map(|(name, member)| (name.clone(), value(member)))
                    .collect(),
            ),
        },
    }
}

/// Reads a JSON object as an item.
pub(super) fn item(json: &str) -> Item {
    match value(&serde_json::from_str(json).expect("tests hold valid JSON")) {
        Value::M(item) => item,
        other => panic!("{other:?} is no item"),
    }
}

/// Calls `test` with the placeholders `#n` for `name`, `#d` for `a.b`, and those of `values`.
pub(super) fn with_placeholders<T>(
    expression: &str,
    values: &str,
    test: impl for<'a> FnOnce(&'a str, &Placeholders<'a>) -> T,
) -> T {
    let names =
        [("#n", "name"), ("#d", "a.b")].map(|(placeholder, name)| (placeholder, name.to_owned()));
    let names = names.into_iter().collect();
    let values = item(values);
    test(expression, &Placeholders::new(Some(&names), Some(&values)))
}
