//! Steps and pipes that a script defines.

use std::rc::Rc;

use bue_model::Language;
use bue_model::StepIndex;
use bue_model::plan::{Settings, Source, Step};

use super::inline_code;
use crate::settings;
use crate::settings::value::SettingValue;
use crate::source::{LineIndex, Span};
use crate::syntax::tree::{Code, CodeKind, Name, Setting};

/// A step, from a definition or an import.
pub(crate) struct StepEntry<'t> {
    pub(crate) name: &'t Name<'t>,
    /// `None` if it could not be parsed.
    pub(crate) language: Option<Language>,
    pub(crate) function: Option<&'t Name<'t>>,
    pub(crate) code: Option<&'t Code<'t>>,
    /// The settings in effect above it.
    pub(crate) inherited: Rc<Settings>,
    /// Its own settings.
    pub(crate) settings: &'t [Setting],
    /// The position of the step that is called if it fails.
    pub(crate) handler: Option<usize>,
    /// Whether a pipe, a call or `!on_failure` names it.
    pub(crate) used: bool,
    /// Its index in the plan, once a call has added it.
    pub(crate) index: Option<StepIndex>,
}

impl StepEntry<'_> {
    /// The name of the step that is called if it fails.
    pub(crate) fn handler_name(&self) -> Option<&str> {
        let own = self.settings.iter().rev().find_map(|setting| match &setting.value {
            SettingValue::OnFailure(name) => Some(name),
            _ => None,
        });
        own.or(self.inherited.on_failure.as_ref()).map(String::as_str)
    }

    /// The step as a plan has it; `None` if a part of it could not be parsed.
    pub(crate) fn step(&self, lines: &LineIndex) -> Option<Step> {
        Some(Step {
            name: self.name.text.to_string(),
            language: self.language?,
            function: self.function?.text.to_string(),
            source: source(self.code?, self.language?, lines),
            line: lines.line(self.name.span.start),
            settings: self.all_settings(),
        })
    }

    /// An upper bound of the bytes that the step takes in a plan.
    pub(crate) fn bytes(&self) -> usize {
        let code = self.code.map_or(0, |code| code.span.range().len());
        let function = self.function.map_or(0, |name| name.text.len());
        let own: usize = self.settings.iter().map(|setting| setting.span.range().len()).sum();
        size_of::<Step>() + self.name.text.len() + function + code + own + settings::apply::bytes(&self.inherited)
    }

    /// The settings in effect.
    pub(crate) fn all_settings(&self) -> Settings {
        let mut all = Settings::clone(&self.inherited);
        for setting in self.settings {
            settings::apply::apply(&mut all, &setting.value);
        }
        all
    }
}

fn source(code: &Code<'_>, language: Language, lines: &LineIndex) -> Source {
    match code.kind {
        CodeKind::Path(path) => Source::File(path.to_owned()),
        CodeKind::Inline(raw) => {
            let inline = inline_code::dedent(raw, language);
            Source::Inline { text: inline.text, line: lines.line(code.span.start) + inline.lines_removed }
        }
    }
}

/// Steps in brackets, which run as one job.
pub(crate) struct FusionEntry {
    /// Positions in the list of steps, at least one.
    pub(crate) stages: Vec<usize>,
    /// The brackets.
    pub(crate) span: Span,
    /// Its index in the plan, once a call has added it.
    pub(crate) index: Option<StepIndex>,
}

/// A part of a pipe that is one job.
#[derive(Clone, Copy)]
pub(crate) enum ChainLink {
    /// A position in the list of steps.
    Step(usize),
    /// A position in the list of fusions.
    Fusion(usize),
}

/// A pipe.
pub(crate) struct PipeEntry<'t> {
    pub(crate) name: &'t Name<'t>,
    pub(crate) chain: Rc<[ChainLink]>,
    /// Names in the chain that are not steps.
    pub(crate) unknown: Vec<UnknownStep>,
    /// Whether parts of it could not be parsed.
    pub(crate) broken: bool,
    /// Whether a call names it.
    pub(crate) used: bool,
}

/// A name in a pipe that is not a step. It is an error if the pipe is called, and a warning otherwise.
pub(crate) struct UnknownStep {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}
