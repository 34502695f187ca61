//! `cumulog compact`: replaces the log by snapshots, of a directory or by asking the server that has it open.

use std::{path::Path, process::ExitCode, sync::Arc};

use cumulog_engine::{self as engine, Durability, Options, Pace, Store, disk};
use serde_json::Value;

use super::{
    Command, Invocation, Refusal, UsageError,
    arguments::{Opt, describe},
    endpoint::Endpoint,
    print,
};
use crate::{memory::Size, startup};

pub(super) const COMMAND: Command = Command {
    name: "compact",
    takes: "DIR | --endpoint URL",
    summary: "Make a data directory small, and fast to open",
    details: || format!("{ABOUT}\n{}", describe(OPTIONS)),
    run,
};

const ABOUT: &str = "\
Writes snapshots of what changed since the last time, and removes the log before them. A server does so by itself when it is
worth it. A directory that a server has open is compacted by that server: give its URL. Requests go on meanwhile.
";

const OPTIONS: &[Opt] = &[Opt {
    name: "endpoint",
    value: Some("URL"),
    help: "Ask this server, e.g. http://localhost:4566",
}];

fn run(invocation: Invocation) -> Result<ExitCode, Refusal> {
    let given = invocation.parse(OPTIONS, 1)?;
    let done = match (given.words.first(), given.value("endpoint")) {
        (Some(directory), None) => offline(Path::new(directory))?,
        (None, Some(url)) => by_server(&Endpoint::parse(url)?)?,
        _ => {
            let text = "either a directory or an endpoint is needed";
            let hint = "`cumulog compact DIR` or `cumulog compact --endpoint URL`";
            return Err(UsageError::new(text, hint).into());
        }
    };
    print(&done);
    Ok(ExitCode::SUCCESS)
}

/// Opens the directory, compacts it, closes it.
fn offline(directory: &Path) -> Result<String, Refusal> {
    let shown = directory.display();
    if !directory.join("log").is_dir() {
        let hint = "name a data directory: there is a folder `log` in it";
        let error = std::io::Error::from(std::io::ErrorKind::NotFound);
        let what = format!("`{shown}` is no data directory");
        return Err(Refusal::Failed(startup::explain(&what, &error, Some(hint))));
    }
    let options = Options {
        durability: Durability::Power,
        ..Options::default()
    };
    let opened = Store::open(Arc::new(disk::Real::new()), directory, options);
    let (store, _) = opened.map_err(|error| Refusal::Failed(explain_open(directory, &error)))?;
    let failed = |error: engine::Error| {
        let what = format!("`{shown}` was not compacted");
        let hint = "nothing is lost: the directory is as it was before";
        Refusal::Failed(startup::explain(&what, &error, Some(hint)))
    };
    let compacted = store.compact(Pace::Full).wait();
    let closed = store.close();
    let compacted = compacted.map_err(failed)?;
    closed.map_err(failed)?;
    Ok(told(
        &shown.to_string(),
        compacted.lsn.0,
        compacted.written_bytes,
        compacted.freed_bytes,
    ))
}

fn explain_open(directory: &Path, error: &engine::Error) -> String {
    match error {
        engine::Error::Locked { .. } => {
            let what = format!("cannot open data directory `{}`", directory.display());
            let hint =
                "that process can do it, if it is a server: `cumulog compact --endpoint URL`";
            startup::explain(&what, error, Some(hint))
        }
        _ => startup::explain_open(directory, error),
    }
}

fn by_server(endpoint: &Endpoint) -> Result<String, Refusal> {
    let answer = endpoint.post("/_cumulog/compact")?;
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or(0);
    let directory = answer.get("data_dir").and_then(Value::as_str);
    Ok(match directory {
        Some(directory) => told(
            directory,
            number("lsn"),
            number("written_bytes"),
            number("freed_bytes"),
        ),
        None => {
            String::from("there is nothing to compact: this server's state is in memory only\n")
        }
    })
}

fn told(directory: &str, lsn: u64, written_bytes: u64, freed_bytes: u64) -> String {
    let (written, freed) = (Size(written_bytes), Size(freed_bytes));
    format!("{directory}: compacted at LSN {lsn}, wrote {written}, freed {freed}\n")
}
