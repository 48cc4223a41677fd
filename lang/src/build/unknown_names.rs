//! Names that are not defined, and what may have been intended.

use super::builder::Builder;
use super::definition::UnknownStep;
use super::list_jobs::{example, list_function};
use super::symbol_table::Definition;
use bue_model::ParamIndex;

use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::parse::literal::python_constant;
use crate::source::Span;
use crate::syntax::tree::{Block, Name, Statement};
use crate::text::backquoted;

/// The result that a statement binds.
pub(super) fn bound_name<'t>(statement: &'t Statement<'_>) -> Option<&'t Name<'t>> {
    match statement {
        Statement::Call(call) => call.result.as_ref(),
        Statement::Gather(gather) => Some(&gather.result),
        Statement::Param(param) => Some(&param.name),
        _ => None,
    }
}

impl<'t> Builder<'t, '_, '_> {
    /// Records where each result of the file is bound first.
    pub(super) fn collect_first_bindings(&mut self, block: &'t Block<'_>) {
        for statement in &block.statements {
            if let Some(name) = bound_name(statement) {
                self.first_bindings.entry(&name.text).or_insert(name.span);
            }
            match statement {
                Statement::Loop(inner) => self.collect_first_bindings(&inner.body),
                Statement::Finally(inner) => self.collect_first_bindings(&inner.body),
                _ => {}
            }
        }
    }

    /// Returns whether the name may be defined in text that could not be parsed.
    fn may_be_in_unparsed_text(&self, name: &str) -> bool {
        self.truncated || self.plan_is_full || name.split([' ']).all(|word| self.unparsed_words.contains(word))
    }

    /// For a name in a pipe that is not a step: what to report.
    pub(super) fn not_a_step(&mut self, name: &Name<'_>, other: Option<Definition>) -> Option<UnknownStep> {
        if matches!(other, Some(Definition::Pipe(_))) {
            let message = format!("`{}` is a pipe, but a pipe consists of steps", name.text);
            let hint = "write its steps, or pass its result on: `r = p()`, then `q(r)`";
            return Some(UnknownStep { span: name.span, message, hint: Some(hint.into()) });
        }
        if self.may_be_in_unparsed_text(&name.text) {
            return None;
        }
        let nearest = self.suggester.nearest(&name.text, self.definitions.names());
        let hint = match nearest {
            Some(nearest) => Some(format!("did you mean `{nearest}`?")),
            None => self.first_bindings.contains_key(&*name.text).then(|| {
                format!("`{0}` is a result, but a pipe consists of steps: pass it on, `pipe({0})`", name.text)
            }),
        };
        Some(UnknownStep { span: name.span, message: format!("there is no step `{}`", name.text), hint })
    }

    /// For the name of a handler that is not a step: what to report.
    pub(super) fn not_a_handler(
        &mut self,
        name: &str,
        span: Span,
        other: Option<Definition>,
    ) -> Option<DiagnosticBuilder> {
        let refuse = |message: String| DiagnosticBuilder::new(codes::INVALID_HANDLER, span, message);
        if matches!(other, Some(Definition::Pipe(_))) {
            let diagnostic = refuse(format!("{} is a pipe, but a handler is one step", backquoted(name)));
            return Some(diagnostic.hint("name a step, and do the rest in its function"));
        }
        if self.may_be_in_unparsed_text(name) {
            return None;
        }
        let diagnostic = refuse(format!("there is no step {}", backquoted(name)));
        Some(match self.suggester.nearest(name, self.definitions.names()) {
            Some(nearest) => diagnostic.hint(format!("did you mean `{nearest}`?")),
            None => diagnostic.hint("define it in this block or in one around it"),
        })
    }

    pub(super) fn unknown_target(&mut self, name: &Name<'_>) {
        if self.results.get(&name.text).is_some() {
            let message = format!("`{}` is a result, which cannot be called", name.text);
            let diagnostic = DiagnosticBuilder::new(codes::UNKNOWN_TARGET, name.span, message);
            self.report(diagnostic.hint(format!("pass it on: `pipe({})`", name.text)));
            return;
        }
        if self.may_be_in_unparsed_text(&name.text) {
            return;
        }
        let message = format!("there is no pipe or step `{}`", name.text);
        let diagnostic = DiagnosticBuilder::new(codes::UNKNOWN_TARGET, name.span, message);
        if let Some(ended) = self.ended_definitions.get(&*name.text) {
            let (what, span) = self.describe(*ended);
            let diagnostic = diagnostic.label_at(span, format!("this {what} is defined only inside the loop"));
            self.report(diagnostic.hint("move this line into the loop, or define the name outside"));
            return;
        }
        if let Some(operation) = list_function(&name.text) {
            let hint = format!("`{}` makes the list that a loop runs over: {}", name.text, example(operation));
            self.report(diagnostic.hint(hint));
            return;
        }
        let nearest = self
            .suggester
            .nearest(&name.text, self.definitions.names())
            .or_else(|| self.suggester.same_last_word(&name.text, self.definitions.names()));
        let hint = match nearest {
            Some(nearest) => format!("did you mean `{nearest}()`?"),
            None => format!("define it: `{} = first step | second step`", name.text),
        };
        self.report(diagnostic.hint(hint));
    }

    pub(super) fn unknown_result(&mut self, name: &Name<'_>) {
        if let Some(diagnostic) = self.missing_comma(name) {
            self.report(diagnostic);
        } else if self.loops_without_variable == 0 && !self.may_be_in_unparsed_text(&name.text) {
            let diagnostic = self.missing_result(name);
            self.report(diagnostic);
        }
    }

    /// `q(a b)`, `q(a and b)`: several words, some of which are results.
    fn missing_comma(&self, name: &Name<'_>) -> Option<DiagnosticBuilder> {
        let is_result = |word: &&str| self.results.get(word).is_some();
        let words: Vec<&str> = name.text.split(' ').collect();
        if words.len() < 2 || !words.iter().any(is_result) {
            return None;
        }
        let diagnostic =
            DiagnosticBuilder::new(codes::UNKNOWN_RESULT, name.span, format!("there is no result `{}`", name.text));
        Some(match words.iter().all(is_result) {
            true => diagnostic.hint(format!("separate arguments with commas: `{}`", words.join(", "))),
            false => diagnostic
                .hint("arguments are results and values, separated by commas; to use a part of a result, write a step"),
        })
    }

    fn missing_result(&mut self, name: &Name<'_>) -> DiagnosticBuilder {
        let text = &*name.text;
        if self.loop_source_variables.contains(&text) {
            let message = format!("`{text}` has no value before the loop begins");
            return DiagnosticBuilder::new(codes::RESULT_BEFORE_CALL, name.span, message)
                .hint("the source of a loop is called once, before the loop: `for x in list():`");
        }
        if self.outside_finally.contains(text) {
            let message = format!("`{text}` is not available in `finally`: it may have no value when the run ends");
            return DiagnosticBuilder::new(codes::UNKNOWN_RESULT, name.span, message)
                .hint("use parameters, values, and `run`, which has the id and the state of the run: `notify(run)`");
        }
        if let Some(ended) = self.ended_results.get(text) {
            let message = format!("`{text}` is defined only inside its loop");
            return DiagnosticBuilder::new(codes::RESULT_AFTER_LOOP, name.span, message)
                .label_at(*ended, "defined here, inside the loop")
                .hint("move this line into the loop, or collect the results: `all = [p(x) for x in list()]`");
        }
        if let Some(bound) = self.first_bindings.get(text) {
            let message = format!("`{text}` has no value yet");
            let diagnostic = DiagnosticBuilder::new(codes::RESULT_BEFORE_CALL, name.span, message);
            return match bound.start > name.span.start {
                true => diagnostic.label_at(*bound, "it gets its value here").hint("move this line below it"),
                false => diagnostic
                    .label_at(*bound, "it gets its value from this call")
                    .hint("give it a value by a call above"),
            };
        }
        if self.definitions.get(text).is_some() {
            let message = format!("`{text}` is not a result");
            return DiagnosticBuilder::new(codes::NOT_A_RESULT, name.span, message)
                .hint(format!("to pass on its result, call it: `{text}()`"));
        }
        let nearest = self.suggester.nearest(text, self.results.names());
        let hint = match python_constant(text).or(nearest) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("a result needs a call above, `{text} = pipe()`; a text needs quotes, `\"{text}\"`"),
        };
        DiagnosticBuilder::new(codes::UNKNOWN_RESULT, name.span, format!("there is no result `{text}`")).hint(hint)
    }

    /// An unknown step is an error in a pipe that is called, and a warning in one that is not.
    pub(super) fn check_pipes(&mut self) {
        for pipe in &mut self.pipes {
            let code = if pipe.used { codes::UNKNOWN_STEP } else { codes::UNKNOWN_STEP_UNCALLED };
            for UnknownStep { span, message, hint } in core::mem::take(&mut pipe.unknown) {
                self.diagnostics.add(DiagnosticBuilder::new(code, span, message).maybe_hint(hint));
            }
        }
    }

    /// Only if there is no error: text that could not be parsed may contain a use.
    pub(super) fn warn_about_unused(&mut self) {
        if self.diagnostics.has_errors() {
            return;
        }
        for step in self.steps.iter().filter(|step| !step.used) {
            let message = format!("step `{}` is never used", step.name.text);
            let hint = format!("use it in a pipe, or call it: `{}()`", step.name.text);
            self.diagnostics.add(DiagnosticBuilder::new(codes::UNUSED_STEP, step.name.span, message).hint(hint));
        }
        for (index, span) in (0..).map(ParamIndex).zip(&self.param_spans) {
            if !self.used_params.contains(&index) {
                let message = format!("parameter {} is never used", backquoted(span.of(self.diagnostics.script.text)));
                let diagnostic = DiagnosticBuilder::new(codes::UNUSED_PARAM, *span, message);
                self.diagnostics.add(diagnostic.hint("pass it to a call, or remove it"));
            }
        }
        for pipe in self.pipes.iter().filter(|pipe| !pipe.used) {
            let message = format!("pipe `{}` is never called", pipe.name.text);
            let diagnostic = DiagnosticBuilder::new(codes::UNUSED_PIPE, pipe.name.span, message);
            self.diagnostics.add(diagnostic.hint(format!("`{}()`", pipe.name.text)));
        }
    }
}
