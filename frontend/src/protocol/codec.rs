//! The protocols, told apart: bytes to inputs, outputs and failures to answers.

use cumulog_shape::{OperationSchema, Protocol, Struct};

use super::{Labels, Source};
use crate::{
    failure::Failure,
    http::Response,
    route::{Route, Signs},
    service::{Service, Services},
};
use cumulog_shape::{Missing, OperationRoute};

/// REST routers, a service each.
pub(crate) struct Routers;

pub(crate) struct Found {
    pub(crate) operation: &'static OperationRoute,
    pub(crate) labels: Labels,
}

impl Routers {
    pub(crate) fn new(_services: &Services) -> Self {
        Self
    }

    pub(crate) fn find(&self, service: &Service, _signs: &Signs<'_>) -> Result<Found, Failure> {
        Err(Failure::internal(service.schema.name))
    }
}

/// Whether the operation's input has a streaming member.
pub(crate) fn streams(operation: &OperationSchema) -> bool {
    operation
        .input
        .payload
        .is_some_and(|payload| operation.input.members[payload].streaming)
}

pub(crate) fn read(
    _route: Route<'_>,
    _operation: &OperationSchema,
    _signs: &Signs<'_>,
    _source: Source,
    _input: &mut dyn Struct,
) -> Result<Missing, Failure> {
    Err(Failure::internal("no codec"))
}

pub(crate) fn write(
    _route: Route<'_>,
    _operation: &OperationSchema,
    _output: &mut dyn Struct,
    _request_id: &str,
) -> Result<Response, Failure> {
    Err(Failure::internal("no codec"))
}

pub(crate) fn write_failure(
    _protocol: Protocol,
    _service: Option<&Service>,
    failure: &Failure,
    _request_id: &str,
    _resource: &str,
) -> Response {
    Response::new(failure.message.clone().into_bytes().into())
}
