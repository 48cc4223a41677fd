//! Lines that begin with `!`, `$` or `@`, and the same inside an import item: which setting, and which text is its value.

use super::{Parsed, Parser};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::lexer::{Kind, Token};
use crate::setting;
use crate::source::Span;
use crate::suggest::Suggester;
use crate::tree::{Setting, SettingValue};

/// Where a setting stands: that decides where its value ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On a line of its own.
    Line,
    /// In an import item, where `,`, `)` and the next setting end it.
    Item,
}

impl Parser<'_, '_, '_> {
    pub(super) fn setting_line(&mut self) -> Parsed<Setting> {
        self.setting(Place::Line)
    }

    pub(super) fn item_setting(&mut self) -> Parsed<Setting> {
        self.setting(Place::Item)
    }

    pub(super) fn at_setting(&self) -> bool {
        matches!(self.kind(), Kind::Mark(b'!' | b'$' | b'@'))
    }

    fn setting(&mut self, place: Place) -> Parsed<Setting> {
        let mark = self.next();
        let name = match mark.kind {
            Kind::Mark(b'$') => "scope",
            Kind::Mark(b'@') => "@",
            _ => self.name_of_setting(mark, place)?,
        };
        let from = self.last().span.after();
        let value = self.value_span(name, place, from);
        let span = mark.span.to(if value.start == value.end { from } else { value });
        let value = self.value(name, value)?;
        if value == SettingValue::Tag {
            let diagnostic = DiagnosticBuilder::new(code::TAG_ALONE, span, "a tag alone limits nothing");
            self.report(
                diagnostic
                    .hint("`!rate 5/1s` lets five jobs start a second, `!rate 5/1s by account` five for each account"),
            );
        }
        Ok(Setting { span, value })
    }

    /// Behind `!`: a name, or the number of `!9`.
    fn name_of_setting(&mut self, mark: Token, place: Place) -> Parsed<&'static str> {
        let token = self.peek();
        if token.span.start != mark.span.end {
            let diagnostic = self.misspelt(mark, token, place);
            return self.fail(diagnostic);
        }
        match token.kind {
            Kind::Number | Kind::Mark(b'-' | b'+') => Ok("priority"),
            Kind::Word => {
                self.next();
                let word = self.text_of(token);
                let known = setting::NAMES.iter().find(|name| **name == word);
                known.copied().map_or_else(|| self.unknown_setting(mark, token, place), Ok)
            }
            _ => {
                let diagnostic = self.unexpected(code::UNKNOWN_SETTING, "a setting's name or a priority behind `!`");
                self.skip_value(place);
                self.fail(diagnostic.hint("`!9`, `!priority 9`, `!scope production`, `!timeout 5m`, `!retries 3`"))
            }
        }
    }

    /// `! 9`, `! priority 9`, or a lonely `!`.
    fn misspelt(&mut self, mark: Token, token: Token, place: Place) -> DiagnosticBuilder {
        let diagnostic = match token.kind {
            Kind::Number | Kind::Word | Kind::Mark(b'-' | b'+') => {
                let message = "a blank stands between `!` and what belongs to it";
                let diagnostic = DiagnosticBuilder::new(code::OLD_SPELLING, mark.span.to(token.span), message);
                match token.kind {
                    Kind::Word => diagnostic.hint(format!("`!{} …`", self.text_of(token))),
                    _ => diagnostic.hint(format!("`!{0}` or `!priority {0}`", self.text_of(token))),
                }
            }
            _ => DiagnosticBuilder::new(code::OLD_SPELLING, mark.span, "a lonely `!` sets nothing")
                .hint("`!9` or `!priority 9` sets a priority"),
        };
        self.skip_value(place);
        diagnostic
    }

    fn unknown_setting(&mut self, mark: Token, token: Token, place: Place) -> Parsed<&'static str> {
        let word = self.text_of(token);
        let nearest = Suggester::default().nearest(word, setting::NAMES.iter().copied());
        let nearest = nearest.or_else(|| setting::meant(word));
        let hint = match nearest {
            Some(name) => format!("did you mean `!{name}`?"),
            None => format!("settings are: !{}", setting::NAMES.join(", !")),
        };
        let message = format!("there is no setting {}", super::quoted(&format!("!{word}")));
        self.skip_value(place);
        self.fail(DiagnosticBuilder::new(code::UNKNOWN_SETTING, mark.span.to(token.span), message).hint(hint))
    }

    fn skip_value(&mut self, place: Place) {
        let from = self.last().span.after();
        self.value_span("", place, from);
    }

    /// Steps over the value; its span is empty if there is none.
    fn value_span(&mut self, name: &str, place: Place, from: Span) -> Span {
        if place == Place::Item {
            self.gap();
        }
        let first = self.at;
        let mut depth = 0_u32;
        while !self.at_line_end() && (place == Place::Line || !self.ends_item_value(name, depth)) {
            depth = match self.next().kind {
                Kind::Mark(b'(' | b'[') => depth.saturating_add(1),
                Kind::Mark(b')' | b']') => depth.saturating_sub(1),
                _ => depth,
            };
        }
        let start = self.tokens.get(first).filter(|_| self.at > first).map_or(from, |token| token.span);
        if self.at == first {
            return start;
        }
        let span = start.to(self.last().span);
        self.layout.raw.push(span);
        span
    }

    fn ends_item_value(&self, name: &str, depth: u32) -> bool {
        match self.kind() {
            Kind::Mark(b')') => depth == 0,
            // `pandas!=2` is a requirement, not a setting
            Kind::Mark(b'!') => self.peek_at(1).kind != Kind::Mark(b'='),
            Kind::Mark(b'$') => true,
            Kind::Word => self.is_word("as"),
            Kind::Mark(b'@') => name != "requires",
            Kind::Mark(b',') => depth == 0 && !self.list_goes_on(name),
            _ => false,
        }
    }

    /// Inside an import item a comma begins the next item, unless what follows can only be a part of the setting's list.
    fn list_goes_on(&self, name: &str) -> bool {
        let (first, second) = (self.peek_at(1), self.peek_at(2));
        match name {
            "allow" => {
                let capability = ["net", "secret", "postgres"].contains(&self.text_of(first));
                let named = matches!(second.kind, Kind::Word | Kind::Number | Kind::Quoted | Kind::Mark(b'*' | b'['));
                capability && named && self.text_of(second) != "as"
            }
            "requires" => matches!(first.kind, Kind::Mark(b'<' | b'>' | b'=' | b'~' | b'!')),
            _ => false,
        }
    }

    fn value(&mut self, name: &'static str, span: Span) -> Parsed<SettingValue> {
        let text = span.of(self.text);
        setting::read(name, text).or_else(|problem| {
            let base = span.start as usize;
            let inner = problem.span.range();
            let at = Span::new(base + inner.start, (base + inner.end).min(span.end as usize));
            self.fail(DiagnosticBuilder::new(problem.code, at, problem.message).maybe_hint(problem.hint))
        })
    }
}
