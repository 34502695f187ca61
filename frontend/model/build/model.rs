//! A service model as JSON, patched.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Reads a JSON file that stands in the repository: a broken one stops the build by name.
pub(crate) fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{} is not JSON: {error}", path.display()))
}

/// The model of service `name` with its patch applied.
pub(crate) fn load(name: &str) -> Value {
    let mut model = read(&Path::new("aws").join(format!("{name}.json")));
    let patch = Path::new("patches").join(format!("{name}.json"));
    if patch.exists() {
        merge(&mut model, read(&patch));
    }
    model
}

/// JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Default::default());
    }
    let object = target.as_object_mut().expect("was just made one");
    for (key, value) in patch {
        if value.is_null() {
            object.remove(&key);
        } else {
            merge(object.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// The entries of an object, in order; none if it is absent.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

/// The strings of an array; none if it is absent.
pub(crate) fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// Whether a trait is set to true.
pub(crate) fn flag(value: &Value, key: &str) -> bool {
    value[key].as_bool().unwrap_or(false)
}
