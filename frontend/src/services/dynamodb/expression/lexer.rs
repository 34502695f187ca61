//! Splits an expression into tokens.

/// What a token is. Words are not told apart here: `SET` is a keyword at one place and an attribute at another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `[A-Za-z][A-Za-z0-9_]*`
    Word,
    /// `#name`
    Name,
    /// `:value`
    Value,
    /// A list index.
    Digits,
    Symbol,
    /// No token of the language starts with this.
    Unknown,
    End,
}

/// A token is a piece of the text, so that messages can quote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) start: usize,
}

/// One token of lookahead, and enough of the past to say where an error is.
pub(crate) struct Lexer<'a> {
    source: &'a str,
    previous_start: usize,
    current: Token<'a>,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(source: &'a str) -> Lexer<'a> {
        let current = token_at(source, 0);
        Lexer {
            source,
            previous_start: current.start,
            current,
        }
    }

    pub(crate) fn peek(&self) -> Token<'a> {
        self.current
    }

    /// Where the token before the current one begins.
    pub(crate) fn previous_start(&self) -> usize {
        self.previous_start
    }

    pub(crate) fn next(&mut self) -> Token<'a> {
        let token = self.current;
        self.previous_start = token.start;
        self.current = token_at(self.source, token.start + token.text.len());
        token
    }

    /// Takes the next token if it is this symbol.
    pub(crate) fn symbol(&mut self, symbol: &str) -> bool {
        let found = self.current.kind == Kind::Symbol && self.current.text == symbol;
        if found {
            self.next();
        }
        found
    }

    /// Takes the next token if it is this word, in any case.
    pub(crate) fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.next();
        }
        found
    }

    pub(crate) fn at_keyword(&self, keyword: &str) -> bool {
        self.current.kind == Kind::Word && self.current.text.eq_ignore_ascii_case(keyword)
    }

    /// Says, as AWS does, that the current token is not wanted: the token, and the text from the one before it to the
    /// one after it.
    pub(crate) fn syntax_error(&self) -> String {
        let token = self.current;
        let after = token_at(self.source, token.start + token.text.len());
        let near = self.source[self.previous_start..after.start + after.text.len()].trim_end();
        let text = if token.kind == Kind::End {
            "<EOF>"
        } else {
            token.text
        };
        format!("Syntax error; token: \"{text}\", near: \"{near}\"")
    }
}

fn token_at(source: &str, from: usize) -> Token<'_> {
    let rest = source[from..].trim_start_matches([' ', '\t', '\r', '\n']);
    let start = source.len() - rest.len();
    let (kind, length) = scan(rest.as_bytes());
    let length = match kind {
        Kind::Unknown => rest.chars().next().map_or(0, char::len_utf8),
        _ => length,
    };
    Token {
        kind,
        text: &rest[..length],
        start,
    }
}

/// The kind and length of the token that `rest` starts with; every token but an unknown one is ASCII.
fn scan(rest: &[u8]) -> (Kind, usize) {
    let word = |from: usize| {
        from + rest[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count()
    };
    match rest {
        [] => (Kind::End, 0),
        [b'a'..=b'z' | b'A'..=b'Z', ..] => (Kind::Word, word(0)),
        [b'#', ..] if word(1) > 1 => (Kind::Name, word(1)),
        [b':', ..] if word(1) > 1 => (Kind::Value, word(1)),
        [b'0'..=b'9', ..] => (
            Kind::Digits,
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        ),
        [b'<', b'=' | b'>', ..] | [b'>', b'=', ..] => (Kind::Symbol, 2),
        [
            b'(' | b')' | b'[' | b']' | b'.' | b',' | b'=' | b'<' | b'>' | b'+' | b'-',
            ..,
        ] => (Kind::Symbol, 1),
        _ => (Kind::Unknown, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &[&str]) {
        let mut lexer = Lexer::new(source);
        let mut found = Vec::new();
        while lexer.peek().kind != Kind::End {
            found.push(lexer.next().text);
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn an_expression_splits_into_tokens() {
        check("", &[]);
        check(" \n", &[]);
        check("a=:b", &["a", "=", ":b"]);
        check("a<>b<=c>=d", &["a", "<>", "b", "<=", "c", ">=", "d"]);
        check("#a.b_2[10]", &["#a", ".", "b_2", "[", "10", "]"]);
        check(
            "SET x=y+:z,w = f( a )",
            &[
                "SET", "x", "=", "y", "+", ":z", ",", "w", "=", "f", "(", "a", ")",
            ],
        );
        check("é#", &["é", "#"]);
    }

    #[test]
    fn a_word_starts_with_a_letter() {
        let mut lexer = Lexer::new("SET _123 = :v");
        lexer.next();
        assert_eq!(
            lexer.syntax_error(),
            "Syntax error; token: \"_\", near: \"SET _123\""
        );
    }

    #[test]
    fn a_syntax_error_quotes_the_token_and_its_neighbours() {
        let mut lexer = Lexer::new("user-id = :v");
        lexer.next();
        assert_eq!(
            lexer.syntax_error(),
            "Syntax error; token: \"-\", near: \"user-id\""
        );
        let mut lexer = Lexer::new("a = ");
        lexer.next();
        lexer.next();
        assert_eq!(
            lexer.syntax_error(),
            "Syntax error; token: \"<EOF>\", near: \"=\""
        );
    }
}
