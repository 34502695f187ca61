//! One emulator process on a directory of its own, and SDK clients for it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a start may take before the test fails.
const START_MAX: Duration = Duration::from_secs(30);

/// The binary, running on a data directory that lives as long as this does.
pub(crate) struct Emulator {
    directory: TempDir,
    process: Child,
    url: String,
}

impl Emulator {
    /// Starts the binary on a new data directory.
    pub(crate) fn start() -> Emulator {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let (process, url) = spawn(directory.path());
        Emulator {
            directory,
            process,
            url,
        }
    }

    /// Kills the process as the kernel would and starts it again on what it left.
    ///
    /// The port changes: clients from before are of no further use.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        (self.process, self.url) = spawn(self.directory.path());
    }

    fn kill(&mut self) {
        self.process.kill().expect("the process is ours to kill");
        self.process.wait().expect("the process is ours to reap");
    }

    /// An S3 client. Path style, as the host is an address.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        use aws_sdk_s3::config::{Builder, Credentials, Region};
        let config = Builder::new()
            .behavior_version_latest()
            .endpoint_url(&self.url)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_emulator())
            .http_client(http_client())
            .force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// A DynamoDB client.
    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        use aws_sdk_dynamodb::config::{Builder, Credentials, Region};
        let config = Builder::new()
            .behavior_version_latest()
            .endpoint_url(&self.url)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_emulator())
            .http_client(http_client());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    /// An SQS client.
    pub(crate) fn sqs(&self) -> aws_sdk_sqs::Client {
        use aws_sdk_sqs::config::{Builder, Credentials, Region};
        let config = Builder::new()
            .behavior_version_latest()
            .endpoint_url(&self.url)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_emulator())
            .http_client(http_client());
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Credentials as an emulator takes them: any.
trait ForEmulator {
    fn for_emulator() -> Self;
}

impl ForEmulator for aws_sdk_s3::config::Credentials {
    fn for_emulator() -> Self {
        Self::new("test", "test", None, None, "tests")
    }
}

/// An HTTP client without TLS.
fn http_client() -> aws_sdk_s3::config::SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// Starts the binary on `directory`; returns it and the address that it printed.
fn spawn(directory: &Path) -> (Child, String) {
    let log = directory.with_extension("log");
    let output = fs::File::create(&log).expect("the temporary directory is writable");
    let errors = output.try_clone().expect("a file handle can be cloned");
    let mut process = Command::new(binary())
        .args(["--port", "0", "--data-dir"])
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .expect("the binary starts; set CUMULOG_BIN to its path");
    let deadline = Instant::now() + START_MAX;
    loop {
        let text = fs::read_to_string(&log).unwrap_or_default();
        if let Some(url) = address(&text) {
            fs::remove_file(&log).expect("the log is ours");
            return (process, url);
        }
        let ended = process
            .try_wait()
            .expect("the process is ours to ask about");
        assert!(ended.is_none(), "ended at start with {ended:?}:\n{text}");
        assert!(Instant::now() < deadline, "no address printed:\n{text}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The first whole `http://host:port` in the start-up text.
fn address(text: &str) -> Option<String> {
    let url = &text[text.find("http://")?..];
    let end = url.find(char::is_whitespace)?;
    Some(url[..end].trim_end_matches('/').to_owned())
}

fn binary() -> PathBuf {
    if let Some(given) = env::var_os("CUMULOG_BIN") {
        return given.into();
    }
    // This test is `target/<profile>/deps/…`.
    let this = env::current_exe().expect("a test knows where it is");
    let profile = this.ancestors().nth(2).expect("cargo's layout");
    profile.join("cumulog")
}
