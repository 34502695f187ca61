//! A server under test: a process of its own, on a port and a directory of its own.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cumulog_benches::memory::resident_bytes;
use tempfile::TempDir;

const READY_MAX: Duration = Duration::from_secs(10);

/// The kernel counts processor time in units of this, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

/// A running server; ends when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// From the start of the process to the answer of its first health request.
    pub(crate) ready: Duration,
    child: Child,
    _directory: TempDir,
}

impl Server {
    /// The emulator, durable on an empty directory if `durability` says how.
    pub(crate) fn emulator(binary: &Path, durability: Option<&str>) -> io::Result<Self> {
        Self::start(binary, |command, port, directory| {
            command.args(["--port", port, "--log", "error"]);
            if let Some(durability) = durability {
                command
                    .arg("--data-dir")
                    .arg(directory.join("data"))
                    .args(["--durability", durability]);
            }
        })
    }

    /// The control: this program, serving.
    pub(crate) fn minimal() -> io::Result<Self> {
        Self::start(&std::env::current_exe()?, |command, port, _| {
            command.args(["--serve", port]);
        })
    }

    /// Starts it and waits until it answers.
    fn start(binary: &Path, arguments: impl FnOnce(&mut Command, &str, &Path)) -> io::Result<Self> {
        // Beside the build, which is on a disk: the usual place may be in memory.
        let directory = tempfile::tempdir_in(binary.parent().unwrap_or(Path::new(".")))?;
        // Free now; nobody else takes it in the next millisecond.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(binary);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        arguments(&mut command, &port.to_string(), directory.path());
        let start = Instant::now();
        let child = command.spawn()?;
        let mut server = Server {
            port,
            ready: Duration::ZERO,
            child,
            _directory: directory,
        };
        while !healthy(port) {
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "{} ended with {status}",
                    binary.display()
                )));
            }
            if start.elapsed() > READY_MAX {
                return Err(io::Error::other(format!(
                    "{} does not answer",
                    binary.display()
                )));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        server.ready = start.elapsed();
        Ok(server)
    }

    /// The processor time that it has used, by `/proc`.
    pub(crate) fn processor_time(&self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name of the program, in brackets, may hold anything; fields 14 and 15 are user and system time.
        let fields = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let ticks: u32 = fields
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u32>().ok())
            .sum();
        Ok(TICK * ticks)
    }

    /// Its memory.
    pub(crate) fn resident_bytes(&self) -> io::Result<u64> {
        resident_bytes(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; a benchmark's data is of no use to anyone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn healthy(port: u16) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}
