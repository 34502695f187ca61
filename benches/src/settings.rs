//! What every benchmark program understands on its command line.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::results::{Results, Section};

/// How to measure, and what to do with the result.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Only show that it works.
    pub quick: bool,
    /// Where files are written. Should be on a disk: the place for temporary files may be in memory.
    pub directory: PathBuf,
    /// Where results go.
    pub out: Option<PathBuf>,
    /// The benchmarks to run; none: all.
    pub names: Vec<String>,
}

impl Settings {
    /// `PROGRAM [NAME…] [--quick] [--directory DIR] [--out FILE]`. Without a directory it is beside the program, and so on
    /// the disk of the build.
    ///
    /// # Errors
    ///
    /// Another argument.
    pub fn from_command_line() -> Result<Self, Box<dyn Error>> {
        use lexopt::prelude::*;
        let program = std::env::current_exe()?;
        let mut settings = Settings {
            quick: false,
            directory: program.parent().unwrap_or(Path::new(".")).to_owned(),
            out: None,
            names: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("quick") => settings.quick = true,
                Long("directory") => settings.directory = parser.value()?.into(),
                Long("out") => settings.out = Some(parser.value()?.into()),
                Value(name) => settings.names.push(name.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(settings)
    }

    /// How often each thing takes its turn.
    #[must_use]
    pub fn rounds(&self) -> usize {
        if self.quick { 2 } else { 5 }
    }

    /// How long a turn is.
    #[must_use]
    pub fn turn(&self) -> Duration {
        Duration::from_millis(if self.quick { 40 } else { 200 })
    }

    /// The first if there is no hurry.
    #[must_use]
    pub fn either<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// A directory that goes when dropped.
    ///
    /// # Errors
    ///
    /// The disk refused.
    pub fn scratch(&self) -> io::Result<TempDir> {
        tempfile::Builder::new()
            .prefix("cumulog-bench-")
            .tempdir_in(&self.directory)
    }

    /// Runs those of `benches` that were asked for, and keeps what they measured.
    ///
    /// # Errors
    ///
    /// There is none of a name, or one fails.
    pub fn run(&self, benches: &[Bench]) -> Result<(), Box<dyn Error>> {
        let is_known = |name: &String| benches.iter().any(|(known, _)| known == name);
        if let Some(name) = self.names.iter().find(|name| !is_known(name)) {
            return Err(format!("there is no benchmark `{name}`").into());
        }
        for (name, bench) in benches {
            if !self.names.is_empty() && !self.names.iter().any(|asked| asked == name) {
                continue;
            }
            println!("{name}");
            let mut section = Section::begin(&self.directory, self.quick);
            bench(self, &mut section)?;
            if let Some(out) = &self.out {
                Results::save(out, name, section)?;
            }
        }
        Ok(())
    }
}

/// The name of a benchmark, and what measures it.
pub type Bench = (
    &'static str,
    fn(&Settings, &mut Section) -> Result<(), Box<dyn Error>>,
);
