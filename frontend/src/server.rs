//! The server: a listener, a task a connection, an orderly end.
//!
//! The port is bound before the state is opened, so that clients that come during a
//! recovery wait instead of being refused. On SIGTERM or SIGINT no new connection is
//! taken, requests in progress are finished (long polls are answered at once), the
//! log writes its close record, and the exit code is 0.

use std::{
    convert::Infallible,
    io::{self, Write as _},
    net::{IpAddr, SocketAddr, TcpListener},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    clock::{Clock, SystemClock},
    emulator::{self, Emulator},
    http::Response,
    init, jobs,
    log::{Level, Log},
    protocol, services,
    settings::Settings,
    startup,
};

/// How long requests in progress may take to end once the server stops. Container
/// engines kill after ten seconds.
const DRAIN_MAX: Duration = Duration::from_secs(8);
/// How long a client may take to send a request's headers.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait when the system has no socket left for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Runs the emulator until a signal ends it. An error says all there is to say.
pub(crate) fn run(settings: Settings) -> Result<(), String> {
    let (listener, address) = listen(&settings)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let log = Log::start(settings.log, Arc::clone(&clock))
        .map_err(|error| startup::explain("cannot start a thread", &error, None))?;
    for note in &settings.notes {
        log.line(Level::Warn, format_args!("msg={note:?}"));
    }
    // They may be why the start fails: nobody would see them afterwards.
    log.flush();
    let services = services::all();
    let memory = settings.memory_limit.resolve();
    let state = emulator::open(&settings, &services, memory).map_err(|error| {
        let directory = settings.data_dir.as_deref().unwrap_or("".as_ref());
        startup::explain_open(directory, &error)
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| startup::explain("cannot start the runtime", &error, None))?;
    let (closing, closing_seen) = watch::channel(false);
    let emulator = Arc::new(Emulator::new(
        settings,
        address,
        services,
        state,
        memory,
        (clock, log),
        closing_seen,
    ));
    let served = runtime.block_on(serve(listener, Arc::clone(&emulator), closing));
    let stopped = stop(&emulator);
    served.map_err(|error| startup::explain("cannot serve", &error, None))?;
    stopped
}

fn listen(settings: &Settings) -> Result<(TcpListener, SocketAddr), String> {
    let bound = TcpListener::bind((settings.host.as_str(), settings.port)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "stop what listens there, or choose another port with `--port PORT` (0 picks a free one)",
            io::ErrorKind::PermissionDenied => "choose a port above 1023 with `--port PORT`",
            _ => "choose another address with `--host ADDRESS`",
        };
        let what = format!("cannot listen on {}:{}", settings.host, settings.port);
        startup::explain(&what, &error, Some(hint))
    })
}

/// Accepts connections until a signal comes, then lets those that are open finish.
async fn serve(
    listener: TcpListener,
    emulator: Arc<Emulator>,
    closing: watch::Sender<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    announce(&emulator)?;
    init::start(&emulator);
    jobs::start(&emulator);
    let connections = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    // No half-closed connections: so a client that hangs up ends its request, and a long poll of its
    // swallows no message.
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                emulator.log.line(
                    Level::Warn,
                    format_args!("msg=\"cannot accept a connection\" error={error:?}"),
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Small answers must not wait for the client's acknowledgement of earlier ones.
        let _ = stream.set_nodelay(true);
        let emulator = Arc::clone(&emulator);
        let answer = service_fn(move |request| answer(Arc::clone(&emulator), request, peer.ip()));
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), answer));
        // An error here is the client's: it went away or does not speak HTTP.
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    let _ = closing.send(true);
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(DRAIN_MAX) => {
            emulator.log.line(Level::Warn, format_args!("msg=\"requests still in progress were cut off\""));
        }
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn announce(emulator: &Emulator) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(startup::block(emulator).as_bytes())?;
    output.flush()
}

/// Answers one request. A bug that panics costs that request, not the server.
async fn answer(
    emulator: Arc<Emulator>,
    request: hyper::Request<Incoming>,
    peer: IpAddr,
) -> Result<Response, Infallible> {
    let answered = AssertUnwindSafe(protocol::handle(&emulator, request, peer))
        .catch_unwind()
        .await;
    Ok(answered.unwrap_or_else(|_| {
        emulator
            .log
            .line(Level::Error, format_args!("msg=\"a request panicked\""));
        let mut response = Response::new(Vec::new().into());
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    }))
}

/// Writes the close record, so that the next start knows that nothing is missing.
fn stop(emulator: &Emulator) -> Result<(), String> {
    let closed = emulator.world.store.close();
    emulator.log.flush();
    closed.map_err(|error| startup::explain("the log was not closed cleanly", &error, None))
}
