//! The binary; everything stands in the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    cumulog::main()
}
