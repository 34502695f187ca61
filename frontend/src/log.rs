//! The program's log: one line an event, `key=value`, on standard error.
//!
//! Lines go through a buffer that a thread of its own empties, so that a slow
//! terminal never slows a request, and wakes at most some fifty times a second. Lines still in the buffer at a crash are lost;
//! what a crash must not lose is in the write-ahead log, not here.

use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
    str::FromStr,
    sync::Arc,
    thread,
    time::Duration,
};

use cumulog_shape::Timestamp;
use parking_lot::{Condvar, Mutex};

use crate::clock::Clock;

/// The buffer is dropped, and the number of lost lines told, beyond this.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// How long a line waits for others to share its write with.
const GATHERING: Duration = Duration::from_millis(20);

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Also what helps to find a fault in cumulog.
    Debug,
    /// Also every request.
    #[default]
    Info,
    /// What went wrong but was coped with.
    Warn,
    /// What failed.
    Error,
    /// Nothing.
    Off,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
            Level::Off => "OFF",
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "debug" | "trace" => Ok(Level::Debug),
            "info" => Ok(Level::Info),
            "warn" | "warning" => Ok(Level::Warn),
            "error" => Ok(Level::Error),
            "off" | "none" => Ok(Level::Off),
            _ => Err(format!(
                "`{text}` is not one of debug, info, warn, error, off"
            )),
        }
    }
}

/// Where lines go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Log {
    level: Level,
    clock: Arc<dyn Clock>,
    buffer: Arc<Buffer>,
}

#[derive(Default)]
struct Buffer {
    lines: Mutex<Lines>,
    /// There is a first line, or somebody waits for the last.
    wanted: Condvar,
    /// The buffer was written.
    written: Condvar,
}

#[derive(Default)]
struct Lines {
    text: String,
    lost: u64,
    writing: bool,
    urgent: bool,
}

impl Log {
    /// Starts the thread that writes.
    pub(crate) fn start(level: Level, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let buffer = Arc::new(Buffer::default());
        if level != Level::Off {
            let buffer = Arc::clone(&buffer);
            thread::Builder::new()
                .name("log-lines".into())
                .spawn(move || write_forever(&buffer))?;
        }
        Ok(Self {
            level,
            clock,
            buffer,
        })
    }

    /// Writes a line if `level` is asked for. `fields` is the rest of it: `msg=… key=value`.
    pub(crate) fn line(&self, level: Level, fields: fmt::Arguments<'_>) {
        if level < self.level || self.level == Level::Off {
            return;
        }
        let time = Iso(self.clock.now());
        let mut lines = self.buffer.lines.lock();
        if lines.text.len() > BUFFER_BYTES_MAX {
            lines.lost += 1;
            return;
        }
        if lines.text.is_empty() {
            self.buffer.wanted.notify_one();
        }
        writeln!(lines.text, "time={time} level={} {fields}", level.as_str())
            .expect("a String takes all that is written");
    }

    /// Waits until all lines so far are written.
    pub(crate) fn flush(&self) {
        let mut lines = self.buffer.lines.lock();
        while self.level != Level::Off && (lines.writing || !lines.text.is_empty()) {
            lines.urgent = true;
            self.buffer.wanted.notify_one();
            self.buffer.written.wait(&mut lines);
        }
    }
}

fn write_forever(buffer: &Buffer) {
    let mut text = String::new();
    loop {
        let mut lines = buffer.lines.lock();
        lines.writing = false;
        buffer.written.notify_all();
        while lines.text.is_empty() {
            buffer.wanted.wait(&mut lines);
        }
        if !lines.urgent {
            buffer.wanted.wait_for(&mut lines, GATHERING);
        }
        lines.urgent = false;
        std::mem::swap(&mut text, &mut lines.text);
        let lost = std::mem::take(&mut lines.lost);
        lines.writing = true;
        drop(lines);
        if lost > 0 {
            let _ = writeln!(text, "level=WARN msg=\"log lines lost\" count={lost}");
        }
        // Nobody is left to be told when standard error itself fails.
        let _ = io::stderr().write_all(text.as_bytes());
        text.clear();
    }
}

/// A time as ISO 8601 with milliseconds, UTC.
struct Iso(Timestamp);

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0.0),
        }
    }
}

/// A value in a line: quoted only where it must be.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '=';
        if !self.0.is_empty() && self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be() {
        let check = |value, expected: &str| assert_eq!(Quoted(value).to_string(), expected);
        check("PutItem", "PutItem");
        check("", r#""""#);
        check("a b", r#""a b""#);
        check("a\nb\"", r#""a\nb\"""#);
    }

    #[test]
    fn times_are_iso_8601() {
        assert_eq!(
            Iso(Timestamp(1_700_000_000_007)).to_string(),
            "2023-11-14T22:13:20.007Z"
        );
    }
}
