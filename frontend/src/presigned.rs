//! Presigned URLs: what a client could not send as a header stands in the query.
//!
//! Whoever uses a presigned URL sends no headers of his own, so some SDKs (JavaScript's) put every `x-amz-` header that
//! was signed into the query: user metadata, storage class, tags, checksums. AWS takes them from there.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// The parameters that make the signature itself, and stand for no header.
const SIGNATURE: [&str; 7] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-security-token",
];

/// Adds to `headers` what a presigned request's query says in their place. A header that was sent stays.
pub(crate) fn add_hoisted(headers: &mut HeaderMap, query: Option<&str>) {
    let Some(query) = query.filter(|query| query.contains("Signature=")) else {
        return;
    };
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let hoisted = name.len() > 6 && name.as_bytes()[..6].eq_ignore_ascii_case(b"x-amz-");
        if !hoisted
            || SIGNATURE
                .iter()
                .any(|known| name.eq_ignore_ascii_case(known))
        {
            continue;
        }
        let value: Vec<u8> = percent_decode_str(&value.replace('+', " ")).collect();
        // What cannot be a header is none.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&value))
        {
            headers.entry(name).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_presigned_queries_stand_for_headers() {
        let check = |query: &str, expected: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-acl", HeaderValue::from_static("private"));
            add_hoisted(&mut headers, Some(query));
            headers.remove("x-amz-acl");
            let found: Vec<_> = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().expect("it is text")))
                .collect();
            assert_eq!(found, expected, "{query}");
        };
        check("x-amz-meta-a=b", &[]);
        check("x-amz-meta-a=b&X-Amz-Signature=0", &[("x-amz-meta-a", "b")]);
        check(
            "X-Amz-Meta-A=b%20c+d&AWSAccessKeyId=k&Signature=0",
            &[("x-amz-meta-a", "b c d")],
        );
        check("x-amz-acl=public-read&X-Amz-Signature=0", &[]);
        check(
            "X-Amz-Algorithm=a&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=1&X-Amz-SignedHeaders=h&\
             X-Amz-Security-Token=t&X-Amz-Signature=0",
            &[],
        );
        check(
            "x-amz-(=b&x-amz-b=%0D%0Ac&é=x&x-amz=1&X-Amz-Signature=0",
            &[],
        );
    }
}
