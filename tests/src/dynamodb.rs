use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use aws_sdk_dynamodb::{Client, primitives::Blob};

use crate::emulator::Emulator;

async fn create_table(client: &Client, name: &str) {
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder()
        .attribute_name("id")
        .key_type(KeyType::Hash);
    let create = client.create_table().table_name(name);
    let create = create.billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(attribute.build().unwrap());
    let create = create.key_schema(key.build().unwrap());
    create.send().await.unwrap();
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// Every kind of value comes back as it was, before and after a kill.
#[tokio::test]
async fn items_survive_a_kill() {
    let mut emulator = Emulator::start();
    let client = emulator.dynamodb();
    create_table(&client, "table").await;
    let number = AttributeValue::N("-12345678901234567890123456789012345678".to_owned());
    let list = AttributeValue::L(vec![text("x"), AttributeValue::Null(true), number.clone()]);
    let item = HashMap::from([
        ("id".to_owned(), text("1")),
        ("n".to_owned(), number),
        ("b".to_owned(), AttributeValue::B(Blob::new([0, 1, 255]))),
        ("flag".to_owned(), AttributeValue::Bool(false)),
        (
            "map".to_owned(),
            AttributeValue::M(HashMap::from([("list".to_owned(), list)])),
        ),
    ]);
    let put = client
        .put_item()
        .table_name("table")
        .set_item(Some(item.clone()));
    put.send().await.unwrap();

    for _ in 0..2 {
        let get = emulator
            .dynamodb()
            .get_item()
            .table_name("table")
            .key("id", text("1"));
        assert_eq!(get.send().await.unwrap().item, Some(item.clone()));
        emulator.kill_and_restart();
    }
}

#[tokio::test]
async fn failed_conditions_are_typed() {
    let emulator = Emulator::start();
    let client = emulator.dynamodb();
    create_table(&client, "table").await;
    let put = || client.put_item().table_name("table").item("id", text("1"));
    put().send().await.unwrap();
    let again = put()
        .condition_expression("attribute_not_exists(id)")
        .send()
        .await;
    let error = again.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
}
