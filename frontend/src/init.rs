//! Scripts that prepare a state: the `*.sh` of a folder, run in order in the
//! background once the server listens. One that fails is told and does not stop the
//! rest.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
};

use crate::{
    emulator::Emulator,
    log::{Level, Log},
};

/// Starts the scripts of the init folder, if there is one.
pub(crate) fn start(emulator: &Arc<Emulator>) {
    let Some(directory) = emulator.settings.init_dir.clone() else {
        return;
    };
    let log = emulator.log.clone();
    let endpoint = format!("http://{}", emulator.address);
    let spawned = thread::Builder::new().name("init".into()).spawn({
        let log = log.clone();
        move || run_all(&directory, &endpoint, &log)
    });
    if let Err(error) = spawned {
        log.line(
            Level::Error,
            format_args!("msg=\"cannot start the init scripts\" error={error:?}"),
        );
    }
}

fn run_all(directory: &Path, endpoint: &str, log: &Log) {
    let scripts = match scripts(directory) {
        Ok(scripts) => scripts,
        Err(error) => {
            log.line(
                Level::Error,
                format_args!(
                    "msg=\"cannot read the init folder\" path={directory:?} error={error:?}"
                ),
            );
            return;
        }
    };
    for script in scripts {
        let status = Command::new("sh")
            .arg(&script)
            .env("AWS_ENDPOINT_URL", endpoint)
            .status();
        match status {
            Ok(status) if status.success() => log.line(
                Level::Info,
                format_args!("msg=\"init script ran\" path={script:?}"),
            ),
            Ok(status) => log.line(
                Level::Error,
                format_args!(
                    "msg=\"init script failed\" path={script:?} status={:?}",
                    status.to_string()
                ),
            ),
            Err(error) => log.line(
                Level::Error,
                format_args!("msg=\"cannot run init script\" path={script:?} error={error:?}"),
            ),
        }
    }
}

fn scripts(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sh") {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}
