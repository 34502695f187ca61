//! An index that is made while writers go on.

use serde_json::{Value, json};

use crate::services::dynamodb::rows::{FILLS, INDEX, JOBS};
use crate::services::dynamodb::testing::Bench;

/// A table of items with `g`, and an index on it that is not filled yet.
async fn bench(items: usize) -> Bench {
    let bench = Bench::new();
    bench.table("table", json!({})).await;
    for n in 0..items {
        put(&bench, n, "old").await;
    }
    bench.done("UpdateTable", create("by-g")).await;
    bench
}

fn create(index: &str) -> Value {
    json!({
        "TableName": "table",
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "g", "AttributeType": "S"},
        ],
        "GlobalSecondaryIndexUpdates": [{"Create": {
            "IndexName": index,
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }}],
    })
}

async fn put(bench: &Bench, n: usize, g: &str) {
    let item = json!({"id": {"S": format!("{n:05}")}, "g": {"S": g}});
    bench.put("table", item).await;
}

async fn delete(bench: &Bench, n: usize) {
    let key = json!({"id": {"S": format!("{n:05}")}});
    bench
        .done("DeleteItem", json!({"TableName": "table", "Key": key}))
        .await;
}

async fn index(bench: &Bench) -> Value {
    let table = bench
        .done("DescribeTable", json!({"TableName": "table"}))
        .await;
    table["Table"]["GlobalSecondaryIndexes"][0].clone()
}

async fn count(bench: &Bench, g: &str) -> Result<Value, String> {
    let input = json!({
        "TableName": "table",
        "IndexName": "by-g",
        "Select": "COUNT",
        "KeyConditionExpression": "g = :g",
        "ExpressionAttributeValues": {":g": {"S": g}},
    });
    Ok(bench.ask("Query", input).await?["Count"].clone())
}

#[tokio::test]
async fn an_index_on_a_small_table_is_there_at_once() {
    let bench = bench(10).await;
    assert_eq!(index(&bench).await["IndexStatus"], "ACTIVE");
    assert_eq!(index(&bench).await["Backfilling"], Value::Null);
    assert_eq!(count(&bench, "old").await, Ok(json!(10)));
    assert_eq!(bench.run_jobs().await, None);
}

#[tokio::test]
async fn writers_change_what_is_filled_and_what_is_not() {
    let bench = bench(3500).await;
    let described = index(&bench).await;
    assert_eq!(described["IndexStatus"], "CREATING");
    assert_eq!(described["Backfilling"], true);
    assert_eq!(described["ItemCount"], 1000, "the first piece");
    let refused = count(&bench, "old").await.expect_err("it is not filled");
    assert_eq!(
        refused,
        "ValidationException: Cannot read from backfilling global secondary index: by-g"
    );
    // Some of these have entries already, some do not.
    for n in 0..20 {
        put(&bench, n, "new").await;
        delete(&bench, 100 + n).await;
        put(&bench, 10_000 + n, "old").await;
    }
    bench.run_jobs().await;
    assert_eq!(count(&bench, "new").await, Ok(json!(20)));
    let described = index(&bench).await;
    assert_eq!(described["IndexStatus"], "ACTIVE");
    assert_eq!(described["ItemCount"], 3500);
    assert_eq!(bench.rows(INDEX), 3500);
    assert_eq!(bench.rows(FILLS.space()), 0);
    let table = bench
        .done("DescribeTable", json!({"TableName": "table"}))
        .await;
    assert_eq!(
        described["IndexSizeBytes"],
        table["Table"]["TableSizeBytes"]
    );
}

#[tokio::test]
async fn one_index_is_made_at_a_time_and_may_go_before_it_is_done() {
    let bench = bench(2000).await;
    let refused = bench.ask("UpdateTable", create("other")).await;
    let refused = refused.expect_err("one is being filled");
    assert!(refused.starts_with("LimitExceededException: "), "{refused}");
    let delete = json!({
        "TableName": "table",
        "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-g"}}],
    });
    bench.done("UpdateTable", delete).await;
    assert_eq!((bench.rows(INDEX), bench.rows(FILLS.space())), (0, 0));
    bench.done("UpdateTable", create("other")).await;
    bench
        .done("DeleteTable", json!({"TableName": "table"}))
        .await;
    for space in [INDEX, FILLS.space(), JOBS.spaces()[0]] {
        assert_eq!(bench.rows(space), 0, "{}", space.name);
    }
}
