//! `cumulog serve`: the emulator itself.

use std::process::ExitCode;

use super::{Command, Invocation, Refusal};
use crate::{server, settings};

pub(super) const COMMAND: Command = Command {
    name: "serve",
    takes: "[OPTIONS]",
    summary: "Serve AWS requests until a signal ends it (what `cumulog` alone does)",
    details: settings::describe,
    run,
};

fn run(invocation: Invocation) -> Result<ExitCode, Refusal> {
    let settings = settings::read(invocation.arguments, invocation.environment)?;
    server::run(settings)
        .map(|()| ExitCode::SUCCESS)
        .map_err(Refusal::Failed)
}
