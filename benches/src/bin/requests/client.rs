//! The load: connections that send small AWS requests and check the answers.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// Rows and messages repeat after this many requests.
const KEYS: u64 = 10_000;
const HEAD_BYTES_MAX: usize = 16 << 10;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    PutItem,
    GetItem,
    SendMessage,
}

/// What one round of load measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) requests: usize,
    pub(crate) per_second: f64,
    pub(crate) median_us: f64,
    pub(crate) p99_us: f64,
}

impl Load {
    pub(crate) const ALL: [Load; 3] = [Load::PutItem, Load::GetItem, Load::SendMessage];

    fn request(self, port: u16, number: u64) -> Vec<u8> {
        let key = number % KEYS;
        match self {
            Load::PutItem => request(
                port,
                "dynamodb",
                "DynamoDB_20120810.PutItem",
                &format!(
                    r#"{{"TableName":"bench","Item":{{"id":{{"S":"item-{key:08}"}},"n":{{"N":"{number}"}},"text":{{"S":"{:64}"}}}}}}"#,
                    "a small item"
                ),
            ),
            Load::GetItem => request(
                port,
                "dynamodb",
                "DynamoDB_20120810.GetItem",
                &format!(r#"{{"TableName":"bench","Key":{{"id":{{"S":"item-{key:08}"}}}}}}"#),
            ),
            Load::SendMessage => request(
                port,
                "sqs",
                "AmazonSQS.SendMessage",
                &format!(
                    r#"{{"QueueUrl":"http://localhost:{port}/000000000000/bench","MessageBody":"message {key:08} {:64}"}}"#,
                    "of a small kind"
                ),
            ),
        }
    }
}

/// A request as an SDK sends it, signed by nobody in particular.
fn request(port: u16, service: &str, target: &str, body: &str) -> Vec<u8> {
    let signature = "0".repeat(64);
    let bytes = body.len();
    let version = if service == "sqs" || target.contains("2012") {
        "1.0"
    } else {
        "1.1"
    };
    format!(
        "POST / HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/x-amz-json-{version}\r\n\
         X-Amz-Target: {target}\r\nUser-Agent: cumulog-benches\r\nX-Amz-Date: 20261122T120000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20261122/us-east-1/{service}/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={signature}\r\n\
         Content-Length: {bytes}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Creates the table and the queue that the load uses.
pub(crate) fn prepare(port: u16) -> io::Result<()> {
    let table = r#"{"TableName":"bench","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST"}"#;
    let queue = r#"{"QueueName":"bench"}"#;
    runtime()?.block_on(async {
        let mut connection = Connection::open(port).await?;
        connection
            .ask(&request(
                port,
                "dynamodb",
                "DynamoDB_20120810.CreateTable",
                table,
            ))
            .await?;
        connection
            .ask(&request(port, "sqs", "AmazonSQS.CreateQueue", queue))
            .await
    })
}

/// Lets `connections` ask one thing after the other for `time`.
pub(crate) fn run(load: Load, port: u16, connections: usize, time: Duration) -> io::Result<Round> {
    let start = Instant::now();
    let latencies = runtime()?.block_on(async {
        let client = |index| {
            tokio::spawn(client(
                load,
                port,
                index as u64,
                connections as u64,
                start + time,
            ))
        };
        let clients: Vec<_> = (0..connections).map(client).collect();
        let mut latencies = Vec::new();
        for client in clients {
            latencies.extend(client.await.map_err(io::Error::other)??);
        }
        io::Result::Ok(latencies)
    })?;
    summarize(latencies, start.elapsed())
}

fn summarize(mut latencies: Vec<Duration>, elapsed: Duration) -> io::Result<Round> {
    latencies.sort_unstable();
    let at = |share: f64| {
        let latency = latencies.get((latencies.len() as f64 * share) as usize);
        latency
            .map(|latency| latency.as_secs_f64() * 1e6)
            .ok_or_else(|| io::Error::other("no request was answered"))
    };
    let per_second = latencies.len() as f64 / elapsed.as_secs_f64();
    Ok(Round {
        requests: latencies.len(),
        per_second,
        median_us: at(0.5)?,
        p99_us: at(0.99)?,
    })
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

async fn client(
    load: Load,
    port: u16,
    index: u64,
    step: u64,
    end: Instant,
) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::open(port).await?;
    let mut latencies = Vec::new();
    let mut number = index;
    let mut now = Instant::now();
    while now < end {
        connection.ask(&load.request(port, number)).await?;
        let answered = Instant::now();
        latencies.push(answered - now);
        now = answered;
        number += step;
    }
    Ok(latencies)
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            buffer: Vec::with_capacity(HEAD_BYTES_MAX),
        })
    }

    /// Sends a request and reads its answer, which must be 200.
    async fn ask(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head_bytes = loop {
            self.fill().await?;
            let end = self
                .buffer
                .windows(4)
                .position(|bytes| bytes == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None if self.buffer.len() > HEAD_BYTES_MAX => {
                    return Err(io::Error::other("an endless head"));
                }
                None => {}
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_bytes]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| {
            line.strip_prefix("content-length:")?
                .trim()
                .parse::<usize>()
                .ok()
        });
        let length =
            length.ok_or_else(|| io::Error::other(format!("no content-length in {head}")))?;
        while self.buffer.len() < head_bytes + length {
            self.fill().await?;
        }
        if head.starts_with("http/1.1 200") {
            return Ok(());
        }
        Err(io::Error::other(
            String::from_utf8_lossy(&self.buffer).into_owned(),
        ))
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
