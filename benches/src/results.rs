//! What was measured, as a file of JSON from which tables and plots can be made again.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::machine::{self, Machine};
use crate::spread::Spread;

/// The sections of a file, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results(pub BTreeMap<String, Section>);

/// What one benchmark measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Section {
    /// When.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// Was it in a hurry? Then the figures only show that it works.
    pub quick: bool,
    /// Versions of what it was compared with.
    pub versions: BTreeMap<String, String>,
    /// The figures.
    pub rows: Vec<Row>,
}

/// Figures of one point of a workload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// Which point.
    pub at: Map<String, Value>,
    /// What was measured there.
    pub figures: BTreeMap<String, Spread>,
}

impl Row {
    /// The point has this coordinate, too.
    #[must_use]
    pub fn at(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.at.insert(name.to_owned(), value.into());
        self
    }

    /// This was measured there. What isn't finite isn't kept.
    #[must_use]
    pub fn figure(mut self, name: &str, value: impl Into<Spread>) -> Self {
        let value = value.into();
        if value.median.is_finite() {
            self.figures.insert(name.to_owned(), value);
        }
        self
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.at {
            match value {
                Value::String(text) => write!(f, "{name}={text} ")?,
                other => write!(f, "{name}={other} ")?,
            }
        }
        for (name, value) in &self.figures {
            write!(f, " {name} {}", round(value.median))?;
            if value.low != value.high {
                write!(f, " ({}–{})", round(value.low), round(value.high))?;
            }
        }
        Ok(())
    }
}

/// With three digits that count, or all before the point.
fn round(value: f64) -> String {
    let digits = value.abs().log10().floor().clamp(-6.0, 2.0) as i32;
    format!("{value:.*}", (2 - digits) as usize)
}

impl Section {
    /// Of this moment, on this machine, without rows yet.
    #[must_use]
    pub fn begin(directory: &Path, quick: bool) -> Self {
        Section {
            date: machine::date(),
            machine: Machine::here(directory),
            quick,
            ..Section::default()
        }
    }

    /// Keeps a row, and prints it.
    pub fn push(&mut self, row: Row) {
        println!("  {row}");
        self.rows.push(row);
    }
}

impl Results {
    /// Those of a file; none if there is none.
    ///
    /// # Errors
    ///
    /// The file can't be read, or is of another kind.
    pub fn load(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Results::default()),
            Err(error) => Err(error),
        }
    }

    /// Puts a section into a file, in the place of an earlier one.
    ///
    /// # Errors
    ///
    /// The file can't be read or written, or is of another kind.
    pub fn save(path: &Path, name: &str, section: Section) -> io::Result<()> {
        let mut results = Results::load(path)?;
        results.0.insert(name.to_owned(), section);
        // A row a line, so that a difference can be read.
        let text = serde_json::to_string(&results)?.replace(r#"{"at":"#, "\n{\"at\":") + "\n";
        fs::write(path, text)
    }
}
