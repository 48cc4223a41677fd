//! The tokens of a SQL statement.

/// What a token is, as far as expressions are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sqlite) enum Kind {
    /// A string, a blob, a parameter.
    Literal,
    Number,
    /// A name or a keyword.
    Word,
    /// A name in quotes.
    Quoted,
    Symbol,
    /// The end of the text.
    End,
}

/// A token, and the spaces and comments before it.
#[derive(Clone, Copy, Debug)]
pub(in crate::sqlite) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) before: &'t str,
    pub(super) text: &'t str,
}

impl Token<'_> {
    pub(in crate::sqlite) fn is(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Symbol) && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }
}

/// Splits a statement into its tokens; the last one is [`Kind::End`].
pub(in crate::sqlite) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let blank = blank_len(rest);
        let (before, rest) = rest.split_at_checked(blank).unwrap_or((rest, ""));
        let (kind, len) = token(rest);
        let text = rest.get(..len).unwrap_or(rest);
        tokens.push(Token { kind, before, text });
        if kind == Kind::End {
            return tokens;
        }
        at += blank + text.len();
    }
}

/// The length of the spaces and comments at the beginning.
fn blank_len(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let len = if rest.starts_with("--") {
            rest.find('\n').map_or(rest.len(), |newline| newline + 1)
        } else if rest.starts_with("/*") {
            rest.get(2..).and_then(|inside| inside.find("*/")).map_or(rest.len(), |end| end + 4)
        } else {
            rest.bytes().take_while(u8::is_ascii_whitespace).count()
        };
        if len == 0 {
            return at;
        }
        at += len;
    }
}

fn token(text: &str) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let second = bytes.get(1).copied().unwrap_or_default();
    match bytes.first() {
        None => (Kind::End, 0),
        Some(b'\'') => (Kind::Literal, quoted_len(bytes, b'\'')),
        Some(quote @ (b'"' | b'`')) => (Kind::Quoted, quoted_len(bytes, *quote)),
        Some(b'[') => (Kind::Quoted, text.find(']').map_or(text.len(), |end| end + 1)),
        Some(b'x' | b'X') if second == b'\'' => {
            (Kind::Literal, 1 + quoted_len(bytes.get(1..).unwrap_or_default(), b'\''))
        }
        Some(b'?' | b':' | b'@' | b'$' | b'#') => (Kind::Literal, 1 + word_len(bytes.get(1..).unwrap_or_default())),
        Some(byte) if byte.is_ascii_digit() || (*byte == b'.' && second.is_ascii_digit()) => {
            (Kind::Number, decimal_len(bytes))
        }
        Some(byte) if is_word_byte(*byte) => (Kind::Word, word_len(bytes)),
        Some(_) => (Kind::Symbol, symbol_len(text)),
    }
}

const fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

fn word_len(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| is_word_byte(**byte)).count()
}

/// A quote inside is written twice.
fn quoted_len(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            byte if *byte != quote => 1,
            _ if bytes.get(at + 1) == Some(&quote) => 2,
            _ => return at + 1,
        };
    }
    bytes.len()
}

/// `1`, `1.5`, `.5`, `1_000`, `1e-3`, `0xff`.
fn decimal_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let is_sign = matches!(byte, b'+' | b'-');
        let after_e = at > 0 && matches!(bytes.get(at - 1), Some(b'e' | b'E')) && !is_hex(bytes);
        if !(is_word_byte(*byte) || *byte == b'.' || (is_sign && after_e)) {
            break;
        }
        at += 1;
    }
    at
}

fn is_hex(bytes: &[u8]) -> bool {
    matches!(bytes, [b'0', b'x' | b'X', ..])
}

fn symbol_len(text: &str) -> usize {
    let long = ["->>", "->", "||", "<<", ">>", "<=", ">=", "<>", "!=", "=="];
    let known = long.iter().find(|symbol| text.starts_with(**symbol)).map(|symbol| symbol.len());
    known.or_else(|| text.chars().next().map(char::len_utf8)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_sqlite() {
        let text = "SELECT a.\"b\"\"c\"-1e-3*x'00' -- c\n /* d */ ->>'it''s', [e f]||.5+0xe-1;";
        let found: Vec<&str> = tokens(text).iter().map(|token| token.text).collect();
        let expected = [
            "SELECT",
            "a",
            ".",
            "\"b\"\"c\"",
            "-",
            "1e-3",
            "*",
            "x'00'",
            "->>",
            "'it''s'",
            ",",
            "[e f]",
            "||",
            ".5",
            "+",
            "0xe",
            "-",
            "1",
            ";",
            "",
        ];
        assert_eq!(found, expected);
        let whole: String = tokens(text).iter().flat_map(|token| [token.before, token.text]).collect();
        assert_eq!(whole, text);
    }

    #[test]
    fn an_open_quote_or_comment_ends_with_the_text() {
        for text in ["'a", "\"a", "[a", "/* a", "-- a", "x'a", "/*/"] {
            let whole: String = tokens(text).iter().flat_map(|token| [token.before, token.text]).collect();
            assert_eq!(whole, text);
        }
    }
}
