//! The models' regular expressions, which are Java's, matched against whole strings.
//!
//! Compiled when first needed: of some hundred patterns a run meets few.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// Steps after which a pattern that backtracks gives up; the value then counts as sound. Only the few patterns with
/// look-around backtrack.
const BACKTRACK_MAX: usize = 100_000;

/// Bytes that one compiled pattern may take: bounded repetitions such as `[\S\s]{1,2048}` need some.
const COMPILED_BYTES_MAX: usize = 64 << 20;

/// Whether all of `text` matches `source`. A pattern that neither engine can compile matches everything; a test sees to it
/// that the generated services have none.
pub(super) fn matches(source: &'static str, text: &str) -> bool {
    match &*matcher(source) {
        Matcher::Linear(regex) => regex.is_match(text),
        Matcher::Backtracking(regex) => regex.is_match(text).unwrap_or(true),
        Matcher::Anything => true,
    }
}

enum Matcher {
    Linear(regex::Regex),
    Backtracking(fancy_regex::Regex),
    Anything,
}

/// Sources are constants, so address and length identify them, and hashing a long one is spared.
static MATCHERS: LazyLock<RwLock<Matchers>> = LazyLock::new(RwLock::default);

type Matchers = HashMap<(usize, usize), Arc<Matcher>>;

fn matcher(source: &'static str) -> Arc<Matcher> {
    let id = (source.as_ptr().addr(), source.len());
    if let Some(matcher) = MATCHERS
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&id)
    {
        return matcher.clone();
    }
    let matcher = Arc::new(compile(source));
    MATCHERS
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id, matcher.clone());
    matcher
}

fn compile(source: &str) -> Matcher {
    let anchored = format!(r"\A(?:{})\z", from_java(source));
    if let Ok(regex) = regex::RegexBuilder::new(&anchored)
        .size_limit(COMPILED_BYTES_MAX)
        .build()
    {
        return Matcher::Linear(regex);
    }
    let builder = fancy_regex::RegexBuilder::new(&anchored)
        .backtrack_limit(BACKTRACK_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .build();
    builder.map_or(Matcher::Anything, Matcher::Backtracking)
}

/// Java's spelling in Rust's.
///
/// Java's `\d`, `\w` and `\s` are ASCII, Rust's are Unicode. Inside brackets a nested class means the same in both.
/// Java's patterns spell characters beyond U+FFFF as surrogates, in the right order or in a wrong one.
fn from_java(source: &str) -> String {
    let source = source
        .replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}")
        .replace(r"\uD800\uDBFF-\uDC00\uDFFF", r"\x{10000}-\x{10FFFF}");
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (translated, bytes) = escape_from_java(&rest[at..]);
        out.push_str(&translated);
        rest = &rest[at + bytes..];
    }
    out + rest
}

/// The escape that `rest` begins with, translated, and its length.
fn escape_from_java(rest: &str) -> (Cow<'_, str>, usize) {
    let class = match rest.as_bytes().get(1) {
        Some(b'd') => "[0-9]",
        Some(b'D') => "[^0-9]",
        Some(b'w') => "[0-9A-Za-z_]",
        Some(b'W') => "[^0-9A-Za-z_]",
        Some(b's') => r"[\t-\r ]",
        Some(b'S') => r"[^\t-\r ]",
        Some(b'p') => return posix_from_java(rest).unwrap_or((Cow::Borrowed(r"\p"), 2)),
        _ => {
            let bytes = rest.chars().take(2).map(char::len_utf8).sum();
            return (Cow::Borrowed(&rest[..bytes]), bytes);
        }
    };
    (Cow::Borrowed(class), 2)
}

/// `\p{Punct}`, which is ASCII in Java.
fn posix_from_java(rest: &str) -> Option<(Cow<'_, str>, usize)> {
    const CLASSES: [&str; 13] = [
        "Lower", "Upper", "ASCII", "Alpha", "Digit", "Alnum", "Punct", "Graph", "Print", "Blank",
        "Cntrl", "XDigit", "Space",
    ];
    let (name, _) = rest.strip_prefix(r"\p{")?.split_once('}')?;
    let class = CLASSES
        .contains(&name)
        .then(|| format!("[[:{}:]]", name.to_ascii_lowercase()))?;
    Some((Cow::Owned(class), r"\p{}".len() + name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_strings_match_as_in_java() {
        assert!(matches("[a-z]+", "abc"));
        assert!(!matches("[a-z]+", "abc\n"));
        assert!(!matches("[a-z]+", "1abc"));
        assert!(matches("a|b", "b"));
        assert!(!matches("a|b", "bb"));
        assert!(matches(r"[\w.-]+\d", "a.b-9"));
        assert!(!matches(r"\d+", "\u{0663}"));
        assert!(!matches(r"[\w]+", "é"));
        assert!(matches(r"[\S\s]*", "a\né"));
        assert!(matches(r"\p{XDigit}{2}[\p{Punct}\p{L}]", "aF_"));
        assert!(!matches(r"\p{Alpha}", "é"));
        assert!(matches(
            r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\t]*",
            "a é😀"
        ));
        assert!(matches(r"a\é\\", r"aé\"));
    }

    #[test]
    fn look_around_works_and_cannot_run_away() {
        let source = r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)";
        assert!(matches(source, "a2024"));
        assert!(!matches(source, "2024"));
        let nested = r"(a+a+)+\1b";
        assert!(
            matches(nested, &"a".repeat(64)),
            "gives up and lets the value pass"
        );
    }

    /// One that is not compiled would silently check nothing. All models' patterns, implemented or not.
    #[test]
    fn every_pattern_of_the_models_compiles() {
        let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../model/aws");
        let files = std::fs::read_dir(models).expect("the models are in the repository");
        let paths = files.map(|file| file.expect("can be listed").path());
        let mut count = 0;
        for path in paths.filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        }) {
            let text = std::fs::read_to_string(&path).expect("can be read");
            let model: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
            for (name, shape) in model["shapes"].as_object().expect("a model has shapes") {
                let Some(source) = shape["pattern"].as_str() else {
                    continue;
                };
                assert!(
                    !matches!(compile(source), Matcher::Anything),
                    "{}: {name}: {source}",
                    path.display()
                );
                count += 1;
            }
        }
        assert!(count > 20, "{count} patterns");
    }

    #[test]
    fn compiles_patterns_with_all_that_java_allows() {
        for source in [
            r"^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$",
            r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))",
            r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)",
            r"^arn:aws([a-z]|\-)*:events:([a-z]|\d|\-)*:([0-9]{12})?:connection\/[\.\-_A-Za-z0-9]+\/[\-A-Za-z0-9]+$",
        ] {
            assert!(!matches!(compile(source), Matcher::Anything), "{source}");
        }
    }
}
