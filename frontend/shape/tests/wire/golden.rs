//! The codecs against botocore: what it sends is read, and what it has parsed is written.
//!
//! `tests/golden/make.py` makes the cases.

use serde_json::{Value, json};

use crate::support;

pub(crate) fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/tests/golden/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a golden file");
    serde_json::from_str(&text).expect("a list of cases")
}

/// Turns a body in base64 to text, as it stands in the golden files.
fn readable(mut message: Value) -> Value {
    if let Ok(text) = String::from_utf8(support::bytes(&message["body"]).to_vec()) {
        message["body"] = json!({ "text": text });
    }
    message
}

#[test]
fn reads_what_botocore_sends() {
    for case in cases("requests") {
        assert_eq!(
            support::read(&case["request"]),
            case["found"],
            "{}",
            case["request"]
        );
    }
}

#[test]
fn writes_what_botocore_has_parsed() {
    for case in cases("answers") {
        assert_eq!(
            readable(support::write(&case)),
            case["answer"],
            "{}",
            case["output"]
        );
    }
}

#[test]
fn writes_errors_as_each_protocol_has_them() {
    for case in cases("errors") {
        assert_eq!(
            readable(support::write_error(&case["error"])),
            case["answer"],
            "{}",
            case["error"]
        );
    }
}
