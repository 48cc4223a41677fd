//! Definitions of a block, before anything in it is called: steps with their settings, then pipes.

use std::rc::Rc;

use bue_model::plan::Settings;

use super::Builder;
use crate::code;
use crate::definition::{PipeEntry, StepEntry};
use crate::diagnostic::DiagnosticBuilder;
use crate::names::Definition;
use crate::source::Span;
use crate::tree::{Block, Import, Name, Pipe, Setting, SettingValue, Statement, StepDefinition};

/// The settings that hold at a place.
pub(super) type Surroundings = Rc<Settings>;

/// What holds at the top of a file.
pub(super) fn file_settings() -> Surroundings {
    Surroundings::default()
}

impl<'t> Builder<'t, '_, '_> {
    /// Defines what a block defines. Settings hold for what stands below them; for each loop of the block, in order, what
    /// holds where it begins is given back.
    pub(super) fn define(&mut self, block: &'t Block<'_>, around: &Surroundings) -> Vec<Surroundings> {
        let mut settings = Rc::clone(around);
        let mut bodies = Vec::new();
        for statement in &block.statements {
            match statement {
                Statement::Setting(setting) => self.set(&mut settings, setting),
                Statement::Step(step) => self.define_step(step, &settings),
                Statement::Import(import) => self.define_import(import, &settings),
                Statement::Pipe(pipe) => self.define_pipe(pipe),
                Statement::Loop(_) => bodies.push(Rc::clone(&settings)),
                Statement::Tab | Statement::Call(_) | Statement::Gather(_) => {}
            }
        }
        self.look_up_chains(block);
        bodies
    }

    fn set(&mut self, settings: &mut Surroundings, setting: &Setting) {
        if crate::settings::overflows(settings, &setting.value) {
            self.report(too_long_list(setting));
            return;
        }
        // steps above may hold on to what held for them: then a copy is made
        let copied = if Rc::strong_count(settings) > 1 { crate::settings::bytes(settings) } else { 0 };
        if self.spend(setting.span, copied).is_some() {
            crate::settings::apply(Rc::make_mut(settings), &setting.value);
        }
    }

    fn define_step(&mut self, step: &'t StepDefinition<'_>, settings: &Surroundings) {
        self.check_own_settings(&step.settings, settings);
        let entry = StepEntry {
            name: &step.name,
            language: step.language,
            function: step.function.as_ref(),
            code: step.code.as_ref(),
            around: Rc::clone(settings),
            settings: &step.settings,
            used: false,
            index: None,
        };
        self.add_step(entry);
    }

    fn define_import(&mut self, import: &'t Import<'_>, settings: &Surroundings) {
        for item in &import.items {
            self.check_own_settings(&item.settings, settings);
            let entry = StepEntry {
                name: &item.name,
                language: import.language,
                function: Some(&item.function),
                code: import.code.as_ref(),
                around: Rc::clone(settings),
                settings: &item.settings,
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
        let Some(first) = self.definitions.get_here(&name.text) else {
            self.definitions.define(&name.text, definition);
            return;
        };
        let (what, span) = self.describe(first);
        let message = format!("`{}` is defined twice", name.text);
        let diagnostic = DiagnosticBuilder::new(code::DEFINED_TWICE, name.span, message)
            .label("the second time")
            .label_at(span, format!("first as a {what}"));
        self.report(diagnostic.hint("steps, pipes and imports share one set of names: give one of them another name"));
    }

    /// What a definition is, and where.
    pub(super) fn describe(&self, definition: Definition) -> (&'static str, Span) {
        const NOWHERE: Span = Span { start: 0, end: 0 };
        match definition {
            Definition::Step(at) => ("step", self.steps.get(at).map_or(NOWHERE, |step| step.name.span)),
            Definition::Pipe(at) => ("pipe", self.pipes.get(at).map_or(NOWHERE, |pipe| pipe.name.span)),
        }
    }

    /// Inside a step or item the last of two equal settings holds, and both are shown.
    fn check_own_settings(&mut self, own: &[Setting], around: &Settings) {
        for (at, setting) in own.iter().enumerate() {
            if crate::settings::overflows(around, &setting.value) {
                self.report(too_long_list(setting));
            }
            let kind = core::mem::discriminant(&setting.value);
            let adds_up = matches!(setting.value, SettingValue::Allow(_) | SettingValue::Requires(_));
            let before =
                own.iter().take(at).rev().take(SETTINGS).find(|other| core::mem::discriminant(&other.value) == kind);
            if let Some(first) = before.filter(|_| !adds_up) {
                let diagnostic =
                    DiagnosticBuilder::new(code::SET_TWICE, setting.span, "this is set twice, the last one holds");
                self.report(diagnostic.label_at(first.span, "set here before"));
            }
        }
    }

    /// Chains name steps of the same block or of those around it, above or below.
    fn look_up_chains(&mut self, block: &'t Block<'_>) {
        let mut at = self.pipes.len() - block.statements.iter().filter(|one| matches!(one, Statement::Pipe(_))).count();
        for statement in &block.statements {
            if let Statement::Pipe(pipe) = statement {
                self.look_up_chain(at, pipe);
                at += 1;
            }
        }
    }

    fn look_up_chain(&mut self, at: usize, pipe: &'t Pipe<'_>) {
        let mut chain = Vec::with_capacity(pipe.chain.len());
        let mut unknown = Vec::new();
        for name in &pipe.chain {
            match self.definitions.get(&name.text) {
                Some(Definition::Step(step)) => chain.push(step),
                other => unknown.extend(self.not_a_step(name, other)),
            }
        }
        for step in &chain {
            if let Some(entry) = self.steps.get_mut(*step) {
                entry.used = true;
            }
        }
        if let Some(entry) = self.pipes.get_mut(at) {
            entry.broken |= chain.len() < pipe.chain.len();
            entry.chain = chain.into();
            entry.unknown = unknown;
        }
    }
}

/// Settings there are; no step needs more lines, and looking back further would take a hostile file's time squared.
const SETTINGS: usize = 16;

fn too_long_list(setting: &Setting) -> DiagnosticBuilder {
    let message = format!("this makes the list longer than {} entries", crate::settings::MAX_LIST);
    let code = if matches!(setting.value, SettingValue::Allow(_)) { code::BAD_ALLOW } else { code::BAD_REQUIREMENT };
    DiagnosticBuilder::new(code, setting.span, message).hint("say it inside the steps that need it")
}
