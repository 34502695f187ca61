//! Browsers: who may drive the emulator from a web page.
//!
//! Any page that a developer opens could otherwise send requests to localhost. Pages from this machine may; those from
//! elsewhere are refused. S3's buckets answer for themselves where they have CORS rules. Where they have none, pages from
//! elsewhere are answered as AWS does, without the headers by which they could read the answer, but for the one method
//! that browsers let them change things with unasked: POST.

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::{
    control,
    emulator::Emulator,
    failure::Failure,
    hosts,
    http::{Request, Response},
    route::{self, Signs},
    services::s3::cors::Policy,
};

/// What is to be done about a request's `Origin`.
pub(crate) enum Verdict {
    /// Answer it; with these headers the page may read the answer.
    Pass(HeaderMap),
    /// A preflight, or a page from elsewhere: this is the answer.
    Answer(Response),
    /// A preflight to a bucket of S3, in the words of which it is refused.
    Refused(Failure),
}

/// Judges a request by its origin.
pub(crate) fn judge(emulator: &Emulator, request: &Request, signs: &Signs<'_>) -> Verdict {
    let origin = request.headers.get(header::ORIGIN);
    if origin.is_none() && request.method != Method::OPTIONS {
        return Verdict::Pass(HeaderMap::new());
    }
    let is_local = origin.is_some_and(|origin| origin.to_str().is_ok_and(is_local));
    if let Some(bucket) = bucket(emulator, request, signs) {
        match Policy::of(&emulator.world.store.view(), &bucket) {
            Ok(policy) if policy.decides() || !is_local => return of_bucket(&policy, request),
            Ok(_) => {}
            Err(failure) => return Verdict::Refused(failure),
        }
    }
    match origin {
        None => Verdict::Pass(HeaderMap::new()),
        Some(_) if !is_local => Verdict::Answer(refusal()),
        Some(origin) if is_preflight(request) => {
            Verdict::Answer(preflight(origin, &request.headers))
        }
        Some(origin) => Verdict::Pass(allow(origin)),
    }
}

/// By the rules of a bucket, or by their absence.
fn of_bucket(policy: &Policy, request: &Request) -> Verdict {
    let (method, headers) = (&request.method, &request.headers);
    if method == Method::OPTIONS {
        let path = request.path.trim_matches('/');
        let in_host = header_text(headers, header::HOST)
            .and_then(hosts::bucket)
            .is_some();
        let resource = match path.contains('/') || in_host && !path.is_empty() {
            true => "OBJECT",
            false => "BUCKET",
        };
        return match policy.preflight(headers, resource) {
            Ok(allowed) => {
                let mut response = Response::new(Vec::new().into());
                *response.headers_mut() = allowed;
                Verdict::Answer(response)
            }
            Err(failure) => Verdict::Refused(failure),
        };
    }
    if method == Method::POST && !policy.decides() {
        return Verdict::Answer(refusal());
    }
    Verdict::Pass(policy.allow(method.as_str(), headers).unwrap_or_default())
}

/// The bucket that a request is for, if it is for one.
fn bucket(emulator: &Emulator, request: &Request, signs: &Signs<'_>) -> Option<String> {
    if signs.needs_form() || control::owns(request, signs.credential.is_some()) {
        return None;
    }
    let route = route::find(&emulator.services, signs).ok()?;
    if route.service.schema.name != "s3" {
        return None;
    }
    if let Some(host) = header_text(&request.headers, header::HOST)
        && let Some(bucket) = hosts::website(host).or_else(|| hosts::bucket(host))
    {
        return Some(bucket.to_owned());
    }
    let first = request
        .path
        .split('/')
        .nth(1)
        .filter(|name| !name.is_empty())?;
    let name = percent_encoding::percent_decode_str(first)
        .decode_utf8()
        .ok()?;
    Some(name.into_owned())
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn is_preflight(request: &Request) -> bool {
    request.method == Method::OPTIONS
        && (request.headers).contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn refusal() -> Response {
    let text = "cumulog answers web pages of this machine only\n";
    let mut response = Response::new(text.as_bytes().to_vec().into());
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

fn preflight(origin: &HeaderValue, headers: &HeaderMap) -> Response {
    let mut response = Response::new(Vec::new().into());
    *response.headers_mut() = allow(origin);
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let wanted = wanted.unwrap_or(HeaderValue::from_static("*"));
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    let methods = HeaderValue::from_static("GET, HEAD, PUT, POST, DELETE, PATCH, OPTIONS");
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    response
}

/// Lets a page of `origin` read the answer.
fn allow(origin: &HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("*"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers
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
