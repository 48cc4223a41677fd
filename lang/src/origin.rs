//! Where a compiled script's steps and calls stand in its text: what checks of their files point at.

use std::collections::HashMap;

use bue_model::Language;
use bue_model::StepIndex;

use crate::definition::StepEntry;
use crate::inline;
use crate::source::{LineIndex, Span};
use crate::tree::{Code, CodeKind};

/// Everything that [`check_sources`](crate::check_sources) must know besides the plan.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    /// Every step that could be read, used or not.
    pub(crate) steps: Vec<StepOrigin>,
    /// Each path or code once, however many items of an import share it.
    pub(crate) codes: Vec<CodeOrigin>,
    /// Of each call of the plan, in its order.
    pub(crate) calls: Vec<Span>,
}

/// A step's place.
#[derive(Debug)]
pub(crate) struct StepOrigin {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) language: Language,
    pub(crate) function: String,
    pub(crate) function_span: Span,
    /// Position in [`Origins::codes`].
    pub(crate) code: usize,
    /// Its place in the plan, if it is used.
    pub(crate) index: Option<StepIndex>,
}

/// A path's or code's place.
#[derive(Debug)]
pub(crate) struct CodeOrigin {
    pub(crate) span: Span,
    pub(crate) kind: CodeOriginKind,
}

/// A path, or code as the step gets it.
#[derive(Debug)]
pub(crate) enum CodeOriginKind {
    Path(String),
    Inline {
        text: String,
        /// Line of the script on which the text begins.
        line: u32,
        /// Bytes cut off the beginning of lines.
        margin: usize,
    },
}

impl Origins {
    pub(crate) fn new(entries: &[StepEntry<'_>], calls: Vec<Span>, lines: &LineIndex) -> Self {
        let mut origins = Self { calls, ..Self::default() };
        let mut known = HashMap::new();
        for entry in entries {
            let (Some(language), Some(function), Some(code)) = (entry.language, entry.function, entry.code) else {
                continue;
            };
            let code = *known.entry(code.span).or_insert_with(|| origins.add_code(code, lines));
            origins.steps.push(StepOrigin {
                name: entry.name.text.to_string(),
                name_span: entry.name.span,
                language,
                function: function.text.to_string(),
                function_span: function.span,
                code,
                index: entry.index,
            });
        }
        origins
    }

    fn add_code(&mut self, code: &Code<'_>, lines: &LineIndex) -> usize {
        let kind = match code.kind {
            CodeKind::Path(path) => CodeOriginKind::Path(path.to_owned()),
            CodeKind::Inline(raw) => {
                let clean = inline::clean(raw);
                let line = lines.line(code.span.start) + clean.lines_cut;
                CodeOriginKind::Inline { text: clean.text, line, margin: clean.margin }
            }
        };
        self.codes.push(CodeOrigin { span: code.span, kind });
        self.codes.len() - 1
    }
}
