//! What AWS counts as the size of an item: the rule behind the 400 KB limit, pages, throughput and TableSizeBytes.
//!
//! Names and strings count their UTF-8 bytes, numbers the length of their encoding (see [`super::number`]), lists and
//! maps three bytes and one for each element or pair.

use super::number::Number;
use super::value::{Item, Value};

/// The largest item, in bytes.
pub(crate) const ITEM_BYTES_MAX: usize = 400 * 1024;

pub(crate) fn item_size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

pub(crate) fn value_size(value: &Value) -> usize {
    match value {
        Value::S(text) => text.len(),
        Value::N(number) => number_size(number),
        Value::B(bytes) => bytes.len(),
        Value::Ss(members) => members.iter().map(String::len).sum(),
        Value::Ns(members) => members.iter().map(|member| number_size(member)).sum(),
        Value::Bs(members) => members.iter().map(|member| member.len()).sum(),
        Value::Null(_) | Value::Bool(_) => 1,
        Value::L(elements) => {
            3 + elements
                .iter()
                .map(|element| 1 + value_size(element))
                .sum::<usize>()
        }
        Value::M(members) => 3 + members.len() + item_size(members),
    }
}

/// What an item counts towards the megabyte of a page.
///
/// That is not the size above, by which reads are charged, but that of a stored form, which others found out by trying
/// page after page: names are one byte each, values have a header, and the sort key comes again with every block of 3 KB.
pub(crate) fn page_size(item: &Item, sort_key: Option<&str>) -> usize {
    let mut size = 0;
    let mut sort_key_size = 0;
    for (name, value) in item.iter() {
        if Some(name) == sort_key {
            sort_key_size = value_size(value);
        } else {
            size += 1 + stored_size(value);
        }
    }
    2 + size + (1 + (1 + size) / 3072) * (18 + sort_key_size)
}

fn stored_size(value: &Value) -> usize {
    match value {
        Value::S(text) => {
            text.len()
                + if text.len() < 128 {
                    1
                } else if text.len() < 16384 {
                    2
                } else {
                    3
                }
        }
        Value::B(_) | Value::N(_) => value_size(value) + 1,
        Value::Ss(members) | Value::Ns(members) => value_size(value) + members.len() + 1,
        Value::Bs(members) => value_size(value) + members.len() + 1,
        Value::Null(_) => 0,
        Value::Bool(_) => 1,
        Value::L(elements) => {
            3 + elements
                .iter()
                .map(|element| 1 + stored_size(element))
                .sum::<usize>()
        }
        Value::M(members) => {
            3 + members.len()
                + members
                    .values()
                    .map(|member| 1 + stored_size(member))
                    .sum::<usize>()
        }
    }
}

fn number_size(number: &str) -> usize {
    Number::of(number).size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Value, bytes: usize) {
        assert_eq!(value_size(&value), bytes, "{value:?}");
    }

    fn text(text: &str) -> Value {
        Value::S(text.into())
    }

    #[test]
    fn values_have_the_size_that_aws_counts() {
        check(text(""), 0);
        check(text("é"), 2);
        check(Value::N("1234".into()), 3);
        check(Value::B(vec![0; 7].into()), 7);
        check(Value::Null(true), 1);
        check(Value::Bool(false), 1);
        check(Value::Ss(vec!["a".into(), "bc".into()]), 3);
        check(Value::Ns(vec!["1".into(), "22".into()]), 4);
        check(Value::L(vec![]), 3);
        check(Value::L(vec![text("ab"), Value::Null(true)]), 8);
        check(Value::M([("k", text("ab"))].into_iter().collect()), 7);
    }

    #[test]
    fn an_item_counts_names_and_values() {
        assert_eq!(
            item_size(
                &[("id", text("abc")), ("n", Value::N("7".into()))]
                    .into_iter()
                    .collect()
            ),
            8
        );
    }
}
