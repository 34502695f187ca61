//! An error on its way out, in no protocol yet.

use std::borrow::Cow;

use cumulog_engine as engine;
use cumulog_shape::Struct;

/// Stands for the service's own name of "our fault": `InternalError` in S3,
/// `InternalServerError` in DynamoDB.
pub(crate) const INTERNAL: &str = "InternalFailure";

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request's; a retry does not help.
    Sender,
    /// Ours.
    Receiver,
}

/// What a request is answered when it fails: an AWS code, a status and words.
///
/// Each service maps its own error enum to this in one function; the protocol gives
/// it its form.
pub(crate) struct Failure {
    pub(crate) code: Cow<'static, str>,
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) fault: Fault,
    /// The code that the service had when it still spoke the query protocol.
    pub(crate) query_code: Option<&'static str>,
    /// Further elements of an XML error, such as S3's `<Key>`.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// The modelled shape of the error, where it says more than a message.
    pub(crate) detail: Option<Box<dyn Struct>>,
    /// Further headers of the answer.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Failure {
    /// The request's fault.
    pub(crate) fn sender(
        code: impl Into<Cow<'static, str>>,
        status: u16,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code: code.into(),
            status,
            message: message.into(),
            fault: Fault::Sender,
            query_code: None,
            fields: Vec::new(),
            detail: None,
            headers: Vec::new(),
        }
    }

    /// Our fault, status 500, under the service's own code for that.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            fault: Fault::Receiver,
            ..Self::sender(INTERNAL, 500, message)
        }
    }

    /// Our fault, and a retry may help: every SDK tries again by itself.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            fault: Fault::Receiver,
            ..Self::sender("ServiceUnavailable", 503, message)
        }
    }

    /// Adds an element to an XML error.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds a header to the answer.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Gives the modelled shape of the error.
    pub(crate) fn detail(mut self, detail: impl Struct + 'static) -> Self {
        self.detail = Some(Box::new(detail));
        self
    }

    /// Sets the code of the service's query days.
    pub(crate) fn query_code(mut self, code: &'static str) -> Self {
        self.query_code = Some(code);
        self
    }
}

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status, self.message)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

/// A disk that fails is an error, not a 200 (promise 6): the message says what became
/// of the write, so that nobody has to guess.
impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        match error {
            engine::Error::NoMemory { .. } => Failure::unavailable(format!(
                "The memory for the state is used up, and nothing was changed: {error}. Delete something and try again, \
                 or start cumulog with a larger --memory-limit."
            )),
            error => Failure::internal(with_causes(&error)),
        }
    }
}

/// A row that does not decode is our bug or damage that no checksum saw.
impl From<engine::RowError> for Failure {
    fn from(error: engine::RowError) -> Self {
        Failure::internal(with_causes(&error))
    }
}

/// The error and all that caused it, on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
