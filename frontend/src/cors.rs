//! Browsers: who may drive the emulator from a web page.
//!
//! Any page that a developer opens could otherwise send requests to localhost. Pages
//! from this machine may; those from elsewhere are refused. S3 answers for its own
//! buckets by their CORS configuration.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::http::Response;

/// What is to be done about a request's `Origin`.
pub(crate) enum Verdict {
    /// No browser, or the page is from here.
    Pass,
    /// A preflight: answer it, the request itself comes later.
    Answer(Response),
}

/// Judges a request by its origin.
pub(crate) fn judge(method: &Method, headers: &HeaderMap) -> Verdict {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Verdict::Pass;
    };
    if !origin.to_str().is_ok_and(is_local) {
        let text = "cumulog answers web pages of this machine only\n";
        let mut response = Response::new(text.as_bytes().to_vec().into());
        *response.status_mut() = StatusCode::FORBIDDEN;
        return Verdict::Answer(response);
    }
    if method != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return Verdict::Pass;
    }
    let mut response = Response::new(Vec::new().into());
    allow(origin, response.headers_mut());
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let wanted = wanted.unwrap_or(HeaderValue::from_static("*"));
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    let methods = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE, PATCH, OPTIONS");
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    Verdict::Answer(response)
}

/// Lets a page of `origin` read the answer.
pub(crate) fn allow(origin: &HeaderValue, answer: &mut HeaderMap) {
    answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("*"),
    );
    answer.insert(header::VARY, HeaderValue::from_static("Origin"));
}

/// Whether an origin is this machine, whatever the scheme and port.
fn is_local(origin: &str) -> bool {
    let Some((_, authority)) = origin.split_once("://") else {
        return false;
    };
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    let host = host.unwrap_or("");
    host == "localhost"
        || host.ends_with(".localhost")
        || host == "::1"
        || host.starts_with("127.") && host.split('.').all(|part| part.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn pages_of_this_machine_are_known() {
        let check = |origin, expected| assert_eq!(is_local(origin), expected, "{origin}");
        check("http://localhost:3000", true);
        check("https://app.localhost", true);
        check("http://127.0.0.1:8080", true);
        check("http://[::1]:8080", true);
        check("https://example.com", false);
        check("https://localhost.example.com", false);
        check("https://127.0.0.1.example.com", false);
        check("https://127.evil", false);
        check("null", false);
    }
}
