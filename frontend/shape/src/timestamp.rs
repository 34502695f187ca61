//! Points in time, and the three ways in which AWS writes them.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::{Offset, TimeZone};

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
            TimestampFormat::Iso8601 => self.write_iso8601(out),
            TimestampFormat::HttpDate => self.write_http_date(out),
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
            TimestampFormat::Iso8601 => parse_iso8601(text),
            TimestampFormat::HttpDate => parse_http_date(text),
        }
    }

    /// As Java's `Date` prints: `Tue Nov 14 22:13:20 UTC 2023`.
    pub(crate) fn to_java_date(self) -> String {
        self.civil()
            .strftime("%a %b %d %H:%M:%S UTC %Y")
            .to_string()
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

    fn write_iso8601(self, out: &mut String) {
        let at = self.civil();
        digits(out, at.year(), 4);
        out.push('-');
        digits(out, at.month(), 2);
        out.push('-');
        digits(out, at.day(), 2);
        out.push('T');
        clock(out, at);
        out.push('.');
        digits(out, at.millisecond(), 3);
        out.push('Z');
    }

    fn write_http_date(self, out: &mut String) {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let at = self.civil();
        out.push_str(DAYS[at.weekday().to_monday_zero_offset() as usize]);
        out.push_str(", ");
        digits(out, at.day(), 2);
        out.push(' ');
        out.push_str(MONTHS[at.month() as usize - 1]);
        out.push(' ');
        digits(out, at.year(), 4);
        out.push(' ');
        clock(out, at);
        out.push_str(" GMT");
    }

    /// Date and time of day in UTC. Beyond the years 1 to 9999 the nearest end is taken: no format goes further, and such
    /// times come from bugs, not from clients.
    fn civil(self) -> DateTime {
        const FIRST: i64 = -62_135_596_800_000;
        const LAST: i64 = 253_402_207_200_000;
        let time = jiff::Timestamp::from_millisecond(self.0.clamp(FIRST, LAST))
            .expect("the bounds are within jiff's");
        Offset::UTC.to_datetime(time)
    }
}

/// With or without a fraction, an offset or a time of day: where one is left out, AWS means UTC and midnight.
fn parse_iso8601(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp(time.as_millisecond()));
    }
    if text.contains(['T', ' ']) {
        return utc(text.parse().ok()?);
    }
    utc(text.parse::<Date>().ok()?.to_datetime(Time::midnight()))
}

/// The three forms of RFC 9110, 5.6.7, the two obsolete ones included, whatever the weekday.
fn parse_http_date(text: &str) -> Option<Timestamp> {
    static PARSER: rfc2822::DateTimeParser = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    if let Ok(time) = PARSER.parse_timestamp(text) {
        return Some(Timestamp(time.as_millisecond()));
    }
    let obsolete = |format| strtime::parse(format, text).and_then(|parts| parts.to_datetime());
    let at = obsolete("%A, %d-%b-%y %H:%M:%S GMT").or_else(|_| obsolete("%a %b %e %H:%M:%S %Y"));
    utc(at.ok()?)
}

fn utc(at: DateTime) -> Option<Timestamp> {
    let time = at.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp(time.as_millisecond()))
}

fn clock(out: &mut String, at: DateTime) {
    digits(out, at.hour(), 2);
    out.push(':');
    digits(out, at.minute(), 2);
    out.push(':');
    digits(out, at.second(), 2);
}

fn digits(out: &mut String, value: impl Into<i16>, width: u32) {
    let value = value.into().unsigned_abs();
    for place in (0..width).rev() {
        out.push(char::from(b'0' + (value / 10_u16.pow(place) % 10) as u8));
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

    #[test]
    fn reads_what_http_and_aws_have_always_read() {
        let check = |format, text| {
            let read = Timestamp::parse(format, text);
            assert_eq!(read, Some(Timestamp(784_111_777_000)), "{text}");
        };
        check(TimestampFormat::HttpDate, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(TimestampFormat::HttpDate, "Sun, 6 Nov 1994 08:49:37 GMT");
        check(TimestampFormat::HttpDate, "Mon, 06 Nov 1994 08:49:37 GMT");
        check(TimestampFormat::HttpDate, "06 Nov 1994 09:49:37 +0100");
        check(TimestampFormat::HttpDate, "Sunday, 06-Nov-94 08:49:37 GMT");
        check(TimestampFormat::HttpDate, "Sun Nov  6 08:49:37 1994");
        check(TimestampFormat::Iso8601, "1994-11-06T08:49:37Z");
        check(TimestampFormat::Iso8601, "1994-11-06T08:49:37");
        check(TimestampFormat::Iso8601, "19941106T084937Z");
        let midnight = Timestamp::parse(TimestampFormat::Iso8601, "1994-11-06");
        assert_eq!(midnight, Some(Timestamp(784_080_000_000)));
    }

    #[test]
    fn every_time_reads_back() {
        for ms in (-60_000_000_000_000..250_000_000_000_000).step_by(987_654_321_987) {
            let iso8601 = Timestamp(ms).format(TimestampFormat::Iso8601);
            let read = Timestamp::parse(TimestampFormat::Iso8601, &iso8601);
            assert_eq!(read, Some(Timestamp(ms)), "{iso8601}");
            let date = Timestamp(ms).format(TimestampFormat::HttpDate);
            let read = Timestamp::parse(TimestampFormat::HttpDate, &date);
            assert_eq!(read, Some(Timestamp(ms.div_euclid(1000) * 1000)), "{date}");
        }
    }

    #[test]
    fn holds_at_the_ends_of_time() {
        let iso8601 = |ms| Timestamp(ms).format(TimestampFormat::Iso8601);
        assert_eq!(iso8601(i64::MAX), "9999-12-30T22:00:00.000Z");
        assert_eq!(iso8601(i64::MIN), "0001-01-01T00:00:00.000Z");
    }
}
