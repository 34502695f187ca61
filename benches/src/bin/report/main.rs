//! Makes tables and plots of what the benchmarks measured.
//!
//! `report RESULTS DIRECTORY` reads the file that the benchmarks wrote and writes `benchmarks.md` and `plots/*.svg` into the
//! directory. The words around the figures are in `benchmarks.md` beside this file; `{{name}}` stands for a table or plot of
//! `figures.rs`.

mod figures;
mod plot;
mod table;

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;

use cumulog_benches::results::{Results, Section};

const TEMPLATE: &str = include_str!("benchmarks.md");

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [results, directory] = arguments.as_slice() else {
        return Err("usage: report RESULTS DIRECTORY".into());
    };
    let results = Results::load(Path::new(results))?;
    let plots = Path::new(directory).join("plots");
    fs::create_dir_all(&plots)?;
    for (name, plot) in figures::plots(&results) {
        fs::write(plots.join(format!("{name}.svg")), plot.svg())?;
    }
    fs::write(
        Path::new(directory).join("benchmarks.md"),
        fill(TEMPLATE, &results)?,
    )?;
    Ok(())
}

/// The template with figures for its placeholders.
fn fill(template: &str, results: &Results) -> Result<String, String> {
    let mut parts = template.split("{{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").ok_or("`{{` without `}}`")?;
        text += &match name {
            "machines" => machines(results),
            name => figures::table(results, name)
                .ok_or_else(|| format!("nothing is called `{name}`"))?,
        };
        text += rest;
    }
    Ok(text)
}

/// Where and when the sections were measured; mostly once and at one place.
fn machines(results: &Results) -> String {
    let line = |section: &Section| {
        let machine = &section.machine;
        let hurry = if section.quick {
            " **In a hurry: these figures only show that the benchmarks work.**"
        } else {
            ""
        };
        format!(
            "- {}, {}, Linux {}, {}; {}; cumulog {}; measured {}.{hurry}",
            machine.processor,
            machine.memory,
            machine.kernel,
            machine.file_system,
            machine.compiler,
            machine.commit,
            // The day will do.
            section.date.split(' ').next().unwrap_or_default(),
        )
    };
    let lines: BTreeSet<String> = results.0.values().map(line).collect();
    let versions: BTreeSet<String> = results
        .0
        .values()
        .flat_map(|section| &section.versions)
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let lines = lines.into_iter().collect::<Vec<_>>().join("\n");
    let versions = versions.into_iter().collect::<Vec<_>>().join(", ");
    format!("{lines}\n- Peers: {versions}.")
}
