//! Settings, on separate lines or in import items: which setting, and which text is its value.

use super::parser::{Parsed, Parser};
use super::recovery::count_bracket;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::suggest::Suggester;
use crate::settings::value::SettingValue;
use crate::settings::{self, names};
use crate::source::Span;
use crate::syntax::token::{Token, TokenKind};
use crate::syntax::tree::Setting;
use crate::text::backquoted;

/// The context of a setting, which decides where its value ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SettingPosition {
    /// On a separate line.
    Line,
    /// In an import item, where `,`, `)` and the next setting end it.
    Item,
}

impl Parser<'_, '_, '_> {
    pub(super) fn setting_line(&mut self) -> Parsed<Setting> {
        self.setting(SettingPosition::Line)
    }

    pub(super) fn item_setting(&mut self) -> Parsed<Setting> {
        self.setting(SettingPosition::Item)
    }

    pub(super) fn at_setting(&self) -> bool {
        self.kind().begins_setting()
    }

    fn setting(&mut self, position: SettingPosition) -> Parsed<Setting> {
        let mark = self.next();
        let name = match mark.kind {
            TokenKind::Dollar => "scope",
            TokenKind::At => "@",
            _ => self.name_of_setting(mark, position)?,
        };
        if name == "with" {
            return self.with_setting(mark, position);
        }
        let from = self.previous().span.after();
        let value = self.value_span(name, position, from);
        let span = mark.span.to(if value.start == value.end { from } else { value });
        let value = self.value(name, value)?;
        if value == SettingValue::Tag {
            let diagnostic = DiagnosticBuilder::new(codes::TAG_WITHOUT_EFFECT, span, "a tag has no effect");
            self.report(diagnostic.hint(
                "`!rate 5/1s` starts at most five jobs per second, `!rate 5/1s by account` five for each account",
            ));
        }
        Ok(Setting { span, value })
    }

    /// `!with size=64`. Its values are literals, which are not only text.
    fn with_setting(&mut self, mark: Token, position: SettingPosition) -> Parsed<Setting> {
        match self.keywords(position == SettingPosition::Line) {
            Ok((span, keywords)) => Ok(Setting { span: mark.span.to(span), value: SettingValue::With(keywords) }),
            Err(reported) => {
                self.skip_value(position);
                Err(reported)
            }
        }
    }

    /// After `!`: a name, or the number of `!9`.
    fn name_of_setting(&mut self, mark: Token, position: SettingPosition) -> Parsed<&'static str> {
        let token = self.peek();
        if token.span.start != mark.span.end {
            let diagnostic = self.misspelt(mark, token, position);
            return self.fail(diagnostic);
        }
        match token.kind {
            TokenKind::Number | TokenKind::Minus | TokenKind::Plus => Ok("priority"),
            TokenKind::Word => {
                self.next();
                let word = self.text_of(token);
                let known = names::NAMES.iter().find(|name| **name == word);
                known.copied().map_or_else(|| self.unknown_setting(mark, token, position), Ok)
            }
            _ => {
                let diagnostic =
                    self.unexpected(codes::UNKNOWN_SETTING, "the name of a setting or a priority after `!`");
                self.skip_value(position);
                self.fail(diagnostic.hint("`!9`, `!priority 9`, `!scope production`, `!timeout 5m`, `!retries 3`"))
            }
        }
    }

    /// `! 9`, `! priority 9`, or a `!` alone.
    fn misspelt(&mut self, mark: Token, token: Token, position: SettingPosition) -> DiagnosticBuilder {
        let diagnostic = match token.kind {
            TokenKind::Number | TokenKind::Word | TokenKind::Minus | TokenKind::Plus => {
                let message = "there must be no blank after `!`";
                let diagnostic = DiagnosticBuilder::new(codes::MISSPELT_SETTING, mark.span.to(token.span), message);
                match token.kind {
                    TokenKind::Word => diagnostic.hint(format!("`!{} …`", self.text_of(token))),
                    _ => diagnostic.hint(format!("`!{0}` or `!priority {0}`", self.text_of(token))),
                }
            }
            _ => DiagnosticBuilder::new(codes::MISSPELT_SETTING, mark.span, "`!` alone sets nothing")
                .hint("`!9` or `!priority 9` sets a priority"),
        };
        self.skip_value(position);
        diagnostic
    }

    fn unknown_setting(&mut self, mark: Token, token: Token, position: SettingPosition) -> Parsed<&'static str> {
        let word = self.text_of(token);
        let nearest = Suggester::default().nearest(word, names::NAMES.iter().copied());
        let nearest = nearest.or_else(|| names::intended(word));
        let hint = match (names::instead_of_buelons(word), nearest) {
            (Some(hint), _) => hint.to_owned(),
            (None, Some(name)) => format!("did you mean `!{name}`?"),
            (None, None) => format!("settings are !{}", names::NAMES.join(", !")),
        };
        let message = format!("there is no setting {}", backquoted(&format!("!{word}")));
        self.skip_value(position);
        self.fail(DiagnosticBuilder::new(codes::UNKNOWN_SETTING, mark.span.to(token.span), message).hint(hint))
    }

    fn skip_value(&mut self, position: SettingPosition) {
        let from = self.previous().span.after();
        self.value_span("", position, from);
    }

    /// Consumes the value; its span is empty if there is none.
    fn value_span(&mut self, name: &str, position: SettingPosition, from: Span) -> Span {
        if position == SettingPosition::Item {
            self.skip_line_breaks();
        }
        let first = self.position;
        let mut depth = 0_u32;
        while !self.at_line_end() && (position == SettingPosition::Line || !self.ends_item_value(name, depth)) {
            depth = count_bracket(depth, self.next().kind);
        }
        let start = self.tokens.get(first).filter(|_| self.position > first).map_or(from, |token| token.span);
        if self.position == first {
            return start;
        }
        let span = start.to(self.previous().span);
        self.layout.raw.push(span);
        span
    }

    fn ends_item_value(&self, name: &str, depth: u32) -> bool {
        match self.kind() {
            TokenKind::CloseParen => depth == 0,
            // `pandas!=2` is a requirement, not a setting
            TokenKind::Bang => self.kind_nth(1) != TokenKind::Equals,
            TokenKind::Dollar => true,
            TokenKind::Word => self.at_word("as"),
            TokenKind::At => name != "requires",
            TokenKind::Comma => depth == 0 && !self.list_continues(name),
            _ => false,
        }
    }

    /// Inside an import item a comma begins the next item, unless what follows can only be part of the setting's list.
    fn list_continues(&self, name: &str) -> bool {
        let (first, second) = (self.peek_nth(1), self.peek_nth(2));
        match name {
            "allow" => {
                let capability = ["net", "tcp", "bucket", "secret", "postgres"].contains(&self.text_of(first));
                let named = matches!(
                    second.kind,
                    TokenKind::Word | TokenKind::Number | TokenKind::Quoted | TokenKind::Star | TokenKind::OpenBracket
                );
                capability && named && self.text_of(second) != "as"
            }
            "requires" => matches!(
                first.kind,
                TokenKind::Less | TokenKind::Greater | TokenKind::Equals | TokenKind::Tilde | TokenKind::Bang
            ),
            _ => false,
        }
    }

    fn value(&mut self, name: &'static str, span: Span) -> Parsed<SettingValue> {
        let text = span.of(self.text);
        settings::parse::parse(name, text).or_else(|error| {
            let base = span.start as usize;
            let inner = error.span.range();
            let at = Span::new(base + inner.start, (base + inner.end).min(span.end as usize));
            self.fail(DiagnosticBuilder::new(error.code, at, error.message).maybe_hint(error.hint))
        })
    }
}
