//! Steps and pipes of a script, found but not yet used.

use std::rc::Rc;

use bue_model::Language;
use bue_model::StepIndex;
use bue_model::plan::{Settings, Source, Step};

use crate::inline;
use crate::source::{LineIndex, Span};
use crate::tree::{Code, CodeKind, Name, Setting};

/// A step, from a definition or an import.
pub(crate) struct StepEntry<'t> {
    pub(crate) name: &'t Name<'t>,
    /// `None`: it could not be read.
    pub(crate) language: Option<Language>,
    pub(crate) function: Option<&'t Name<'t>>,
    pub(crate) code: Option<&'t Code<'t>>,
    /// What the settings above came to.
    pub(crate) around: Rc<Settings>,
    /// Its own.
    pub(crate) settings: &'t [Setting],
    /// Some pipe or call names it.
    pub(crate) used: bool,
    /// Its place in the plan, once a call has put it there.
    pub(crate) index: Option<StepIndex>,
}

impl StepEntry<'_> {
    /// As it stands in a plan; `None` if a part of it could not be read.
    pub(crate) fn step(&self, lines: &LineIndex) -> Option<Step> {
        Some(Step {
            name: self.name.text.to_string(),
            language: self.language?,
            function: self.function?.text.to_string(),
            source: source(self.code?, lines),
            line: lines.line(self.name.span.start),
            settings: self.own_settings(),
        })
    }

    /// An upper bound of the bytes its step takes in a plan.
    pub(crate) fn bytes(&self) -> usize {
        let code = self.code.map_or(0, |code| code.span.range().len());
        let function = self.function.map_or(0, |name| name.text.len());
        let own: usize = self.settings.iter().map(|setting| setting.span.range().len()).sum();
        size_of::<Step>() + self.name.text.len() + function + code + own + crate::settings::bytes(&self.around)
    }

    fn own_settings(&self) -> Settings {
        let mut settings = Settings::clone(&self.around);
        for setting in self.settings {
            crate::settings::apply(&mut settings, &setting.value);
        }
        settings
    }
}

fn source(code: &Code<'_>, lines: &LineIndex) -> Source {
    match code.kind {
        CodeKind::Path(path) => Source::File(path.to_owned()),
        CodeKind::Inline(raw) => {
            let clean = inline::clean(raw);
            Source::Inline { text: clean.text, line: lines.line(code.span.start) + clean.lines_cut }
        }
    }
}

/// A pipe.
pub(crate) struct PipeEntry<'t> {
    pub(crate) name: &'t Name<'t>,
    /// Positions in the list of steps.
    pub(crate) chain: Rc<[usize]>,
    /// Names in the chain that mean no step, and what to do about each.
    pub(crate) unknown: Vec<(Span, String, Option<String>)>,
    /// Parts of it could not be read.
    pub(crate) broken: bool,
    /// Some call names it.
    pub(crate) used: bool,
}
