//! End-to-end tests of the emulator with the Rust AWS SDK.
