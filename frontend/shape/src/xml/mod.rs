//! XML as the AWS protocols use it: a lexer with limits, and a writer.
//!
//! `quick-xml` splits the input into tags and text; [`reader`] adds what it leaves out (a depth limit, no DTD, one root
//! element). [`writer`] is ours because it must escape as AWS does.

pub(crate) mod codec;
pub(crate) mod reader;
pub(crate) mod writer;
