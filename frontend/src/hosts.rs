//! Virtual hosts: a bucket in the host name becomes the first segment of the path.

use memchr::memmem;

/// Endpoints under which `<bucket>.` may stand, besides the regional forms.
const SUFFIXES: &[&str] = &[
    "s3.localhost.localstack.cloud",
    "s3.localhost",
    "s3.amazonaws.com",
];

/// Domains under which `<bucket>.s3.<region>.` may stand.
const REGIONAL: &[&str] = &["amazonaws.com", "localhost.localstack.cloud"];

/// Hosts of all services, under which a bucket may stand as well.
const BARE: &[&str] = &["localhost.localstack.cloud", "localhost"];

/// The bucket that `host` (a `Host` header, port and all) names, if it does.
///
/// Known are `<bucket>.localhost`, `<bucket>.s3[.<region>].localhost.localstack.cloud`,
/// `<bucket>.s3.amazonaws.com` and `<bucket>.s3[.-]<region>.amazonaws.com`. Bucket
/// names may themselves hold dots.
pub(crate) fn bucket(host: &str) -> Option<&str> {
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let before_any = |suffixes: &[&str]| suffixes.iter().find_map(|suffix| before(host, suffix));
    let bucket = before_any(SUFFIXES)
        .or_else(|| {
            let mut domains = REGIONAL.iter();
            domains.find_map(|domain| before_regional(host, domain))
        })
        .or_else(|| before_any(BARE))?;
    // `s3.localhost` and `s3.eu-west-1.localhost…` are endpoints, not buckets called s3.
    let endpoint = bucket == "s3" || bucket.starts_with("s3.") || bucket.starts_with("s3-");
    (!endpoint && !bucket.is_empty()).then_some(bucket)
}

/// The bucket whose website `host` names: `<bucket>.s3-website.<domain>`, `<bucket>.s3-website-<region>.<domain>` or
/// `<bucket>.s3-website.<region>.<domain>`.
pub(crate) fn website(host: &str) -> Option<&str> {
    const MARK: &str = ".s3-website";
    // Every request is asked, and this is cheaper than the standard library's search.
    let at = memmem::rfind(host.as_bytes(), MARK.as_bytes()).filter(|at| *at > 0)?;
    let rest = &host[at + MARK.len()..];
    let rest = rest.rsplit_once(':').map_or(rest, |(name, _)| name);
    let domains = REGIONAL.iter().chain(BARE);
    let known = domains.filter_map(|domain| before(rest, domain)).next()?;
    // What is left is nothing, or the region behind its dash or dot.
    let is_region = known.is_empty()
        || known
            .strip_prefix(['-', '.'])
            .is_some_and(|region| !region.is_empty());
    is_region.then(|| &host[..at])
}

fn before<'a>(host: &'a str, suffix: &str) -> Option<&'a str> {
    let at = host.len().checked_sub(suffix.len())?;
    let matches = host.is_char_boundary(at) && host[at..].eq_ignore_ascii_case(suffix);
    matches.then(|| host[..at].strip_suffix('.')).flatten()
}

fn before_regional<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    let endpoint = before(host, domain)?;
    // The region is the last label or, in `s3-<region>`, a part of it.
    let (rest, last) = endpoint.rsplit_once('.')?;
    match last.strip_prefix("s3-") {
        Some(_) => Some(rest),
        None => before(rest, "s3").or_else(|| before(rest, "s3.dualstack")),
    }
}

#[cfg(test)]
mod tests {
    use super::{bucket, website};

    #[test]
    fn websites_are_found_in_hosts() {
        let check = |host, expected| assert_eq!(website(host), expected, "{host}");
        check("photos.s3-website.localhost:4566", Some("photos"));
        check("a.b.s3-website-us-east-1.localhost:4566", Some("a.b"));
        check(
            "photos.s3-website.localhost.localstack.cloud",
            Some("photos"),
        );
        check(
            "photos.s3-website.eu-west-1.localhost.localstack.cloud:4566",
            Some("photos"),
        );
        check("photos.s3-website-us-east-1.amazonaws.com", Some("photos"));
        check(
            "photos.s3-website.eu-central-1.amazonaws.com",
            Some("photos"),
        );
        check("photos.s3-websites.localhost", None);
        check("photos.localhost", None);
        check("s3-website.localhost", None);
        check(".s3-website.localhost", None);
        check("photos.s3-website.example.com", None);
    }

    #[test]
    fn buckets_are_found_in_hosts() {
        let check = |host, expected| assert_eq!(bucket(host), expected, "{host}");
        check("photos.localhost", Some("photos"));
        check("photos.localhost:4566", Some("photos"));
        check("my.photos.localhost:4566", Some("my.photos"));
        check("photos.s3.localhost.localstack.cloud:4566", Some("photos"));
        check(
            "a.b.s3.eu-west-1.localhost.localstack.cloud:4566",
            Some("a.b"),
        );
        check("photos.localhost.localstack.cloud:4566", Some("photos"));
        check("a.s3.s3.amazonaws.com", Some("a.s3"));
        check("photos.s3.amazonaws.com", Some("photos"));
        check("photos.s3.eu-west-1.amazonaws.com", Some("photos"));
        check("photos.s3-eu-west-1.amazonaws.com", Some("photos"));
        check(
            "photos.s3.dualstack.eu-west-1.amazonaws.com",
            Some("photos"),
        );
        check("a.b.s3.eu-west-1.amazonaws.com", Some("a.b"));
        check("Photos.LOCALHOST", Some("Photos"));

        check("localhost:4566", None);
        check("127.0.0.1:4566", None);
        check("s3.localhost", None);
        check("s3.amazonaws.com", None);
        check("s3.eu-west-1.amazonaws.com", None);
        check("s3-eu-west-1.amazonaws.com", None);
        check("s3.localhost.localstack.cloud:4566", None);
        check("s3.eu-west-1.localhost.localstack.cloud", None);
        check("sqs.eu-west-1.amazonaws.com", None);
        check("example.com", None);
        check("", None);
        check(":", None);
    }
}
