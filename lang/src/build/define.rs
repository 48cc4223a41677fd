//! Definitions of a block, before its calls are built: steps with their settings, then pipes.

use std::rc::Rc;

use bue_model::Language;
use bue_model::language::Engine;
use bue_model::plan::Settings;

use super::builder::Builder;
use super::definition::{ChainLink, PipeEntry, StepEntry, UnknownStep};
use super::inherited::InheritedSettings;
use super::symbol_table::Definition;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::settings;
use crate::settings::value::SettingValue;
use crate::source::Span;
use crate::syntax::tree::{Block, Import, Link, Name, Pipe, Setting, Statement, StepDefinition};

impl<'t> Builder<'t, '_, '_> {
    /// Adds the definitions of a block. Settings apply to everything below them. Returns, for each inner block in order,
    /// the settings that its body inherits.
    pub(super) fn define(&mut self, block: &'t Block<'_>, inherited: &InheritedSettings) -> Vec<InheritedSettings> {
        let mut settings = Rc::clone(inherited);
        let (mut bodies, first) = (Vec::new(), self.steps.len());
        for statement in &block.statements {
            match statement {
                Statement::Setting(setting) => self.set(&mut settings, setting),
                Statement::Step(step) => self.define_step(step, &settings),
                Statement::Import(import) => self.define_import(import, &settings),
                Statement::Pipe(pipe) => self.define_pipe(pipe),
                Statement::Loop(_) | Statement::Finally(_) => bodies.push(Rc::clone(&settings)),
                Statement::Tab | Statement::Call(_) | Statement::Gather(_) | Statement::Param(_) => {}
            }
        }
        self.resolve_pipes(block);
        self.resolve_handlers(block, first);
        bodies
    }

    fn set(&mut self, inherited: &mut InheritedSettings, setting: &Setting) {
        if settings::apply::overflows(inherited, &setting.value) {
            self.report(too_long_list(setting));
            return;
        }
        // if steps above share these settings, they are copied
        let copied = if Rc::strong_count(inherited) > 1 { settings::apply::bytes(inherited) } else { 0 };
        if self.charge_budget(setting.span, copied).is_some() {
            settings::apply::apply(Rc::make_mut(inherited), &setting.value);
        }
    }

    fn define_step(&mut self, step: &'t StepDefinition<'_>, settings: &InheritedSettings) {
        self.check_step_settings(&step.settings, settings);
        self.check_limits(step.name.span, &step.settings, settings);
        self.check_keywords(&step.name, step.language, &step.settings, settings);
        self.check_soft_timeout(&step.name, step.language, &step.settings, settings);
        let entry = StepEntry {
            name: &step.name,
            language: step.language,
            function: step.function.as_ref(),
            code: step.code.as_ref(),
            inherited: Rc::clone(settings),
            settings: &step.settings,
            handler: None,
            used: false,
            index: None,
        };
        self.add_step(entry);
    }

    fn define_import(&mut self, import: &'t Import<'_>, settings: &InheritedSettings) {
        for item in &import.items {
            self.check_step_settings(&item.settings, settings);
            self.check_limits(item.name.span, &item.settings, settings);
            self.check_keywords(&item.name, import.language, &item.settings, settings);
            self.check_soft_timeout(&item.name, import.language, &item.settings, settings);
            let entry = StepEntry {
                name: &item.name,
                language: import.language,
                function: Some(&item.function),
                code: import.code.as_ref(),
                inherited: Rc::clone(settings),
                settings: &item.settings,
                handler: None,
                used: false,
                index: None,
            };
            self.add_step(entry);
        }
    }

    fn add_step(&mut self, entry: StepEntry<'t>) {
        let name = entry.name;
        self.steps.push(entry);
        self.add_definition(name, Definition::Step(self.steps.len() - 1));
    }

    fn define_pipe(&mut self, pipe: &'t Pipe<'_>) {
        let entry =
            PipeEntry { name: &pipe.name, chain: Rc::default(), unknown: Vec::new(), broken: pipe.broken, used: false };
        self.pipes.push(entry);
        self.add_definition(&pipe.name, Definition::Pipe(self.pipes.len() - 1));
    }

    /// The first definition of a name in a block counts; a second one is an error that shows both.
    fn add_definition(&mut self, name: &'t Name<'_>, definition: Definition) {
        let Some(first) = self.definitions.get_in_block(&name.text) else {
            self.definitions.define(&name.text, definition);
            return;
        };
        let (what, span) = self.describe(first);
        let message = format!("`{}` is defined twice", name.text);
        let diagnostic = DiagnosticBuilder::new(codes::DEFINED_TWICE, name.span, message)
            .label("second definition")
            .label_at(span, format!("first definition, a {what}"));
        self.report(diagnostic.hint("steps, pipes and imports share one namespace: rename one of them"));
    }

    /// The kind of a definition, and the span of its name.
    pub(super) fn describe(&self, definition: Definition) -> (&'static str, Span) {
        const EMPTY_SPAN: Span = Span { start: 0, end: 0 };
        match definition {
            Definition::Step(at) => ("step", self.steps.get(at).map_or(EMPTY_SPAN, |step| step.name.span)),
            Definition::Pipe(at) => ("pipe", self.pipes.get(at).map_or(EMPTY_SPAN, |pipe| pipe.name.span)),
        }
    }

    /// If a step or item has the same setting twice, the last one applies; the warning shows both.
    fn check_step_settings(&mut self, own: &[Setting], inherited: &Settings) {
        for (at, setting) in own.iter().enumerate() {
            if settings::apply::overflows(inherited, &setting.value) {
                self.report(too_long_list(setting));
            }
            let kind = core::mem::discriminant(&setting.value);
            let adds_up = matches!(setting.value, SettingValue::Allow(_) | SettingValue::Requires(_));
            let before = own
                .iter()
                .take(at)
                .rev()
                .take(MAX_LOOKBACK)
                .find(|other| core::mem::discriminant(&other.value) == kind);
            if let Some(first) = before.filter(|_| !adds_up) {
                let diagnostic =
                    DiagnosticBuilder::new(codes::SET_TWICE, setting.span, "this is set twice; the last one applies");
                self.report(diagnostic.label_at(first.span, "first set here"));
            }
        }
    }

    /// The `!rate` and the `!at_most` of a step, wherever they are set, count by the same field.
    fn check_limits(&mut self, step: Span, own: &[Setting], inherited: &Settings) {
        let (mut rate, mut at_most, mut span) = (inherited.rate.as_ref(), inherited.at_most.as_ref(), step);
        for setting in own {
            match &setting.value {
                SettingValue::Rate(own) => rate = Some(own),
                SettingValue::AtMost(own) => at_most = Some(own),
                _ => continue,
            }
            span = setting.span;
        }
        let conflict = rate.zip(at_most).and_then(|(rate, at_most)| settings::at_most::conflict(rate, at_most));
        if let Some(message) = conflict {
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_AT_MOST, span, message);
            self.report(
                diagnostic.hint("write the same field into both: `!rate 10/1m by account`, `!at_most 2 by account`"),
            );
        }
    }

    /// Only functions of some languages have keyword arguments.
    fn check_keywords(&mut self, step: &Name<'_>, language: Option<Language>, own: &[Setting], inherited: &Settings) {
        let Some(language) = language.filter(|language| !language.has_keyword_arguments()) else { return };
        let own = own.iter().rfind(|setting| matches!(setting.value, SettingValue::With(_)));
        if own.is_none() && inherited.keywords.is_none() {
            return;
        }
        let span = own.map_or(step.span, |setting| setting.span);
        let message = format!("`{}` is a {} step, which has no keyword arguments", step.text, language.name());
        let diagnostic = DiagnosticBuilder::new(codes::INVALID_KEYWORDS, span, message);
        self.report(
            diagnostic
                .hint("write `!with` inside the Python steps that it is for; pass values to other steps as arguments"),
        );
    }

    /// Only Python can be interrupted by an exception.
    fn check_soft_timeout(
        &mut self,
        step: &Name<'_>,
        language: Option<Language>,
        own: &[Setting],
        inherited: &Settings,
    ) {
        let Some(language) = language.filter(|language| language.engine() != Engine::Python) else { return };
        let own = own.iter().rev().find_map(|setting| match setting.value {
            SettingValue::Timeout { soft_ms, .. } => Some((setting.span, soft_ms)),
            _ => None,
        });
        let (span, soft_ms) = own.unwrap_or((step.span, inherited.soft_timeout_ms));
        if soft_ms.is_none() {
            return;
        }
        let message = format!(
            "`{}` is a {} step, but a soft timeout raises an exception, which only Python steps can catch",
            step.text,
            language.name()
        );
        let diagnostic = DiagnosticBuilder::new(codes::INVALID_SOFT_TIMEOUT, span, message);
        self.report(diagnostic.hint("give this step a `!timeout` without `soft`: `!timeout 60s`"));
    }

    /// Resolves the handlers of the steps of a block, from `first` on: they are defined in the same block or in one around it.
    fn resolve_handlers(&mut self, block: &'t Block<'_>, first: usize) {
        for statement in &block.statements {
            match statement {
                Statement::Setting(setting) => self.check_handler(setting),
                Statement::Step(step) => step.settings.iter().for_each(|setting| self.check_handler(setting)),
                Statement::Import(import) => {
                    let settings = import.items.iter().flat_map(|item| &item.settings);
                    settings.for_each(|setting| self.check_handler(setting));
                }
                _ => {}
            }
        }
        for at in first..self.steps.len() {
            let handler = self.steps.get(at).and_then(StepEntry::handler_name);
            let handler = handler.and_then(|name| self.definitions.get(name));
            let Some(Definition::Step(handler)) = handler else { continue };
            if let Some(entry) = self.steps.get_mut(at) {
                entry.handler = Some(handler);
            }
        }
    }

    /// Reports a handler that is not a step.
    fn check_handler(&mut self, setting: &'t Setting) {
        let SettingValue::OnFailure(name) = &setting.value else { return };
        match self.definitions.get(name) {
            Some(Definition::Step(step)) => {
                if let Some(entry) = self.steps.get_mut(step) {
                    entry.used = true;
                }
            }
            other => {
                let diagnostic = self.not_a_handler(name, setting.span, other);
                diagnostic.into_iter().for_each(|diagnostic| self.report(diagnostic));
            }
        }
    }

    /// Resolves the steps of pipes: they are defined in the same block or in one around it, above or below.
    fn resolve_pipes(&mut self, block: &'t Block<'_>) {
        let mut at = self.pipes.len() - block.statements.iter().filter(|one| matches!(one, Statement::Pipe(_))).count();
        for statement in &block.statements {
            if let Statement::Pipe(pipe) = statement {
                self.resolve_pipe(at, pipe);
                at += 1;
            }
        }
    }

    /// The step that a name in a pipe means.
    pub(super) fn step_in_pipe(&mut self, name: &Name<'_>, unknown: &mut Vec<UnknownStep>) -> Option<usize> {
        match self.definitions.get(&name.text) {
            Some(Definition::Step(step)) => {
                self.steps.get_mut(step)?.used = true;
                Some(step)
            }
            other => {
                unknown.extend(self.not_a_step(name, other));
                None
            }
        }
    }

    fn resolve_pipe(&mut self, at: usize, pipe: &'t Pipe<'_>) {
        let mut chain = Vec::with_capacity(pipe.chain.len());
        let mut unknown = Vec::new();
        for link in &pipe.chain {
            chain.extend(match link {
                Link::Step(name) => self.step_in_pipe(name, &mut unknown).map(ChainLink::Step),
                Link::Fusion(fusion) => self.define_fusion(fusion, &mut unknown).map(ChainLink::Fusion),
            });
        }
        if let Some(entry) = self.pipes.get_mut(at) {
            entry.broken |= chain.len() < pipe.chain.len();
            entry.chain = chain.into();
            entry.unknown = unknown;
        }
    }
}

/// How many settings back a repeated one is looked for. There are fewer settings; a longer search would take quadratic time.
const MAX_LOOKBACK: usize = 16;

fn too_long_list(setting: &Setting) -> DiagnosticBuilder {
    let message = format!("with this, the list has more than {} entries", settings::apply::MAX_LIST);
    let code = if matches!(setting.value, SettingValue::Allow(_)) {
        codes::INVALID_PERMISSION
    } else {
        codes::INVALID_REQUIREMENT
    };
    DiagnosticBuilder::new(code, setting.span, message).hint("move it into the steps that need it")
}
