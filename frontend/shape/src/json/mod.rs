//! awsJson 1.0 and 1.1, and the bodies of restJson: read into slots, written from views.
//!
//! Own lexer, as it is a third faster than `serde_json` on request bodies and knows AWS's words for a wrong type;
//! `serde_json` is its oracle in the tests.

pub(crate) mod lexer;
mod read;
mod scan;
mod write;

pub use read::{read, read_members};
pub use write::{write, write_members, write_string};

/// Objects and lists in one another. DynamoDB items need about 70; the bound keeps recursion far from the end of a stack.
pub(crate) const DEPTH_MAX: u32 = 256;
