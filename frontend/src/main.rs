//! The cumulog emulator.

mod checksum;

fn main() {}
