//! A service: its model and a handler for each operation that it implements.
//!
//! An operation fixes its input and output types, so a handler of the wrong type does
//! not compile. An operation without a handler is answered 501 with its name.

use std::{collections::HashMap, future::Future, pin::Pin};

use cumulog_engine::{Space, Txn, View};
use cumulog_shape::{
    Missing, Operation, ServiceSchema, Struct,
    check::{self, Dialect},
};

use crate::{
    call::Call,
    failure::Failure,
    ids::RequestIdStyle,
    jobs::{self, Jobs},
};

/// Fills an input from the request.
pub(crate) type Decode<'a> = &'a mut dyn FnMut(&mut dyn Struct) -> Result<(), Failure>;

/// What a handler answers.
pub(crate) type Answer = Result<Box<dyn Struct>, Failure>;

/// An answer that is there, or one to wait for.
pub(crate) enum Running {
    Done(Answer),
    Later(Pin<Box<dyn Future<Output = Answer> + Send>>),
}

/// A handler that reads, from a view.
type Reader<O, E> =
    fn(&Call, &View, <O as Operation>::Input) -> Result<<O as Operation>::Output, E>;

/// A handler that is one transaction.
type Writer<O, E> =
    fn(&Call, &mut Txn, <O as Operation>::Input) -> Result<<O as Operation>::Output, E>;

type Handler = Box<dyn Fn(Call, Decode<'_>) -> Result<Running, Failure> + Send + Sync>;

/// What a service's inputs must satisfy before its handlers see them, given the
/// required members that the request left out.
pub(crate) type Validate = fn(&dyn Struct, &Missing) -> Result<(), Failure>;

/// Refuses who may not do what an input asks for.
pub(crate) type Authorize = fn(&Call, &dyn Struct) -> Result<(), Failure>;

/// A service and its handlers.
pub(crate) struct Service {
    pub(crate) schema: &'static ServiceSchema,
    pub(crate) request_ids: RequestIdStyle,
    /// The service's code for "our fault".
    pub(crate) internal_code: &'static str,
    validate: Validate,
    authorize: Authorize,
    /// The key spaces that the service owns.
    pub(crate) spaces: &'static [Space],
    /// Its work that falls due later.
    pub(crate) jobs: Option<Jobs>,
    job_handlers: HashMap<&'static str, jobs::Handler>,
    /// Operations without a handler, and why.
    refused: &'static [(&'static str, &'static str)],
    handlers: HashMap<&'static str, Handler>,
}

impl Service {
    /// A service without handlers.
    pub(crate) fn new(schema: &'static ServiceSchema) -> Self {
        Self {
            schema,
            request_ids: RequestIdStyle::default(),
            internal_code: crate::failure::INTERNAL,
            validate: default_validate,
            authorize: |_, _| Ok(()),
            spaces: &[],
            jobs: None,
            job_handlers: HashMap::new(),
            refused: &[],
            handlers: HashMap::new(),
        }
    }

    /// Sets the form of the service's request ids.
    pub(crate) fn request_ids(mut self, style: RequestIdStyle) -> Self {
        self.request_ids = style;
        self
    }

    /// Sets the service's code for "our fault".
    pub(crate) fn internal_code(mut self, code: &'static str) -> Self {
        self.internal_code = code;
        self
    }

    /// Says why operations have no handler.
    pub(crate) fn refuses(mut self, reasons: &'static [(&'static str, &'static str)]) -> Self {
        for (operation, _) in reasons {
            assert!(self.schema.operation(operation).is_some(), "{operation}");
        }
        self.refused = reasons;
        self
    }

    /// Why `operation` has no handler, as far as that is told.
    pub(crate) fn reason(&self, operation: &str) -> Option<&'static str> {
        let mut refused = self.refused.iter();
        let found = refused.find(|(refused, _)| *refused == operation)?;
        Some(found.1)
    }

    /// Checks every input with `validate` instead of the model's constraints.
    pub(crate) fn validate(mut self, validate: Validate) -> Self {
        self.validate = validate;
        self
    }

    /// Asks `authorize` about the inputs of anonymous requests.
    pub(crate) fn authorize(mut self, authorize: Authorize) -> Self {
        self.authorize = authorize;
        self
    }

    /// Names the key spaces that the service owns: with `--persist` they are kept or not.
    pub(crate) fn spaces(mut self, spaces: &'static [Space]) -> Self {
        self.spaces = spaces;
        self
    }

    /// Says where the service keeps its jobs.
    pub(crate) fn jobs(mut self, jobs: Jobs) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// What does the jobs of a kind.
    pub(crate) fn job_handler(mut self, kind: &'static str, handler: jobs::Handler) -> Self {
        let earlier = self.job_handlers.insert(kind, handler);
        assert!(earlier.is_none(), "{kind} is registered twice");
        self
    }

    /// What does the jobs of this kind, if the service knows it.
    pub(crate) fn job(&self, kind: &str) -> Option<jobs::Handler> {
        self.job_handlers.get(kind).copied()
    }

    /// An operation that only reads, from the last published state.
    pub(crate) fn read<O: Operation, E: Into<Failure> + Send + 'static>(
        self,
        handler: Reader<O, E>,
    ) -> Self {
        self.on::<O>(move |call, input| {
            Running::Done(answer::<O, E>(handler(&call, &call.view(), input)))
        })
    }

    /// An operation that is one transaction.
    pub(crate) fn write<O: Operation, E: Into<Failure> + Send + 'static>(
        self,
        handler: Writer<O, E>,
    ) -> Self {
        self.on::<O>(move |call, input| {
            Running::Later(Box::pin(async move {
                let committed = call.commit(|txn| {
                    let call = Call {
                        now: call.clock().now(),
                        ..call.clone()
                    };
                    handler(&call, txn, input)
                });
                answer::<O, Failure>(committed.await)
            }))
        })
    }

    /// An operation that waits or streams, in as many transactions as it needs.
    pub(crate) fn future<O, F, E>(self, handler: fn(Call, O::Input) -> F) -> Self
    where
        O: Operation,
        F: Future<Output = Result<O::Output, E>> + Send + 'static,
        E: Into<Failure> + Send + 'static,
    {
        self.on::<O>(move |call, input| {
            let running = handler(call, input);
            Running::Later(Box::pin(async move { answer::<O, E>(running.await) }))
        })
    }

    fn on<O: Operation>(
        mut self,
        run: impl Fn(Call, O::Input) -> Running + Send + Sync + 'static,
    ) -> Self {
        let handler: Handler = Box::new(move |call, decode| {
            let mut input = O::Input::default();
            decode(&mut input)?;
            Ok(run(call, input))
        });
        let earlier = self.handlers.insert(O::SCHEMA.name, handler);
        assert!(earlier.is_none(), "{} is registered twice", O::SCHEMA.name);
        self
    }

    /// Decodes the input of `operation` and starts its handler; `None`: it has none.
    pub(crate) fn run(
        &self,
        operation: &str,
        call: Call,
        decode: Decode<'_>,
    ) -> Option<Result<Running, Failure>> {
        self.handlers
            .get(operation)
            .map(|handler| handler(call, decode))
    }

    /// Refuses an input that breaks the service's constraints.
    pub(crate) fn check(&self, input: &dyn Struct, missing: &Missing) -> Result<(), Failure> {
        (self.validate)(input, missing)?;
        match missing.union_fault() {
            None => Ok(()),
            Some(fault) => Err(Failure::sender("ValidationException", 400, fault.message())),
        }
    }

    /// Refuses what `call` may not ask for.
    pub(crate) fn check_access(&self, call: &Call, input: &dyn Struct) -> Result<(), Failure> {
        (self.authorize)(call, input)
    }

    /// Whether `operation` has a handler.
    pub(crate) fn implements(&self, operation: &str) -> bool {
        self.handlers.contains_key(operation)
    }
}

fn answer<O: Operation, E: Into<Failure>>(result: Result<O::Output, E>) -> Answer {
    match result {
        Ok(output) => Ok(Box::new(output)),
        Err(error) => Err(error.into()),
    }
}

/// The model's own constraints, in the words of AWS's common framework.
fn default_validate(input: &dyn Struct, missing: &Missing) -> Result<(), Failure> {
    let dialect = Dialect::COMMON;
    match check::check(input, missing, &dialect) {
        None => Ok(()),
        Some(message) => Err(Failure::sender(dialect.code, 400, message)),
    }
}

/// The services that answer, by name.
pub(crate) type Services = Vec<Service>;

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.schema.name)
    }
}
