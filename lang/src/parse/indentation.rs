//! `TAB = '  '`, and warnings about unusual indentation.

use super::parser::{Parsed, Parser};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::Statement;
use crate::text::strip_quotes;

/// Longest indentation unit, in bytes. With 32 nested loops, lines stay readable only far below it.
const MAX_UNIT: usize = 64;

/// Most blanks of a unit that a hint proposes.
const MAX_PROPOSED_UNIT: usize = 16;

impl<'a> Parser<'a, '_, '_> {
    /// After `TAB =`.
    pub(super) fn tab(&mut self) -> Parsed<Statement<'a>> {
        let token = self.peek();
        self.layout.raw.push(token.span);
        let unit = match token.kind {
            TokenKind::Quoted => unit(self.text_of(token)),
            _ => String::new(),
        };
        if unit.is_empty() || unit.len() > MAX_UNIT || !is_blank(&unit) {
            let message = "the indentation unit must be spaces or tabs in quotes";
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_TAB, self.missing_span(), message);
            return self.fail(diagnostic.hint("`TAB = '    '` or `TAB = '\\t'`"));
        }
        self.next();
        self.layout.unit = unit;
        Ok(Statement::Tab)
    }

    /// Whether `tab = '  '` or `TAB '  '` is written here instead of `TAB = '  '`.
    pub(super) fn is_misspelt_tab(&self) -> bool {
        let word = self.text_of(self.peek());
        let has_equals = self.kind_nth(1) == TokenKind::Equals;
        let value = self.peek_nth(if has_equals { 2 } else { 1 });
        let is_tab = word.eq_ignore_ascii_case("tab") && (word != "TAB" || !has_equals);
        is_tab && value.kind == TokenKind::Quoted && unit(self.text_of(value)).trim().is_empty()
    }

    /// The intended unit takes effect, so that the lines below get no warning.
    pub(super) fn misspelt_tab(&mut self) -> Parsed<Statement<'a>> {
        let word = self.next();
        self.eat(TokenKind::Equals);
        let value = self.text_of(self.peek());
        let diagnostic =
            DiagnosticBuilder::new(codes::INVALID_TAB, word.span, "the indentation unit is set with `TAB =`");
        self.report(diagnostic.hint(format!("`TAB = {value}`")));
        self.tab()
    }

    /// Warns that a line is indented unusually; once for consecutive lines of the same width.
    pub(super) fn odd_indent(&mut self, indent: Span, width: usize, reason: &str, hint: &str) {
        if self.last_odd_indent.replace(width) != Some(width) {
            let columns = if width == 1 { "column" } else { "columns" };
            let message = format!("this line is indented by {width} {columns}, but {reason}");
            self.report(DiagnosticBuilder::new(codes::ODD_INDENT, indent.after(), message).hint(hint));
        }
    }

    /// Warns if a block's lines are not one unit deeper than the line that opens it.
    pub(super) fn check_unit(&mut self, indent: Span, outer: usize) {
        let width = self.indent_width(indent);
        let unit = self.unit_width();
        if width != outer + unit {
            let reason = format!("one level is {unit} columns in this file");
            let blanks = " ".repeat(width.saturating_sub(outer).min(MAX_PROPOSED_UNIT));
            let hint = format!("indent by {unit} columns, or write `TAB = '{blanks}'` above");
            self.odd_indent(indent, width, &reason, &hint);
        }
    }
}

/// The unit between quotes; `\t` is a tab.
fn unit(quoted: &str) -> String {
    strip_quotes(quoted).unwrap_or(quoted).replace("\\t", "\t")
}

fn is_blank(unit: &str) -> bool {
    unit.chars().all(|char| matches!(char, ' ' | '\t'))
}
