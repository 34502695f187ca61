//! DynamoDB and its streams on a store in memory, asked in JSON, with a clock that only tests move.

use std::sync::Arc;

use cumulog_model::{dynamodb, dynamodbstreams};
use cumulog_shape::{Struct, json};
use serde_json::{Value, json};

use crate::jobs::Runner;
use crate::log::{Level, Log};
use crate::service::{Running, Service};
use crate::testing::TestWorld;

/// Both services, and the world that they share.
pub(crate) struct Bench {
    pub(crate) world: TestWorld,
    services: Vec<Service>,
    log: Log,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let world = TestWorld::new();
        let log = Log::start(Level::Off, Arc::clone(&world.world.clock));
        Bench {
            world,
            services: vec![
                super::service(),
                crate::services::dynamodbstreams::service(),
            ],
            log: log.expect("it has no thread"),
        }
    }

    /// The answer to an operation of either service, or the failure's code and words.
    pub(crate) async fn ask(&self, operation: &str, input: Value) -> Result<Value, String> {
        let knows = |service: &&Service| service.schema.operation(operation).is_some();
        let service = self.services.iter().find(knows).expect("the test's own");
        let body = input.to_string();
        let mut decode = |input: &mut dyn Struct| {
            let missing = json::read(body.as_bytes(), input).expect("the test's own");
            service.check(input, &missing)
        };
        let call = self.world.call(service.schema.name);
        let running = service.run(operation, call, &mut decode);
        let answer = match running.expect("it has a handler") {
            Ok(Running::Done(answer)) => answer,
            Ok(Running::Later(answer)) => answer.await,
            Err(failure) => Err(failure),
        };
        let answer = answer.map_err(|failure| failure.to_string())?;
        let mut body = Vec::new();
        json::write(&*answer, &mut body);
        Ok(serde_json::from_slice(&body).expect("answers are JSON"))
    }

    /// The answer to a request that is right.
    #[track_caller]
    pub(crate) fn done(&self, operation: &str, input: Value) -> impl Future<Output = Value> {
        let at = std::panic::Location::caller();
        async move {
            let answer = self.ask(operation, input).await;
            answer.unwrap_or_else(|failure| panic!("{operation} at {at}: {failure}"))
        }
    }

    /// Makes a table with the string key `id`, and what else `settings` say.
    pub(crate) async fn table(&self, name: &str, settings: Value) -> Value {
        let mut input = json!({
            "TableName": name,
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        });
        merge(&mut input, settings);
        self.done("CreateTable", input).await["TableDescription"].clone()
    }

    pub(crate) async fn put(&self, table: &str, item: Value) {
        let input = json!({"TableName": table, "Item": item});
        self.done("PutItem", input).await;
    }

    /// Runs the jobs that are due; says in how many milliseconds the next is.
    pub(crate) async fn run_jobs(&self) -> Option<i64> {
        let runner = Runner {
            services: &self.services,
            world: &self.world.world,
            log: &self.log,
        };
        let now = self.world.world.clock.now();
        runner.run_due().await.map(|next| next.0 - now.0)
    }

    pub(crate) fn pass_seconds(&self, seconds: i64) {
        self.world.pass_ms(seconds * 1000);
    }

    /// How many rows a key space holds.
    pub(crate) fn rows(&self, space: cumulog_engine::Space) -> usize {
        use cumulog_engine::Read as _;
        use std::ops::Bound::Unbounded;
        let view = self.world.world.store.view();
        view.range(space, Unbounded, Unbounded).count()
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

#[test]
fn both_services_have_operations_of_their_own() {
    let names = |service: &cumulog_shape::ServiceSchema| {
        let names = service.operations.iter().map(|operation| operation.name);
        names.collect::<std::collections::BTreeSet<_>>()
    };
    assert!(names(&dynamodb::SERVICE).is_disjoint(&names(&dynamodbstreams::SERVICE)));
}
