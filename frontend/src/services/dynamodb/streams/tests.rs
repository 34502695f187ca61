//! Streams as their readers see them, while time passes.

use serde_json::{Value, json};

use crate::services::dynamodb::rows::{RECORDS, SHARDS, STREAMS};
use crate::services::dynamodb::testing::Bench;

const HOUR: i64 = 3600;

/// A table with a stream, read from one shard.
struct Reader {
    bench: Bench,
    arn: String,
}

impl Reader {
    async fn new(view: &str) -> Reader {
        let bench = Bench::new();
        let stream =
            json!({"StreamSpecification": {"StreamEnabled": true, "StreamViewType": view}});
        let table = bench.table("table", stream).await;
        let arn = table["LatestStreamArn"].as_str().expect("it has a stream");
        Reader {
            arn: arn.to_owned(),
            bench,
        }
    }

    async fn put(&self, id: &str, n: u32) {
        let item = json!({"id": {"S": id}, "n": {"N": n.to_string()}});
        self.bench.put("table", item).await;
    }

    async fn delete(&self, id: &str) {
        let input = json!({"TableName": "table", "Key": {"id": {"S": id}}});
        self.bench.done("DeleteItem", input).await;
    }

    async fn update(&self, settings: Value) {
        let input = json!({"TableName": "table", "StreamSpecification": settings});
        self.bench.done("UpdateTable", input).await;
    }

    async fn describe(&self) -> Value {
        let input = json!({"StreamArn": self.arn});
        self.bench.done("DescribeStream", input).await["StreamDescription"].clone()
    }

    async fn shards(&self) -> Vec<Value> {
        let shards = self.describe().await["Shards"].take();
        shards.as_array().expect("it is a list").clone()
    }

    async fn iterator(&self, shard: &Value, more: Value) -> Result<Value, String> {
        let mut input = json!({"StreamArn": self.arn, "ShardId": shard["ShardId"]});
        let fields = input.as_object_mut().expect("it is an object");
        fields.extend(more.as_object().expect("the test's own").clone());
        let answer = self.bench.ask("GetShardIterator", input).await?;
        Ok(answer["ShardIterator"].clone())
    }

    async fn records(&self, iterator: &Value) -> Result<Value, String> {
        let input = json!({"ShardIterator": iterator});
        self.bench.ask("GetRecords", input).await
    }

    /// The event and the key of each record that can still be read.
    async fn events(&self) -> String {
        let mut events = Vec::new();
        for shard in self.shards().await {
            let oldest = json!({"ShardIteratorType": "TRIM_HORIZON"});
            let iterator = self.iterator(&shard, oldest).await.expect("it exists");
            let answer = self.records(&iterator).await.expect("it is young");
            events.extend(answer["Records"].as_array().expect("a list").clone());
        }
        let shown = events.iter().map(|event| {
            let key = &event["dynamodb"]["Keys"]["id"]["S"];
            format!("{} {}", text(&event["eventName"]), text(key))
        });
        shown.collect::<Vec<_>>().join(", ")
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is text")
}

#[tokio::test]
async fn only_what_changes_is_recorded() {
    let reader = Reader::new("KEYS_ONLY").await;
    reader.put("a", 1).await;
    reader.put("a", 1).await;
    reader.put("a", 2).await;
    reader.delete("a").await;
    reader.delete("a").await;
    assert_eq!(reader.events().await, "INSERT a, MODIFY a, REMOVE a");
}

#[tokio::test]
async fn a_view_shows_what_it_is_called() {
    for (view, old, new, bytes) in [
        ("KEYS_ONLY", false, false, 3),
        ("OLD_IMAGE", true, false, 9),
        ("NEW_IMAGE", false, true, 9),
        ("NEW_AND_OLD_IMAGES", true, true, 15),
    ] {
        let reader = Reader::new(view).await;
        reader.put("a", 1).await;
        reader.put("a", 2).await;
        let [shard] = &reader.shards().await[..] else {
            panic!("one shard is open");
        };
        let start = json!({"ShardIteratorType": "TRIM_HORIZON"});
        let iterator = reader.iterator(shard, start).await.expect("it exists");
        let answer = reader.records(&iterator).await.expect("it is young");
        let change = &answer["Records"][1]["dynamodb"];
        let image = |n: &str| json!({"id": {"S": "a"}, "n": {"N": n}});
        let expected = |wanted: bool, n: &str| if wanted { image(n) } else { Value::Null };
        assert_eq!(change["OldImage"], expected(old, "1"), "{view}");
        assert_eq!(change["NewImage"], expected(new, "2"), "{view}");
        assert_eq!(change["SizeBytes"], json!(bytes), "{view}");
        assert_eq!(change["StreamViewType"], json!(view));
    }
}

#[tokio::test]
async fn a_shard_that_was_open_for_long_is_followed_by_its_child() {
    let reader = Reader::new("KEYS_ONLY").await;
    reader.put("a", 1).await;
    let [shard] = &reader.shards().await[..] else {
        panic!("one shard is open");
    };
    let latest = json!({"ShardIteratorType": "LATEST"});
    let iterator = reader.iterator(shard, latest).await.expect("it exists");
    reader.bench.pass_seconds(4 * HOUR);
    reader.put("b", 1).await;
    let shards = reader.shards().await;
    assert_eq!(shards.len(), 2);
    assert_eq!(shards[1]["ParentShardId"], shards[0]["ShardId"]);
    let ranges = [0, 1].map(|at| shards[at]["SequenceNumberRange"].clone());
    assert!(text(&ranges[0]["EndingSequenceNumber"]) < text(&ranges[1]["StartingSequenceNumber"]));
    assert_eq!(ranges[1]["EndingSequenceNumber"], Value::Null);
    assert_eq!(reader.events().await, "INSERT a, INSERT b");
    // The old iterator is too old by now.
    let refused = reader.records(&iterator).await.expect_err("it expired");
    assert!(
        refused.starts_with("ExpiredIteratorException: "),
        "{refused}"
    );
    let children = json!({"Type": "CHILD_SHARDS", "ShardId": shards[0]["ShardId"]});
    let input = json!({"StreamArn": reader.arn, "ShardFilter": children});
    let filtered = reader.bench.done("DescribeStream", input).await;
    assert_eq!(filtered["StreamDescription"]["Shards"], json!([shards[1]]));
}

#[tokio::test]
async fn iterators_lead_where_they_say() {
    let reader = Reader::new("KEYS_ONLY").await;
    for id in ["a", "b", "c"] {
        reader.bench.pass_seconds(1);
        reader.put(id, 1).await;
    }
    let [shard] = &reader.shards().await[..] else {
        panic!("one shard is open");
    };
    let all = json!({"ShardIteratorType": "TRIM_HORIZON"});
    let all = reader.iterator(shard, all).await.expect("it exists");
    let records = reader.records(&all).await.expect("it is young")["Records"].take();
    let second = &records[1]["dynamodb"]["SequenceNumber"];
    let time = records[1]["dynamodb"]["ApproximateCreationDateTime"].clone();
    for (from, count) in [
        (json!({"ShardIteratorType": "TRIM_HORIZON"}), 3),
        (
            json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": second}),
            2,
        ),
        (
            json!({"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": second}),
            1,
        ),
        (
            json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": time}),
            2,
        ),
        (json!({"ShardIteratorType": "LATEST"}), 0),
    ] {
        let iterator = reader
            .iterator(shard, from.clone())
            .await
            .expect("it exists");
        let answer = reader.records(&iterator).await.expect("it is young");
        let records = answer["Records"].as_array().expect("a list").len();
        assert_eq!(records, count, "{from}");
        assert!(answer["NextShardIterator"].is_string(), "the shard is open");
    }
}

#[tokio::test]
async fn records_are_trimmed_after_a_day_and_idle_readers_do_not_notice() {
    let reader = Reader::new("NEW_IMAGE").await;
    reader.put("a", 1).await;
    let [shard] = &reader.shards().await[..] else {
        panic!("one shard is open");
    };
    let oldest = json!({"ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = reader.iterator(shard, oldest).await.expect("it exists");
    let first = reader.records(&iterator).await.expect("it is young");
    let sequence = first["Records"][0]["dynamodb"]["SequenceNumber"].clone();
    let at = json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "SequenceNumber": sequence});
    let early = reader.iterator(shard, at.clone()).await.expect("it exists");
    iterator = first["NextShardIterator"].clone();
    for _ in 0..24 * 6 + 1 {
        reader.bench.pass_seconds(HOUR / 6);
        reader.bench.run_jobs().await;
        let answer = reader.records(&iterator).await.expect("nothing came");
        assert_eq!(answer["Records"], json!([]));
        iterator = answer["NextShardIterator"].clone();
    }
    assert_eq!(reader.bench.rows(RECORDS), 0, "the job is done");
    assert_eq!(
        reader.bench.run_jobs().await,
        None,
        "and does not come again"
    );
    let refused = reader.iterator(shard, at).await.expect_err("it is trimmed");
    assert!(
        refused.starts_with("TrimmedDataAccessException: "),
        "{refused}"
    );
    let refused = reader.records(&early).await.expect_err("it is old");
    assert!(
        refused.starts_with("ExpiredIteratorException: "),
        "{refused}"
    );
    reader.put("b", 1).await;
    let answer = reader.records(&iterator).await.expect("it is young");
    // Its shard was closed before the new record.
    assert_eq!(answer["NextShardIterator"], Value::Null);
    assert_eq!(reader.events().await, "INSERT b");
}

#[tokio::test]
async fn a_record_that_is_due_to_be_trimmed_is_not_shown() {
    let reader = Reader::new("KEYS_ONLY").await;
    reader.put("a", 1).await;
    reader.bench.pass_seconds(23 * HOUR);
    let shards = reader.shards().await;
    let at = json!({
        "ShardIteratorType": "AT_SEQUENCE_NUMBER",
        "SequenceNumber": shards[0]["SequenceNumberRange"]["StartingSequenceNumber"],
    });
    reader.bench.pass_seconds(HOUR - 60);
    let iterator = reader.iterator(&shards[0], at).await.expect("it is there");
    reader.bench.pass_seconds(61);
    let refused = reader.records(&iterator).await.expect_err("it is trimmed");
    assert!(
        refused.starts_with("TrimmedDataAccessException: "),
        "{refused}"
    );
    assert_eq!(reader.events().await, "");
}

#[tokio::test]
async fn a_stream_that_is_off_can_be_read_for_a_day() {
    let reader = Reader::new("KEYS_ONLY").await;
    reader.put("a", 1).await;
    reader.update(json!({"StreamEnabled": false})).await;
    reader.put("unseen", 1).await;
    let description = reader.describe().await;
    assert_eq!(description["StreamStatus"], "DISABLED");
    assert!(description["Shards"][0]["SequenceNumberRange"]["EndingSequenceNumber"].is_string());
    let table = reader
        .bench
        .done("DescribeTable", json!({"TableName": "table"}))
        .await;
    assert_eq!(table["Table"]["LatestStreamArn"], json!(reader.arn));
    assert_eq!(table["Table"]["StreamSpecification"], Value::Null);
    reader.bench.pass_seconds(HOUR);
    reader
        .update(json!({"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"}))
        .await;
    reader.put("new", 1).await;
    let input = json!({"TableName": "table"});
    let listed = reader.bench.done("ListStreams", input).await["Streams"].clone();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert_eq!(listed[0]["StreamArn"], json!(reader.arn));
    assert_eq!(reader.events().await, "INSERT a");
    let delete = json!({"TableName": "table"});
    reader.bench.done("DeleteTable", delete).await;
    reader.bench.pass_seconds(23 * HOUR);
    reader.bench.run_jobs().await;
    assert_eq!(reader.bench.rows(STREAMS.space()), 1, "the first is gone");
    reader.bench.pass_seconds(2 * HOUR);
    reader.bench.run_jobs().await;
    for space in [STREAMS.space(), SHARDS.space(), RECORDS] {
        assert_eq!(reader.bench.rows(space), 0, "{}", space.name);
    }
    assert_eq!(reader.bench.run_jobs().await, None);
}

#[tokio::test]
async fn a_page_holds_a_megabyte_and_a_closed_shard_ends() {
    let reader = Reader::new("NEW_IMAGE").await;
    for id in 0..5 {
        let item = json!({"id": {"S": id.to_string()}, "x": {"S": "x".repeat(300_000)}});
        reader.bench.put("table", item).await;
    }
    reader.update(json!({"StreamEnabled": false})).await;
    let [shard] = &reader.shards().await[..] else {
        panic!("one shard was open");
    };
    let oldest = json!({"ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = reader.iterator(shard, oldest).await.expect("it exists");
    let mut counts = Vec::new();
    while iterator.is_string() {
        let answer = reader.records(&iterator).await.expect("it is young");
        counts.push(answer["Records"].as_array().expect("a list").len());
        iterator = answer["NextShardIterator"].clone();
    }
    assert_eq!(counts, [3, 2]);
}
