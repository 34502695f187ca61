//! What of DynamoDB is fuzzed; the targets and their oracles are described in [`crate::fuzzing`].

use std::sync::LazyLock;

use cumulog_model::dynamodb::UpdateItemInput;
use cumulog_shape::{Map, json};

use super::expression::{Condition, KeyConditions, Placeholders, Projection, Update};
use super::number::{Number, normalise};
use super::rows::{self, ItemRow, RecordRow};
use super::size::item_size;
use super::value::{Item, Value};
use crate::fuzzing::Trial;

/// An item with a value of each kind, and names and values for expressions to mean.
static REQUEST: LazyLock<UpdateItemInput> = LazyLock::new(|| {
    let mut request = UpdateItemInput::default();
    json::read(REQUEST_JSON, &mut request).expect("it is valid");
    request
});

const REQUEST_JSON: &[u8] = br##"{
    "TableName": "table",
    "Key": {
        "s": {"S": "text"}, "n": {"N": "-12.5"}, "b": {"B": "AAEC/w=="}, "yes": {"BOOL": true}, "nil": {"NULL": true},
        "ss": {"SS": ["a", "b"]}, "ns": {"NS": ["1", "2.5"]}, "bs": {"BS": ["AA==", "AQ=="]},
        "l": {"L": [{"S": "a"}, {"N": "1"}, {"L": [{"M": {"x": {"N": "7"}}}]}]},
        "m": {"M": {"a": {"N": "1"}, "b": {"M": {"c": {"S": "deep"}}}, "l": {"L": [{"S": "0"}, {"S": "1"}]}}},
        "a.b": {"S": "dotted"}, "name": {"S": "reserved"}
    },
    "ExpressionAttributeNames": {"#n": "name", "#d": "a.b", "#s": "s", "#none": "none"},
    "ExpressionAttributeValues": {
        ":s": {"S": "text"}, ":p": {"S": "te"}, ":n": {"N": "3"}, ":neg": {"N": "-12.5"}, ":b": {"B": "AAE="},
        ":yes": {"BOOL": true}, ":nil": {"NULL": true}, ":ss": {"SS": ["a"]}, ":ns": {"NS": ["2.5"]},
        ":l": {"L": [{"S": "a"}]}, ":m": {"M": {"a": {"N": "1"}}}, ":t": {"S": "S"}
    }
}"##;

fn names() -> Option<&'static Map<String>> {
    REQUEST.expression_attribute_names.as_ref()
}

fn values() -> Option<&'static Map<Value>> {
    REQUEST.expression_attribute_values.as_ref()
}

pub(crate) fn check_expression(kind: u8, source: &str) {
    let (names, values) = (names(), values());
    let placeholders = Placeholders::new(names, values);
    match kind % 4 {
        0 => check_condition(source),
        1 => {
            if let Ok(update) = Update::parse(source, &placeholders) {
                check_update(&update, &REQUEST.key);
                check_update(&update, &Item::new());
            }
        }
        2 => {
            if let Ok(projection) = Projection::parse(source, &placeholders) {
                check_projection(&projection, source);
            }
        }
        _ => {
            if let Ok(Ok(keys)) = KeyConditions::parse(source, &placeholders) {
                for key in &keys.conditions {
                    assert!(keys.find(key.attribute).is_some());
                    assert!(key.test.values().len() <= 2);
                }
            }
        }
    }
}

fn check_condition(source: &str) {
    let holds = |source: &str| {
        let placeholders = Placeholders::new(names(), values());
        let condition = Condition::parse(source, &placeholders).ok()?;
        Some((condition.holds(&REQUEST.key), condition.holds(&Item::new())))
    };
    let Some((full, empty)) = holds(source) else {
        return;
    };
    // Some are refused so: AWS limits operators and forbids needless parentheses.
    if let Some(wrapped) = holds(&format!("({source})")) {
        assert_eq!(wrapped, (full, empty), "in parentheses");
    }
    if let Some(negated) = holds(&format!("NOT ({source})")) {
        assert_eq!(negated, (!full, !empty), "negated");
    }
}

fn check_update(update: &Update<'_>, item: &Item) {
    let mut updated = item.clone();
    if update.apply(&mut updated, !item.is_empty()).is_err() {
        return;
    }
    let mut again = item.clone();
    assert!(update.apply(&mut again, !item.is_empty()).is_ok());
    assert_eq!(again, updated, "it depends on more than the item");
    let row = ItemRow::encode(&updated, item_size(&updated));
    let stored = ItemRow::decode(&row).expect("what an update makes can be stored");
    assert_eq!(stored.item, updated);
}

fn check_projection(projection: &Projection<'_>, source: &str) {
    let once = projection.apply(REQUEST.key.clone());
    assert!(item_size(&once) <= item_size(&REQUEST.key));
    // Elements of a list close up, so their numbers mean others the second time.
    if !source.contains('[') {
        let twice = projection.apply(once.clone());
        assert_eq!(twice, once, "projected twice");
    }
}

pub(crate) fn check_number(one: &str, two: &str) {
    let (Some(one), Some(two)) = (checked(one), checked(two)) else {
        return;
    };
    let (one_key, two_key) = (key(one), key(two));
    assert_eq!(one_key.cmp(&two_key), one.cmp(&two), "{one} and {two}");
    let Ok(sum) = one.add(two) else {
        return;
    };
    assert_eq!(two.add(one), Ok(sum));
    if let Ok(difference) = sum.subtract(two) {
        assert_eq!(difference, one, "{one} + {two} - {two}");
    }
    let zero = Number::of("0");
    assert_eq!(sum.cmp(&one), two.cmp(&zero), "{one} + {two} = {sum}");
}

/// A text as a number, spelt as we spell it.
fn checked(text: &str) -> Option<Number> {
    let mut normal = text.to_owned();
    let number = match (Number::parse(text), normalise(&mut normal)) {
        (Ok(number), Ok(())) => number,
        (Err(_), Err(_)) => return None,
        (parsed, normalised) => panic!("{text}: {parsed:?}, but {normalised:?}"),
    };
    assert_eq!(number.to_string(), normal);
    assert_eq!(Number::parse(&normal), Ok(number));
    assert_eq!(key(number).len(), number.size());
    Some(number)
}

fn key(number: Number) -> Vec<u8> {
    let mut key = Vec::new();
    number.encode(&mut key);
    key
}

/// Tries a row as an item, or as a record of a stream.
pub(crate) fn try_item(trial: &Trial<'_>) {
    if trial.space == rows::RECORDS.id {
        check_record(trial.value);
    }
    if trial.space == rows::ITEMS.id {
        check_item(trial.value);
    }
}

fn check_record(row: &[u8]) {
    let Ok(record) = RecordRow::decode(row) else {
        return;
    };
    for image in record
        .old
        .into_iter()
        .chain(record.new)
        .chain([record.keys])
    {
        check_item(image);
    }
    let written = rmp_serde::to_vec(&record).expect("a record serializes");
    let again = RecordRow::decode(&written).expect("what was written reads");
    assert_eq!(format!("{again:?}"), format!("{record:?}"));
}

fn check_item(row: &[u8]) {
    let Ok(ItemRow { bytes, item }) = ItemRow::decode(row) else {
        return;
    };
    let written = ItemRow::encode(&item, bytes as usize);
    let again = ItemRow::decode(&written).expect("what was written reads");
    assert_eq!(again.bytes, bytes);
    assert_eq!(ItemRow::encode(&again.item, bytes as usize), written);
}
