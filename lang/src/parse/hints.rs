//! What to say about a line that is not a statement, or has text after one.

use super::other_languages::begins_comment;
use super::parser::Parser;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::settings;
use crate::source::Span;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::Name;
use crate::text::backquoted;

impl Parser<'_, '_, '_> {
    pub(super) fn text_after_statement(&self) -> DiagnosticBuilder {
        let rest = self.remaining_text();
        let hint = if rest.starts_with(';') {
            "a statement ends with its line: remove the `;`"
        } else if begins_comment(rest) {
            "a comment begins with `#`"
        } else if rest.starts_with('.') {
            "pass a result on as an argument: `q(p())`"
        } else {
            "put it on its own line, or after a `#`"
        };
        self.unexpected(codes::TEXT_AFTER_STATEMENT, "the end of the line").hint(hint)
    }

    pub(super) fn not_understood(&self, span: Span) -> DiagnosticBuilder {
        let diagnostic = DiagnosticBuilder::new(codes::NOT_UNDERSTOOD, span, "this line is not a statement");
        if self.at(TokenKind::OpenBracket) {
            return diagnostic.hint("give the list of results a name: `all = [p(x) for x in l()]`");
        }
        diagnostic.hint(
            "a line is a step (`name:`), a pipe (`p = a | b`), a call (`p()`), a loop (`for x in p():`), an import or a setting",
        )
    }

    /// A name, and nothing after it that would make it a statement.
    pub(super) fn bare_name(&self, name: &Name<'_>, width: usize) -> DiagnosticBuilder {
        let diagnostic = self.not_understood(name.span);
        let indented_below = self.at(TokenKind::LineStart) && self.indent_width(self.peek().span) > width;
        match self.kind() {
            _ if indented_below => {
                diagnostic.hint(format!("a step begins with its name and a colon: `{}:`", name.text))
            }
            TokenKind::Comma => diagnostic.hint("a call has one result: `r = p()`"),
            kind if kind.ends_line() => diagnostic.hint(format!("to run a pipe or step, write `{}()`", name.text)),
            _ => match self.name_after_sign() {
                Some(after) => {
                    diagnostic.hint(format!("define a pipe, `p = {} | {after}`, and run it: `p()`", name.text))
                }
                None => diagnostic,
            },
        }
    }

    pub(super) fn stray_bar(&self) -> DiagnosticBuilder {
        DiagnosticBuilder::new(codes::INVALID_PIPE, self.peek().span, "a pipe cannot begin here")
            .hint("put a pipe of several lines in parentheses: `name = (a | b)`")
    }

    pub(super) fn stray_code(&self) -> DiagnosticBuilder {
        let span = self.peek().span;
        let opening = Span { start: span.start, end: span.start + 1 };
        DiagnosticBuilder::new(codes::NOT_UNDERSTOOD, opening, "this code does not belong to a step")
            .hint("code is the last line of a step: `name:`, then language, function and code, each indented")
    }

    pub(super) fn nameless_pipe(&self, first: &Name<'_>) -> DiagnosticBuilder {
        DiagnosticBuilder::new(codes::INVALID_PIPE, first.span, "a pipe needs a name to be called by")
            .hint(format!("`name = {} | …`", first.text))
    }
}

pub(super) fn unmatched_indent(span: Span) -> DiagnosticBuilder {
    DiagnosticBuilder::new(codes::UNMATCHED_INDENT, span, "the indentation of this line matches no block above")
        .hint("indent it like the block it belongs to")
}

/// `==` or `:=` after a name.
pub(super) fn misspelt_equals(sign: Span, text: &str, name: &Name<'_>) -> DiagnosticBuilder {
    let message = format!("expected `=`, found {}", backquoted(sign.of(text)));
    DiagnosticBuilder::new(codes::NOT_UNDERSTOOD, sign, message).hint(format!("`{} = …`", name.text))
}

/// `name = 3`: a setting as other languages write it, or a value.
pub(super) fn number_assigned(name: &Name<'_>, span: Span, number: &str) -> DiagnosticBuilder {
    if settings::names::NAMES.contains(&&*name.text) {
        let diagnostic = DiagnosticBuilder::new(codes::MISSPELT_SETTING, name.span, "a setting begins with `!`");
        return diagnostic.hint(format!("`!{} {number}`", name.text));
    }
    let message = format!("{} is neither a step nor a call, and a script has no values", backquoted(number));
    DiagnosticBuilder::new(codes::NOT_A_RESULT, span, message)
        .hint(format!("write a step whose function returns it: `{} = step()`", name.text))
}
