//! Percent-encoding, as paths, query strings and forms use it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Decodes a piece of a path, where `+` is a plus. `None`: it is not UTF-8.
///
/// A `%` that begins no escape stays, as browsers have it. Nothing is normalised: `a//b` and `..` are S3 keys like others.
pub(crate) fn decode_path(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// Splits and decodes a query string or a form, where `+` is a space. `None`: it is not UTF-8.
///
/// A key without `=` gets an empty value; empty pieces are skipped.
pub fn pairs(text: &str) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
    text.split('&')
        .filter(|piece| !piece.is_empty())
        .map(|piece| {
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            Some((decode_pair(key)?, decode_pair(value)?))
        })
        .collect()
}

fn decode_pair(text: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr2(b'+', b'%', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    Some(Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let pairs = pairs(text).expect("must be readable");
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(key, value)| (&**key, &**value))
            .collect();
        assert_eq!(pairs, expected, "{text}");
    }

    #[test]
    fn splits_and_decodes() {
        check("", &[]);
        check("&&", &[]);
        check("uploads", &[("uploads", "")]);
        check("a=1&b=2&a=3", &[("a", "1"), ("b", "2"), ("a", "3")]);
        check("a=b=c", &[("a", "b=c")]);
        check("=v", &[("", "v")]);
        check("a+b=c+d%2B%20e", &[("a b", "c d+ e")]);
        check("k=%C3%A9%F0%9F%98%80", &[("k", "é😀")]);
        check("k=%zz%4", &[("k", "%zz%4")]);
    }

    #[test]
    fn refuses_what_is_not_utf8() {
        assert_eq!(pairs("a=%FF"), None);
        assert_eq!(pairs("%C3=a"), None);
        assert_eq!(decode_path("%ED%A0%80"), None);
    }

    #[test]
    fn paths_stay_as_they_came() {
        assert_eq!(
            decode_path("a//b/../c+d%20e%2Ff%").as_deref(),
            Some("a//b/../c+d e/f%")
        );
    }
}
