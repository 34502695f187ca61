//! The emulator as it runs: settings, services and the state that they share.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use cumulog_engine::{self as engine, Options, Recovery, Space, Store, disk};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    call::{DEFAULT_ACCOUNT, World},
    clock::Clock,
    http::Room,
    ids::SystemRandom,
    log::Log,
    memory::Budget,
    protocol::Routers,
    service::{Service, Services},
    settings::Settings,
};

/// All that a request can reach.
pub(crate) struct Emulator {
    pub(crate) settings: Settings,
    pub(crate) address: SocketAddr,
    pub(crate) services: Services,
    pub(crate) routers: Routers,
    pub(crate) world: Arc<World>,
    pub(crate) log: Log,
    pub(crate) recovered: Option<Recovered>,
    /// What the state may take in memory.
    pub(crate) memory: Budget,
    /// What request bodies may.
    pub(crate) room: Room,
    /// The usual account and region, shared by most calls.
    pub(crate) account: Arc<str>,
    pub(crate) region: Arc<str>,
}

/// What opening the data directory found, and how long it took.
#[derive(Clone, Debug)]
pub(crate) struct Recovered {
    pub(crate) recovery: Recovery,
    pub(crate) took: Duration,
}

impl Recovered {
    pub(crate) fn to_json(&self) -> Value {
        let Recovery {
            lsn,
            snapshot,
            snapshot_entries,
            records,
            bytes,
            epoch,
            clean,
            torn,
            ..
        } = &self.recovery;
        let torn = torn
            .as_ref()
            .map(|torn| json!({ "path": torn.path, "offset": torn.offset, "bytes": torn.bytes }));
        json!({
            "lsn": lsn.0,
            "snapshot_lsn": snapshot.0,
            "snapshot_entries": snapshot_entries,
            "records": records,
            "bytes": bytes,
            "epoch": epoch,
            "clean_stop": clean,
            "torn": torn,
            "took_ms": self.took.as_secs_f64() * 1e3,
        })
    }
}

/// Opens the state that `settings` ask for: a data directory, or memory.
pub(crate) fn open(
    settings: &Settings,
    services: &[Service],
    memory: Budget,
) -> Result<(Store, Option<Recovered>), engine::Error> {
    let ephemeral_spaces: Vec<Space> = services
        .iter()
        .filter(|service| !settings.keeps(service.schema.name))
        .flat_map(|service| service.spaces.iter().copied())
        .collect();
    let options = Options {
        durability: settings.durability(),
        ephemeral_spaces,
        memory_bytes_max: memory.bytes,
        ..Options::default()
    };
    let Some(directory) = &settings.data_dir else {
        return Ok((Store::ephemeral(options), None));
    };
    let started = Instant::now();
    let (store, recovery) = Store::open(Arc::new(disk::Real::new()), directory, options)?;
    let took = started.elapsed();
    Ok((store, Some(Recovered { recovery, took })))
}

impl Emulator {
    /// Puts the parts together and sweeps what a crash left.
    pub(crate) fn new(
        settings: Settings,
        address: SocketAddr,
        mut services: Services,
        (store, recovered): (Store, Option<Recovered>),
        memory: Budget,
        (clock, log): (Arc<dyn Clock>, Log),
        closing: watch::Receiver<bool>,
    ) -> Self {
        services.retain(|service| settings.answers(service.schema.name));
        let world = World {
            store,
            clock,
            random: Arc::new(SystemRandom::new()),
            object_bytes_max: settings.object_bytes_max,
            verifies_signatures: false,
            closing,
            scratch: Mutex::new(HashMap::new()),
        };
        let routers = Routers::new(&services);
        let room = Room::new(memory.bodies_bytes(settings.request_bytes_max));
        Self {
            account: DEFAULT_ACCOUNT.into(),
            region: settings.region.as_str().into(),
            settings,
            address,
            services,
            routers,
            world: Arc::new(world),
            log,
            recovered,
            memory,
            room,
        }
    }
}
