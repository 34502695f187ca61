//! User metadata beyond ASCII: the encoded words of RFC 2047.
//!
//! HTTP headers have no charset. S3 reads encoded words in user metadata and writes every value that is not plain ASCII
//! as encoded words in UTF-8: Q while most of the value is ASCII, B otherwise.

use base64_simd::STANDARD;
use std::borrow::Cow;
use std::fmt::Write as _;

/// The most that one encoded word may hold between its marks `=?UTF-8?Q?` and `?=`.
const WORD_BYTES_MAX: usize = 63;

/// The text that a header's value stands for.
pub(super) fn decoded(value: &str) -> String {
    if !value.contains("=?") {
        return value.to_owned();
    }
    let mut text = String::new();
    let mut after_word = false;
    for (at, token) in value.split(' ').enumerate() {
        let word = decoded_word(token);
        // A space between two encoded words only separates them.
        if at > 0 && !(after_word && word.is_some()) {
            text.push(' ');
        }
        after_word = word.is_some();
        text.push_str(&word.map_or(Cow::Borrowed(token), Cow::Owned));
    }
    text
}

/// The text of one encoded word, if `token` is one that we can read.
fn decoded_word(token: &str) -> Option<String> {
    let (charset, rest) = token
        .strip_prefix("=?")?
        .strip_suffix("?=")?
        .split_once('?')?;
    let (encoding, payload) = rest.split_once('?')?;
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode_to_vec(payload).ok()?,
        "Q" | "q" => decoded_q(payload)?,
        _ => return None,
    };
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

fn decoded_q(payload: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(payload.len());
    let mut rest = payload.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digit = |digit: u8| {
                    char::from(digit)
                        .to_digit(16)
                        .and_then(|digit| u8::try_from(digit).ok())
                };
                digit(rest.next()?)? << 4 | digit(rest.next()?)?
            }
            other => other,
        });
    }
    Some(bytes)
}

/// The header value that stands for `text`.
pub(super) fn encoded(text: &str) -> String {
    let plain = text.chars().filter(|char| is_plain(*char)).count();
    let others = text.chars().count() - plain;
    if others == 0 {
        return text.to_owned();
    }
    let mut value = String::new();
    write_words(text, plain > others, &mut value);
    value
}

fn is_plain(char: char) -> bool {
    matches!(char, ' '..='~' | '\t')
}

/// Writes `text` as encoded words, halving it until each fits.
fn write_words(text: &str, quoted: bool, value: &mut String) {
    let (mark, word) = match quoted {
        true => ('Q', encoded_q(text)),
        false => ('B', STANDARD.encode_to_string(text)),
    };
    let middle = text
        .char_indices()
        .nth(text.chars().count() / 2)
        .map_or(0, |(at, _)| at);
    if word.len() > WORD_BYTES_MAX && middle > 0 {
        let (head, tail) = text.split_at(middle);
        write_words(head, quoted, value);
        write_words(tail, quoted, value);
        return;
    }
    if !value.is_empty() {
        value.push(' ');
    }
    write!(value, "=?UTF-8?{mark}?{word}?=").expect("a String takes everything");
}

fn encoded_q(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => word.push('_'),
            b'=' | b'_' | b'?' => write!(word, "={byte:02X}").expect("a String takes everything"),
            b'!'..=b'~' => word.push(char::from(byte)),
            _ => write!(word, "={byte:02X}").expect("a String takes everything"),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_aws() {
        let check = |text: &str, value: &str| {
            assert_eq!(encoded(text), value);
            assert_eq!(decoded(value), text);
        };
        check("", "");
        check("plain ~ \"text\"", "plain ~ \"text\"");
        check("ÄMÄZÕÑ S3", "=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?=");
        check(
            "test_—_file%E2%80%94_é_2?.pdf",
            "=?UTF-8?Q?test=5F=E2=80=94=5Ffile%E2%80%94=5F=C3=A9=5F2=3F.pdf?=",
        );
        check("\0\u{1}\u{2}\u{3}", "=?UTF-8?B?AAECAw==?=");
        check(
            "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            "=?UTF-8?B?77+977+977+977+977+977+977+9?=",
        );
    }

    #[test]
    fn foreign_words_are_read() {
        let check = |value: &str, text: &str| assert_eq!(decoded(value), text, "{value}");
        check("=?UTF-8?B?YWJj?=", "abc");
        check("=?utf-8?q?actually-ascii?=", "actually-ascii");
        check(
            "=?ISO-8859-1?Q?=E9?= and =?UTF-8?Q?=C3=A9?= =?UTF-8?Q?x?=",
            "é and éx",
        );
        for value in [
            "=?",
            "=?x?=",
            "=?UTF-8?B?*?=",
            "=?UTF-8?Q?=X?=",
            "=?UTF-8?Q?=FF?=",
            "=?UTF-7?Q?a?=",
            "a=?b",
        ] {
            check(value, value);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(text in "(\\PC|[a-z \u{0}-\u{1f}é—]){0,80}") {
            // Text that is an encoded word already stays one, in AWS too.
            if !text.contains("=?") {
                assert_eq!(decoded(&encoded(&text)), text);
                assert!(encoded(&text).chars().all(is_plain));
            }
        }

        #[test]
        fn no_value_is_too_strange_to_read(value in "(=\\?|\\?=|[UTF8BQ?=_ \u{80}-\u{ff}-]){0,40}") {
            decoded(&value);
        }
    }

    #[test]
    fn long_values_become_many_words() {
        let text = "é".repeat(500);
        let value = encoded(&text);
        assert!(value.split(' ').all(|word| word.len() <= 75));
        assert_eq!(decoded(&value), text);
    }
}
