//! AWS request and answer types, generated from botocore's service models.
//!
//! One module per service: a type per implemented operation (which ties input and output together, see
//! [`Operation`](cumulog_shape::Operation)), a struct per shape, and `SERVICE`, the static schema.

include!(concat!(env!("OUT_DIR"), "/services.rs"));
