//! What a handler knows of its request besides its input.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cumulog_engine::{Label, Store, Txn, View};
use cumulog_shape::{Protocol, Timestamp};
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{clock::Clock, failure::Failure, ids::Random};

/// The account of requests whose access key is not one.
pub(crate) const DEFAULT_ACCOUNT: &str = "000000000000";

/// An access key of 12 digits is an account; all others share the default one.
pub(crate) fn account(access_key: &str) -> &str {
    let is_account = access_key.len() == 12 && access_key.bytes().all(|byte| byte.is_ascii_digit());
    if is_account {
        access_key
    } else {
        DEFAULT_ACCOUNT
    }
}

/// Whether an operation is to be taken even when the memory for the state is used up: what deletes may leave a marker
/// that is larger than nothing, and a message must be received before it can be deleted.
fn leads_to_deletion(operation: &str) -> bool {
    const STARTS: [&str; 7] = [
        "Abort",
        "ChangeMessageVisibility",
        "Delete",
        "Purge",
        "Receive",
        "Remove",
        "Untag",
    ];
    STARTS.iter().any(|start| operation.starts_with(start))
}

/// What all calls share: the state and the sources of time and chance.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// The largest object that one PUT may carry, in bytes.
    pub(crate) object_bytes_max: u64,
    /// Whether signatures count, and so what is not signed has no rights of its own.
    pub(crate) verifies_signatures: bool,
    /// Becomes true when the server begins to stop.
    pub(crate) closing: watch::Receiver<bool>,
    /// Per-service state in memory, by type: wakers and caches, never truth.
    pub(crate) scratch: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl World {
    /// A state in memory by its type; made when first asked for.
    pub(crate) fn state<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let mut scratch = self.scratch.lock();
        let state = scratch
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::new(T::default()));
        Arc::clone(state)
            .downcast()
            .expect("the map holds each type under its own id")
    }
}

/// One request, as its handler sees it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) request_id: Arc<str>,
    /// The other id of the request, which S3 has.
    pub(crate) host_id: Option<Arc<str>>,
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) account: Arc<str>,
    pub(crate) region: Arc<str>,
    /// Nobody has signed it.
    pub(crate) is_anonymous: bool,
    /// Where it came from; `None` for what no client asked for.
    pub(crate) peer: Option<IpAddr>,
    /// What the client speaks, for the few words that differ.
    pub(crate) protocol: Protocol,
    /// The path as it came: the query protocol may name a queue by it.
    pub(crate) path: Arc<str>,
    /// All headers, for what the model does not bind to a member.
    pub(crate) headers: Arc<HeaderMap>,
    /// The time of the transaction: read once it is its turn, so that times follow the
    /// log's order.
    pub(crate) now: Timestamp,
    pub(crate) world: Arc<World>,
    /// The last LSN that this call committed at; 0 for none.
    pub(crate) lsn: Arc<AtomicU64>,
}

impl Call {
    /// The last published state: what every acknowledged write left.
    pub(crate) fn view(&self) -> View {
        self.world.store.view()
    }

    /// Runs `transaction` and waits until what it saw and did is durable.
    ///
    /// A failure waits as well: it too may be read off state that a crash could take
    /// back (promise 2). Dropping the future does not take a commit back.
    pub(crate) async fn commit<T, E: Into<Failure>>(
        &self,
        transaction: impl FnOnce(&mut Txn) -> Result<T, E>,
    ) -> Result<T, Failure> {
        self.world.store.admission().await;
        let pending = self.world.store.commit(|txn| {
            txn.label(self.label());
            if leads_to_deletion(self.operation) {
                txn.even_if_full();
            }
            transaction(txn)
        });
        if let Some(lsn) = pending.lsn() {
            self.lsn.store(lsn.0, Ordering::Relaxed);
        }
        pending.await?.map_err(Into::into)
    }

    /// What the log says of this call's transactions.
    pub(crate) fn label(&self) -> Label {
        Label {
            time_ms: self.clock().now().0,
            request: self.request_id.to_string(),
            operation: [self.service, ".", self.operation].concat(),
        }
    }

    /// The store, for what spans transactions: streamed bodies.
    pub(crate) fn store(&self) -> &Store {
        &self.world.store
    }

    /// Time.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.world.clock
    }

    /// Chance.
    pub(crate) fn random(&self) -> &dyn Random {
        &*self.world.random
    }

    /// The host and port by which the client reached us, as it wrote them.
    pub(crate) fn endpoint(&self) -> &str {
        self.header("host").unwrap_or("localhost")
    }

    /// The service's own state in memory; made when first asked for.
    pub(crate) fn state<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        self.world.state()
    }

    /// The value of header `name`, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Ends when the server begins to stop: a long wait should then answer at once.
    pub(crate) async fn closing(&self) {
        let mut closing = self.world.closing.clone();
        // An error means that the sender is gone: the server has stopped.
        let _ = closing.wait_for(|closing| *closing).await;
    }
}
