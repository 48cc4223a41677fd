//! Names that mean nothing, and what may have been meant.

use super::Builder;
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::names::Definition;
use crate::source::Span;
use crate::tree::{Block, Name, Statement};

/// The result that a statement binds.
pub(super) fn bound_name<'t>(statement: &'t Statement<'_>) -> Option<&'t Name<'t>> {
    match statement {
        Statement::Call(call) => call.result.as_ref(),
        Statement::Gather(gather) => Some(&gather.result),
        _ => None,
    }
}

impl<'t> Builder<'t, '_, '_> {
    /// Notes where each result of the file is bound first.
    pub(super) fn collect_results(&mut self, block: &'t Block<'_>) {
        for statement in &block.statements {
            if let Some(name) = bound_name(statement) {
                self.results_of_file.entry(&name.text).or_insert(name.span);
            }
            if let Statement::Loop(inner) = statement {
                self.collect_results(&inner.body);
            }
        }
    }

    /// Could the name have been defined in what was not read?
    fn is_excused(&self, name: &str) -> bool {
        self.cut || self.full || name.split([' ']).all(|word| self.lost.contains(word))
    }

    /// For a chain's name that means no step: what to report, if its pipe is called.
    pub(super) fn not_a_step(
        &mut self,
        name: &Name<'_>,
        other: Option<Definition>,
    ) -> Option<(Span, String, Option<String>)> {
        if matches!(other, Some(Definition::Pipe(_))) {
            let message = format!("`{}` is a pipe, and pipes are made of steps", name.text);
            return Some((
                name.span,
                message,
                Some("name its steps, or pass its result on: `r = p()`, then `q(r)`".into()),
            ));
        }
        if self.is_excused(&name.text) {
            return None;
        }
        let nearest = self.suggester.nearest(&name.text, self.definitions.known());
        let hint = match nearest {
            Some(nearest) => Some(format!("did you mean `{nearest}`?")),
            None => self
                .results_of_file
                .contains_key(&*name.text)
                .then(|| format!("`{0}` is a result, and a pipe is made of steps: pass it on, `pipe({0})`", name.text)),
        };
        Some((name.span, format!("there is no step `{}`", name.text), hint))
    }

    pub(super) fn unknown_target(&mut self, name: &Name<'_>) {
        if self.results.get(&name.text).is_some() {
            let message = format!("`{}` is a result, and results are not called", name.text);
            let diagnostic = DiagnosticBuilder::new(code::UNKNOWN_TARGET, name.span, message);
            self.report(diagnostic.hint(format!("pass it on: `pipe({})`", name.text)));
            return;
        }
        if self.is_excused(&name.text) {
            return;
        }
        let message = format!("there is no pipe or step `{}`", name.text);
        let diagnostic = DiagnosticBuilder::new(code::UNKNOWN_TARGET, name.span, message);
        if let Some(ended) = self.ended_definitions.get(&*name.text) {
            let (what, span) = self.describe(*ended);
            let diagnostic = diagnostic.label_at(span, format!("this {what} ended with its loop"));
            self.report(diagnostic.hint("indent this line into the loop, or define the name outside"));
            return;
        }
        let nearest = self
            .suggester
            .nearest(&name.text, self.definitions.known())
            .or_else(|| self.suggester.same_last_word(&name.text, self.definitions.known()));
        let hint = match nearest {
            Some(nearest) => format!("did you mean `{nearest}()`?"),
            None => format!("define it: `{} = first step | second step`", name.text),
        };
        self.report(diagnostic.hint(hint));
    }

    pub(super) fn unknown_result(&mut self, name: &Name<'_>) {
        if let Some(diagnostic) = self.missing_comma(name) {
            self.report(diagnostic);
        } else if self.headless == 0 && !self.is_excused(&name.text) {
            let diagnostic = self.missing_result(name);
            self.report(diagnostic);
        }
    }

    /// `q(a b)`, `q(a and b)`: several words, some of which are results.
    fn missing_comma(&self, name: &Name<'_>) -> Option<DiagnosticBuilder> {
        let known = |word: &&str| self.results.get(word).is_some();
        let words: Vec<&str> = name.text.split(' ').collect();
        if words.len() < 2 || !words.iter().any(known) {
            return None;
        }
        let diagnostic =
            DiagnosticBuilder::new(code::UNKNOWN_RESULT, name.span, format!("there is no result `{}`", name.text));
        Some(match words.iter().all(known) {
            true => diagnostic.hint(format!("a comma stands between arguments: `{}`", words.join(", "))),
            false => diagnostic.hint("arguments are results with commas between them; a step works on what is in them"),
        })
    }

    fn missing_result(&mut self, name: &Name<'_>) -> DiagnosticBuilder {
        let text = &*name.text;
        if self.source_of == Some(text) {
            let message = format!("`{text}` has no value before the loop has begun");
            return DiagnosticBuilder::new(code::RESULT_BELOW, name.span, message)
                .hint("what the loop runs over is called once, with results from above or none: `for x in list():`");
        }
        if let Some(ended) = self.ended.get(text) {
            let message = format!("`{text}` ended with its loop");
            return DiagnosticBuilder::new(code::RESULT_ENDED, name.span, message)
                .label_at(*ended, "it is bound here, inside the loop")
                .hint("indent this line into the loop, or collect: `all = [p(x) for x in list()]`");
        }
        if let Some(bound) = self.results_of_file.get(text) {
            let message = format!("`{text}` has no value yet");
            let diagnostic = DiagnosticBuilder::new(code::RESULT_BELOW, name.span, message);
            return match bound.start > name.span.start {
                true => diagnostic
                    .label_at(*bound, "it gets its value here")
                    .hint("move this line below the call that gives the value"),
                false => diagnostic
                    .label_at(*bound, "it gets its value from this call")
                    .hint("the first value needs a call above"),
            };
        }
        if self.definitions.get(text).is_some() {
            let message = format!("`{text}` is not a result");
            return DiagnosticBuilder::new(code::NOT_A_RESULT, name.span, message)
                .hint(format!("to pass on what it gives, call it: `{text}()`"));
        }
        let nearest = self.suggester.nearest(text, self.results.known());
        let hint = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("arguments are results of calls above: `{text} = pipe()`"),
        };
        DiagnosticBuilder::new(code::UNKNOWN_RESULT, name.span, format!("there is no result `{text}`")).hint(hint)
    }

    /// Unknown steps are an error in a pipe that is called and a warning in one that is not.
    pub(super) fn check_pipes(&mut self) {
        for pipe in &mut self.pipes {
            let code = if pipe.used { code::UNKNOWN_STEP } else { code::UNKNOWN_STEP_UNUSED };
            for (span, message, hint) in core::mem::take(&mut pipe.unknown) {
                self.diagnostics.add(DiagnosticBuilder::new(code, span, message).maybe_hint(hint));
            }
        }
    }

    /// Only where nothing is wrong otherwise: a use may stand in what could not be read.
    pub(super) fn warn_of_unused(&mut self) {
        if self.diagnostics.has_errors() {
            return;
        }
        for step in self.steps.iter().filter(|step| !step.used) {
            let message = format!("step `{}` is never used", step.name.text);
            let hint = format!("put it into a pipe, or call it: `{}()`", step.name.text);
            self.diagnostics.add(DiagnosticBuilder::new(code::UNUSED_STEP, step.name.span, message).hint(hint));
        }
        for pipe in self.pipes.iter().filter(|pipe| !pipe.used) {
            let message = format!("pipe `{}` is never called", pipe.name.text);
            let diagnostic = DiagnosticBuilder::new(code::UNUSED_PIPE, pipe.name.span, message);
            self.diagnostics.add(diagnostic.hint(format!("`{}()`", pipe.name.text)));
        }
    }
}
