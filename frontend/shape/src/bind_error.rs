//! Why a form, an XML body or a REST request could not be read into an operation's input.

use std::borrow::Cow;

use crate::xml::reader::Malformed;

/// A request that cannot be read. What a service answers depends on its dialect, so the parts are kept apart.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BindError {
    /// The request is not in the protocol's form: broken XML, text that is not UTF-8, an unknown element.
    #[error("{0}")]
    Malformed(Cow<'static, str>),

    /// A text is not a value of its member's type.
    #[error("`{text}` at `{path}` is not {wanted}")]
    Value {
        /// Name on the wire: `max-keys`, `DelaySeconds`.
        name: String,
        /// Where, as AWS writes it: `entries.1.member.delaySeconds`.
        path: String,
        /// What was sent.
        text: String,
        /// What should have been: `an integer`.
        wanted: &'static str,
    },
}

impl BindError {
    pub(crate) fn malformed(reason: impl Into<Cow<'static, str>>) -> Self {
        BindError::Malformed(reason.into())
    }
}

impl From<Malformed> for BindError {
    fn from(Malformed(reason): Malformed) -> Self {
        BindError::Malformed(reason)
    }
}
