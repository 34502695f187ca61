//! rpcv2Cbor: what is read, refused and written.

use cumulog_model::dynamodb::{
    AttributeValue, PutItemInput, ScanInput, TableDescription, TransactWriteItemsInput,
};
use cumulog_shape::{Bytes, ReadError, Struct, Timestamp, cbor};

fn read<T: Struct + Default>(body: &[u8]) -> T {
    let mut value = T::default();
    cbor::read(body, &mut value).unwrap_or_else(|error| panic!("{body:x?}: {error}"));
    value
}

fn write(value: &dyn Struct) -> Vec<u8> {
    let mut out = Vec::new();
    cbor::write(value, &mut out);
    out
}

fn refusal<T: Struct + Default>(body: &[u8]) -> ReadError {
    cbor::read(body, &mut T::default()).expect_err("is refused")
}

/// `{"Item": {"a": <value>}}`
fn item(value: &[u8]) -> Vec<u8> {
    [b"\xa1\x64Item\xa1\x61a".as_slice(), value].concat()
}

fn sample() -> PutItemInput {
    let list = vec![
        AttributeValue::Null(true),
        AttributeValue::N("-1.5".into()),
        AttributeValue::Ss(vec!["é".into()]),
    ];
    let map = [
        ("l", AttributeValue::L(list)),
        ("b", AttributeValue::B(Bytes::from_static(&[0, 255]))),
    ];
    PutItemInput {
        table_name: "t".repeat(300),
        item: [("m", AttributeValue::M(map.into_iter().collect()))]
            .into_iter()
            .collect(),
        ..Default::default()
    }
}

#[test]
fn reads_what_it_writes() {
    assert_eq!(read::<PutItemInput>(&write(&sample())), sample());
    let table = TableDescription {
        creation_date_time: Some(Timestamp(1_700_000_000_123)),
        item_count: Some(i64::MIN),
        table_size_bytes: Some(i64::MAX),
        ..Default::default()
    };
    assert_eq!(read::<TableDescription>(&write(&table)), table);
}

#[test]
fn writes_timestamps_with_tag_1() {
    let at = |ms| {
        write(&TableDescription {
            creation_date_time: Some(Timestamp(ms)),
            ..Default::default()
        })
    };
    assert!(at(1_700_000_000_000).ends_with(&[0xc1, 0x1a, 0x65, 0x53, 0xf1, 0x00]));
    assert!(at(1_500).ends_with(&[0xc1, 0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]));
    assert!(at(-2_000).ends_with(&[0xc1, 0x21]));
}

#[test]
fn reads_indefinite_lengths() {
    let body = b"\xbf\x64Item\xbf\x7f\x61a\x61b\xff\xbf\x61L\x9f\xa1\x61B\x5f\x41\x01\x42\x02\x03\xff\xff\xff\xff\xff";
    let item = read::<PutItemInput>(body).item;
    assert_eq!(
        item.get("ab"),
        Some(&AttributeValue::L(vec![AttributeValue::B(
            Bytes::from_static(&[1, 2, 3])
        )]))
    );
}

#[test]
fn skips_unknown_members_and_nulls_and_reads_floats_as_numbers() {
    let body = b"\xa4\x61x\x9f\xc1\x00\xa1\x01\x02\x7f\x61a\xff\xff\x69TableName\x61t\x65Limit\xf9\x45\x00\x67Segment\xf6";
    let input: ScanInput = read(body);
    assert_eq!(
        (input.table_name.as_str(), input.limit, input.segment),
        ("t", Some(5), None)
    );
}

#[test]
fn an_empty_body_has_no_members() {
    let missing = cbor::read(b"", &mut PutItemInput::default()).expect("is read");
    assert_eq!(
        missing
            .iter()
            .map(|missing| missing.path.as_str())
            .collect::<Vec<_>>(),
        ["tableName", "item"]
    );
}

#[test]
fn refuses_other_types() {
    let message = |value: &[u8]| refusal::<PutItemInput>(&item(value)).message("ns");
    assert_eq!(
        message(b"\xa1\x61S\x01").as_deref(),
        Some("NUMBER_VALUE cannot be converted to String")
    );
    assert_eq!(
        message(b"\xa1\x61S\x80").as_deref(),
        Some("Unrecognized collection type class java.lang.String")
    );
    assert_eq!(
        message(b"\xa1\x64BOOL\x01").as_deref(),
        Some("NUMBER_VALUE cannot be converted to Boolean")
    );
    let fault = |value: &[u8]| {
        let missing = cbor::read(&item(value), &mut PutItemInput::default()).expect("is read");
        missing
            .union_fault()
            .map(|fault| (fault.path.clone(), fault.crowded))
    };
    assert_eq!(fault(b"\xa0"), Some(("item.a.member".into(), false)));
    assert_eq!(
        fault(b"\xa2\x61S\x61a\x61N\x611"),
        Some(("item.a.member".into(), true))
    );
    assert_eq!(fault(b"\xa1\x61S\x61a"), None);
}

#[test]
fn every_cut_of_a_body_is_refused() {
    let body = write(&sample());
    for end in 1..body.len() {
        assert!(
            matches!(
                refusal::<PutItemInput>(&body[..end]),
                ReadError::Syntax { .. }
            ),
            "{end}"
        );
    }
    let longer = [body.as_slice(), &[0]].concat();
    assert!(matches!(
        refusal::<PutItemInput>(&longer),
        ReadError::Syntax { .. }
    ));
}

#[test]
fn believes_no_length_that_the_body_cannot_hold() {
    for value in [
        b"\xa1\x61S\x7b\xff\xff\xff\xff\xff\xff\xff\xff".as_slice(),
        b"\xa1\x61B\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x61L\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xbb\x00\x00\x00\xff\xff\xff\xff\xff",
        b"\xa1\x61S\x61\xff",
        b"\xa1\x61S\x7f\x41a\xff",
        b"\xa1\x61S\x7f\x7f\xff\xff",
        b"\xff",
        b"\x1c",
        b"\xf8\x20",
    ] {
        assert!(
            matches!(
                refusal::<PutItemInput>(&item(value)),
                ReadError::Syntax { .. }
            ),
            "{value:x?}"
        );
    }
}

#[test]
fn refuses_deep_nesting_wherever_it_stands() {
    let lists = item(&b"\xa1\x61L\x81".repeat(100_000));
    assert!(matches!(
        refusal::<PutItemInput>(&lists),
        ReadError::TooDeep
    ));
    let tags = item(&b"\xc1".repeat(100_000));
    assert!(matches!(refusal::<PutItemInput>(&tags), ReadError::TooDeep));
    let unknown = [b"\xa1\x61x".as_slice(), &b"\x9f".repeat(100_000)].concat();
    assert!(matches!(
        refusal::<PutItemInput>(&unknown),
        ReadError::TooDeep
    ));
}

#[test]
fn refuses_to_allocate_out_of_proportion() {
    let body = [
        b"\xa1\x6dTransactItems\x9f".as_slice(),
        &b"\xa0".repeat(200_000),
        b"\xff",
    ]
    .concat();
    assert!(matches!(
        refusal::<TransactWriteItemsInput>(&body),
        ReadError::TooLarge
    ));
}
