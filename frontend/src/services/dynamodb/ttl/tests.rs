//! Items that go by themselves, while time passes.

use serde_json::{Value, json};

use crate::services::dynamodb::rows::{EXPIRIES, FILLS, INDEX, ITEMS};
use crate::services::dynamodb::testing::Bench;
use crate::testing::START_MS;

const START: i64 = START_MS / 1000;
const DAY: i64 = 24 * 3600;

async fn bench() -> Bench {
    let bench = Bench::new();
    bench.table("table", json!({})).await;
    bench
}

async fn turn(bench: &Bench, on: bool, attribute: &str) -> Result<Value, String> {
    let wanted = json!({"Enabled": on, "AttributeName": attribute});
    let input = json!({"TableName": "table", "TimeToLiveSpecification": wanted});
    bench.ask("UpdateTimeToLive", input).await
}

async fn put(bench: &Bench, id: &str, expiry: Value) {
    bench
        .put("table", json!({"id": {"S": id}, "at": expiry}))
        .await;
}

/// The keys that are left.
async fn left(bench: &Bench) -> String {
    let items = bench.done("Scan", json!({"TableName": "table"})).await;
    let items = items["Items"].as_array().expect("a list").clone();
    let mut ids: Vec<_> = items
        .iter()
        .map(|item| item["id"]["S"].as_str().expect("it is text").to_owned())
        .collect();
    ids.sort();
    ids.join(" ")
}

fn number(seconds: impl std::fmt::Display) -> Value {
    json!({"N": seconds.to_string()})
}

#[tokio::test]
async fn items_go_when_their_time_has_come() {
    let bench = bench().await;
    put(&bench, "before", number(START - 60)).await;
    turn(&bench, true, "at").await.expect("it was off");
    put(&bench, "past", number(START - 1)).await;
    put(&bench, "soon", number(START + 10)).await;
    put(&bench, "fraction", number(format!("{}.5", START + 10))).await;
    put(&bench, "moved", number(START + 10)).await;
    put(&bench, "moved", number(START + 1000)).await;
    put(&bench, "text", json!({"S": (START - 1).to_string()})).await;
    put(&bench, "ancient", number(START - 5 * 366 * DAY)).await;
    put(&bench, "negative", number(-5)).await;
    put(&bench, "endless", number("1e100")).await;
    assert_eq!(bench.run_jobs().await, Some(10_000));
    let stay = "ancient endless moved negative text";
    assert_eq!(
        left(&bench).await,
        "ancient endless fraction moved negative soon text"
    );
    bench.pass_seconds(10);
    assert_eq!(bench.run_jobs().await, Some(500));
    assert_eq!(
        left(&bench).await,
        "ancient endless fraction moved negative text"
    );
    bench.pass_seconds(1);
    assert_eq!(bench.run_jobs().await, Some(989_000));
    assert_eq!(left(&bench).await, stay);
    assert_eq!(bench.rows(EXPIRIES), 1);
}

#[tokio::test]
async fn what_was_due_for_years_stays() {
    let bench = bench().await;
    turn(&bench, true, "at").await.expect("it was off");
    put(&bench, "a", number(START + 1)).await;
    bench.pass_seconds(6 * 366 * DAY);
    assert_eq!(bench.run_jobs().await, None);
    assert_eq!(left(&bench).await, "a");
    assert_eq!(bench.rows(EXPIRIES), 0);
}

#[tokio::test]
async fn many_items_are_entered_and_deleted_piece_by_piece() {
    let bench = bench().await;
    for n in 0..2500 {
        put(&bench, &format!("{n:04}"), number(START + n % 2)).await;
    }
    turn(&bench, true, "at").await.expect("it was off");
    assert_eq!(bench.rows(EXPIRIES), 1000, "the first piece");
    // Writers go on: one item was entered already, others are not yet.
    for n in [0, 1200, 2499] {
        put(&bench, &format!("{n:04}"), number(START + 1)).await;
    }
    let id = json!({"TableName": "table", "Key": {"id": {"S": "2400"}}});
    bench.done("DeleteItem", id).await;
    assert_eq!(bench.run_jobs().await, Some(1000));
    assert_eq!(bench.rows(FILLS.space()), 0, "all are entered");
    bench.pass_seconds(1);
    assert_eq!(bench.run_jobs().await, None);
    assert_eq!(left(&bench).await, "");
    assert_eq!(bench.rows(EXPIRIES), 0);
}

#[tokio::test]
async fn index_entries_go_with_their_items_and_streams_say_why() {
    let bench = Bench::new();
    let settings = json!({
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "OLD_IMAGE"},
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-time",
            "KeySchema": [{"AttributeName": "at", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }],
    });
    let arn = bench.table("table", settings).await["LatestStreamArn"].clone();
    turn(&bench, true, "at").await.expect("it was off");
    put(&bench, "a", number(START + 1)).await;
    bench.pass_seconds(1);
    bench.run_jobs().await;
    assert_eq!((bench.rows(ITEMS), bench.rows(INDEX)), (0, 0));
    let stream = bench
        .done("DescribeStream", json!({"StreamArn": arn}))
        .await;
    let shard = &stream["StreamDescription"]["Shards"][0]["ShardId"];
    let from = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let iterator = bench.done("GetShardIterator", from).await;
    let records = bench.done("GetRecords", iterator).await["Records"].clone();
    assert_eq!(records[0]["userIdentity"], Value::Null);
    assert_eq!(records[1]["eventName"], "REMOVE");
    assert_eq!(
        records[1]["userIdentity"],
        json!({"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"})
    );
    assert_eq!(records[1]["dynamodb"]["OldImage"]["id"], json!({"S": "a"}));
}

#[tokio::test]
async fn it_is_turned_on_and_off_in_words_of_aws() {
    let bench = bench().await;
    let check = async |on, attribute: &str, words: &str| {
        let refused = turn(&bench, on, attribute)
            .await
            .expect_err("it is refused");
        assert_eq!(refused, format!("ValidationException: {words}"));
    };
    let other = "TimeToLive is active on a different AttributeName: current AttributeName is at";
    check(false, "at", "TimeToLive is already disabled").await;
    turn(&bench, true, "at").await.expect("it was off");
    put(&bench, "a", number(START + 1)).await;
    check(true, "at", "TimeToLive is already enabled").await;
    check(true, "other", other).await;
    check(false, "other", other).await;
    let described = bench
        .done("DescribeTimeToLive", json!({"TableName": "table"}))
        .await;
    let expected = json!({"TimeToLiveStatus": "ENABLED", "AttributeName": "at"});
    assert_eq!(described["TimeToLiveDescription"], expected);
    turn(&bench, false, "at").await.expect("it was on");
    let described = bench
        .done("DescribeTimeToLive", json!({"TableName": "table"}))
        .await;
    assert_eq!(
        described["TimeToLiveDescription"],
        json!({"TimeToLiveStatus": "DISABLED"})
    );
    bench.pass_seconds(10);
    assert_eq!(bench.run_jobs().await, None);
    assert_eq!(left(&bench).await, "a");
    turn(&bench, true, "at").await.expect("it was off");
    bench.run_jobs().await;
    assert_eq!(left(&bench).await, "");
    bench
        .done("DeleteTable", json!({"TableName": "table"}))
        .await;
    assert_eq!(bench.run_jobs().await, None);
}
