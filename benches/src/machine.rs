//! What a result says about where it was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// A machine and what was run on it, in words for people. What can't be told is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its processor and how many of them.
    pub processor: String,
    /// Its memory.
    pub memory: String,
    /// The kernel's version.
    pub kernel: String,
    /// The file system of the directory that was written to.
    pub file_system: String,
    /// The compiler's version.
    pub compiler: String,
    /// The commit that was built.
    pub commit: String,
}

impl Machine {
    /// This one; files are in `directory`.
    #[must_use]
    pub fn here(directory: &Path) -> Self {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let processor = field("/proc/cpuinfo", "model name");
        let kilobytes = field("/proc/meminfo", "MemTotal").replace("kB", "");
        let gigabytes = kilobytes.trim().parse::<f64>().unwrap_or(f64::NAN) / 1e6;
        Machine {
            processor: format!("{count} × {processor}"),
            memory: format!("{gigabytes:.0} GB"),
            kernel: read("/proc/sys/kernel/osrelease"),
            file_system: file_system(directory),
            compiler: said_by("rustc", &["--version"]),
            commit: said_by("git", &["describe", "--always", "--dirty"]),
        }
    }
}

/// The date and time, UTC.
#[must_use]
pub fn date() -> String {
    said_by("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or(String::new(), |text| text.trim().to_owned())
}

/// The first line of the form `name: value`.
fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    value.unwrap_or_default()
}

/// The type of the longest mount point that the directory is under.
fn file_system(directory: &Path) -> String {
    let mounts = read("/proc/self/mounts");
    let mount = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(point, _)| directory.starts_with(point))
        .max_by_key(|(point, _)| point.len());
    mount.map_or(String::new(), |(_, kind)| kind.to_owned())
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
