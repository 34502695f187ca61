//! awsJson: what is read and refused, in AWS's words, and what is written.

use cumulog_model::dynamodb::{
    AttributeValue, DescribeTableOutput, ListTablesInput, PutItemInput, QueryInput,
    TableDescription, TransactWriteItemsInput, UpdateItemInput,
};
use cumulog_model::sqs::{ReceiveMessageInput, SendMessageInput};
use cumulog_shape::{Bytes, ReadError, Struct, Timestamp, json};

const NAMESPACE: &str = "com.amazonaws.dynamodb.v20120810";

fn read<T: Struct + Default>(body: &str) -> T {
    let mut value = T::default();
    let missing =
        json::read(body.as_bytes(), &mut value).unwrap_or_else(|error| panic!("{body}: {error}"));
    assert!(missing.is_empty(), "{body}: {missing:?}");
    value
}

fn write(value: &dyn Struct) -> String {
    let mut out = Vec::new();
    json::write(value, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn refusal<T: Struct + Default>(body: impl AsRef<[u8]>) -> ReadError {
    json::read(body.as_ref(), &mut T::default()).expect_err("is refused")
}

fn missing<T: Struct + Default>(body: &str) -> Vec<String> {
    let missing = json::read(body.as_bytes(), &mut T::default()).expect("is read");
    missing.iter().map(|missing| missing.path.clone()).collect()
}

#[track_caller]
fn check_item(value: &str, message: &str) {
    let error = refusal::<PutItemInput>(format!(r#"{{"TableName":"t","Item":{{"a":{value}}}}}"#));
    assert_eq!(
        error.message(NAMESPACE).as_deref(),
        Some(message),
        "{value}"
    );
}

#[track_caller]
fn check_query(members: &str, message: &str) {
    let error = refusal::<QueryInput>(format!("{{{members}}}"));
    assert_eq!(
        error.message(NAMESPACE).as_deref(),
        Some(message),
        "{members}"
    );
}

#[track_caller]
fn check_syntax(body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let error = refusal::<PutItemInput>(body);
    assert!(
        matches!(error, ReadError::Syntax { .. }),
        "{}: {error:?}",
        body.escape_ascii()
    );
}

#[test]
fn reads_every_attribute_type() {
    let input: PutItemInput = read(
        r#"{"TableName":"t","Item":{"s":{"S":"x"},"n":{"N":"1"},"b":{"B":"AQI="},"ss":{"SS":["a","b"]},"bs":{"BS":["AA=="]},
           "m":{"M":{"l":{"L":[{"NULL":true},{"BOOL":false}]}}}}}"#,
    );
    assert_eq!(input.item.get("s"), Some(&AttributeValue::S("x".into())));
    assert_eq!(
        input.item.get("b"),
        Some(&AttributeValue::B(Bytes::from_static(&[1, 2])))
    );
    assert_eq!(
        input.item.get("ss"),
        Some(&AttributeValue::Ss(vec!["a".into(), "b".into()]))
    );
    let list = AttributeValue::L(vec![
        AttributeValue::Null(true),
        AttributeValue::Bool(false),
    ]);
    assert_eq!(
        input.item.get("m"),
        Some(&AttributeValue::M([("l", list)].into_iter().collect()))
    );
}

#[test]
fn skips_unknown_members_and_nulls() {
    let input: ListTablesInput = read(
        r#" { "Limit" : null , "Later" : [ { "x" : "\u0041" } , 1e3 ] , "ExclusiveStartTableName" : "t" } "#,
    );
    assert_eq!(
        input,
        ListTablesInput {
            exclusive_start_table_name: Some("t".into()),
            limit: None
        }
    );
}

#[test]
fn reads_escapes() {
    let input: SendMessageInput =
        read(r#"{"QueueUrl":"\"\\\/\b\f\n\r\t","MessageBody":"aé\u00e9\ud83d\ude00€"}"#);
    assert_eq!(input.queue_url, "\"\\/\u{8}\u{c}\n\r\t");
    assert_eq!(input.message_body, "aéé😀€");
}

#[test]
fn reads_numbers_as_aws_does() {
    let limit = |text: &str| read::<ListTablesInput>(&format!(r#"{{"Limit":{text}}}"#)).limit;
    assert_eq!(limit("10"), Some(10));
    assert_eq!(limit("34.56"), Some(34));
    assert_eq!(limit("-1e2"), Some(-100));
    assert_eq!(limit("99999999999"), Some(i32::MAX));
    assert_eq!(limit("1e999"), Some(i32::MAX));
}

#[test]
fn refuses_other_types_in_the_words_of_dynamodb() {
    check_item(r#"{"S":1}"#, "NUMBER_VALUE cannot be converted to String");
    check_item(
        r#"{"S":1.5}"#,
        "DECIMAL_VALUE cannot be converted to String",
    );
    check_item(r#"{"S":true}"#, "TRUE_VALUE cannot be converted to String");
    check_item(r#"{"N":1}"#, "NUMBER_VALUE cannot be converted to String");
    check_item(
        r#"{"S":[]}"#,
        "Unrecognized collection type class java.lang.String",
    );
    check_item(
        r#"{"S":{}}"#,
        "Start of structure or map found where not expected",
    );
    check_item(r#"{"BOOL":"23"}"#, "Unexpected token received from parser");
    check_item(
        r#"{"BOOL":1}"#,
        "NUMBER_VALUE cannot be converted to Boolean",
    );
    check_item(
        r#"{"B":1}"#,
        "only base-64-encoded strings are convertible to bytes",
    );
    check_item(
        r#"{"B":[]}"#,
        "Unrecognized collection type class java.nio.ByteBuffer",
    );
    check_item(
        r#"{"B":"23456"}"#,
        "Base64 encoded length is expected a multiple of 4 bytes but found: 5",
    );
    check_item(
        r#"{"B":"=+/="}"#,
        "Invalid last non-pad Base64 character dectected",
    );
    check_item(r#"{"SS":"a"}"#, "Unexpected field type");
    check_item(
        r#"{"SS":{}}"#,
        "Start of structure or map found where not expected",
    );
    check_item(r#"{"M":1}"#, "Unexpected field type");
    check_item(
        r#"{"M":[]}"#,
        "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
    );
    check_item(r#""a""#, "Unexpected value type in payload");
    check_item(
        "[]",
        "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue",
    );
    check_query(
        r#""Limit":"1""#,
        "STRING_VALUE cannot be converted to Integer",
    );
    check_query(
        r#""Limit":false"#,
        "FALSE_VALUE cannot be converted to Integer",
    );
    check_query(
        r#""ScanIndexForward":[]"#,
        "Unrecognized collection type class java.lang.Boolean",
    );
}

#[track_caller]
fn check_union(item: &str, path: &str, message: &str) {
    let body = format!(r#"{{"TableName":"t","Item":{item}}}"#);
    let missing = json::read(body.as_bytes(), &mut PutItemInput::default()).expect("is read");
    let fault = missing.union_fault().expect("is noted");
    assert_eq!(
        (fault.path.as_str(), fault.message().as_str()),
        (path, message),
        "{item}"
    );
}

#[test]
fn a_union_holds_exactly_one_member() {
    let empty =
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
    let crowded = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes";
    check_union(r#"{"a":{}}"#, "item.a.member", empty);
    check_union(r#"{"a":{"X":1}}"#, "item.a.member", empty);
    check_union(r#"{"a":{"S":null}}"#, "item.a.member", empty);
    check_union(
        r#"{"a":{"L":[{"S":"x"},{}]},"b":{"S":"a","N":"1"}}"#,
        "item.a.member.l.2.member",
        empty,
    );
    check_union(r#"{"a":{"S":"a","N":"1"}}"#, "item.a.member", crowded);
}

#[test]
fn reads_booleans_that_are_text() {
    let flag = |text: &str| {
        read::<QueryInput>(&format!(r#"{{"TableName":"t","ConsistentRead":"{text}"}}"#))
            .consistent_read
    };
    assert_eq!(["true", "YES", "1"].map(flag), [Some(true); 3]);
    assert_eq!(["False", "no", "0"].map(flag), [Some(false); 3]);
    check_query(
        r#""ConsistentRead":"on""#,
        "Unexpected token received from parser",
    );
}

#[test]
fn refuses_what_is_not_json() {
    for body in [
        "",
        " ",
        "[]",
        "null",
        "{",
        r#"{"TableName""#,
        r#"{"TableName":"#,
        r#"{"TableName":"t"#,
        r#"{"TableName":"t"} x"#,
    ] {
        check_syntax(body);
    }
    for body in [
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":-}"#,
        r#"{"a":nul}"#,
        r#"{"a":1,}"#,
        r#"{a:1}"#,
        "{\"a\":\"\n\"}",
        "{\0}",
    ] {
        check_syntax(body);
    }
    for body in [
        r#"{"a":"\x"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"a":"\u00g0"}"#,
        "{\"a\":\"\\é\"}",
        r#"{"a":"\"#,
    ] {
        check_syntax(body);
    }
    check_syntax(b"{\"TableName\":\"\xff\"}");
    check_syntax(b"{\"TableName\":\"\xed\xa0\x80\"}");
}

#[test]
fn every_cut_of_a_body_is_refused() {
    let body = r#"{"TableName":"t\u00e9","Item":{"a":{"M":{"b":{"L":[{"N":"1"},{"B":"AQI="},{"NULL":true}]}}}},"X":[1.5e3,null]}"#;
    read::<PutItemInput>(body);
    for end in 0..body.len() {
        check_syntax(&body[..end]);
    }
}

#[test]
fn refuses_deep_nesting_wherever_it_stands() {
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let nested = format!(r#"{{"Item":{{"a":{}}}}}"#, deep(r#"{"L":["#, "]}"));
    assert!(matches!(
        refusal::<PutItemInput>(nested),
        ReadError::TooDeep
    ));
    assert!(matches!(
        refusal::<PutItemInput>(format!(r#"{{"Unknown":{}}}"#, deep("[", "]"))),
        ReadError::TooDeep
    ));
    assert!(matches!(
        refusal::<PutItemInput>(deep(r#"{"a":"#, "}")),
        ReadError::TooDeep
    ));
}

#[test]
fn refuses_to_allocate_out_of_proportion() {
    let body = format!(r#"{{"TransactItems":[{}{{}}]}}"#, "{},".repeat(200_000));
    assert!(matches!(
        refusal::<TransactWriteItemsInput>(body),
        ReadError::TooLarge
    ));
}

#[test]
fn notes_missing_members_where_they_are() {
    assert_eq!(missing::<PutItemInput>("{}"), ["tableName", "item"]);
    assert_eq!(
        missing::<PutItemInput>(r#"{"TableName":null,"Item":{}}"#),
        ["tableName"]
    );
    assert_eq!(
        missing::<UpdateItemInput>(r#"{"TableName":"t","Key":{"k":null},"Expected":{"a":{}}}"#),
        ["key.k.member"]
    );
    assert_eq!(
        missing::<TransactWriteItemsInput>(
            r#"{"TransactItems":[{},{"Put":{"TableName":"t"}},null]}"#
        ),
        ["transactItems.2.member.put.item", "transactItems.3.member"]
    );
}

#[test]
fn a_member_that_comes_twice_replaces() {
    let input: ReceiveMessageInput = read(
        r#"{"QueueUrl":"a","AttributeNames":["x","y"],"QueueUrl":"b","AttributeNames":["z"]}"#,
    );
    assert_eq!(input.queue_url, "b");
    assert_eq!(input.attribute_names.map(|names| names.len()), Some(1));
    let input: PutItemInput =
        read(r#"{"TableName":"t","Item":{"a":{"S":"1"},"b":{"S":"2"},"a":{"S":"3"}}}"#);
    assert_eq!(input.item.len(), 2);
    assert_eq!(input.item.get("a"), Some(&AttributeValue::S("3".into())));
}

#[test]
fn writes_only_what_is_present() {
    let table = TableDescription {
        table_name: Some("a\"\u{1}\n€".into()),
        creation_date_time: Some(Timestamp(1_700_000_000_120)),
        item_count: Some(-5),
        ..Default::default()
    };
    let output = DescribeTableOutput { table: Some(table) };
    assert_eq!(
        write(&output),
        r#"{"Table":{"TableName":"a\"\u0001\n€","CreationDateTime":1700000000.12,"ItemCount":-5}}"#
    );
}
