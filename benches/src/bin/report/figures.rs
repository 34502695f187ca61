//! Which tables and plots there are.

use std::collections::BTreeSet;

use cumulog_benches::results::{Results, Row};
use serde_json::Value;

use crate::plot::{Line, Plot};
use crate::table::Form::{Bytes, Median, Range, Text};
use crate::table::{Column, MISSING, bytes, coordinate, markdown, number, range, table as simple};

const DURABILITIES: [&str; 3] = ["none", "process", "power"];
/// The load of which the tables of peers tell more.
const PEERS_CLIENTS: u64 = 64;
const PEERS_VALUE_BYTES: u64 = 256;

/// The table of this name.
pub(crate) fn table(results: &Results, name: &str) -> Option<String> {
    let of = |columns: &[Column]| simple(results.0.get(name), columns, |_| true);
    if let Some(durability) = name.strip_prefix("commit-") {
        return Some(commits(results, durability));
    }
    if let Some(durability) = name.strip_prefix("peers-commit-") {
        return Some(peers(results, durability));
    }
    Some(match name {
        "replay" => of(&[
            ("value", "value_bytes", Bytes),
            ("rows", "rows", Text),
            ("rows/s", "rows_per_second", Range),
            ("GB/s", "gb_per_second", Range),
            ("CRC alone, GB/s", "crc_gb_per_second", Median),
            ("copy alone, GB/s", "copy_gb_per_second", Median),
        ]),
        "open" => of(&[
            ("from", "from", Text),
            ("rows", "rows", Text),
            ("on disk, MB", "disk_mb", Median),
            ("to open, ms", "open_ms", Range),
        ]),
        "compaction" => of(&[
            ("durability", "durability", Text),
            ("rows", "rows", Text),
            ("p50, µs", "p50_idle_us", Median),
            ("during", "p50_during_us", Median),
            ("during ÷ idle", "p50_ratio", Range),
            ("p99, µs", "p99_idle_us", Median),
            ("during ", "p99_during_us", Median),
            ("during ÷ idle ", "p99_ratio", Range),
            ("longest, µs", "longest_idle_us", Range),
            ("during  ", "longest_during_us", Range),
            ("written, MB", "written_mb", Median),
            ("it took, ms", "compaction_ms", Range),
        ]),
        "space" => of(&[
            ("rows", "rows", Text),
            ("live, MB", "live_mb", Median),
            ("written, MB", "written_mb", Median),
            ("compactions", "compactions", Text),
            ("on disk ÷ live, at most", "amplification_max", Median),
            ("after a compaction", "amplification_compacted", Median),
        ]),
        "memory" => of(&[
            ("value", "value_bytes", Bytes),
            ("rows", "rows", Text),
            ("how they came", "how", Text),
            ("key and value, bytes", "raw_bytes", Median),
            ("allocated per row", "allocated_bytes", Median),
            ("resident per row", "resident_bytes", Median),
        ]),
        "blobs" => of(&[
            ("durability", "durability", Text),
            ("body", "body_bytes", Bytes),
            ("put, MB/s", "put_mb_per_second", Range),
            ("÷ file", "put_of_file", Range),
            ("get, MB/s", "get_mb_per_second", Range),
            ("÷ file ", "get_of_file", Range),
        ]),
        "peers-read" => of(&[
            ("store", "store", Text),
            ("clients", "clients", Text),
            ("reads/s", "per_second", Range),
        ]),
        "peers-open" => of(&[
            ("store", "store", Text),
            ("rows", "rows", Text),
            ("on disk, MB", "disk_mb", Median),
            ("to open and read a row, ms", "open_ms", Range),
        ]),
        "requests" => of(&[
            ("request", "request", Text),
            ("server", "server", Text),
            ("requests/s", "per_second", Range),
            ("÷ bare", "of_bare", Range),
            ("p50, µs", "p50_us", Median),
            ("p99, µs", "p99_us", Median),
            ("processor, µs a request", "processor_us", Median),
        ]),
        "start" => of(&[
            ("server", "server", Text),
            ("ready after, ms", "ready_ms", Range),
            ("idle memory, MB", "idle_mb", Median),
        ]),
        _ => return None,
    })
}

fn commits(results: &Results, durability: &str) -> String {
    let columns = [
        ("value", "value_bytes", Bytes),
        ("clients", "clients", Text),
        ("commits/s", "per_second", Range),
        ("÷ control", "ratio", Range),
        ("p50, µs", "p50_us", Median),
        ("p99, µs", "p99_us", Median),
        ("p99.9, µs", "p999_us", Median),
        ("commits per write", "commits_per_write", Median),
        ("per sync", "commits_per_sync", Median),
    ];
    let columns = match durability {
        "none" => &columns[..7],
        _ => &columns[..],
    };
    simple(
        results.0.get("commit"),
        columns,
        is("durability", durability),
    )
}

/// A line a store; commits per second by clients, then more about one load.
fn peers(results: &Results, durability: &str) -> String {
    let rows = rows(results, "peers-commit", is("durability", durability));
    let loads: Vec<(u64, u64)> = rows
        .iter()
        .map(|row| {
            (
                coordinate_of(row, "value_bytes"),
                coordinate_of(row, "clients"),
            )
        })
        .fold(Vec::new(), |mut loads, load| {
            if !loads.contains(&load) {
                loads.push(load);
            }
            loads
        });
    let mut header = vec!["store".to_owned(), "setting".to_owned()];
    header.extend(
        loads
            .iter()
            .map(|(size, clients)| format!("{} × {clients}", bytes(*size))),
    );
    header.push(format!("p99 at {PEERS_CLIENTS}, µs"));
    header.push(format!("cumulog ÷ it at {PEERS_CLIENTS}"));
    let mut lines: Vec<Vec<String>> = Vec::new();
    for (store, setting) in stores(&rows) {
        let of_store: Vec<&&Row> = rows
            .iter()
            .filter(|row| coordinate(row, "store") == store)
            .collect();
        let main = of_store.iter().find(|row| {
            coordinate_of(row, "clients") == PEERS_CLIENTS
                && coordinate_of(row, "value_bytes") == PEERS_VALUE_BYTES
        });
        let figure = |name: &str| main.and_then(|row| row.figures.get(name));
        let mut line = vec![store, setting];
        line.extend(of_store.iter().map(|row| {
            let rate = row.figures.get("per_second");
            rate.map_or("–".to_owned(), |rate| number(rate.median))
        }));
        line.push(figure("p99_us").map_or("–".to_owned(), |figure| number(figure.median)));
        line.push(figure("ours_over_it").map_or("–".to_owned(), range));
        lines.push(line);
    }
    if lines.is_empty() {
        return MISSING.to_owned();
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    markdown(&header, &lines)
}

/// Stores and their settings, in the order in which they come.
fn stores(rows: &[&Row]) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    rows.iter()
        .map(|row| (coordinate(row, "store"), coordinate(row, "setting")))
        .filter(|store| seen.insert(store.clone()))
        .collect()
}

/// All plots of which there is something to show.
pub(crate) fn plots(results: &Results) -> Vec<(String, Plot)> {
    let mut plots = Vec::new();
    for durability in DURABILITIES {
        plots.push((
            format!("commit-{durability}"),
            commits_plot(results, durability),
        ));
        plots.push((
            format!("peers-{durability}"),
            lines_by(
                rows(results, "peers-commit", |row: &Row| {
                    is("durability", durability)(row)
                        && coordinate_of(row, "value_bytes") == PEERS_VALUE_BYTES
                }),
                "store",
                ("clients", "clients", false),
                ("per_second", "commits/s"),
                format!("Commits of 256 bytes at durability {durability}, ours and others"),
            ),
        ));
    }
    plots.push((
        "replay".to_owned(),
        columns_plot(
            results,
            "replay",
            ("value_bytes", "bytes of a value", true),
            ("GB/s", "Replay of a log"),
            &[
                ("gb_per_second", "replay", false),
                ("crc_gb_per_second", "CRC alone", true),
                ("copy_gb_per_second", "copy alone", true),
            ],
        ),
    ));
    plots.push((
        "open".to_owned(),
        lines_by(
            rows(results, "open", |row: &Row| coordinate_of(row, "rows") > 0),
            "from",
            ("rows", "rows of 64 bytes", false),
            ("open_ms", "ms"),
            "Time to open a directory".to_owned(),
        ),
    ));
    plots.push((
        "memory".to_owned(),
        columns_plot(
            results,
            "memory",
            ("value_bytes", "bytes of a value", true),
            ("bytes", "Memory per row"),
            &[
                ("allocated_bytes", "allocated", false),
                ("resident_bytes", "resident", false),
                ("raw_bytes", "key and value", true),
            ],
        ),
    ));
    plots.push((
        "blobs".to_owned(),
        columns_plot(
            results,
            "blobs",
            ("body_bytes", "bytes of a body", true),
            ("MB/s", "Bodies at durability power"),
            &[
                ("put_mb_per_second", "put", false),
                ("file_put_mb_per_second", "put, a file", true),
                ("get_mb_per_second", "get", false),
                ("file_get_mb_per_second", "get, a file", true),
            ],
        ),
    ));
    plots.retain(|(_, plot)| plot.lines.iter().any(|line| !line.points.is_empty()));
    plots
}

/// Lines by size of value, with the control of the smallest.
fn commits_plot(results: &Results, durability: &str) -> Plot {
    let rows = rows(results, "commit", is("durability", durability));
    let mut plot = lines_by(
        rows.clone(),
        "value_bytes",
        ("clients", "clients", false),
        ("per_second", "commits/s"),
        format!("Commits at durability {durability}, by tasks on two threads"),
    );
    for line in &mut plot.lines {
        line.name = line
            .name
            .replace(',', "")
            .parse()
            .map_or(String::new(), bytes);
    }
    let least = rows
        .iter()
        .map(|row| coordinate_of(row, "value_bytes"))
        .min();
    plot.lines.push(Line {
        name: format!("control, {}", bytes(least.unwrap_or_default())),
        is_dashed: true,
        points: points(
            rows.iter()
                .filter(|row| Some(coordinate_of(row, "value_bytes")) == least),
            "clients",
            "control_per_second",
        ),
    });
    plot
}

/// A line for each value of a coordinate.
fn lines_by(
    rows: Vec<&Row>,
    by: &str,
    (x, x_label, x_bytes): (&str, &'static str, bool),
    (figure, y_label): (&str, &'static str),
    title: String,
) -> Plot {
    let mut names: Vec<String> = Vec::new();
    for row in &rows {
        let name = coordinate(row, by);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let line = |name: &String| Line {
        name: name.clone(),
        is_dashed: false,
        points: points(
            rows.iter().filter(|row| coordinate(row, by) == *name),
            x,
            figure,
        ),
    };
    Plot {
        title,
        x_label,
        y_label,
        x_ticks: ticks(&rows, x, x_bytes),
        lines: names.iter().map(line).collect(),
    }
}

/// A line for each of some figures. Of rows that differ in more than the horizontal coordinate, the last ones count.
fn columns_plot(
    results: &Results,
    section: &str,
    (x, x_label, x_bytes): (&str, &'static str, bool),
    (y_label, title): (&'static str, &str),
    figures: &[(&str, &str, bool)],
) -> Plot {
    let mut rows = rows(results, section, |_: &Row| true);
    let last = |index: &usize| {
        let at = coordinate_of(rows[*index], x);
        rows[index + 1..]
            .iter()
            .all(|later| coordinate_of(later, x) != at)
    };
    let kept: Vec<usize> = (0..rows.len()).filter(last).collect();
    rows = kept.into_iter().map(|index| rows[index]).collect();
    let line = |(figure, name, is_dashed): &(&str, &str, bool)| Line {
        name: (*name).to_owned(),
        is_dashed: *is_dashed,
        points: points(rows.iter(), x, figure),
    };
    Plot {
        title: title.to_owned(),
        x_label,
        y_label,
        x_ticks: ticks(&rows, x, x_bytes),
        lines: figures.iter().map(line).collect(),
    }
}

fn points<'a>(
    rows: impl Iterator<Item = &'a &'a Row>,
    x: &str,
    figure: &str,
) -> Vec<(f64, cumulog_benches::spread::Spread)> {
    rows.filter_map(|row| Some((coordinate_of(row, x) as f64, *row.figures.get(figure)?)))
        .collect()
}

fn ticks(rows: &[&Row], x: &str, are_bytes: bool) -> Vec<(f64, String)> {
    let places: BTreeSet<u64> = rows.iter().map(|row| coordinate_of(row, x)).collect();
    let text = |place: u64| {
        if are_bytes {
            bytes(place)
        } else {
            number(place as f64)
        }
    };
    places
        .into_iter()
        .map(|place| (place as f64, text(place)))
        .collect()
}

fn rows<'a>(results: &'a Results, section: &str, wanted: impl Fn(&Row) -> bool) -> Vec<&'a Row> {
    let rows = results
        .0
        .get(section)
        .into_iter()
        .flat_map(|section| &section.rows);
    rows.filter(|row| wanted(row)).collect()
}

fn coordinate_of(row: &Row, name: &str) -> u64 {
    row.at.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn is<'a>(name: &'a str, value: &'a str) -> impl Fn(&Row) -> bool + 'a {
    move |row| coordinate(row, name) == value
}
