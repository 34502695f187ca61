//! How long a body takes into a checked input, or an output into a body: `cargo run --release -p cumulog-shape --example speed`.
//!
//! Prints the best of many batches, as other work on the machine only ever slows one down.

use std::hint::black_box;
use std::time::Instant;

use cumulog_model::dynamodb::{AttributeValue, PutItemInput, QueryOutput};
use cumulog_model::sqs::SendMessageInput;
use cumulog_shape::check::{Dialect, check};
use cumulog_shape::{Bytes, Map, Struct, cbor, json};

const PUT_ITEM: &str = r#"{"TableName":"orders","Item":{"pk":{"S":"customer#0000000042"},"sk":{"S":"order#2026-11-22T10:00:00Z#7f3a"},"total":{"N":"129.95"},"paid":{"BOOL":true},"note":{"S":"leave it with the neighbours, please; the bell does not work"},"tags":{"SS":["gift","express"]},"address":{"M":{"street":{"S":"Main Street 1"},"zip":{"S":"12345"},"city":{"S":"Springfield"}}},"photo":{"B":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"}},"ConditionExpression":"attribute_not_exists(pk)","ReturnValues":"NONE"}"#;
const SEND_MESSAGE: &str = r#"{"QueueUrl":"http://localhost:4566/000000000000/orders","MessageBody":"{\"order\":42,\"total\":129.95}","MessageAttributes":{"kind":{"DataType":"String","StringValue":"order"}}}"#;

fn main() {
    measure("PutItem in, JSON", || {
        read_and_check::<PutItemInput>(PUT_ITEM, json::read)
    });
    measure("PutItem in, JSON, unchecked", || {
        read::<PutItemInput>(PUT_ITEM.as_bytes(), json::read)
    });
    measure("PutItem in, serde_json::Value", || {
        serde_json::from_str::<serde_json::Value>(PUT_ITEM)
    });
    let body = written(
        &read::<PutItemInput>(PUT_ITEM.as_bytes(), json::read),
        cbor::write,
    );
    measure("PutItem in, CBOR, unchecked", || {
        read::<PutItemInput>(&body, cbor::read)
    });
    measure("SendMessage in, JSON", || {
        read_and_check::<SendMessageInput>(SEND_MESSAGE, json::read)
    });
    let output = query_output();
    measure("Query out ×10, JSON", || written(&output, json::write));
    measure("Query out ×10, CBOR", || written(&output, cbor::write));
}

type Read = fn(&[u8], &mut dyn Struct) -> Result<cumulog_shape::Missing, cumulog_shape::ReadError>;

fn read<T: Struct + Default>(body: &[u8], read: Read) -> T {
    let mut input = T::default();
    read(black_box(body), &mut input).expect("the body is sound");
    input
}

fn read_and_check<T: Struct + Default>(body: &str, read: Read) -> T {
    let mut input = T::default();
    let missing = read(black_box(body).as_bytes(), &mut input).expect("the body is sound");
    assert_eq!(check(&input, &missing, &Dialect::COMMON), None);
    input
}

fn written(output: &dyn Struct, write: fn(&dyn Struct, &mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::with_capacity(4096);
    write(black_box(output), &mut body);
    body
}

fn query_output() -> QueryOutput {
    let item = |i: i32| -> Map<AttributeValue> {
        let text = |text: &str| AttributeValue::S(text.into());
        [
            ("pk", text("customer#0000000042")),
            ("sk", AttributeValue::N(i.to_string())),
            ("note", text("leave it with the neighbours, please")),
            ("paid", AttributeValue::Bool(true)),
            (
                "tags",
                AttributeValue::Ss(vec!["gift".into(), "express".into()]),
            ),
            ("photo", AttributeValue::B(Bytes::from_static(&[7; 32]))),
        ]
        .into_iter()
        .collect()
    };
    QueryOutput {
        items: Some((0..10).map(item).collect()),
        count: Some(10),
        ..Default::default()
    }
}

fn measure<T>(name: &str, mut run: impl FnMut() -> T) {
    const RUNS: u32 = 200;
    let mut batch = || {
        let start = Instant::now();
        (0..RUNS).for_each(|_| drop(black_box(run())));
        start.elapsed().as_nanos() / u128::from(RUNS)
    };
    let best = (0..400).map(|_| batch()).min().unwrap_or_default();
    println!("{name:32} {best:7} ns");
}
