//! The cumulog emulator.

fn main() {}
