//! From the model's spelling to Rust's.

use std::collections::BTreeSet;

/// `QueueUrl` → `queue_url`, `SSECustomerKeyMD5` → `sse_customer_key_md5`: the SDKs' rule. Keywords become raw identifiers.
pub(crate) fn field(name: &str) -> String {
    let snake = snake(name);
    match snake.as_str() {
        "self" | "super" | "crate" => format!("{snake}_"),
        _ if KEYWORDS.contains(&snake.as_str()) => format!("r#{snake}"),
        _ => snake,
    }
}

/// A structure's or enum's type: the model's name, first letter upper, without what Rust does not allow.
pub(crate) fn type_name(name: &str) -> String {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    upper_first(&plain)
}

/// Enum values → variants, all different: `KEYS_ONLY` → `KeysOnly`, `aws:kms` → `AwsKms`.
pub(crate) fn variants(values: &[&str]) -> Vec<String> {
    // `Unknown(String)` is ours.
    let mut taken = BTreeSet::from(["Unknown".to_owned()]);
    let mut unique = |name: String| {
        let mut candidate = name.clone();
        for number in 2.. {
            if taken.insert(candidate.clone()) {
                break;
            }
            candidate = format!("{name}{number}");
        }
        candidate
    };
    values.iter().map(|value| unique(variant(value))).collect()
}

fn variant(value: &str) -> String {
    let name = pascal(value);
    match name.as_str() {
        "" => "Empty".into(),
        "Self" | "Unknown" => name + "Value",
        _ if name.starts_with(|first: char| first.is_ascii_digit()) => format!("V{name}"),
        _ => name,
    }
}

/// A union member → variant: `NULL` → `Null`, `SS` → `Ss`.
pub(crate) fn pascal(name: &str) -> String {
    name.split(|letter: char| !letter.is_ascii_alphanumeric())
        .flat_map(|word| snake(word).split('_').map(upper_first).collect::<Vec<_>>())
        .collect()
}

/// botocore's `xform_name`: a word begins at a capital that a lower-case letter follows, or that follows one.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (i, &letter) in letters.iter().enumerate() {
        if letter.is_ascii_uppercase() && i > 0 && letters[i - 1] != '_' {
            let after_lower =
                letters[i - 1].is_ascii_lowercase() || letters[i - 1].is_ascii_digit();
            let before_lower = letters.get(i + 1).is_some_and(char::is_ascii_lowercase);
            if after_lower || before_lower {
                snake.push('_');
            }
        }
        snake.push(if letter.is_ascii_alphanumeric() {
            letter.to_ascii_lowercase()
        } else {
            '_'
        });
    }
    snake
}

fn upper_first(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect()
}

const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];
