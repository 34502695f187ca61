//! The words that an expression may not use as attribute names.

/// AWS's list, one word a line, in order.
static WORDS: &str = include_str!("reserved.txt");

/// How many words there are.
const COUNT: usize = 573;

static SORTED: [&str; COUNT] = sorted();

const fn sorted() -> [&'static str; COUNT] {
    let mut words = [""; COUNT];
    let mut rest = WORDS.as_bytes();
    let mut index = 0;
    while index < COUNT {
        let mut length = 0;
        while rest[length] != b'\n' {
            length += 1;
        }
        let (word, tail) = rest.split_at(length);
        words[index] = match std::str::from_utf8(word) {
            Ok(word) => word,
            Err(_) => panic!("the list is ASCII"),
        };
        rest = tail.split_at(1).1;
        index += 1;
    }
    words
}

/// Whether `word` is reserved, in any case.
pub(crate) fn is_reserved(word: &str) -> bool {
    SORTED
        .binary_search_by(|reserved| {
            reserved
                .bytes()
                .cmp(word.bytes().map(|byte| byte.to_ascii_uppercase()))
        })
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_573_words_are_reserved_in_any_case() {
        assert_eq!(WORDS.lines().count(), COUNT);
        assert!(SORTED.is_sorted());
        assert!(
            SORTED
                .iter()
                .all(|word| is_reserved(word) && is_reserved(&word.to_lowercase()))
        );
        assert!(is_reserved("Name") && is_reserved("zone") && is_reserved("ABORT"));
        assert!(!is_reserved("pk") && !is_reserved("") && !is_reserved("ABORTS"));
    }
}
