//! Tables in Markdown.

use cumulog_benches::results::{Row, Section};
use cumulog_benches::spread::Spread;
use serde_json::Value;

/// How a cell is written.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// A coordinate, as it is.
    Text,
    /// A coordinate in bytes.
    Bytes,
    /// A figure, its median.
    Median,
    /// A figure with its range.
    Range,
}

/// Its heading, what it shows, and how.
pub(crate) type Column = (&'static str, &'static str, Form);

/// What stands where nothing was measured.
pub(crate) const MISSING: &str = "Not measured yet.\n";

/// A line for each row of the section that `wanted` takes.
pub(crate) fn table(
    section: Option<&Section>,
    columns: &[Column],
    wanted: impl Fn(&Row) -> bool,
) -> String {
    let rows = section.into_iter().flat_map(|section| &section.rows);
    let lines: Vec<Vec<String>> = rows
        .filter(|row| wanted(row))
        .map(|row| columns.iter().map(|column| cell(row, *column)).collect())
        .collect();
    let header: Vec<&str> = columns.iter().map(|(header, ..)| *header).collect();
    if lines.is_empty() {
        return MISSING.to_owned();
    }
    markdown(&header, &lines)
}

/// Lines under a header. The first columns of text are aligned as such, the rest as numbers.
pub(crate) fn markdown(header: &[&str], lines: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let is_number = |index: usize| {
        lines.iter().all(|cells| {
            cells[index].starts_with(|first: char| first.is_ascii_digit() || first == '–')
        })
    };
    let rule = (0..header.len()).map(|index| if is_number(index) { "---:" } else { "---" });
    let mut text = line(header.to_vec()) + &line(rule.collect());
    for cells in lines {
        text += &line(cells.iter().map(String::as_str).collect());
    }
    text
}

fn cell(row: &Row, (_, name, form): Column) -> String {
    match form {
        Form::Text => coordinate(row, name),
        Form::Bytes => row
            .at
            .get(name)
            .and_then(Value::as_u64)
            .map_or("–".to_owned(), bytes),
        Form::Median => row
            .figures
            .get(name)
            .map_or("–".to_owned(), |figure| number(figure.median)),
        Form::Range => row.figures.get(name).map_or("–".to_owned(), range),
    }
}

/// A coordinate as text.
pub(crate) fn coordinate(row: &Row, name: &str) -> String {
    match row.at.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(value)) => value.as_u64().map_or("–".to_owned(), thousands),
        _ => "–".to_owned(),
    }
}

/// The median, and the range unless all rounds agree.
pub(crate) fn range(figure: &Spread) -> String {
    let [median, low, high] = [figure.median, figure.low, figure.high].map(number);
    if low == high {
        return median;
    }
    format!("{median} ({low}–{high})")
}

/// In the largest unit that divides it.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0 => "0 B".to_owned(),
        count if count % (1 << 20) == 0 => format!("{} MiB", count >> 20),
        count if count % (1 << 10) == 0 => format!("{} KiB", count >> 10),
        count => format!("{count} B"),
    }
}

/// With three digits that count, and commas; whole numbers below ten thousand stay whole.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = value.abs().log10().floor() as i32;
    if digits < 2 {
        let text = format!("{value:.*}", (2 - digits).clamp(0, 6) as usize);
        let whole = value.fract() == 0.0;
        return if whole { format!("{value:.0}") } else { text };
    }
    let unit = if value.fract() == 0.0 && digits < 4 {
        1.0
    } else {
        10f64.powi(digits - 2)
    };
    thousands(((value / unit).round() * unit) as u64)
}

fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_that_count() {
        let check = |value: f64, text: &str| assert_eq!(number(value), text, "{value}");
        check(0.0, "0");
        check(0.01234, "0.0123");
        check(1.0, "1");
        check(1.005, "1.00");
        check(12.34, "12.3");
        check(123.4, "123");
        check(1234.0, "1,234");
        check(1_234_567.0, "1,230,000");
        check(1_000_000.0, "1,000,000");
        check(f64::NAN, "–");
    }
}
