//! A request whose service is known: input, handler, answer.

use std::sync::Arc;

use bytes::Bytes;
use cumulog_shape::{ByteStream, OperationRoute, OperationSchema, Protocol, Struct};
use http::HeaderMap;

use super::{Trace, Unread, codec, read};
use crate::{
    call::{self, Call},
    emulator::Emulator,
    failure::{self, Failure},
    http::Response,
    route::{self, Route, Signs},
    service::Running,
    upload,
};

/// A request whose service is known.
pub(super) struct Exchange<'a> {
    pub(super) emulator: &'a Emulator,
    pub(super) route: Route<'a>,
    pub(super) signs: Signs<'a>,
    pub(super) path: &'a Arc<str>,
    pub(super) headers: &'a Arc<HeaderMap>,
}

impl<'a> Exchange<'a> {
    /// Decodes, runs the handler, encodes.
    pub(super) async fn run(&self, body: Unread, trace: &mut Trace) -> Result<Response, Failure> {
        let (operation, source) = match self.route.protocol {
            Protocol::RestXml | Protocol::RestJson => self.bind(body, trace).await?,
            Protocol::Query | Protocol::Ec2 => self.form(body, trace).await?,
            _ => self.document(body, trace).await?,
        };
        let call = self.call(operation.name, trace);
        let asking = call.is_anonymous.then(|| call.clone());
        self.emulator.world.store.admission().await;
        let service = self.route.service;
        let mut source = Some(source);
        let mut decode = |input: &mut dyn Struct| {
            let source = source.take().expect("a handler decodes its input once");
            let missing = codec::read(self.route, operation, &self.signs, source, input)?;
            service.check(input, &missing)?;
            match &asking {
                Some(call) => service.check_access(call, input),
                None => Ok(()),
            }
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
        trace.operation = operation.name;
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
        let body = read(body, self.emulator).await?;
        Ok((operation, Source::Document(body)))
    }

    /// The query protocols: parameters in the body, the query string, or both.
    async fn form(
        &self,
        body: Unread,
        trace: &mut Trace,
    ) -> Result<(&'static OperationSchema, Source), Failure> {
        let mut form = read(body, self.emulator).await?;
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
            body => {
                let bytes_max = self.emulator.settings.request_bytes_max;
                let body = read(body, self.emulator)
                    .await
                    .map_err(|failure| in_words_of_s3(failure, bytes_max))?;
                upload::verify(self.signs.headers, operation.input, &body)?;
                Content::Whole(body)
            }
        };
        Ok((
            operation,
            Source::Bound {
                labels: found.labels,
                body,
            },
        ))
    }

    pub(super) fn call(&self, operation: &'static str, trace: &Trace) -> Call {
        let emulator = self.emulator;
        let access_key = self
            .signs
            .credential
            .map_or("", |credential| &credential.access_key);
        let region = self
            .signs
            .credential
            .map_or("", |credential| &credential.region);
        Call {
            request_id: Arc::clone(&trace.request_id),
            host_id: trace.host_id.clone(),
            service: trace.service,
            operation,
            account: shared(call::account(access_key), &emulator.account),
            region: shared(region, &emulator.region),
            is_anonymous: self.signs.credential.is_none(),
            peer: self.signs.peer,
            protocol: self.route.protocol,
            path: Arc::clone(self.path),
            headers: Arc::clone(self.headers),
            now: emulator.world.clock.now(),
            world: Arc::clone(&emulator.world),
            lsn: Arc::clone(&trace.lsn),
        }
    }

    /// Writes a failure in the protocol's form.
    pub(super) fn fail(&self, mut failure: Failure, trace: &mut Trace) -> Response {
        if failure.code == failure::INTERNAL {
            failure.code = self.route.service.internal_code.into();
        }
        trace.error = Some(failure.to_string());
        codec::write_failure(
            self.route.protocol,
            Some(self.route.service),
            &failure,
            &trace.request_id,
            trace.host_id.as_deref(),
        )
    }
}

/// S3 has a code of its own for a document that is too long.
fn in_words_of_s3(failure: Failure, bytes_max: usize) -> Failure {
    if failure.status != 413 {
        return failure;
    }
    Failure::sender("MaxMessageLengthExceeded", 400, "Your request was too big.")
        .with("MaxMessageLengthBytes", bytes_max.to_string())
}

/// `text`, or what stands for none; most requests share that one.
fn shared(text: &str, usual: &Arc<str>) -> Arc<str> {
    if text.is_empty() || text == &**usual {
        Arc::clone(usual)
    } else {
        text.into()
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
