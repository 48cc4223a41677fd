//! `30`, `-1.5`, `"2026-11-01"`, `true`, `null`, `[1, 2]`, `{"deep": true}`: values in JSON notation, as arguments.

use std::collections::HashMap;

use bue_model::Value;
use bue_model::param::{MAX_JSON_DEPTH, read_json};

use super::parser::{Parsed, Parser};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::token::{Token, TokenKind};
use crate::syntax::tree::Literal;
use crate::text::{backquoted, strip_quotes};

impl Parser<'_, '_, '_> {
    /// Returns whether a literal begins here. A text before a parenthesis is the name of what is called.
    pub(super) fn at_literal(&self) -> bool {
        match self.kind() {
            TokenKind::Number | TokenKind::Minus | TokenKind::OpenBracket | TokenKind::OpenBrace => true,
            TokenKind::Quoted => self.kind_nth(1) != TokenKind::OpenParen,
            TokenKind::Word => self.at_constant() && self.kind_nth(1) != TokenKind::OpenParen && !self.more_words(),
            _ => false,
        }
    }

    fn at_constant(&self) -> bool {
        constant(self.text_of(self.peek())).is_some()
    }

    /// Several words are a name: `true north`.
    fn more_words(&self) -> bool {
        self.kind_nth(1).is_name_part()
    }

    /// The value that begins here.
    pub(super) fn literal(&mut self) -> Parsed<Literal> {
        let start = self.peek();
        let value = self.literal_value(0)?;
        let span = start.span.to(self.previous().span);
        Ok(Literal { span, value })
    }

    fn literal_value(&mut self, depth: usize) -> Parsed<Value> {
        if depth > MAX_JSON_DEPTH {
            let message = format!("lists and maps are nested more than {MAX_JSON_DEPTH} levels deep");
            let diagnostic = DiagnosticBuilder::new(codes::TOO_DEEP, self.peek().span, message);
            return self.fail(diagnostic.hint("return the value from a step, and pass its result on"));
        }
        match self.kind() {
            TokenKind::Quoted => self.quoted_text().map(Value::Text),
            TokenKind::OpenBracket => self.list(depth),
            TokenKind::OpenBrace => self.map(depth),
            TokenKind::Number | TokenKind::Minus => self.number(),
            TokenKind::Word => self.constant_value(),
            _ => {
                let diagnostic = self.unexpected(codes::INVALID_LITERAL, "a value");
                self.fail(diagnostic.hint("values are written as in JSON: `[1, \"a\", true, null, {\"b\": 2.5}]`"))
            }
        }
    }

    fn constant_value(&mut self) -> Parsed<Value> {
        let word = self.peek();
        let text = self.text_of(word);
        if let Some(value) = constant(text) {
            self.next();
            return Ok(value);
        }
        let message = format!("{} is not a value", backquoted(text));
        let diagnostic = DiagnosticBuilder::new(codes::INVALID_LITERAL, word.span, message);
        self.fail(match python_constant(text) {
            Some(json) => diagnostic.hint(format!("did you mean `{json}`?")),
            None => diagnostic.hint("a text needs quotes; a list or map of results needs a step that makes it"),
        })
    }

    fn list(&mut self, depth: usize) -> Parsed<Value> {
        let opening = self.next();
        let mut items = Vec::new();
        loop {
            self.skip_line_breaks();
            if self.eat(TokenKind::CloseBracket).is_some() {
                return Ok(Value::List(items));
            }
            items.push(self.literal_value(depth + 1)?);
            self.separator(opening, TokenKind::CloseBracket, "`,` or `]`")?;
        }
    }

    fn map(&mut self, depth: usize) -> Parsed<Value> {
        let opening = self.next();
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut keys = HashMap::new();
        loop {
            self.skip_line_breaks();
            if self.eat(TokenKind::CloseBrace).is_some() {
                return Ok(Value::Map(entries));
            }
            let span = self.peek().span;
            let key = self.key(opening)?;
            if let Some(first) = keys.insert(key.clone(), span) {
                return self.fail(key_twice(&key, first, span));
            }
            entries.push((Value::Text(key), self.literal_value(depth + 1)?));
            self.separator(opening, TokenKind::CloseBrace, "`,` or `}`")?;
        }
    }

    /// `"key":`
    fn key(&mut self, opening: Token) -> Parsed<String> {
        if !self.at(TokenKind::Quoted) {
            let diagnostic = self.unclosed(codes::INVALID_LITERAL, opening, "a key in quotes or `}`");
            return self.fail(diagnostic.hint("the keys of a map are texts: `{\"name\": 1}`"));
        }
        let key = self.quoted_text()?;
        self.skip_line_breaks();
        if self.eat(TokenKind::Colon).is_none() {
            let diagnostic = self.unclosed(codes::INVALID_LITERAL, opening, "`:`");
            return self.fail(diagnostic.hint("a map has keys and values: `{\"name\": 1}`"));
        }
        self.skip_line_breaks();
        Ok(key)
    }

    /// A comma, unless the list or map ends here.
    fn separator(&mut self, opening: Token, closing: TokenKind, expected: &str) -> Parsed<()> {
        self.skip_line_breaks();
        if self.eat(TokenKind::Comma).is_some() || self.at(closing) {
            return Ok(());
        }
        let diagnostic = self.unclosed(codes::INVALID_LITERAL, opening, expected);
        self.fail(diagnostic)
    }

    /// The text between quotes. Double quotes have the escapes of JSON; single quotes have none.
    fn quoted_text(&mut self) -> Parsed<String> {
        let token = self.next();
        let raw = self.text_of(token);
        if !raw.starts_with('"') {
            return self.single_quoted(token, raw);
        }
        serde_json::from_str(raw).or_else(|_| {
            let diagnostic =
                DiagnosticBuilder::new(codes::INVALID_LITERAL, token.span, "this text has an invalid escape");
            self.fail(diagnostic.hint(r#"escapes are those of JSON: `\"`, `\\`, `\n`, `\t`, `\u00e9`"#))
        })
    }

    fn single_quoted(&mut self, token: Token, raw: &str) -> Parsed<String> {
        let text = strip_quotes(raw).unwrap_or(raw);
        if !text.contains('\\') {
            return Ok(text.to_owned());
        }
        let message = "a text with a backslash needs double quotes";
        let diagnostic = DiagnosticBuilder::new(codes::INVALID_LITERAL, token.span, message);
        self.fail(diagnostic.hint(r#"in double quotes, `\\` is a backslash, as in JSON"#))
    }

    /// The characters of a number are several tokens: `-`, `1`, `.`, `5`, `e-7`.
    fn number(&mut self) -> Parsed<Value> {
        let start = self.peek().span.start as usize;
        let rest = self.remaining_text();
        let length = rest.find(|char: char| !is_number_char(char)).unwrap_or(rest.len());
        // `1..10` is a range
        let length = rest.get(..length).and_then(|number| number.find("..")).unwrap_or(length);
        let span = Span::new(start, start + length);
        while self.peek().span.start < span.end && !self.at(TokenKind::End) {
            self.next();
        }
        let text = span.of(self.text);
        read_json(text).or_else(|_| {
            let message = format!("{} is not a number", backquoted(text));
            self.fail(DiagnosticBuilder::new(codes::INVALID_LITERAL, span, message).hint(number_hint(text)))
        })
    }
}

/// Returns whether a word is `true`, `false` or `null`.
pub(super) fn is_constant(word: &str) -> bool {
    constant(word).is_some()
}

fn constant(word: &str) -> Option<Value> {
    match word {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" => Some(Value::Null),
        _ => None,
    }
}

/// What JSON calls a constant of Python.
pub(crate) fn python_constant(word: &str) -> Option<&'static str> {
    match word {
        "True" | "TRUE" => Some("true"),
        "False" | "FALSE" => Some("false"),
        "None" | "NULL" | "nil" => Some("null"),
        _ => None,
    }
}

fn key_twice(key: &str, first: Span, again: Span) -> DiagnosticBuilder {
    let message = format!("the key {} is in this map twice", backquoted(key));
    DiagnosticBuilder::new(codes::INVALID_LITERAL, again, message)
        .label_at(first, "it is here first")
        .hint("remove one of them")
}

/// Characters that a number may have, and those that one mistakes for a part of it, so that the message shows all of them.
fn is_number_char(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '.' | '-' | '+' | '_')
}

/// What to write instead of a text that begins like a number and is none.
fn number_hint(text: &str) -> &'static str {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
        "a number has no leading zeros; a text is in quotes: `\"007\"`"
    } else if is_integer {
        "an integer has at most 4300 digits"
    } else if digits.starts_with(|char: char| char.is_ascii_digit()) && text.parse::<f64>().is_ok_and(f64::is_infinite)
    {
        "it is too large for a float of 64 bits; pass it as a text in quotes"
    } else if looks_like_a_date(text) {
        "a date is a text in quotes: `\"2026-11-01\"`"
    } else {
        "numbers are written as in JSON: `30`, `-1.5`, `2e-3`; a text is in quotes"
    }
}

fn looks_like_a_date(text: &str) -> bool {
    text.split('-').count() == 3 && text.chars().all(|char| char.is_ascii_digit() || char == '-')
}
