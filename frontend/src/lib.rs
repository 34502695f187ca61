//! cumulog: a local AWS on a write-ahead log.
//!
//! The product is the binary `cumulog`; this library is its body, so that tests and fuzz targets can reach it. It offers
//! no API.
//!
//! `ARCHITECTURE.md` is the map. A request goes
//! `server` → `route` → `protocol` (decode) → `service` (handler in a transaction) → `protocol` (encode),
//! and nothing further in knows of anything further out.

mod call;
mod checksum;
mod chunked;
mod cli;
mod clock;
mod control;
mod cors;
mod emulator;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod hex;
mod hosts;
mod http;
mod ids;
mod init;
mod jobs;
mod log;
mod memory;
mod multipart;
mod policy;
mod presigned;
mod protocol;
mod route;
mod server;
mod service;
mod services;
mod settings;
mod sigv4;
mod startup;
mod tables;
#[cfg(test)]
mod testing;
mod upload;

use std::process::ExitCode;

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    cli::main(std::env::args_os().skip(1), std::env::vars_os())
}
