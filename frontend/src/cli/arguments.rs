//! What stands behind a command's name: words and options, and what to say when they make no sense.

use std::{collections::BTreeMap, ffi::OsString, fmt::Write as _};

use super::Invocation;

/// The command line or the environment make no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsageError {
    pub(crate) text: String,
    /// The way out.
    pub(crate) hint: String,
}

impl UsageError {
    pub(crate) fn new(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hint: hint.into(),
        }
    }
}

/// An option of a command.
pub(super) struct Opt {
    pub(super) name: &'static str,
    /// What its value is called; `None`: it has none.
    pub(super) value: Option<&'static str>,
    pub(super) help: &'static str,
}

/// What a command was given.
#[derive(Debug)]
pub(super) struct Given {
    /// Those that are no options.
    pub(super) words: Vec<OsString>,
    options: BTreeMap<&'static str, String>,
}

impl Given {
    /// The value of an option.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// Was the option given?
    pub(super) fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }
}

/// An option that does not exist; `known` are those that do.
pub(crate) fn unknown_option<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str>,
    command: &str,
) -> UsageError {
    let hint = match nearest(name, known) {
        Some(nearest) => format!("did you mean `--{nearest}`?"),
        None => format!("`cumulog help {command}` lists all options"),
    };
    UsageError::new(format!("unknown option `--{name}`"), hint)
}

impl Invocation {
    /// Reads the arguments as at most `words_max` words and these options.
    pub(super) fn parse(&self, options: &[Opt], words_max: usize) -> Result<Given, UsageError> {
        let command = self.command.name;
        let see_help = || format!("`cumulog help {command}` tells what it takes");
        let mut given = Given {
            words: Vec::new(),
            options: BTreeMap::new(),
        };
        let mut parser = lexopt::Parser::from_args(&self.arguments);
        let refused = |error: lexopt::Error| UsageError::new(error.to_string(), see_help());
        while let Some(argument) = parser.next().map_err(refused)? {
            match argument {
                lexopt::Arg::Long(name) => {
                    let known = options.iter().find(|option| option.name == name);
                    let option = known.ok_or_else(|| {
                        let names = options.iter().map(|option| option.name);
                        unknown_option(name, names, command)
                    })?;
                    let value = match option.value {
                        None => String::new(),
                        Some(_) => {
                            parser
                                .value()
                                .map_err(refused)?
                                .into_string()
                                .map_err(|_| {
                                    let text =
                                        format!("the value of --{} is not UTF-8", option.name);
                                    UsageError::new(text, see_help())
                                })?
                        }
                    };
                    given.options.insert(option.name, value);
                }
                lexopt::Arg::Value(word) if given.words.len() < words_max => given.words.push(word),
                other => return Err(refused(other.unexpected())),
            }
        }
        Ok(given)
    }

    /// Whether help is asked for.
    pub(super) fn asks_for(&self, short: &str, long: &str) -> bool {
        self.arguments
            .iter()
            .any(|argument| argument == short || argument == long)
    }
}

/// The options for a command's help.
pub(super) fn describe(options: &[Opt]) -> String {
    let mut text = String::from("Options:\n");
    for option in options {
        let flag = match option.value {
            Some(value) => format!("--{} <{value}>", option.name),
            None => format!("--{}", option.name),
        };
        writeln!(text, "  {flag:<20}  {}", option.help)
            .expect("a String takes all that is written");
    }
    text
}

/// Of what there is, what may have been meant.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance_max = typed.len().div_ceil(3).min(2);
    known
        .map(|name| (distance(typed, name), name))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be added, removed or replaced to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.bytes().enumerate() {
        let mut before = row[0];
        row[0] = index + 1;
        for (index, b) in to.bytes().enumerate() {
            let replaced = before + usize::from(a != b);
            before = row[index + 1];
            row[index + 1] = replaced.min(before + 1).min(row[index] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_close_may_have_been_meant() {
        let known = ["port", "host", "data-dir", "log"];
        let check = |typed, expected| assert_eq!(nearest(typed, known.into_iter()), expected);
        check("prot", Some("port"));
        check("data_dir", Some("data-dir"));
        check("datadir", Some("data-dir"));
        check("x", None);
        check("nonsense", None);
        check("", None);
    }

    #[test]
    fn distances_are_counted_in_letters() {
        let check =
            |a, b, expected| assert_eq!((distance(a, b), distance(b, a)), (expected, expected));
        check("", "", 0);
        check("abc", "", 3);
        check("abc", "abc", 0);
        check("abc", "abd", 1);
        check("abc", "bc", 1);
        check("verfy", "verify", 1);
        check("prot", "port", 2);
    }
}
