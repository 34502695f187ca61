//! The patterns of policies: `*` stands for any characters, `?` for one.

/// Whether `text` is what `pattern` describes.
///
/// Time is the product of the lengths at worst: after a mismatch only the last star is tried again.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while let Some(char) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == char => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

pub(super) fn matches_ignoring_case(pattern: &str, text: &str) -> bool {
    matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let check = |pattern: &str, text: &str, expected| {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        };
        check("", "", true);
        check("*", "", true);
        check("a*c*e", "abcde", true);
        check("a*c*e", "abcd", false);
        check("*ab", "aab", true);
        check("?", "", false);
        check("a?c", "aüc", true);
        check("a", "b", false);
        check("a", "ab", false);
        check("***", "x", true);
        let long = "a".repeat(5000);
        check(&"a*".repeat(1000), &format!("{long}b"), true);
        check(&format!("{}c", "a*".repeat(1000)), &long, false);
    }
}
