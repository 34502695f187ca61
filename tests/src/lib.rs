//! End-to-end tests of the emulator with the Rust AWS SDK.
//!
//! They run the real binary: `CUMULOG_BIN`, or the one that cargo built beside these
//! tests. Compiled for tests only, so that nobody waits for the SDK to build a server.

#[cfg(test)]
mod dynamodb;
#[cfg(test)]
mod emulator;
#[cfg(test)]
mod s3;
#[cfg(test)]
mod sqs;
