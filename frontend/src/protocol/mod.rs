//! A request's way: signs, route, input, handler, answer, log line.
//!
//! Each step is a function with one typed input and one typed output. Protocols are
//! told apart in [`codec`] only; a handler never knows which one was spoken.

mod codec;
mod exchange;
mod form;
mod website;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use cumulog_shape::Protocol;
use http::{HeaderName, HeaderValue, Method, header};
use hyper::body::Incoming;

pub(crate) use codec::Routers;

use self::exchange::Exchange;
use crate::{
    control, cors,
    emulator::Emulator,
    failure::Failure,
    http::{self as body, BodyError, Request, Response},
    ids::RequestIdStyle,
    log::{Level, Quoted},
    route::{self, Lost, Signs},
    service::Service,
    sigv4,
};

/// What is known of a request by the time it is answered, for its log line.
struct Trace {
    service: &'static str,
    operation: &'static str,
    request_id: Arc<str>,
    /// S3 identifies a request twice.
    host_id: Option<Arc<str>>,
    lsn: Arc<AtomicU64>,
    error: Option<String>,
}

impl Trace {
    /// The service is known: it has request ids of its own style.
    fn found(&mut self, service: &Service, emulator: &Emulator) {
        self.service = service.schema.name;
        let random = &*emulator.world.random;
        if service.request_ids != RequestIdStyle::Uuid {
            self.request_id = service.request_ids.make(random).into();
        }
        if service.request_ids == RequestIdStyle::Letters16 {
            self.host_id = Some(random.letters(76).into());
        }
    }
}

/// A request body: on its way, or read already because its form named the service.
enum Unread {
    Arriving(body::Arriving),
    Arrived(Bytes),
}

/// Answers one request.
///
/// What few requests need is boxed: the future of every request would have room for it, and be copied with it.
pub(crate) async fn handle(
    emulator: &Emulator,
    request: hyper::Request<Incoming>,
    peer: IpAddr,
) -> Response {
    let started = Instant::now();
    let (request, body) = Request::split(request, peer);
    let mut trace = Trace {
        service: "-",
        operation: "-",
        request_id: RequestIdStyle::Uuid.make(&*emulator.world.random).into(),
        host_id: None,
        lsn: Arc::default(),
        error: None,
    };
    let ended = body.ended();
    let credential = sigv4::from_request(&request.headers, request.query.as_deref());
    let signs = Signs {
        method: &request.method,
        path: &request.path,
        query: request.query.as_deref(),
        headers: &request.headers,
        credential: credential.as_ref(),
        peer: Some(request.peer),
        form: None,
    };
    let mut response = match cors::judge(emulator, &request, &signs) {
        cors::Verdict::Answer(response) => response,
        cors::Verdict::Refused(failure) => refuse_preflight(emulator, &failure, &mut trace),
        cors::Verdict::Pass(allowed) => {
            let mut response = dispatch(emulator, &request, body, signs, &mut trace).await;
            response.headers_mut().extend(allowed);
            response
        }
    };
    if request.method == Method::HEAD {
        *response.body_mut() = Bytes::new().into();
    }
    finish_headers(&mut response, &trace);
    if !ended.load(Ordering::Relaxed) {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    write_line(emulator, &trace, &response, started);
    response
}

/// Websites take what is for their hosts, the control plane what is ours, the services the rest.
async fn dispatch(
    emulator: &Emulator,
    request: &Request,
    body: body::Arriving,
    signs: Signs<'_>,
    trace: &mut Trace,
) -> Response {
    if let Some(bucket) = website::bucket(emulator, &signs) {
        return Box::pin(website::answer(emulator, request, signs, bucket, trace)).await;
    }
    if control::owns(request, signs.credential.is_some()) {
        trace.service = "cumulog";
        trace.operation = control::operation(request);
        return Box::pin(control::handle(emulator, request, &trace.lsn)).await;
    }
    answer(emulator, request, body, signs, trace).await
}

/// A preflight that a bucket of S3 refuses.
fn refuse_preflight(emulator: &Emulator, failure: &Failure, trace: &mut Trace) -> Response {
    let mut services = emulator.services.iter();
    let s3 = services.find(|service| service.schema.name == "s3");
    if let Some(s3) = s3 {
        trace.found(s3, emulator);
    }
    trace.operation = "Preflight";
    trace.error = Some(failure.to_string());
    let (id, host_id) = (&trace.request_id, trace.host_id.as_deref());
    codec::write_failure(Protocol::RestXml, s3, failure, id, host_id)
}

/// Every answer names its request, under both names that clients look for.
fn finish_headers(response: &mut Response, trace: &Trace) {
    let id = HeaderValue::from_str(&trace.request_id)
        .expect("request ids are letters, digits and dashes");
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-amzn-requestid"), id.clone());
    headers.insert(HeaderName::from_static("x-amz-request-id"), id);
    if let Some(id) = trace
        .host_id
        .as_deref()
        .and_then(|id| HeaderValue::from_str(id).ok())
    {
        headers.insert(HeaderName::from_static("x-amz-id-2"), id);
        headers.insert(header::SERVER, HeaderValue::from_static("AmazonS3"));
    }
}

fn write_line(emulator: &Emulator, trace: &Trace, response: &Response, started: Instant) {
    let status = response.status().as_u16();
    let level = if status >= 500 && status != 501 {
        Level::Error
    } else {
        Level::Info
    };
    let duration_us = started.elapsed().as_micros();
    let lsn = trace.lsn.load(Ordering::Relaxed);
    let Trace {
        service,
        operation,
        request_id,
        ..
    } = trace;
    match &trace.error {
        None => emulator.log.line(
            level,
            format_args!(
                "msg=request service={service} operation={operation} status={status} duration={duration_us}µs request_id={request_id} lsn={lsn}"
            ),
        ),
        Some(error) => emulator.log.line(
            level,
            format_args!(
                "msg=request service={service} operation={operation} status={status} duration={duration_us}µs request_id={request_id} lsn={lsn} error={}",
                Quoted(error)
            ),
        ),
    }
}

/// Finds who the request is for and has it answered there.
async fn answer(
    emulator: &Emulator,
    request: &Request,
    body: body::Arriving,
    mut signs: Signs<'_>,
    trace: &mut Trace,
) -> Response {
    let mut body = Unread::Arriving(body);
    let mut form = Bytes::new();
    if signs.needs_form() {
        match read(body, emulator).await {
            Ok(bytes) => form = bytes,
            Err(failure) => return lost(trace, Protocol::Query, &failure),
        }
        body = Unread::Arrived(form.clone());
    }
    signs.form = std::str::from_utf8(&form)
        .ok()
        .filter(|form| !form.is_empty());
    let route = match route::find(&emulator.services, &signs) {
        Ok(route) => route,
        Err(Lost { protocol, failure }) => return lost(trace, protocol, &failure),
    };
    trace.found(route.service, emulator);
    let exchange = Exchange {
        emulator,
        route,
        signs,
        path: &request.path,
        headers: &request.headers,
    };
    let answered = match form::bucket(&exchange) {
        Some(bucket) => Box::pin(form::answer(&exchange, bucket, body, trace)).await,
        None => exchange.run(body, trace).await,
    };
    match answered {
        Ok(response) => response,
        Err(failure) => exchange.fail(failure, trace),
    }
}

/// Answers a request that is for no service.
fn lost(trace: &mut Trace, protocol: Protocol, failure: &Failure) -> Response {
    trace.error = Some(failure.to_string());
    codec::write_failure(protocol, None, failure, &trace.request_id, None)
}

/// Reads what is left of a body into memory.
async fn read(body: Unread, emulator: &Emulator) -> Result<Bytes, Failure> {
    let bytes_max = emulator.settings.request_bytes_max;
    match body {
        Unread::Arrived(bytes) => Ok(bytes),
        Unread::Arriving(body) => Ok(emulator.room.collect(body, bytes_max).await?),
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong { bytes_max } => {
                let message = format!(
                    "Request size exceeded limit of {bytes_max} bytes (--request-bytes-max)"
                );
                Failure::sender("RequestEntityTooLarge", 413, message)
            }
            BodyError::Broken(_) => Failure::sender("IncompleteBody", 400, error.to_string()),
        }
    }
}
