//! `cumulog help`: what commands there are, and what one takes.

use std::{fmt::Write as _, process::ExitCode};

use super::{COMMANDS, Command, EXIT_CODES, Invocation, Refusal, find, print, serve};

pub(super) const COMMAND: Command = Command {
    name: "help",
    takes: "[COMMAND]",
    summary: "Tell what a command does and takes",
    details: || String::from("Without a command, lists all of them and the options of `serve`.\n"),
    run,
};

fn run(invocation: Invocation) -> Result<ExitCode, Refusal> {
    let given = invocation.parse(&[], 1)?;
    match given.words.first() {
        None => print(&overview()),
        Some(name) => print(&of(find(&name.to_string_lossy())?)),
    }
    Ok(ExitCode::SUCCESS)
}

/// All commands, and the options of the one that needs no name.
pub(super) fn overview() -> String {
    let mut text = String::from(
        "A local AWS on a write-ahead log.\n\nUsage: cumulog [COMMAND] [OPTIONS]\n\nCommands:\n",
    );
    for command in COMMANDS {
        let usage = [command.name, " ", command.takes].concat();
        writeln!(text, "  {usage}\n      {}", command.summary)
            .expect("a String takes all that is written");
    }
    let options = (serve::COMMAND.details)();
    write!(
        text,
        "\n{options}  -h, --help                    Print this, or a command's help\n  -V, --version                 Print the version\n\n{EXIT_CODES}"
    )
    .expect("a String takes all that is written");
    text
}

/// All there is to say of one command.
pub(super) fn of(command: &Command) -> String {
    let Command {
        name,
        takes,
        summary,
        details,
        ..
    } = command;
    let details = details();
    format!("{summary}.\n\nUsage: cumulog {name} {takes}\n\n{details}\n{EXIT_CODES}")
}
