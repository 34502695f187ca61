//! Who holds a data directory, in words.

use std::time::{Duration, SystemTime};
use std::{env, process};

/// This process: its id, its command, and the time now, which is about when it started.
pub(crate) fn describe() -> String {
    let command: Vec<String> = env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let time = utc(since_1970.unwrap_or(Duration::ZERO));
    format!(
        "process {} (`{}`), since {time}",
        process::id(),
        command.join(" ")
    )
}

/// As `2026-11-22T09:05:07Z`.
fn utc(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Counts years from March, so that the day that some have more is their last.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_in_the_calendar() {
        let check = |seconds, expected| assert_eq!(utc(Duration::from_secs(seconds)), expected);
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_399, "2000-02-28T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(1_795_338_307, "2026-11-22T09:05:07Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
    }
}
