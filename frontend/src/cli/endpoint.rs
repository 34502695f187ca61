//! Talking to a running server's control plane: one request a connection, as plain as HTTP allows.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

use serde_json::Value;

use super::{Refusal, UsageError};
use crate::startup;

/// No answer of the control plane is nearly as long.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Where a server listens: `http://localhost:4566`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Host and port, as in the URL.
    authority: String,
    /// The same, with the port always there.
    address: String,
}

impl Endpoint {
    /// Reads a URL.
    pub(super) fn parse(url: &str) -> Result<Endpoint, UsageError> {
        let refused = |why| {
            let text = format!("`{url}` is no endpoint: {why}");
            UsageError::new(text, "give it as `http://localhost:4566`")
        };
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| refused("it does not begin with http://"))?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let is_host = !authority.is_empty()
            && authority
                .chars()
                .all(|c| c.is_ascii_graphic() && !"/?#@".contains(c));
        if !is_host {
            return Err(refused("only a host and a port may follow"));
        }
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = if has_port { "" } else { ":80" };
        Ok(Endpoint {
            authority: authority.into(),
            address: [authority, port].concat(),
        })
    }

    /// POSTs nothing to a path of the control plane, and waits for the answer, however long that takes.
    pub(super) fn post(&self, path: &str) -> Result<Value, Refusal> {
        let (status, answer) = self.request("POST", path).map_err(|error| {
            let what = format!("cannot reach `http://{}`", self.authority);
            let hint = "name a running server: `--endpoint http://localhost:4566`";
            Refusal::Failed(startup::explain(&what, &error, Some(hint)))
        })?;
        if status == 200 {
            return Ok(answer);
        }
        let said = answer.get("error").and_then(Value::as_str);
        let what = format!("`http://{}` refused {path}", self.authority);
        let why = said.map_or_else(|| format!("status {status}"), str::to_owned);
        Err(Refusal::Failed(startup::explain(
            &what,
            &io::Error::other(why),
            None,
        )))
    }

    fn request(&self, method: &str, path: &str) -> io::Result<(u16, Value)> {
        let mut connection = TcpStream::connect(&*self.address)?;
        let authority = &self.authority;
        // An answer to HTTP/1.0 is in one piece and ends with the connection.
        let request =
            format!("{method} {path} HTTP/1.0\r\nHost: {authority}\r\nContent-Length: 0\r\n\r\n");
        connection.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        connection.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        parse(&answer).ok_or_else(|| io::Error::other("what answers there is not cumulog"))
    }
}

/// Status and document of an answer.
fn parse(answer: &[u8]) -> Option<(u16, Value)> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    let document = serde_json::from_slice(&answer[end + 4..]).ok()?;
    Some((status.parse().ok()?, document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        let check = |url: &str, expected: &str| {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.address, expected, "{url}");
        };
        check("http://localhost:4566", "localhost:4566");
        check("http://127.0.0.1:1/", "127.0.0.1:1");
        check("http://[::1]:4566", "[::1]:4566");
        check("http://emulator", "emulator:80");
        for url in [
            "",
            "localhost:4566",
            "https://localhost",
            "http://",
            "http:///x",
            "http://a/b",
            "http://a b",
            "http://a\r\nb",
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert!(error.text.contains("is no endpoint"), "{}", error.text);
        }
    }

    #[test]
    fn answers_have_a_status_and_a_document() {
        let check = |answer: &str, expected| assert_eq!(parse(answer.as_bytes()), expected);
        let document = serde_json::json!({ "a": 1 });
        check(
            "HTTP/1.1 200 OK\r\na: b\r\n\r\n{\"a\":1}\n",
            Some((200, document)),
        );
        check("HTTP/1.1 200 OK\r\n\r\nnot JSON", None);
        check("HTTP/1.1\r\n\r\n{}", None);
        check("HTTP/1.1 200 OK\r\n", None);
        check("", None);
    }
}
