//! The `Range` header and what it selects.

use super::error::S3Error;
use std::ops::Range;

/// What `header` selects of `bytes` bytes. `None`: the whole, because the header is not one byte range.
///
/// S3 ignores a header that it cannot read, and lists of ranges too. A range past the end is an error.
pub(super) fn select(header: Option<&str>, bytes: u64) -> Result<Option<Range<u64>>, S3Error> {
    let Some(wanted) = header.and_then(parse) else {
        return Ok(None);
    };
    let selected = match wanted {
        Wanted::From(first) => first..bytes,
        Wanted::FromTo(first, last) => first..bytes.min(last.saturating_add(1)),
        Wanted::Last(count) => bytes.saturating_sub(count)..bytes,
    };
    if selected.is_empty() {
        let requested = header.unwrap_or_default().to_owned();
        return Err(S3Error::InvalidRange { requested, bytes });
    }
    Ok(Some(selected))
}

/// What `x-amz-copy-source-range` selects: only `bytes=first-last`, all of it within the object.
pub(super) fn select_exactly(header: &str, bytes: u64) -> Result<Range<u64>, S3Error> {
    match parse(header) {
        Some(Wanted::FromTo(first, last)) if last < bytes => Ok(first..last + 1),
        Some(Wanted::FromTo(..)) => Err(S3Error::argument(
            "x-amz-copy-source-range",
            header,
            format!("Range specified is not valid for source object of size: {bytes}"),
        )),
        _ => Err(S3Error::argument(
            "x-amz-copy-source-range",
            header,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy",
        )),
    }
}

/// The `Content-Range` of an answer.
pub(super) fn content_range(selected: &Range<u64>, bytes: u64) -> String {
    format!(
        "bytes {}-{}/{bytes}",
        selected.start,
        selected.end.saturating_sub(1)
    )
}

enum Wanted {
    From(u64),
    FromTo(u64, u64),
    Last(u64),
}

fn parse(header: &str) -> Option<Wanted> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", count) => Some(Wanted::Last(number(count)?)),
        (first, "") => Some(Wanted::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Wanted::FromTo(first, last))
        }
    }
}

/// A run of digits. One beyond 64 bits means "past any end".
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_select_as_in_s3() {
        check("bytes=0-4", 10, "bytes 0-4/10");
        check("bytes=0-0", 10, "bytes 0-0/10");
        check("bytes=4-", 10, "bytes 4-9/10");
        check("bytes=4-100", 10, "bytes 4-9/10");
        check("bytes=-3", 10, "bytes 7-9/10");
        check("bytes=-30", 10, "bytes 0-9/10");
        check("Bytes = 1 - 2", 10, "bytes 1-2/10");
        check("bytes=0-99999999999999999999999", 10, "bytes 0-9/10");
    }

    #[test]
    fn what_is_no_range_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "lines=0-4",
            "bytes=0-1,3-4",
            "bytes=+1-2",
        ] {
            check(header, 10, "whole");
        }
    }

    #[test]
    fn ranges_past_the_end_are_refused() {
        for header in [
            "bytes=10-",
            "bytes=10-20",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            check(header, 10, "refused");
        }
        check("bytes=0-", 0, "refused");
        check("bytes=-5", 0, "refused");
    }

    #[track_caller]
    fn check(header: &str, bytes: u64, expected: &str) {
        let found = match select(Some(header), bytes) {
            Ok(None) => "whole".to_owned(),
            Ok(Some(selected)) => content_range(&selected, bytes),
            Err(_) => "refused".to_owned(),
        };
        assert_eq!(found, expected, "{header:?} of {bytes}");
    }

    #[test]
    fn copy_ranges_must_be_within_the_source() {
        for (header, expected) in [
            ("bytes=0-9", Some(0..10)),
            ("bytes=3-3", Some(3..4)),
            ("bytes=0-10", None),
            ("bytes=0-", None),
            ("0-4", None),
        ] {
            assert_eq!(select_exactly(header, 10).ok(), expected, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_selected_is_there(header in "(bytes=)?[0-9,-]{0,45}", bytes in 0..200u64) {
            if let Ok(Some(selected)) = select(Some(&header), bytes) {
                assert!(selected.start < selected.end && selected.end <= bytes);
            }
            if let Ok(selected) = select_exactly(&header, bytes) {
                assert!(selected.start < selected.end && selected.end <= bytes);
            }
        }
    }
}
