//! The command line: one file a command.
//!
//! Each command is a [`Command`]: its name, what it takes, what it is for, and what it does. Dispatch, help and messages
//! all come from [`COMMANDS`]; the options of `serve` from the table in [`crate::settings`]. Data goes to standard output,
//! all else to standard error: what failed, with the value, its cause, then the way out. [`EXIT_CODES`] says how a command
//! ends.

mod arguments;
mod compact;
mod endpoint;
mod help;
mod serve;
mod verify;

use std::{collections::BTreeMap, ffi::OsString, process::ExitCode};

pub(crate) use arguments::{UsageError, unknown_option};

/// In the order in which help lists them.
const COMMANDS: &[&Command] = &[
    &serve::COMMAND,
    &verify::COMMAND,
    &compact::COMMAND,
    &help::COMMAND,
];

/// How every command ends.
const EXIT_CODES: &str = "Exit codes:\n  0  all is well\n  1  it failed, or found damage\n  2  the command line makes no sense\n";

/// A command, as help shows it and as it runs.
struct Command {
    name: &'static str,
    /// What stands behind its name: `DIR [--json]`.
    takes: &'static str,
    /// What it is for, in a line.
    summary: &'static str,
    /// All that there is to say of it, below its usage.
    details: fn() -> String,
    run: fn(Invocation) -> Result<ExitCode, Refusal>,
}

/// What the user typed behind a command's name, and the environment.
struct Invocation {
    command: &'static Command,
    /// Did the user say which command?
    is_named: bool,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
}

/// Why a command did nothing, or not what it was to do.
enum Refusal {
    Usage(UsageError),
    /// It failed; all there is to say, with the way out.
    Failed(String),
}

impl From<UsageError> for Refusal {
    fn from(error: UsageError) -> Self {
        Refusal::Usage(error)
    }
}

/// Reads the arguments and does what they say.
pub(crate) fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let invocation = Invocation::read(
        arguments.into_iter().collect(),
        environment.into_iter().collect(),
    );
    match invocation.map_err(Refusal::from).and_then(Invocation::run) {
        Ok(code) => code,
        Err(Refusal::Usage(error)) => {
            eprintln!("error: {}\n\nhint: {}", error.text, error.hint);
            ExitCode::from(2)
        }
        Err(Refusal::Failed(message)) => {
            eprint!("{message}");
            ExitCode::FAILURE
        }
    }
}

impl Invocation {
    /// The command stands first; without one it is `serve`.
    fn read(
        mut arguments: Vec<OsString>,
        environment: BTreeMap<OsString, OsString>,
    ) -> Result<Invocation, UsageError> {
        let first = arguments.first().map(|first| first.to_string_lossy());
        let (command, is_named) = match first {
            Some(name) if !name.starts_with('-') => (find(&name)?, true),
            _ => (&serve::COMMAND, false),
        };
        if is_named {
            arguments.remove(0);
        }
        Ok(Invocation {
            command,
            is_named,
            arguments,
            environment,
        })
    }

    fn run(self) -> Result<ExitCode, Refusal> {
        if self.asks_for("-h", "--help") {
            print(&match self.is_named {
                true => help::of(self.command),
                false => help::overview(),
            });
            return Ok(ExitCode::SUCCESS);
        }
        if self.asks_for("-V", "--version") {
            print(concat!("cumulog ", env!("CARGO_PKG_VERSION"), "\n"));
            return Ok(ExitCode::SUCCESS);
        }
        (self.command.run)(self)
    }
}

/// The command called `name`.
fn find(name: &str) -> Result<&'static Command, UsageError> {
    let found = COMMANDS.iter().find(|command| command.name == name);
    found.copied().ok_or_else(|| {
        let names = COMMANDS.iter().map(|command| command.name);
        let hint = match arguments::nearest(name, names.clone()) {
            Some(nearest) => format!("did you mean `cumulog {nearest}`?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        UsageError::new(format!("unknown command `{name}`"), hint)
    })
}

/// Prints to standard output; a closed pipe is the reader's choice, not an error.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(arguments: &[&str]) -> Result<(&'static str, usize), String> {
        let arguments = arguments.iter().map(OsString::from).collect();
        match Invocation::read(arguments, BTreeMap::new()) {
            Ok(invocation) => Ok((invocation.command.name, invocation.arguments.len())),
            Err(error) => Err(format!("{} ({})", error.text, error.hint)),
        }
    }

    #[test]
    fn the_first_word_names_the_command() {
        assert_eq!(command(&[]), Ok(("serve", 0)));
        assert_eq!(command(&["--port", "1"]), Ok(("serve", 2)));
        assert_eq!(command(&["serve", "--port", "1"]), Ok(("serve", 2)));
        assert_eq!(command(&["help", "serve"]), Ok(("help", 1)));
    }

    #[test]
    fn an_unknown_command_is_refused_with_a_hint() {
        let check = |name, expected| assert_eq!(command(&[name]), Err(String::from(expected)));
        check(
            "serv",
            "unknown command `serv` (did you mean `cumulog serve`?)",
        );
        let all = COMMANDS.iter().map(|command| command.name);
        let all = all.collect::<Vec<_>>().join(", ");
        check(
            "nonsense",
            &format!("unknown command `nonsense` (there are {all})"),
        );
    }

    #[test]
    fn every_command_says_what_it_is_for() {
        for command in COMMANDS {
            assert!(!command.summary.is_empty(), "{}", command.name);
            assert!((command.details)().ends_with('\n'), "{}", command.name);
        }
    }
}
