//! Lets botocore talk to the codecs: a line of JSON in, a line of JSON out. `tests/golden/make.py` and `fuzz.py` drive it.

#[path = "../tests/wire/support.rs"]
mod support;

use std::io::{BufRead, Write};

use serde_json::{Value, json};

fn main() {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let command: Value =
            serde_json::from_str(&line.expect("readable input")).expect("a line of JSON");
        let answer = match command["do"].as_str() {
            Some("read") => support::read(&command),
            Some("write") => support::write(&command),
            Some("error") => support::write_error(&command),
            _ => json!({ "error": "unknown command" }),
        };
        writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .expect("writable output");
    }
}
