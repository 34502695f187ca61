//! Names as S3 spells them: buckets, keys, copy sources, owners.

use super::error::{KEY_BYTES_MAX, S3Error};
use crate::checksum::Algorithm;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::net::Ipv4Addr;

/// Whether a bucket may be created under that name.
pub(super) fn is_bucket_name(name: &str) -> bool {
    const PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
    const SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    (3..=63).contains(&name.len())
        && name.split('.').all(is_label)
        && name.parse::<Ipv4Addr>().is_err()
        && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether a bucket name's part between dots is one of a host name.
fn is_label(label: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
}

/// Refuses a key that no object may have.
pub(super) fn check_key(key: &str) -> Result<(), S3Error> {
    match key.len() {
        0..=KEY_BYTES_MAX => Ok(()),
        bytes => Err(S3Error::KeyTooLong { bytes }),
    }
}

/// The canonical user id of an account: 64 hexadecimal digits that say nothing but are always the same.
pub(super) fn canonical_id(account: &str) -> String {
    Algorithm::Sha256.checksum(account.as_bytes()).hex()
}

/// The source of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CopySource {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version: Option<String>,
}

impl CopySource {
    /// Reads `x-amz-copy-source`: `bucket/key`, `/bucket/key`, either percent-encoded, with `?versionId=…` or without.
    pub(super) fn parse(header: &str) -> Result<CopySource, S3Error> {
        let refused = |message: &str| S3Error::argument("x-amz-copy-source", header, message);
        let (path, query) = match header.split_once('?') {
            Some((path, query)) if query.starts_with("versionId=") => (path, Some(query)),
            _ => (header, None),
        };
        let version = query.and_then(|query| query.strip_prefix("versionId="));
        let path = form_decoded(path).ok_or_else(|| refused("Invalid copy source encoding."))?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        if path.starts_with("arn:") {
            return Err(S3Error::header("x-amz-copy-source"));
        }
        let (bucket, key) = (path.split_once('/'))
            .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
            .ok_or_else(|| refused("Invalid copy source object key"))?;
        check_key(key)?;
        Ok(CopySource {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            version: version.map(str::to_owned),
        })
    }
}

/// Decodes `%41` and `+` as forms do. `None`: that is not UTF-8.
pub(super) fn form_decoded(text: &str) -> Option<String> {
    let spaces = text.replace('+', " ");
    Some(percent_decode_str(&spaces).decode_utf8().ok()?.into_owned())
}

/// What `encoding-type=url` leaves as it is, besides letters and digits; a space becomes `+`.
const LISTED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'*')
    .remove(b'/')
    .remove(b' ');

/// As `encoding-type=url` writes it.
pub(super) fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, LISTED)
        .to_string()
        .replace(' ', "+")
}

/// A key as part of a URL.
pub(super) fn path_encoded(key: &str) -> String {
    const PATH: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'/');
    utf8_percent_encode(key, PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules() {
        for name in [
            "abc",
            "a-b",
            "a.b.c",
            "123",
            "my-bucket.example",
            "1.2.3.4.5",
            &"a".repeat(63),
        ] {
            assert!(is_bucket_name(name), "{name}");
        }
        for name in [
            "",
            "ab",
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            ".ab",
            "ab.",
            "a..b",
            "a-.b",
            "a.-b",
            "1.2.3.4",
            "a b",
            "ä-bucket",
            "xn--abc",
            "sthree-a",
            "abc-s3alias",
            "abc--ol-s3",
            "abc.mrap",
            &"a".repeat(64),
        ] {
            assert!(!is_bucket_name(name), "{name}");
        }
    }

    #[test]
    fn copy_sources_come_in_many_forms() {
        let check_version = |header: &str, bucket: &str, key: &str, version: Option<&str>| {
            let expected = CopySource {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
                version: version.map(str::to_owned),
            };
            assert_eq!(CopySource::parse(header).ok(), Some(expected), "{header}");
        };
        let check =
            |header: &str, bucket: &str, key: &str| check_version(header, bucket, key, None);
        check("b/k", "b", "k");
        check("/b/k", "b", "k");
        check("b/a//b/../c", "b", "a//b/../c");
        check("b%2Fk", "b", "k");
        check("b/%E2%82%AC%2B+%3F", "b", "€+ ?");
        check_version("b/k?versionId=null", "b", "k", Some("null"));
        check("b/k?x", "b", "k?x");
        for header in ["", "/", "b", "b/", "/b", "//k", "b/%FF"] {
            assert!(CopySource::parse(header).is_err(), "{header}");
        }
    }

    #[test]
    fn listings_are_encoded_as_aws_does() {
        assert_eq!(url_encoded("a b/c+d=e~é*._-"), "a+b/c%2Bd%3De%7E%C3%A9*._-");
    }
}
