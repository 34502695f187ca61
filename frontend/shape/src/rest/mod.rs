//! The REST binding with XML bodies: an input is spread over path, query, headers and body, an output over status,
//! headers and body.
//!
//! Each member's [`Location`](crate::Location) says where it travels. What stands in no other place is the body: the one payload member
//! (a structure as XML, a blob or text as it is, a stream that is passed on unread), or else an XML document of all the
//! members that are left.

mod read;
mod write;

pub use read::read;
pub use write::write;

use http::HeaderMap;

use crate::router::Query;
use crate::{ByteStream, OperationSchema};

/// What a request brings.
pub struct RestRequest<'a> {
    /// From the router.
    pub labels: &'a [(&'static str, String)],
    /// Decoded query pairs.
    pub query: &'a Query<'a>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body: in memory, unless [`streams`] says that the operation takes it as it comes.
    pub body: ByteStream,
}

/// What an answer is made of.
#[derive(Debug)]
pub struct RestAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers that the output says, and the body's type.
    pub headers: HeaderMap,
    /// The body; moved out of the output if that streams.
    pub body: ByteStream,
}

/// Whether the operation's request body is passed on unread.
pub fn streams(operation: &OperationSchema) -> bool {
    operation
        .input
        .payload
        .is_some_and(|index| operation.input.members[index].streaming)
}
