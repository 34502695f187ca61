//! AWS shapes at run time: schemas, one codec a protocol, one validator.
//!
//! `cumulog-model` generates plain structs from the service models. They implement [`Struct`], a small object-safe trait
//! beside a static [`Schema`], and on these two stand all codecs and the validator: code is written per protocol, never
//! per shape.

mod bind_error;
pub mod cbor;
pub mod check;
mod compare;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod json;
mod map;
mod operation;
mod path;
pub mod query;
mod read_error;
mod reflect;
pub mod rest;
pub mod router;
mod schema;
mod stream;
mod text;
mod timestamp;
pub mod uri;
mod value;
mod xml;

pub use bind_error::BindError;
pub use bytes::Bytes;
pub use compare::{debug, equal};
pub use map::Map;
pub use operation::Operation;
pub use path::{Missing, MissingMember, Path, Seen, UnionFault};
pub use read_error::{Base64Fault, Budget, Found, ReadError};
pub use reflect::{Entries, Enum, Item, List, Slot, Struct, View, slot, view};
pub use schema::{
    Bound, Checksum, Element, ErrorTrait, Event, Http, Kind, Location, Member, OperationRoute,
    OperationSchema, Protocol, Schema, ServiceSchema, Shape, Wrapper, XmlNamespace,
};
pub use serde_json::Value as Document;
pub use stream::{ByteStream, StreamError};
pub use timestamp::{Timestamp, TimestampFormat};
pub use value::Value;
