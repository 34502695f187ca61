//! The control plane: what is not AWS's. JSON under `/_cumulog/`, and the health
//! checks that other emulators' users have in their scripts.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cumulog_engine::{Error, Pace, Status};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::{
    emulator::Emulator,
    failure::with_causes,
    http::{Request, Response},
};

/// What stands under these is ours, or would be another emulator's; no bucket's name
/// begins with an underscore.
const FOLDERS: &[&str] = &["/_cumulog", "/_localstack", "/_aws"];

/// Whether the request is for the control plane.
pub(crate) fn owns(request: &Request, signed: bool) -> bool {
    let folder = |folder: &&str| {
        let rest = request.path.strip_prefix(*folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    FOLDERS.iter().any(folder)
        || (&*request.path == "/health" && !signed && request.method != Method::PUT)
}

/// What the log calls a request to the control plane.
pub(crate) fn operation(request: &Request) -> &'static str {
    match &*request.path {
        "/health" | "/_cumulog/health" | "/_localstack/health" => "Health",
        "/_cumulog/info" => "Info",
        "/_cumulog/reset" => "Reset",
        "/_cumulog/compact" => "Compact",
        _ => "-",
    }
}

/// Answers a request to the control plane; `lsn` takes that of its commit.
pub(crate) async fn handle(emulator: &Emulator, request: &Request, lsn: &AtomicU64) -> Response {
    let get = request.method == Method::GET || request.method == Method::HEAD;
    match &*request.path {
        "/health" if get => simple_health(emulator),
        "/_cumulog/health" if get => health(emulator),
        "/_cumulog/info" if get => answer(StatusCode::OK, &info(emulator)),
        "/_cumulog/reset" if request.method == Method::POST => reset(emulator, lsn).await,
        "/_cumulog/compact" if request.method == Method::POST => compact(emulator).await,
        "/_localstack/health" if get => answer(StatusCode::OK, &localstack_health(emulator)),
        "/health" | "/_cumulog/health" | "/_cumulog/info" | "/_localstack/health" => {
            method_not_allowed("GET, HEAD")
        }
        "/_cumulog/reset" | "/_cumulog/compact" => method_not_allowed("POST"),
        path => {
            let message = format!("there is no {path}; see /_cumulog/info for what there is");
            answer(StatusCode::NOT_FOUND, &json!({ "error": message }))
        }
    }
}

/// How the store is doing.
enum Health {
    Healthy,
    /// Writes that need space on the disk are refused; reads and deletes go on.
    Full,
    /// The same for want of memory.
    OutOfMemory,
    /// Writes are refused; reads go on.
    Failed,
}

impl Health {
    fn of(status: &Status) -> Self {
        match status {
            status if status.poisoned => Health::Failed,
            status if status.lacks_space => Health::Full,
            status if status.lacks_memory => Health::OutOfMemory,
            _ => Health::Healthy,
        }
    }

    /// Whether a restart would help: only then is a probe to fail.
    fn code(&self) -> StatusCode {
        match self {
            Health::Healthy | Health::Full | Health::OutOfMemory => StatusCode::OK,
            Health::Failed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Full | Health::OutOfMemory => "full",
            Health::Failed => "failed",
        }
    }

    fn error(&self) -> Option<&'static str> {
        match self {
            Health::Healthy => None,
            Health::Full => Some(
                "the disk is full: writes are refused until there is space; reads and deletes go on",
            ),
            Health::OutOfMemory => Some(
                "the memory for the state is used up (--memory-limit): writes are refused until something is deleted; reads and deletes go on",
            ),
            Health::Failed => Some(
                "an earlier sync of the log failed: writes are refused until cumulog is restarted; reads go on",
            ),
        }
    }
}

/// What other emulators' probes expect.
fn simple_health(emulator: &Emulator) -> Response {
    let health = Health::of(&emulator.world.store.status());
    match health.error() {
        None => answer(StatusCode::OK, &json!({ "status": health.name() })),
        Some(error) => answer(
            health.code(),
            &json!({ "status": health.name(), "error": error }),
        ),
    }
}

fn health(emulator: &Emulator) -> Response {
    let status = emulator.world.store.status();
    let health = Health::of(&status);
    let durability = emulator.settings.durability();
    answer(
        health.code(),
        &json!({
            "status": health.name(),
            "error": health.error(),
            "durability": crate::startup::durability_name(durability),
            "survives": crate::startup::survives(durability),
            "memory": { "state_bytes": status.memory_bytes, "limit_bytes": status.memory_bytes_max },
            "lsn": { "head": status.head.0, "published": status.published.0, "synced": status.synced.0 },
            "disk": { "log_bytes": status.log_bytes, "snapshot_bytes": status.compactions.snapshot_bytes },
            "compaction": {
                "snapshot_lsn": status.compactions.snapshot.0,
                "running": status.compactions.running,
                "completed": status.compactions.completed,
                "error": status.compactions.error,
            },
        }),
    )
}

fn info(emulator: &Emulator) -> Value {
    let settings = &emulator.settings;
    let services: serde_json::Map<_, _> = emulator
        .services
        .iter()
        .map(|service| {
            let operations = service.schema.operations.iter();
            let (have, lack): (Vec<_>, Vec<_>) = operations
                .map(|operation| operation.name)
                .partition(|name| service.implements(name));
            let persistent = settings.keeps(service.schema.name);
            let reasons = lack
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), json!(service.reason(name)?))));
            let reasons: serde_json::Map<_, _> = reasons.collect();
            (
                service.schema.name.to_owned(),
                json!({
                    "persistent": persistent,
                    "implemented": have,
                    "not_implemented": lack,
                    "reasons": reasons,
                }),
            )
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "address": emulator.address.to_string(),
        "data_dir": settings.data_dir,
        "durability": crate::startup::durability_name(settings.durability()),
        "survives": crate::startup::survives(settings.durability()),
        "region": settings.region,
        "recovered": emulator.recovered.as_ref().map(|recovered| recovered.to_json()),
        "limits": { "request_bytes_max": settings.request_bytes_max, "object_bytes_max": settings.object_bytes_max },
        "services": services,
    })
}

fn localstack_health(emulator: &Emulator) -> Value {
    let services: serde_json::Map<_, _> = emulator
        .services
        .iter()
        .map(|service| (service.schema.name.to_owned(), json!("running")))
        .collect();
    json!({ "services": services, "edition": "cumulog", "version": env!("CARGO_PKG_VERSION") })
}

/// Empties all services in one transaction: a crash leaves all of it or none.
async fn reset(emulator: &Emulator, committed: &AtomicU64) -> Response {
    let pending = emulator.world.store.reset();
    let lsn = pending.lsn().map(|lsn| lsn.0);
    committed.store(lsn.unwrap_or(0), Ordering::Relaxed);
    match pending.await {
        Ok(()) => answer(StatusCode::OK, &json!({ "status": "reset", "lsn": lsn })),
        Err(error) => answer(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({ "error": with_causes(&error) }),
        ),
    }
}

/// Replaces the log by snapshots, as gently as when it is done by itself: requests go on meanwhile. What a dropped
/// connection asked for is done all the same.
async fn compact(emulator: &Emulator) -> Response {
    match emulator.world.store.compact(Pace::Gentle).await {
        Ok(done) => answer(
            StatusCode::OK,
            &json!({
                "status": "compacted",
                "data_dir": emulator.settings.data_dir,
                "lsn": done.lsn.0,
                "written_bytes": done.written_bytes,
                "freed_bytes": done.freed_bytes,
            }),
        ),
        Err(error) => {
            let status = match error {
                Error::NoSpace { .. } => StatusCode::INSUFFICIENT_STORAGE,
                Error::Closed => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            answer(status, &json!({ "error": with_causes(&error) }))
        }
    }
}

fn method_not_allowed(allowed: &'static str) -> Response {
    let mut response = answer(
        StatusCode::METHOD_NOT_ALLOWED,
        &json!({ "error": format!("only {allowed}") }),
    );
    response
        .headers_mut()
        .insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    response
}

fn answer(status: StatusCode, value: &Value) -> Response {
    let mut text = serde_json::to_vec(value).expect("a JSON value can be written");
    text.push(b'\n');
    let mut response = Response::new(Bytes::from(text).into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
