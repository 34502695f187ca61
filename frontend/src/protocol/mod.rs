//! A request's way: signs, route, input, handler, answer, log line.
//!
//! Each step is a function with one typed input and one typed output. Protocols are
//! told apart in [`codec`] only; a handler never knows which one was spoken.

mod codec;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use bytes::Bytes;
use cumulog_shape::{ByteStream, OperationRoute, OperationSchema, Protocol, Struct};
use http::{HeaderName, HeaderValue, Method, header};
use hyper::body::Incoming;

pub(crate) use codec::Routers;

use crate::{
    call::{Call, Identity},
    control, cors,
    emulator::Emulator,
    failure::{self, Failure},
    http::{self as body, BodyError, Request, Response},
    ids::RequestIdStyle,
    log::{Level, Quoted},
    route::{self, Lost, Route, Signs},
    service::Running,
    sigv4::{self, Credential},
    upload,
};

/// What is known of a request by the time it is answered, for its log line.
struct Trace {
    service: &'static str,
    operation: Arc<str>,
    request_id: Arc<str>,
    lsn: Arc<AtomicU64>,
    error: Option<String>,
}

/// A request body: on its way, or read already because its form named the service.
enum Unread {
    Arriving(Incoming),
    Arrived(Bytes),
}

/// Answers one request.
pub(crate) async fn handle(emulator: &Emulator, request: hyper::Request<Incoming>) -> Response {
    let started = Instant::now();
    let request = Request::new(request);
    let method = request.method.clone();
    let credential = sigv4::from_request(&request.headers, request.query.as_deref());
    let origin = request.headers.get(header::ORIGIN).cloned();
    if let cors::Verdict::Answer(response) = cors::judge(&request.method, &request.headers) {
        return response;
    }
    if control::owns(&request, credential.is_some()) {
        return control::handle(emulator, &request).await;
    }
    let mut trace = Trace {
        service: "-",
        operation: "-".into(),
        request_id: RequestIdStyle::Uuid.make(&*emulator.world.random).into(),
        lsn: Arc::default(),
        error: None,
    };
    let mut response = answer(emulator, request, credential, &mut trace).await;
    if method == Method::HEAD {
        *response.body_mut() = Bytes::new().into();
    }
    finish_headers(&mut response, &trace);
    if let Some(origin) = origin {
        cors::allow(&origin, response.headers_mut());
    }
    write_line(emulator, &trace, &response, started);
    response
}

/// Every answer names its request, under both names that clients look for.
fn finish_headers(response: &mut Response, trace: &Trace) {
    let id = HeaderValue::from_str(&trace.request_id)
        .expect("request ids are letters, digits and dashes");
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-amzn-requestid"), id.clone());
    headers.insert(HeaderName::from_static("x-amz-request-id"), id);
}

fn write_line(emulator: &Emulator, trace: &Trace, response: &Response, started: Instant) {
    let status = response.status().as_u16();
    let level = if status >= 500 && status != 501 {
        Level::Error
    } else {
        Level::Info
    };
    let duration_us = started.elapsed().as_micros();
    let lsn = trace.lsn.load(std::sync::atomic::Ordering::Relaxed);
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
    request: Request,
    credential: Option<Credential>,
    trace: &mut Trace,
) -> Response {
    let Request {
        method,
        path,
        query,
        headers,
        body,
    } = request;
    let mut signs = Signs {
        method: &method,
        path: &path,
        query: query.as_deref(),
        headers: &headers,
        credential: credential.as_ref(),
        form: None,
    };
    let mut body = Unread::Arriving(body);
    if signs.needs_form() {
        match read(body, emulator.settings.request_bytes_max).await {
            Ok(bytes) => body = Unread::Arrived(bytes),
            Err(failure) => {
                return lost(
                    trace,
                    Lost {
                        protocol: Protocol::Query,
                        failure,
                    },
                );
            }
        }
    }
    let form = match &body {
        Unread::Arrived(bytes) => Some(bytes.clone()),
        Unread::Arriving(_) => None,
    };
    signs.form = form
        .as_deref()
        .and_then(|form| std::str::from_utf8(form).ok());
    let route = match route::find(&emulator.services, &signs) {
        Ok(route) => route,
        Err(unknown) => return lost(trace, unknown),
    };
    trace.service = route.service.schema.name;
    if route.service.request_ids != RequestIdStyle::Uuid {
        trace.request_id = route
            .service
            .request_ids
            .make(&*emulator.world.random)
            .into();
    }
    let exchange = Exchange {
        emulator,
        route,
        signs,
        resource: &path,
    };
    match exchange.run(body, trace).await {
        Ok(response) => response,
        Err(failure) => exchange.fail(failure, trace),
    }
}

fn lost(trace: &mut Trace, Lost { protocol, failure }: Lost) -> Response {
    trace.error = Some(failure.to_string());
    codec::write_failure(protocol, None, &failure, &trace.request_id, "/")
}

/// Reads what is left of a body into memory.
async fn read(body: Unread, bytes_max: usize) -> Result<Bytes, Failure> {
    match body {
        Unread::Arrived(bytes) => Ok(bytes),
        Unread::Arriving(body) => Ok(body::collect(body, bytes_max).await?),
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

/// A request whose service is known.
struct Exchange<'a> {
    emulator: &'a Emulator,
    route: Route<'a>,
    signs: Signs<'a>,
    /// The path, for S3's errors.
    resource: &'a str,
}

impl<'a> Exchange<'a> {
    async fn run(&self, body: Unread, trace: &mut Trace) -> Result<Response, Failure> {
        let (operation, source) = match self.route.protocol {
            Protocol::RestXml | Protocol::RestJson => self.bind(body, trace).await?,
            Protocol::Query | Protocol::Ec2 => self.form(body, trace).await?,
            _ => self.document(body, trace).await?,
        };
        let call = self.call(trace);
        self.emulator.world.store.admission().await;
        let service = self.route.service;
        let mut source = Some(source);
        let mut decode = |input: &mut dyn Struct| {
            let source = source.take().expect("a handler decodes its input once");
            let missing = codec::read(self.route, operation, &self.signs, source, input)?;
            service.check(input, &missing)
        };
        let running = service
            .run(operation.name, call, &mut decode)
            .expect("the operation was found to have a handler")?;
        let mut output = match running {
            Running::Done(answer) => answer?,
            Running::Later(answer) => answer.await?,
        };
        codec::write(self.route, operation, &mut *output, &trace.request_id)
    }

    /// The operation called `name`, if it is one that we have.
    fn implemented(
        &self,
        operation: &'static OperationRoute,
        trace: &mut Trace,
    ) -> Result<&'static OperationSchema, Failure> {
        trace.operation = operation.name.into();
        let implemented = operation
            .schema
            .filter(|schema| self.route.service.implements(schema.name));
        implemented.ok_or_else(|| route::not_implemented(self.route.service, operation.name))
    }

    /// Smithy RPC and the JSON protocols: a name and a document.
    async fn document(
        &self,
        body: Unread,
        trace: &mut Trace,
    ) -> Result<(&'static OperationSchema, Source), Failure> {
        let operation = route::operation(self.route, &self.signs)?;
        let operation = self.implemented(operation, trace)?;
        let body = read(body, self.emulator.settings.request_bytes_max).await?;
        Ok((operation, Source::Document(body)))
    }

    /// The query protocols: parameters in the body, the query string, or both.
    async fn form(
        &self,
        body: Unread,
        trace: &mut Trace,
    ) -> Result<(&'static OperationSchema, Source), Failure> {
        let mut form = read(body, self.emulator.settings.request_bytes_max).await?;
        if let Some(query) = self.signs.query {
            form = [&form[..], query.as_bytes()].join(&b'&').into();
        }
        let text = std::str::from_utf8(&form).map_err(|_| {
            Failure::sender(
                "MalformedQueryString",
                400,
                "The request parameters are not UTF-8.",
            )
        })?;
        let signs = Signs {
            form: Some(text),
            ..self.signs
        };
        let operation = route::operation(self.route, &signs)?;
        let operation = self.implemented(operation, trace)?;
        if let Some(parameters) = self.route.service.path_parameters(self.signs.path, text) {
            form = [&form[..], parameters.as_bytes()].join(&b'&').into();
        }
        Ok((operation, Source::Form(form)))
    }

    /// The REST protocols: members in the path, the query, the headers and the body.
    async fn bind(
        &self,
        body: Unread,
        trace: &mut Trace,
    ) -> Result<(&'static OperationSchema, Source), Failure> {
        let found = self
            .emulator
            .routers
            .find(self.route.service, &self.signs)?;
        let operation = self.implemented(found.operation, trace)?;
        let body = match body {
            Unread::Arriving(body) if codec::streams(operation) => {
                Content::Stream(upload::open(self.signs.headers, body)?)
            }
            body => Content::Whole(read(body, self.emulator.settings.request_bytes_max).await?),
        };
        Ok((
            operation,
            Source::Bound {
                labels: found.labels,
                body,
            },
        ))
    }

    fn call(&self, trace: &Trace) -> Call {
        let credential = self.signs.credential;
        let identity = Identity {
            access_key: credential.map(|credential| credential.access_key.clone()),
        };
        let region = credential
            .map(|credential| credential.region.as_str())
            .filter(|region| !region.is_empty());
        let host = self
            .signs
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        Call {
            request_id: Arc::clone(&trace.request_id),
            operation: format!("{}.{}", trace.service, trace.operation).into(),
            account: identity.account().into(),
            region: region.unwrap_or(&self.emulator.settings.region).into(),
            identity,
            now: self.emulator.world.clock.now(),
            endpoint: host
                .map_or_else(|| self.emulator.address.to_string(), str::to_owned)
                .into(),
            world: Arc::clone(&self.emulator.world),
            lsn: Arc::clone(&trace.lsn),
        }
    }

    fn fail(&self, mut failure: Failure, trace: &mut Trace) -> Response {
        if failure.code == failure::INTERNAL {
            failure.code = self.route.service.internal_code.into();
        }
        trace.error = Some(failure.to_string());
        codec::write_failure(
            self.route.protocol,
            Some(self.route.service),
            &failure,
            &trace.request_id,
            self.resource,
        )
    }
}

/// An input as it came, before it is read into its type.
pub(crate) enum Source {
    Document(Bytes),
    Form(Bytes),
    Bound { labels: Labels, body: Content },
}

/// The decoded labels of a path.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// The body of a REST request.
pub(crate) enum Content {
    Whole(Bytes),
    Stream(ByteStream),
}
