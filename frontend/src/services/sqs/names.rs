//! Queue names, URLs and ARNs: every form in which a caller can say which queue it means.

use super::error::{Result, SqsError};

const NAME_LENGTH_MAX: usize = 80;
const FIFO_SUFFIX: &str = ".fifo";

/// Which queue is meant. The region stands here only if the caller's URL or ARN says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) name: String,
}

impl Location {
    /// Reads a queue URL by its path, whatever the host.
    ///
    /// ```text
    /// http://host/<account>/<name>
    /// http://host/queue/<region>/<account>/<name>
    /// http://host/queue/<name>, http://host/<name>, and a bare name: the caller's account
    /// ```
    ///
    /// Hosts that name a region (`sqs.eu-west-1.amazonaws.com`, `eu-west-1.queue.localhost.localstack.cloud`) say
    /// which region is meant.
    pub(crate) fn from_url(url: &str) -> Result<Location> {
        let invalid = || SqsError::InvalidAddress(url.to_owned());
        let (host, path) = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/').ok_or_else(invalid)?,
            None => ("", url.trim_start_matches('/')),
        };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (region, account, name) = match parts[..] {
            ["queue", region, account, name] => (Some(region), Some(account), name),
            ["queue", name] | [name] => (region_of_host(host), None, name),
            [account, name] => (region_of_host(host), Some(account), name),
            _ => return Err(invalid()),
        };
        if !is_name(name) || account.is_some_and(|account| !is_account(account)) {
            return Err(invalid());
        }
        Ok(Location {
            account: account.map(str::to_owned),
            region: region.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// Reads `arn:<partition>:sqs:<region>:<account>:<name>`.
    pub(crate) fn from_arn(arn: &str) -> Option<Location> {
        let mut parts = arn.splitn(6, ':');
        let fixed = [parts.next()?, parts.next()?, parts.next()?];
        let (region, account, name) = (parts.next()?, parts.next()?, parts.next()?);
        let known = fixed[0] == "arn" && fixed[1].starts_with("aws") && fixed[2] == "sqs";
        if !known || region.is_empty() || !is_account(account) || !is_name(name) {
            return None;
        }
        Some(Location {
            account: Some(account.to_owned()),
            region: Some(region.to_owned()),
            name: name.to_owned(),
        })
    }
}

/// The region in a host name, for the hosts that AWS and LocalStack hand out.
fn region_of_host(host: &str) -> Option<&str> {
    let host = host.split(':').next()?;
    let labels: Vec<&str> = host.split('.').collect();
    match labels[..] {
        ["sqs", region, ..] | [region, "queue", ..] if is_region(region) => Some(region),
        ["queue", "amazonaws", "com"] => Some("us-east-1"),
        _ => None,
    }
}

/// `us-east-1`, `us-gov-west-1`: lowercase words, at the end a number.
fn is_region(text: &str) -> bool {
    let mut words = text.split('-');
    let number = words
        .next_back()
        .is_some_and(|word| word.parse::<u8>().is_ok());
    let count = words.clone().count();
    number
        && count >= 2
        && words.all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    let stem = text.strip_suffix(FIFO_SUFFIX).unwrap_or(text);
    !stem.is_empty()
        && text.len() <= NAME_LENGTH_MAX
        && stem
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Checks the name of a queue to be. The suffix `.fifo` counts towards the 80 characters.
pub(crate) fn check_name(name: &str, fifo: bool) -> Result<()> {
    if is_name(name) && name.ends_with(FIFO_SUFFIX) == fifo {
        return Ok(());
    }
    Err(SqsError::InvalidParameter(
        if fifo {
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with \
             .fifo suffix and be 1 to 80 in length."
        } else {
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        }
        .to_owned(),
    ))
}

/// The URL of a queue, on the host by which the caller reached us.
pub(crate) fn url(host: &str, account: &str, name: &str) -> String {
    format!("http://{host}/{account}/{name}")
}

pub(crate) fn arn(region: &str, account: &str, name: &str) -> String {
    format!("arn:aws:sqs:{region}:{account}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_matched_by_its_path() {
        fn check(url: &str, region: Option<&str>, account: Option<&str>, name: &str) {
            let found = Location::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let read = (
                found.region.as_deref(),
                found.account.as_deref(),
                found.name.as_str(),
            );
            assert_eq!(read, (region, account, name), "{url}");
        }
        let account = Some("000000000000");
        check(
            "http://localhost:4566/000000000000/jobs",
            None,
            account,
            "jobs",
        );
        check(
            "https://anything.example/000000000000/jobs.fifo",
            None,
            account,
            "jobs.fifo",
        );
        check(
            "http://localhost:4566/queue/eu-west-1/000000000000/jobs",
            Some("eu-west-1"),
            account,
            "jobs",
        );
        check(
            "https://sqs.eu-west-1.amazonaws.com/000000000000/jobs",
            Some("eu-west-1"),
            account,
            "jobs",
        );
        check(
            "https://queue.amazonaws.com/000000000000/jobs",
            Some("us-east-1"),
            account,
            "jobs",
        );
        check(
            "https://us-gov-west-1.queue.amazonaws.com/000000000000/jobs",
            Some("us-gov-west-1"),
            account,
            "jobs",
        );
        check(
            "http://sqs.us-east-1.localhost.localstack.cloud:4566/000000000000/jobs",
            Some("us-east-1"),
            account,
            "jobs",
        );
        check(
            "http://us-east-1.queue.localhost.localstack.cloud:4566/000000000000/jobs",
            Some("us-east-1"),
            account,
            "jobs",
        );
        check("/000000000000/jobs", None, account, "jobs");
        check("http://localhost:4566/jobs", None, None, "jobs");
        check("http://localhost:4566/queue/jobs", None, None, "jobs");
        check("jobs", None, None, "jobs");
    }

    #[test]
    fn what_is_no_queue_url_is_refused() {
        for url in [
            "",
            "http://localhost:4566",
            "http://localhost/1/2/3",
            "http://h/000000000000/a%20b",
            "http://h/x/y",
        ] {
            let error = Location::from_url(url).expect_err(url);
            assert_eq!(
                error.to_string(),
                format!("The address {url} is not valid for this endpoint.")
            );
        }
    }

    #[test]
    fn an_arn_names_one_queue() {
        let found =
            Location::from_arn("arn:aws:sqs:us-east-1:000000000000:jobs.fifo").expect("is an ARN");
        assert_eq!(
            arn("us-east-1", "000000000000", &found.name),
            "arn:aws:sqs:us-east-1:000000000000:jobs.fifo"
        );
        for text in [
            "arn:aws:sns:us-east-1:000000000000:x",
            "arn:aws:sqs:us-east-1:0:x",
            "arn:aws:sqs::000000000000:x",
            "x",
        ] {
            assert_eq!(Location::from_arn(text), None, "{text}");
        }
    }

    #[test]
    fn names_follow_the_kind_of_queue() {
        let long = "a".repeat(80);
        let longer = "a".repeat(81);
        let long_fifo = format!("{}.fifo", "a".repeat(75));
        for (name, fifo, valid) in [
            ("jobs", false, true),
            ("a-b_C9", false, true),
            (&*long, false, true),
            (&*longer, false, false),
            ("", false, false),
            ("a.b", false, false),
            ("a b", false, false),
            ("jobs.fifo", false, false),
            ("jobs.fifo", true, true),
            ("jobs", true, false),
            (".fifo", true, false),
            (&*long_fifo, true, true),
        ] {
            assert_eq!(check_name(name, fifo).is_ok(), valid, "{name}, fifo {fifo}");
        }
    }
}
