//! The locations of the steps and calls of a compiled script, for the diagnostics of later checks.

use std::collections::HashMap;

use bue_model::Language;
use bue_model::StepIndex;

use super::definition::StepEntry;
use super::inline_code;
use crate::source::{LineIndex, Span};
use crate::syntax::tree::{Code, CodeKind};

/// What [`check_sources`](crate::check_sources) needs besides the plan.
#[derive(Debug, Default)]
pub(crate) struct SourceMap {
    /// Every step that could be parsed, used or not.
    pub(crate) steps: Vec<StepLocation>,
    /// Each path or code, once even if several items of an import share it.
    pub(crate) codes: Vec<CodeLocation>,
    /// The span of each call of the plan, in its order.
    pub(crate) calls: Vec<Span>,
    /// The span of the name of each parameter.
    pub(crate) params: Vec<Span>,
}

/// The location of a step.
#[derive(Debug)]
pub(crate) struct StepLocation {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) language: Language,
    pub(crate) function: String,
    pub(crate) function_span: Span,
    /// Index into [`SourceMap::codes`].
    pub(crate) code: usize,
    /// Its index in the plan, if it is used.
    pub(crate) index: Option<StepIndex>,
}

/// The location of a path or code.
#[derive(Debug)]
pub(crate) struct CodeLocation {
    pub(crate) span: Span,
    pub(crate) kind: CodeLocationKind,
}

/// A path, or code as the step gets it.
#[derive(Debug)]
pub(crate) enum CodeLocationKind {
    Path(String),
    Inline {
        text: String,
        /// The line of the script on which the text begins.
        line: u32,
        /// Bytes removed at the beginning of lines.
        margin: usize,
    },
}

impl SourceMap {
    pub(crate) fn new(entries: &[StepEntry<'_>], calls: Vec<Span>, params: Vec<Span>, lines: &LineIndex) -> Self {
        let mut source_map = Self { calls, params, ..Self::default() };
        let mut seen = HashMap::new();
        for entry in entries {
            let (Some(language), Some(function), Some(code)) = (entry.language, entry.function, entry.code) else {
                continue;
            };
            let code = *seen.entry(code.span).or_insert_with(|| source_map.add_code(code, language, lines));
            source_map.steps.push(StepLocation {
                name: entry.name.text.to_string(),
                name_span: entry.name.span,
                language,
                function: function.text.to_string(),
                function_span: function.span,
                code,
                index: entry.index,
            });
        }
        source_map
    }

    fn add_code(&mut self, code: &Code<'_>, language: Language, lines: &LineIndex) -> usize {
        let kind = match code.kind {
            CodeKind::Path(path) => CodeLocationKind::Path(path.to_owned()),
            CodeKind::Inline(raw) => {
                let inline = inline_code::dedent(raw, language);
                let line = lines.line(code.span.start) + inline.lines_removed;
                CodeLocationKind::Inline { text: inline.text, line, margin: inline.margin }
            }
        };
        self.codes.push(CodeLocation { span: code.span, kind });
        self.codes.len() - 1
    }
}
