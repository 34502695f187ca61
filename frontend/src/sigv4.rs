//! Who signed a request, and for which service and region.
//!
//! Signatures are read and not verified: any credentials do. What the server needs
//! from them is the routing (the scope's service and region) and the identity (the
//! access key). Three places can hold them, and the first that parses wins: the
//! `Authorization` header of Signature Version 4, 4A or 2, the query of a presigned
//! URL of version 4 or 4A, and of version 2. Whatever does not parse is as good as
//! absent: the request is anonymous.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;

/// What a request says about its signer. Borrowed from it wherever it is not encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credential<'a> {
    pub(crate) access_key: Cow<'a, str>,
    /// Empty for version 2 and for 4A, whose scope spans regions.
    pub(crate) region: Cow<'a, str>,
    /// The signing name (`s3`, `dynamodb`, …). Version 2 over REST is `s3`; empty when unknown.
    pub(crate) service: Cow<'a, str>,
}

/// Reads the signer of a request from its headers and its raw query string.
pub(crate) fn from_request<'a>(
    headers: &'a HeaderMap,
    query: Option<&'a str>,
) -> Option<Credential<'a>> {
    let authorization = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    authorization
        .and_then(from_authorization)
        .or_else(|| query.and_then(from_query))
}

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=a;b, Signature=…` or `AWS key:signature`.
fn from_authorization(value: &str) -> Option<Credential<'_>> {
    let (algorithm, rest) = value.trim().split_once(' ')?;
    match algorithm {
        "AWS" => {
            let (access_key, _signature) = rest.trim().rsplit_once(':')?;
            version_2(access_key.into(), "s3")
        }
        "AWS4-HMAC-SHA256" | "AWS4-ECDSA-P256-SHA256" => {
            // The separator is a comma, with or without spaces; some clients use spaces alone.
            let mut parts = rest.split([',', ' ']);
            let scope = parts.find_map(|part| part.strip_prefix("Credential="))?;
            version_4(scope, algorithm == "AWS4-ECDSA-P256-SHA256")
        }
        _ => None,
    }
}

fn from_query(query: &str) -> Option<Credential<'_>> {
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            key.eq_ignore_ascii_case(name)
                .then(|| percent_decode_str(value).decode_utf8_lossy())
        })
    };
    if let Some(scope) = parameter("X-Amz-Credential") {
        let regionless = parameter("X-Amz-Algorithm").is_some_and(|name| name.contains("ECDSA"));
        return version_4(&scope, regionless).map(Credential::into_owned);
    }
    // Presigned S3 has a signature and an expiry beside the key; the query services of
    // old say which version they sign with, and their service is found by other signs.
    let access_key = parameter("AWSAccessKeyId")?;
    if parameter("SignatureVersion").is_some() {
        version_2(access_key, "")
    } else {
        parameter("Signature")?;
        version_2(access_key, "s3")
    }
}

/// `scope` is `key/date/region/service/aws4_request`, without the region in 4A.
///
/// Read from the right: an access key may hold slashes.
fn version_4(scope: &str, regionless: bool) -> Option<Credential<'_>> {
    let mut parts = scope.trim().rsplitn(if regionless { 4 } else { 5 }, '/');
    (parts.next()? == "aws4_request").then_some(())?;
    let service = parts.next()?;
    let region = if regionless { "" } else { parts.next()? };
    let _date = parts.next()?;
    let access_key = parts.next()?;
    if access_key.is_empty() || service.is_empty() {
        return None;
    }
    let is_lower = !service.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(Credential {
        access_key: access_key.into(),
        region: region.into(),
        service: if is_lower {
            service.into()
        } else {
            service.to_ascii_lowercase().into()
        },
    })
}

fn version_2<'a>(access_key: Cow<'a, str>, service: &'static str) -> Option<Credential<'a>> {
    (!access_key.is_empty()).then(|| Credential {
        access_key,
        region: "".into(),
        service: service.into(),
    })
}

impl Credential<'_> {
    fn into_owned(self) -> Credential<'static> {
        Credential {
            access_key: self.access_key.into_owned().into(),
            region: self.region.into_owned().into(),
            service: self.service.into_owned().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `key region service` of what was parsed, or `anonymous`.
    fn summary(credential: Option<Credential>) -> String {
        credential.map_or_else(
            || "anonymous".into(),
            |c| format!("{} {} {}", c.access_key, c.region, c.service),
        )
    }

    #[track_caller]
    fn check_header(value: &str, expected: &str) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().expect("a header value"));
        assert_eq!(summary(from_request(&headers, None)), expected, "{value:?}");
    }

    #[track_caller]
    fn check_query(query: &str, expected: &str) {
        let headers = HeaderMap::new();
        let found = from_request(&headers, Some(query));
        assert_eq!(summary(found), expected, "{query:?}");
    }

    #[test]
    fn reads_the_authorization_header() {
        let expected = "AKIDEXAMPLE us-east-1 iam";
        check_header(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=host;x-amz-date, Signature=5d67",
            expected,
        );
        check_header(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request,SignedHeaders=Host;X-Amz-Date,Signature=5d67",
            expected,
        );
        check_header(
            "AWS4-HMAC-SHA256 Signature=5d67 SignedHeaders=host;x-amz-date Credential=AKIDEXAMPLE/20150830/us-east-1/IAM/aws4_request",
            expected,
        );
        check_header(
            "AWS4-ECDSA-P256-SHA256 Credential=AKID/20150830/s3/aws4_request, SignedHeaders=host, Signature=00",
            "AKID  s3",
        );
        check_header(
            "AWS4-HMAC-SHA256 Credential=a/b/c/20150830/eu-west-1/sqs/aws4_request",
            "a/b/c eu-west-1 sqs",
        );
        check_header(
            "AWS AKIDEXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=",
            "AKIDEXAMPLE  s3",
        );
    }

    #[test]
    fn reads_presigned_queries() {
        check_query(
            "a=b&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-SignedHeaders=host%3Brange",
            "AKID us-east-1 s3",
        );
        check_query(
            "X-Amz-Credential=AKID/20130524/us-east-1/s3/aws4_request",
            "AKID us-east-1 s3",
        );
        check_query(
            "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=AKID%2F20130524%2Fs3%2Faws4_request",
            "AKID  s3",
        );
        check_query(
            "AWSAccessKeyId=AKID&Signature=vj%3D&Expires=1175139620",
            "AKID  s3",
        );
        check_query(
            "Action=ListQueues&AWSAccessKeyId=AKID&SignatureVersion=2&Signature=x",
            "AKID  ",
        );
    }

    #[test]
    fn the_header_wins_over_the_query() {
        let mut headers = HeaderMap::new();
        let query = Some("X-Amz-Credential=Q/20130524/us-east-1/s3/aws4_request");
        headers.insert(AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(summary(from_request(&headers, query)), "Q us-east-1 s3");
        headers.insert(AUTHORIZATION, "AWS H:x".parse().unwrap());
        assert_eq!(summary(from_request(&headers, query)), "H  s3");
    }

    #[test]
    fn garbage_is_anonymous() {
        assert_eq!(from_request(&HeaderMap::new(), None), None);
        for value in [
            "",
            " ",
            "AWS",
            "AWS ",
            "AWS x",
            "AWS :x",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 ",
            "AWS4-HMAC-SHA256 Credential=",
            "AWS4-HMAC-SHA256 Credential=////aws4_request",
            "AWS4-HMAC-SHA256 Credential=a/b/c/d",
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws5_request",
            "AWS4-HMAC-SHA256 Credential=/20130524/us-east-1/s3/aws4_request",
            "AWS4-HMAC-SHA256 Credential=aws4_request",
            "Basic dXNlcjpwYXNz",
            "Bearer abc",
        ] {
            check_header(value, "anonymous");
        }
        for query in [
            "",
            "&&==",
            "X-Amz-Credential",
            "X-Amz-Credential=%",
            "X-Amz-Credential=%ff%2f%2f",
            "AWSAccessKeyId=AKID",
            "AWSAccessKeyId=&Signature=x",
            "Signature=x",
        ] {
            check_query(query, "anonymous");
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            AUTHORIZATION,
            http::HeaderValue::from_bytes(b"AWS \xff:\xff").unwrap(),
        );
        assert_eq!(from_request(&headers, None), None);
    }
}
