//! Fuzz target: any bytes in, a panic where the oracle is hurt. For `fuzz/` and the tests, and for nobody else.

use serde_json::{Map, Value};

use crate::ReadError;
use crate::json::DEPTH_MAX;
use crate::json::lexer::{Lexer, Next};

/// A JSON text: our lexer and `serde_json` agree on whether it is one, and on what it holds.
///
/// They differ knowingly in two things, which are not judged: how deep a text may nest, and numbers beyond a double, which
/// are JSON all the same.
pub fn json_syntax(input: &[u8]) {
    let ours = Lexer::new(input).and_then(|mut lexer| {
        let value = value(&mut lexer, DEPTH_MAX)?;
        lexer.end()?;
        Ok(value)
    });
    check_skip(input, &ours);
    match (ours, serde_json::from_slice::<Value>(input)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) if is_limit(&error) => {}
        (Ok(ours), Err(error)) => panic!("we read {ours}, but serde_json says: {error}"),
        (Err(error), Ok(theirs)) => panic!("we say {error:?}, but serde_json reads {theirs}"),
    }
}

/// Members that nobody knows are skipped: that judges as reading does.
fn check_skip(input: &[u8], read: &Result<Value, ReadError>) {
    let skipped = Lexer::new(input).and_then(|mut lexer| {
        lexer.skip(DEPTH_MAX)?;
        lexer.end()
    });
    assert_eq!(
        skipped.is_ok(),
        read.is_ok(),
        "skipping differs from reading"
    );
}

fn is_limit(error: &serde_json::Error) -> bool {
    let reason = error.to_string();
    reason.starts_with("number out of range") || reason.starts_with("recursion limit")
}

/// The next value as a tree; a number that `serde_json` can't hold is left out.
fn value(lexer: &mut Lexer<'_>, depth: u32) -> Result<Value, ReadError> {
    match lexer.next()? {
        Next::Null => lexer.literal("null").map(|()| Value::Null),
        Next::True => lexer.literal("true").map(|()| true.into()),
        Next::False => lexer.literal("false").map(|()| false.into()),
        Next::String => lexer.string().map(Value::from),
        Next::Number => {
            let (text, _) = lexer.number()?;
            Ok(serde_json::from_str(text).unwrap_or_default())
        }
        Next::Array => array(lexer, depth),
        Next::Object => object(lexer, depth),
    }
}

fn array(lexer: &mut Lexer<'_>, depth: u32) -> Result<Value, ReadError> {
    let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
    let mut elements = Vec::new();
    lexer.expect(b'[')?;
    let mut more = !lexer.accept(b']');
    while more {
        elements.push(value(lexer, depth)?);
        more = lexer.more(b']')?;
    }
    Ok(elements.into())
}

fn object(lexer: &mut Lexer<'_>, depth: u32) -> Result<Value, ReadError> {
    let depth = depth.checked_sub(1).ok_or(ReadError::TooDeep)?;
    let mut members = Map::new();
    lexer.expect(b'{')?;
    let mut more = !lexer.accept(b'}');
    while more {
        let key = lexer.string()?.into_owned();
        lexer.expect(b':')?;
        members.insert(key, value(lexer, depth)?);
        more = lexer.more(b'}')?;
    }
    Ok(members.into())
}

#[cfg(test)]
mod tests {
    #[test]
    fn json_is_what_serde_json_takes_for_it() {
        cumulog_fuzz_slice::check("json_syntax", super::json_syntax);
    }
}
