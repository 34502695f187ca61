//! What tests of handlers stand on: a world in memory, with a clock that only tests move.

use crate::call::{Call, DEFAULT_ACCOUNT, World};
use crate::clock::{Clock, Sleep};
use crate::ids::SystemRandom;
use cumulog_engine::{Options, Store};
use cumulog_shape::{Protocol, Timestamp};
use http::{
    HeaderValue,
    header::{CONTENT_LENGTH, HOST},
};
use std::sync::Arc;
use tokio::sync::watch;

/// Where the clock of a test stands at first: a moment in 2027.
pub(crate) const START_MS: i64 = 1_800_000_000_000;

/// A clock that stands still until a test moves it.
struct TestClock(watch::Sender<i64>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.borrow())
    }

    fn sleep_until(&self, due: Timestamp) -> Sleep {
        let mut now = self.0.subscribe();
        Box::pin(async move {
            now.wait_for(|now| *now >= due.0)
                .await
                .expect("the clock outlives those who sleep");
        })
    }
}

/// A store in memory, and what calls need beside it.
#[derive(Clone)]
pub(crate) struct TestWorld {
    pub(crate) world: Arc<World>,
    clock: Arc<TestClock>,
    /// Keeps the server from stopping.
    _closing: Arc<watch::Sender<bool>>,
}

impl TestWorld {
    pub(crate) fn new() -> TestWorld {
        let clock = Arc::new(TestClock(watch::Sender::new(START_MS)));
        let (closing_sender, closing) = watch::channel(false);
        let world = World {
            store: Store::ephemeral(Options::default()),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            random: Arc::new(SystemRandom::new()),
            object_bytes_max: 64 << 20,
            verifies_signatures: true,
            closing,
            scratch: Default::default(),
        };
        TestWorld {
            world: Arc::new(world),
            clock,
            _closing: Arc::new(closing_sender),
        }
    }

    /// Lets time pass.
    pub(crate) fn pass_ms(&self, ms: i64) {
        self.clock.0.send_modify(|now| *now += ms);
    }

    /// A call to `service`, made now.
    pub(crate) fn call(&self, service: &'static str) -> Call {
        let headers = [
            (HOST, HeaderValue::from_static("localhost:4566")),
            (CONTENT_LENGTH, HeaderValue::from_static("1")),
        ];
        Call {
            request_id: "test".into(),
            host_id: None,
            service,
            operation: "Test",
            account: DEFAULT_ACCOUNT.into(),
            region: "us-east-1".into(),
            is_anonymous: false,
            peer: None,
            protocol: if service == "s3" {
                Protocol::RestXml
            } else {
                Protocol::Json10
            },
            path: "/".into(),
            headers: Arc::new(headers.into_iter().collect()),
            now: self.world.clock.now(),
            world: Arc::clone(&self.world),
            lsn: Arc::default(),
        }
    }
}
