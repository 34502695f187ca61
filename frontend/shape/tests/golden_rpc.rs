//! `golden/rpc.json`: what botocore's serializers write for inputs and outputs, read and written back.

use base64_simd::STANDARD;
use cumulog_model::{dynamodb, sqs};
use cumulog_shape::{Operation, Struct, cbor, json};
use serde_json::Value;

/// An empty input or output of an operation.
type Blank = fn(input: bool) -> Box<dyn Struct>;

fn blank<O: Operation>(input: bool) -> Box<dyn Struct> {
    if input {
        Box::new(O::Input::default())
    } else {
        Box::new(O::Output::default())
    }
}

macro_rules! blanks {
    ($service:ident: $($operation:ident)*) => {
        &[$((stringify!($operation), blank::<$service::$operation>)),*]
    };
}

const DYNAMODB: &[(&str, Blank)] = blanks!(dynamodb: CreateTable DescribeTable ListTables DeleteTable PutItem GetItem
    UpdateItem DeleteItem Query Scan BatchWriteItem BatchGetItem DescribeLimits DescribeEndpoints TransactWriteItems
    TransactGetItems);
const SQS: &[(&str, Blank)] = blanks!(sqs: CreateQueue GetQueueUrl ListQueues DeleteQueue GetQueueAttributes
    SetQueueAttributes PurgeQueue SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch
    ChangeMessageVisibility ChangeMessageVisibilityBatch TagQueue UntagQueue ListQueueTags);

struct Case {
    name: String,
    blank: Box<dyn Fn() -> Box<dyn Struct>>,
    json: String,
    cbor: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("golden/rpc.json");
    let cases: Vec<Value> = serde_json::from_str(text).expect("the golden file is JSON");
    cases.iter().map(case).collect()
}

fn case(entry: &Value) -> Case {
    let text = |key: &str| entry[key].as_str().expect("is a string").to_owned();
    let blanks = if entry["service"] == "sqs" {
        SQS
    } else {
        DYNAMODB
    };
    let find = |name: &str| {
        blanks
            .iter()
            .find(|(known, _)| *known == name)
            .expect("is implemented")
            .1
    };
    let (blank, input) = (find(&text("operation")), entry["side"] == "input");
    Case {
        name: format!("{} {}: {}", text("operation"), text("side"), text("json")),
        blank: Box::new(move || blank(input)),
        json: text("json"),
        cbor: STANDARD.decode_to_vec(text("cbor")).expect("is base64"),
    }
}

#[test]
fn json_of_botocore_comes_back_with_the_same_meaning() {
    for case in cases() {
        let mut value = (case.blank)();
        json::read(case.json.as_bytes(), &mut *value)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let mut written = Vec::new();
        json::write(&*value, &mut written);
        assert_eq!(
            meaning(&written),
            meaning(case.json.as_bytes()),
            "{}",
            case.name
        );
    }
}

#[test]
fn cbor_of_botocore_comes_back_byte_by_byte() {
    for case in cases() {
        let mut value = (case.blank)();
        cbor::read(&case.cbor, &mut *value)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let mut written = Vec::new();
        cbor::write(&*value, &mut written);
        assert_eq!(
            written.escape_ascii().to_string(),
            case.cbor.escape_ascii().to_string(),
            "{}",
            case.name
        );
    }
}

#[test]
fn both_formats_hold_the_same_values() {
    for case in cases() {
        let (mut from_json, mut from_cbor) = ((case.blank)(), (case.blank)());
        json::read(case.json.as_bytes(), &mut *from_json)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        cbor::read(&case.cbor, &mut *from_cbor)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert!(
            cumulog_shape::equal(&*from_json, &*from_cbor),
            "{}",
            case.name
        );
    }
}

/// As `serde_json` sees it, whole numbers and fractions alike: botocore writes `0.0` where we write `0`.
fn meaning(body: &[u8]) -> Value {
    fn plain(value: Value) -> Value {
        match value {
            Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                    Value::from(float as i64)
                }
                _ => Value::Number(number),
            },
            Value::Array(items) => items.into_iter().map(plain).collect(),
            Value::Object(members) => members
                .into_iter()
                .map(|(key, member)| (key, plain(member)))
                .collect(),
            other => other,
        }
    }
    plain(serde_json::from_slice(body).expect("is JSON"))
}
