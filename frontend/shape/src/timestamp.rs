//! Points in time, and the three ways in which AWS writes them.

use std::fmt::Write as _;

use jiff::fmt::rfc2822::DateTimeParser as HttpDateParser;
use jiff::tz::TimeZone;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// How a timestamp is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampFormat {
    /// Seconds since 1970, with a fraction only where there is one: `1700000000.123`.
    Epoch,
    /// `2023-11-14T22:13:20.123Z`, always with milliseconds.
    Iso8601,
    /// `Tue, 14 Nov 2023 22:13:20 GMT`
    HttpDate,
}

impl Timestamp {
    /// From whole seconds.
    pub const fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(1000))
    }

    /// Whole seconds, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// From seconds with a fraction. `None` when out of range.
    pub fn from_epoch(seconds: f64) -> Option<Timestamp> {
        let ms = (seconds * 1000.0).round();
        // Years -9999 to 9999: what every format can write.
        (-377_705_023_201_000.0..=253_402_207_200_999.0)
            .contains(&ms)
            .then_some(Timestamp(ms as i64))
    }

    /// Appends it in `format`.
    pub fn write(self, format: TimestampFormat, out: &mut String) {
        match format {
            TimestampFormat::Epoch => self.write_epoch(out),
            TimestampFormat::Iso8601 => self.write_civil("%Y-%m-%dT%H:%M:%S.%3fZ", out),
            TimestampFormat::HttpDate => self.write_civil("%a, %d %b %Y %H:%M:%S GMT", out),
        }
    }

    /// It in `format`.
    pub fn format(self, format: TimestampFormat) -> String {
        let mut out = String::with_capacity(32);
        self.write(format, &mut out);
        out
    }

    /// Reads `text` in `format`. `None` when it is not a time.
    pub fn parse(format: TimestampFormat, text: &str) -> Option<Timestamp> {
        match format {
            TimestampFormat::Epoch => Timestamp::from_epoch(text.parse().ok()?),
            TimestampFormat::Iso8601 => {
                let time: jiff::Timestamp = text.parse().ok()?;
                Some(Timestamp(time.as_millisecond()))
            }
            TimestampFormat::HttpDate => {
                let time = HttpDateParser::new()
                    .relaxed_weekday(true)
                    .parse_timestamp(text)
                    .ok()?;
                Some(Timestamp(time.as_millisecond()))
            }
        }
    }

    /// As Java's `Date` prints: `Tue Nov 14 22:13:20 UTC 2023`.
    pub(crate) fn to_java_date(self) -> String {
        let mut out = String::new();
        self.write_civil("%a %b %d %H:%M:%S UTC %Y", &mut out);
        out
    }

    fn write_epoch(self, out: &mut String) {
        let (sign, ms) = if self.0 < 0 {
            ("-", self.0.unsigned_abs())
        } else {
            ("", self.0.unsigned_abs())
        };
        let (seconds, fraction) = (ms / 1000, ms % 1000);
        out.push_str(sign);
        out.push_str(itoa::Buffer::new().format(seconds));
        if fraction != 0 {
            let digits = [
                b'0' + (fraction / 100) as u8,
                b'0' + (fraction / 10 % 10) as u8,
                b'0' + (fraction % 10) as u8,
            ];
            out.push('.');
            out.extend(digits.iter().map(|&digit| char::from(digit)));
            out.truncate(out.trim_end_matches('0').len());
        }
    }

    fn write_civil(self, format: &str, out: &mut String) {
        // Beyond jiff's range (year 9999) the nearest end is written: such times come from bugs, not from clients.
        let time = jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        // Writing to a String fails only for an unknown directive, and both formats are constants that tests cover.
        let _ = write!(out, "{}", time.to_zoned(TimeZone::UTC).strftime(format));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ms: i64, format: TimestampFormat, text: &str) {
        assert_eq!(Timestamp(ms).format(format), text);
        let precision = if format == TimestampFormat::HttpDate {
            1000
        } else {
            1
        };
        assert_eq!(
            Timestamp::parse(format, text),
            Some(Timestamp(ms.div_euclid(precision) * precision))
        );
    }

    #[test]
    fn writes_what_it_reads() {
        check(0, TimestampFormat::Epoch, "0");
        check(1_700_000_000_120, TimestampFormat::Epoch, "1700000000.12");
        check(1_700_000_000_003, TimestampFormat::Epoch, "1700000000.003");
        check(-1_500, TimestampFormat::Epoch, "-1.5");
        check(
            1_700_000_000_120,
            TimestampFormat::Iso8601,
            "2023-11-14T22:13:20.120Z",
        );
        check(0, TimestampFormat::Iso8601, "1970-01-01T00:00:00.000Z");
        check(
            1_700_000_000_120,
            TimestampFormat::HttpDate,
            "Tue, 14 Nov 2023 22:13:20 GMT",
        );
    }

    #[test]
    fn reads_offsets_and_refuses_nonsense() {
        let read = |text| Timestamp::parse(TimestampFormat::Iso8601, text);
        assert_eq!(
            read("2023-11-14T23:13:20+01:00"),
            Some(Timestamp(1_700_000_000_000))
        );
        assert_eq!(read("yesterday"), None);
        assert_eq!(Timestamp::parse(TimestampFormat::Epoch, "1e300"), None);
        assert_eq!(Timestamp::parse(TimestampFormat::Epoch, "NaN"), None);
        assert_eq!(
            Timestamp::parse(TimestampFormat::HttpDate, "Tue, 99 Nov"),
            None
        );
    }
}
