//! The suite proves itself: every place in the engine that syncs ([`Site`]) is left out in turn, and a loss of power must then
//! lose something that was promised, or leave something that doesn't open.
//!
//! Each scenario goes through a life of a store while the syncs of one site do nothing, loses power at each operation
//! of the disk from the first such sync on, in several ways, and holds what is found against what was promised.
//!
//! The test looks for the first loss that each site leads to. `./mutate` looks for all of them, and writes the table in
//! `docs/faults.md`, which must name the sites that there are.

mod life;
mod scenarios;
#[path = "../stepped/mod.rs"]
mod stepped;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use cumulog_engine::disk::{Crash, Faults, Loss, Omission, Operation, Simulated, Site};

use life::{Life, REFUSED, judge, live, states};
use scenarios::Scenario;

/// Nothing hangs on them; why, says the table.
const REDUNDANT: &[(Site, &str)] = &[
    (
        Site::SpareGrown,
        "the header's sync, which comes before any record, covers it. It keeps the rule that a segment holds zeros where nothing \
         was written, which a reader of the evidence relies on, and no recovery",
    ),
    (
        Site::SnapshotPart,
        "the snapshot's last sync covers it: it is there for the pace only",
    ),
];

/// What leaving out a site comes to.
#[derive(Default)]
struct Catches {
    /// Operations at which a loss of power shows it.
    count: u64,
    /// Where it showed first, and how.
    first: Option<String>,
    /// Did any scenario come by?
    visited: bool,
}

/// Leaves out one site during a scenario. Ends at the first loss if `first_only`.
fn leave_out(site: Site, scenario: &Scenario, first_only: bool, catches: &mut Catches) {
    let (start, before) = scenario.start();
    let whole = start.restart(Crash::Process(0), Faults::default());
    live(&whole, scenario.durability, &scenario.steps, before);
    let faults = (scenario.faults)(&whole.trace());
    let run = |crash_at| {
        let disk = start.restart(
            Crash::Process(0),
            Faults {
                crash_at,
                omitted: Some(Omission::new(move |sync| sync.site == Some(site))),
                ..faults.clone()
            },
        );
        let life = live(&disk, scenario.durability, &scenario.steps, before);
        (disk, life)
    };
    let (disk, _) = run(None);
    let trace = disk.trace();
    let Some(sync) = trace.iter().find(|sync| sync.site == Some(site)) else {
        return;
    };
    catches.visited = true;
    let states = states(&scenario.steps);
    let changes = |operation: &&Operation| !operation.kind.is_read();
    let later = trace[sync.number as usize + 1..].iter().filter(changes);
    let steps = later
        .map(|operation| operation.number)
        .chain([trace.len() as u64]);
    for step in steps {
        let (disk, life) = run(Some(step));
        let Some((loss, reason)) = first_loss(&disk, scenario, &states, life) else {
            continue;
        };
        catches.count += 1;
        catches.first.get_or_insert_with(|| {
            let last = disk.trace().pop().expect("it did something");
            let at = if disk.crashed() {
                last.to_string()
            } else {
                "the end".to_owned()
            };
            let (name, durability) = (scenario.name, scenario.durability);
            let text = format!("{name}, {durability:?}: `{at}`, {loss:?}: {reason}");
            text.replace("data/cumulog/", "")
        });
        if first_only {
            return;
        }
    }
}

fn first_loss(
    disk: &Simulated,
    scenario: &Scenario,
    states: &[BTreeMap<String, (u64, u8)>],
    life: Life,
) -> Option<(Loss, String)> {
    let unsynced = disk.unsynced();
    let last_few = unsynced.saturating_sub(8)..unsynced;
    let losses = [Loss::All, Loss::Zeros, Loss::Garbage(0)].into_iter();
    let torn = (0..4).map(Loss::Torn);
    let each = last_few
        .clone()
        .map(Loss::One)
        .chain(last_few.map(Loss::Prefix));
    losses.chain(torn).chain(each).find_map(|loss| {
        let found = disk.restart(Crash::Power(loss), Faults::default());
        if scenario.rots {
            rot_last_header(&found);
        }
        let judged = judge(&found, scenario.durability, states, life);
        let expected = |reason: &String| scenario.rots && reason.starts_with(REFUSED);
        judged
            .err()
            .filter(|reason| !expected(reason))
            .map(|reason| (loss, reason))
    })
}

fn rot_last_header(disk: &Simulated) {
    let is_used = |bytes: &[u8]| bytes.iter().take(4096).any(|byte| *byte != 0);
    let mut files = disk.files().into_iter().rev();
    let last = files
        .find(|(path, bytes)| path.extension().is_some_and(|kind| kind == "log") && is_used(bytes));
    if let Some((path, _)) = last {
        disk.flip(&path, 20 * 8).expect("it is there");
    }
}

fn catches(first_only: bool) -> BTreeMap<Site, Catches> {
    let scenarios = scenarios::all();
    let mut all = BTreeMap::<Site, Catches>::new();
    for site in Site::ALL {
        let catches = all.entry(*site).or_default();
        for scenario in &scenarios {
            if !(first_only && catches.count > 0) {
                leave_out(*site, scenario, first_only, catches);
            }
        }
    }
    all
}

fn require(catches: &BTreeMap<Site, Catches>) {
    let mut findings = Vec::new();
    for (site, catches) in catches {
        let is_redundant = REDUNDANT.iter().any(|(known, _)| known == site);
        let found = match (is_redundant, catches.visited, catches.count > 0) {
            (true, _, false) | (false, true, true) => continue,
            (true, _, true) => "is missed, though it is called redundant",
            (false, false, _) => "is not passed by any scenario",
            (false, true, false) => "is not missed by any scenario",
        };
        findings.push(format!("{site:?} {found}"));
    }
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Without any omission nothing is lost, or the others would find that. At every so many operations.
fn require_no_loss(stride: usize) {
    for scenario in scenarios::all() {
        let (start, before) = scenario.start();
        let whole = start.restart(Crash::Process(0), Faults::default());
        live(&whole, scenario.durability, &scenario.steps, before);
        let faults = (scenario.faults)(&whole.trace());
        let states = states(&scenario.steps);
        for step in (0..).step_by(stride) {
            let faults = Faults {
                crash_at: Some(step),
                ..faults.clone()
            };
            let disk = start.restart(Crash::Process(0), faults);
            let life = live(&disk, scenario.durability, &scenario.steps, before);
            if let Some((loss, reason)) = first_loss(&disk, &scenario, &states, life) {
                let (name, durability) = (scenario.name, scenario.durability);
                panic!("{name}, {durability:?}, operation {step}, {loss:?}: {reason}");
            }
            if !disk.crashed() {
                break;
            }
        }
    }
}

/// `./mutate` sets this: look at every operation for everything that is lost, and write down what it was.
fn is_thorough() -> bool {
    env::var_os("CUMULOG_MUTATE").is_some()
}

#[test]
fn nothing_is_lost_if_nothing_is_left_out() {
    require_no_loss(if is_thorough() { 1 } else { 7 });
}

#[test]
fn every_sync_is_missed_if_it_is_left_out() {
    let catches = catches(!is_thorough());
    if is_thorough() {
        write_table(&catches);
    }
    require(&catches);
}

fn table_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/faults.md")
}

const BEGIN: &str = "<!-- Made by ./mutate. -->\n";
const END: &str = "<!-- As far as here. -->\n";

/// The rows of the table, and all else.
fn document() -> (String, Vec<String>, String) {
    let text = fs::read_to_string(table_path()).expect("docs/faults.md is there");
    let (head, rest) = text.split_once(BEGIN).expect("the table is marked");
    let (table, tail) = rest.split_once(END).expect("its end, too");
    let rows = table.lines().skip(2).map(str::to_owned).collect();
    (head.to_owned(), rows, tail.to_owned())
}

fn write_table(catches: &BTreeMap<Site, Catches>) {
    let mut table =
        String::from("| place | protects | crash points | the first |\n|---|---|---|---|\n");
    for (site, catches) in catches {
        let redundant = REDUNDANT.iter().find(|(known, _)| known == site);
        let first = match (&catches.first, redundant) {
            (Some(first), _) => first.as_str(),
            (None, Some((_, reason))) => reason,
            (None, None) => "**none**",
        };
        let (count, protects) = (catches.count, site.protects());
        writeln!(table, "| `{site:?}` | {protects} | {count} | {first} |").expect("it is text");
    }
    println!("{table}");
    let (head, _, tail) = document();
    let text = format!("{head}{BEGIN}{table}{END}{tail}");
    fs::write(table_path(), text).expect("docs/faults.md can be written");
}

#[test]
fn the_table_names_every_sync() {
    let (_, rows, _) = document();
    let named: Vec<String> = rows
        .iter()
        .filter_map(|row| row.split('|').nth(1))
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect();
    let sites: Vec<String> = Site::ALL.iter().map(|site| format!("{site:?}")).collect();
    assert_eq!(named, sites, "./mutate makes the table anew");
}

/// One without a name could not be left out.
#[test]
fn every_sync_has_a_name() {
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in rust_files(&sources) {
        let inside = path.strip_prefix(&sources).expect("it is there");
        if inside.starts_with("disk") || inside.starts_with("fuzzing") || is_of_tests(inside) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("it can be read");
        let nameless = text.contains(".sync_data()") || text.contains(".sync_directory(");
        assert!(!nameless, "{} syncs without saying where", inside.display());
    }
}

fn is_of_tests(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str().to_string_lossy().starts_with("tests"))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("it can be read");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .collect()
}
