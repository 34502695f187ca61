//! rpcv2Cbor bodies: read into slots, written from views.
//!
//! Maps and lists of definite and indefinite length are read, definite ones written. Timestamps carry tag 1.

mod decoder;
mod read;
mod write;

pub use read::read;
pub use write::{write, write_map, write_text};

/// Maps and lists in one another, as for JSON.
const DEPTH_MAX: u32 = 256;
