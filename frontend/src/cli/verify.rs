//! `cumulog verify`: all that is wrong with a data directory, without touching it.

use std::{fmt::Write as _, path::Path, process::ExitCode, sync::Arc};

use cumulog_engine::{self as engine, Finding, Report, disk};
use serde_json::{Value, json};

use super::{
    Command, Invocation, Refusal, UsageError,
    arguments::{Opt, describe},
    print,
};
use crate::{hex, startup, tables};

pub(super) const COMMAND: Command = Command {
    name: "verify",
    takes: "DIR [--json]",
    summary: "Check a data directory that no server has open, and report all damage",
    details: || format!("{ABOUT}\n{}", describe(OPTIONS)),
    run,
};

const ABOUT: &str = "\
Reads every byte that has a meaning: segments of the log and their records, bodies of objects, rows of all services. Goes
on after the first damage. Changes nothing, and keeps servers out as long as it runs. What a crash leaves behind is no
damage: it is told, and the exit code is 0.
";

const OPTIONS: &[Opt] = &[Opt {
    name: "json",
    value: None,
    help: "Report as JSON",
}];

fn run(invocation: Invocation) -> Result<ExitCode, Refusal> {
    let given = invocation.parse(OPTIONS, 1)?;
    let Some(directory) = given.words.first() else {
        return Err(UsageError::new("no directory to verify", "`cumulog verify DIR`").into());
    };
    let directory = Path::new(directory);
    let mut verified = engine::verify(Arc::new(disk::Real::new()), directory)
        .map_err(|error| Refusal::Failed(explain(directory, &error)))?;
    tables::check(&mut verified);
    let report = &verified.report;
    print(&if given.has("json") {
        format!("{:#}\n", to_json(report))
    } else {
        to_text(report)
    });
    match report.is_healthy() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Refusal::Failed(verdict(report))),
    }
}

fn explain(directory: &Path, error: &engine::Error) -> String {
    let hint = match error {
        engine::Error::Locked { .. } => "stop that process, or verify a copy of the directory",
        _ => "name a data directory: there is a folder `log` in it",
    };
    let what = format!("cannot verify `{}`", directory.display());
    startup::explain(&what, error, Some(hint))
}

/// The last word on a directory that is damaged.
fn verdict(report: &Report) -> String {
    let directory = report.directory.display();
    let damages = report.damages();
    let places = counted(damages as u64, "place");
    let mut text = format!("error: `{directory}` is damaged in {places}\n");
    let hint = match &report.refusal {
        Some(refusal) => {
            writeln!(text, "  a server would refuse it: {refusal}").expect("a String takes all");
            "copy the directory away as evidence, then restore it from a backup or start on a new one"
        }
        None => "a server opens it; requests for what is damaged fail, all else works",
    };
    write!(text, "\nhint: {hint}\n").expect("a String takes all that is written");
    text
}

fn to_text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let Finding { kind, reason, .. } = finding;
        let place = place(report, finding);
        writeln!(
            text,
            "{}: {place}\n  {reason}\n  {}\n",
            kind.name(),
            kind.meaning()
        )
        .expect("a String takes all that is written");
    }
    let Report {
        directory,
        lsn,
        snapshots,
        snapshot_bytes,
        records,
        record_bytes,
        segments,
        rows,
        bodies,
        body_bytes,
        ..
    } = report;
    let state = if report.is_healthy() {
        "healthy"
    } else {
        "damaged"
    };
    let directory = directory.display();
    writeln!(text, "{directory}: {state}, up to LSN {}", lsn.0).expect("a String takes all");
    let read = [
        format!(
            "{} of {snapshot_bytes} bytes",
            counted(*snapshots, "snapshot")
        ),
        counted(*segments, "segment"),
        format!(
            "{} of {record_bytes} bytes",
            counted(*records, "transaction")
        ),
        counted(*rows, "row"),
        format!("{} of {body_bytes} bytes", counted(*bodies, "body")),
    ];
    writeln!(text, "  read: {}", read.join(", ")).expect("a String takes all");
    text
}

/// `1 row`, `2 rows`, `2 bodies`.
fn counted(count: u64, what: &str) -> String {
    match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
    }
}

/// Where it is: file, byte, record; or key space and key.
fn place(report: &Report, finding: &Finding) -> String {
    let path = finding
        .path
        .strip_prefix(&report.directory)
        .unwrap_or(&finding.path);
    let mut parts = Vec::new();
    if !path.as_os_str().is_empty() {
        parts.push(path.display().to_string());
    }
    if let Some((space, key)) = &finding.row {
        parts.push(format!("{space}, key \"{}\"", key.escape_ascii()));
    }
    parts.extend(finding.offset.map(|offset| format!("byte {offset}")));
    parts.extend(finding.bytes.map(|bytes| format!("{bytes} bytes")));
    parts.extend(finding.lsn.map(|lsn| format!("LSN {}", lsn.0)));
    parts.join(", ")
}

fn to_json(report: &Report) -> Value {
    json!({
        "directory": report.directory,
        "healthy": report.is_healthy(),
        "refusal": report.refusal,
        "lsn": report.lsn.0,
        "snapshots": report.snapshots,
        "snapshot_bytes": report.snapshot_bytes,
        "records": report.records,
        "record_bytes": report.record_bytes,
        "segments": report.segments,
        "rows": report.rows,
        "bodies": report.bodies,
        "body_bytes": report.body_bytes,
        "findings": report.findings.iter().map(finding_to_json).collect::<Vec<_>>(),
    })
}

fn finding_to_json(finding: &Finding) -> Value {
    let row = finding.row.as_ref();
    json!({
        "kind": finding.kind.name(),
        "damage": finding.kind.is_damage(),
        "path": finding.path,
        "offset": finding.offset,
        "bytes": finding.bytes,
        "lsn": finding.lsn.map(|lsn| lsn.0),
        "space": row.map(|(space, _)| space),
        "key": row.map(|(_, key)| hex::lower(key)),
        "reason": finding.reason,
        "meaning": finding.kind.meaning(),
    })
}
