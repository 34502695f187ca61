//! What is said at start, and what is said when there is no start.

use std::{fmt::Write as _, path::Path};

use cumulog_engine::{self as engine, Durability};

use crate::{emulator::Emulator, failure::with_causes};

/// The level's name, as `--durability` takes it.
pub(crate) fn durability_name(durability: Durability) -> &'static str {
    match durability {
        Durability::None => "none",
        Durability::Process => "process",
        Durability::Power => "power",
    }
}

/// What an acknowledged write survives at this level, in the words of the README's table.
pub(crate) fn survives(durability: Durability) -> &'static str {
    match durability {
        Durability::None => "nothing",
        Durability::Process => "kill -9, OOM kill, panic, container stop",
        Durability::Power => "power loss, kernel panic, kill -9, OOM kill, panic, container stop",
    }
}

/// The block that tells who starts it what runs where, and what it will survive.
pub(crate) fn block(emulator: &Emulator) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        writeln!(text, "  {name:<12}{value}").expect("a String takes all that is written");
    };
    let durability = emulator.settings.durability();
    line("address", &format!("http://{}", emulator.address));
    match &emulator.settings.data_dir {
        None => line("state", "ephemeral: in memory, gone when this process ends"),
        Some(_) => {
            line(
                "state",
                &format!(
                    "durable ({}): survives {}",
                    durability_name(durability),
                    survives(durability)
                ),
            );
        }
    }
    if let Some(directory) = &emulator.settings.data_dir {
        line("data", &directory.display().to_string());
    }
    if let Some(recovered) = &emulator.recovered {
        line("recovered", &recovery(recovered));
        if let Some(torn) = &recovered.recovery.torn {
            let torn = format!(
                "{} bytes at byte {} of {}, never acknowledged, kept",
                torn.bytes,
                torn.offset,
                torn.path.display()
            );
            line("torn tail", &torn);
        }
    }
    line("memory", &emulator.memory.to_string());
    line("services", &services(emulator));
    format!("cumulog {}\n{text}Ready.\n", env!("CARGO_PKG_VERSION"))
}

fn recovery(recovered: &crate::emulator::Recovered) -> String {
    let found = &recovered.recovery;
    let stop = match (found.records, found.clean) {
        (0, _) => "new or empty",
        (_, true) => "clean stop",
        (_, false) => "unclean stop",
    };
    let took_ms = recovered.took.as_secs_f64() * 1e3;
    format!(
        "LSN {} ({} records, {} bytes) in {took_ms:.1} ms, {stop}",
        found.lsn.0, found.records, found.bytes
    )
}

fn services(emulator: &Emulator) -> String {
    let names = emulator.services.iter().map(|service| {
        let name = service.schema.name;
        let kept = emulator.settings.data_dir.is_none() || emulator.settings.keeps(name);
        if kept {
            name.to_owned()
        } else {
            format!("{name} (ephemeral)")
        }
    });
    names.collect::<Vec<_>>().join(", ")
}

/// An error that ends the program, with the way out.
pub(crate) fn explain(what: &str, error: &dyn std::error::Error, hint: Option<&str>) -> String {
    let mut text = format!("error: {what}\n  caused by: {}\n", with_causes(error));
    if let Some(hint) = hint {
        write!(text, "\nhint: {hint}\n").expect("a String takes all that is written");
    }
    text
}

/// Why the data directory does not open, and what to do.
pub(crate) fn explain_open(directory: &Path, error: &engine::Error) -> String {
    let hint = match error {
        engine::Error::Locked { .. } => {
            "stop that process, or choose another directory with `--data-dir PATH`"
        }
        engine::Error::NewerFormat { .. } => {
            "use the version of cumulog that wrote it, or choose another directory with `--data-dir PATH`"
        }
        engine::Error::Corrupt { .. } => {
            "nothing was changed; `cumulog verify DIR` lists all that is damaged. Copy the directory away as evidence, then restore it from a backup or start on a new one. \
             What was acknowledged up to the record before is intact."
        }
        engine::Error::NoSpace { .. } => {
            "free some space on that disk, or choose another directory with `--data-dir PATH`"
        }
        _ => {
            "check that the directory exists or can be created, and that this user may write to it"
        }
    };
    explain(
        &format!("cannot open data directory `{}`", directory.display()),
        error,
        Some(hint),
    )
}
