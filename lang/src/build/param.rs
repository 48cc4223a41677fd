//! Declarations of parameters: whether default and allowed values fit the kind.

use bue_model::param::{Allowed, Param, ParamDefault, ParamKind};
use bue_model::{Input, ParamIndex, Value};
use bytes::Bytes;

use super::builder::Builder;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::tree::{AllowedValues, DefaultValue, Literal, ParamStatement};
use crate::text::backquoted;

impl<'t> Builder<'t, '_, '_> {
    /// Adds a parameter, and binds its name from here on.
    pub(super) fn declare_param(&mut self, statement: &'t ParamStatement<'_>) {
        if self.is_declared(statement) {
            return;
        }
        let index = ParamIndex(u32::try_from(self.plan.params.len()).unwrap_or(u32::MAX));
        let param = statement.kind.and_then(|kind| self.param(statement, kind));
        self.bind(&statement.name, param.is_some().then_some(Input::Param(index)));
        if let Some(param) = param {
            self.plan.params.push(param);
            self.param_spans.push(statement.name.span);
        }
    }

    fn is_declared(&mut self, statement: &ParamStatement<'_>) -> bool {
        let name = &*statement.name.text;
        let Some(first) = self.plan.params.iter().position(|param| param.name == name) else { return false };
        let message = format!("the parameter {} is declared twice", backquoted(name));
        let diagnostic = DiagnosticBuilder::new(codes::PARAM_TWICE, statement.name.span, message);
        let first = self.param_spans.get(first).copied().unwrap_or(statement.name.span);
        self.report(diagnostic.label_at(first, "it is declared here").hint("remove one of them, or rename it"));
        true
    }

    fn param(&mut self, statement: &ParamStatement<'_>, kind: ParamKind) -> Option<Param> {
        let allowed = match &statement.allowed {
            Some(allowed) => self.allowed(kind, allowed)?,
            None => Allowed::All,
        };
        let name = statement.name.text.to_string();
        let line = self.diagnostics.lines.line(statement.name.span.start);
        let mut param = Param { name, kind, default: None, allowed, line };
        if let Some(default) = &statement.default {
            param.default = Some(self.default(&param, default)?);
        }
        Some(param)
    }

    fn default(&mut self, param: &Param, default: &DefaultValue) -> Option<ParamDefault> {
        match default {
            DefaultValue::Time(_, time) if time.kind() == param.kind => Some(ParamDefault::Time(*time)),
            DefaultValue::Time(span, time) => {
                let (word, kind) = (time.name(), time.kind().name());
                let message = format!("`{word}` is a {kind}, not {}", param.kind.with_article());
                let hint = format!("declare it as a {kind}: `param {}: {kind} = {word}`", param.name);
                self.report(DiagnosticBuilder::new(codes::UNUSABLE_DEFAULT, *span, message).hint(hint));
                None
            }
            DefaultValue::Literal(literal) => {
                let value = param.check(literal.value.clone());
                self.encoded(literal, value, param.kind).map(ParamDefault::Value)
            }
        }
    }

    fn allowed(&mut self, kind: ParamKind, allowed: &AllowedValues) -> Option<Allowed> {
        match allowed {
            AllowedValues::OneOf(choices) => {
                let choices: Option<Vec<Bytes>> = choices.iter().map(|choice| self.converted(choice, kind)).collect();
                choices.map(Allowed::OneOf)
            }
            AllowedValues::Range(span, first, last) => self.range(kind, *span, first.as_ref(), last.as_ref()),
        }
    }

    fn range(
        &mut self,
        kind: ParamKind,
        span: Span,
        first: Option<&Literal>,
        last: Option<&Literal>,
    ) -> Option<Allowed> {
        if !kind.has_order() {
            let message = format!("{} has no range", kind.with_article());
            let hint = "ranges are of int, float and date; list the allowed values instead: `(\"fast\", \"full\")`";
            self.report(DiagnosticBuilder::new(codes::UNUSABLE_DEFAULT, span, message).hint(hint));
            return None;
        }
        let mut end = |literal: Option<&Literal>| match literal {
            Some(literal) => self.converted(literal, kind).map(Some),
            None => Some(None),
        };
        let allowed = Allowed::Range(end(first)?, end(last)?);
        if allowed.is_empty_range() {
            let diagnostic = DiagnosticBuilder::new(codes::UNUSABLE_DEFAULT, span, "this range is empty");
            self.report(diagnostic.hint("the smaller end comes first"));
            return None;
        }
        Some(allowed)
    }

    fn converted(&mut self, literal: &Literal, kind: ParamKind) -> Option<Bytes> {
        self.encoded(literal, kind.convert(literal.value.clone()), kind)
    }

    fn encoded(&mut self, literal: &Literal, value: Result<Value, String>, kind: ParamKind) -> Option<Bytes> {
        match value {
            Ok(value) => self.literal_bytes(literal.span, &value),
            Err(problem) => {
                let written = backquoted(literal.span.of(self.diagnostics.script.text));
                let diagnostic =
                    DiagnosticBuilder::new(codes::UNUSABLE_DEFAULT, literal.span, format!("{written} {problem}"));
                self.report(diagnostic.hint(format!("{} is written like {}", kind.name(), in_script(kind))));
                None
            }
        }
    }
}

/// An example as a script has it.
fn in_script(kind: ParamKind) -> String {
    match kind {
        ParamKind::Text | ParamKind::Date | ParamKind::DateTime => format!("`\"{}\"`", kind.example()),
        _ => format!("`{}`", kind.example()),
    }
}
