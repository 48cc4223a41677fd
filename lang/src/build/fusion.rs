//! `[a | b]` in a pipe: steps that run as one job, and so have one language, one folder, and the same settings.

use std::collections::BTreeSet;

use bue_model::job::INLINE_LIMIT;
use bue_model::language::Engine;
use bue_model::plan::{Settings, Source, Step};
use bue_model::{StepIndex, Value, cbor};

use super::builder::Builder;
use super::definition::{FusionEntry, StepEntry, UnknownStep};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::tree::{CodeKind, Fusion, Name};

/// Longest name of a fused step, in bytes. Hubs refuse longer ones.
const MAX_NAME: usize = 1000;

/// Most steps of one job. Each calls the one before it, and the interpreter's stack is limited.
const MAX_STAGES: usize = 32;

impl<'t> Builder<'t, '_, '_> {
    /// Adds the steps in a pair of brackets, once; `None` if some of them are unknown or cannot run as one job.
    pub(super) fn define_fusion(&mut self, fusion: &'t Fusion<'_>, unknown: &mut Vec<UnknownStep>) -> Option<usize> {
        let found: Vec<Option<usize>> = fusion.stages.iter().map(|name| self.step_in_pipe(name, unknown)).collect();
        let stages: Vec<usize> = found.into_iter().collect::<Option<_>>()?;
        if let Some(diagnostic) = self.problem(fusion, &stages) {
            self.report(diagnostic);
            return None;
        }
        let next = self.fusions.len();
        let position = *self.fusion_positions.entry(stages.clone()).or_insert(next);
        if position == next {
            self.fusions.push(FusionEntry { stages, span: fusion.span, index: None });
        }
        Some(position)
    }

    /// Why these steps cannot run as one job.
    fn problem(&self, fusion: &Fusion<'_>, stages: &[usize]) -> Option<DiagnosticBuilder> {
        let steps: Option<Vec<&StepEntry<'_>>> = stages.iter().map(|stage| self.steps.get(*stage)).collect();
        let named: Vec<(&Name<'_>, &StepEntry<'_>)> = fusion.stages.iter().zip(steps?).collect();
        let too_many = |message: String| {
            DiagnosticBuilder::new(codes::INVALID_FUSION, fusion.span, message)
                .hint("write fewer steps into one pair of brackets")
        };
        if name(named.iter().map(|(_, step)| *step)).len() > MAX_NAME {
            return Some(too_many(format!("the names of these steps have more than {MAX_NAME} bytes together")));
        }
        if named.len() > MAX_STAGES {
            return Some(too_many(format!("these are {} steps, and one job has at most {MAX_STAGES}", named.len())));
        }
        let (first, others) = named.split_first()?;
        let language = || named.iter().find_map(|(name, step)| wrong_language(name, step));
        language().or_else(|| others.iter().find_map(|other| difference(first, other)))
    }

    /// The index of the fused step in the plan, which it gets when it is first used, after its stages.
    pub(super) fn use_fusion(&mut self, fusion: usize, at: Span) -> Option<StepIndex> {
        let entry = self.fusions.get(fusion)?;
        if let Some(index) = entry.index {
            return Some(index);
        }
        let (stages, span) = (entry.stages.clone(), entry.span);
        let indices: Option<Vec<StepIndex>> = stages.iter().map(|stage| self.use_step(*stage, at)).collect();
        let steps: Option<Vec<&StepEntry<'_>>> = stages.iter().map(|stage| self.steps.get(*stage)).collect();
        let steps = steps?;
        let (name, settings) = (name(steps.iter().copied()), fused_settings(&steps)?);
        self.charge_budget(at, steps.iter().map(|step| step.bytes()).sum())?;
        if settings.keywords.as_ref().is_some_and(|keywords| keywords.len() > INLINE_LIMIT) {
            let message = format!("the `!with` of these steps take more than {} KiB together", INLINE_LIMIT / 1024);
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_FUSION, span, message);
            self.report(diagnostic.hint("pass large values as arguments of the call"));
            return None;
        }
        let index = StepIndex(u32::try_from(self.plan.steps.len()).ok()?);
        let line = self.diagnostics.lines.line(span.start);
        let (source, function) = (Source::Fused(indices?), name.clone());
        let language = bue_model::Language::Python;
        self.plan.steps.push(Step { name, language, function, source, line, settings });
        self.fusions.get_mut(fusion)?.index = Some(index);
        Some(index)
    }
}

/// `a|b`, or `[a]`, which is not the step `a`.
fn name<'s>(stages: impl Iterator<Item = &'s StepEntry<'s>>) -> String {
    let names: Vec<&str> = stages.map(|step| &*step.name.text).collect();
    match &names[..] {
        [one] => format!("[{one}]"),
        names => names.join("|"),
    }
}

fn wrong_language(name: &Name<'_>, step: &StepEntry<'_>) -> Option<DiagnosticBuilder> {
    let language = step.language.filter(|language| language.engine() != Engine::Python)?;
    let message = format!("`{}` is a {} step, but only Python steps can run as one job", name.text, language.name());
    let diagnostic = DiagnosticBuilder::new(codes::INVALID_FUSION, name.span, message);
    Some(diagnostic.hint(format!("write it outside the brackets: `p = [a | b] | {}`", name.text)))
}

/// What two steps do not share that the steps of one job must share.
fn difference(
    (first_name, first): &(&Name<'_>, &StepEntry<'_>),
    (name, step): &(&Name<'_>, &StepEntry<'_>),
) -> Option<DiagnosticBuilder> {
    let refuse = |message: String| {
        DiagnosticBuilder::new(codes::INVALID_FUSION, name.span, message)
            .label_at(first_name.span, "they run as one job with this step")
    };
    let (folder, first_folder) = (folder(step)?, folder(first)?);
    if folder != first_folder {
        let shown = |folder: &str| {
            if folder.is_empty() { "the folder of the script".to_owned() } else { format!("`{folder}`") }
        };
        let message = format!(
            "the code of `{}` is in {}, and that of `{}` in {}",
            name.text,
            shown(&folder),
            first_name.text,
            shown(&first_folder)
        );
        return Some(
            refuse(message).hint("steps in brackets import the same modules: move their files into one folder"),
        );
    }
    let setting = different_setting(&first.all_settings(), &step.all_settings())?;
    let message = format!("`{}` and `{}` have different `{setting}`", first_name.text, name.text);
    Some(refuse(message).hint(format!("write `{setting}` once, above both steps, or the same into both")))
}

/// The folder of a step's code, relative to that of the script.
fn folder(step: &StepEntry<'_>) -> Option<String> {
    let CodeKind::Path(path) = step.code?.kind else { return Some(String::new()) };
    let mut parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.pop();
    let root = if path.starts_with('/') { "/" } else { "" };
    Some(root.to_owned() + &parts.join("/"))
}

/// The name of a setting that is not the same. `!allow`, `!files` and `!with` may differ.
fn different_setting(one: &Settings, other: &Settings) -> Option<&'static str> {
    let requires = |settings: &Settings| settings.requires.iter().cloned().collect::<BTreeSet<String>>();
    let timeouts = |settings: &Settings| (settings.timeout_ms(), settings.soft_timeout_ms);
    let same = [
        ("!scope", one.scope == other.scope),
        ("!requires", requires(one) == requires(other)),
        ("!priority", one.priority == other.priority),
        ("!timeout", timeouts(one) == timeouts(other)),
        ("!retries", (one.retries, one.retry_delay_ms) == (other.retries, other.retry_delay_ms)),
        ("!every", one.every_ms == other.every_ms),
        ("!for", one.pending_limit_ms == other.pending_limit_ms),
        ("!max_handbacks", one.max_handbacks == other.max_handbacks),
        ("!expires", one.expires_ms == other.expires_ms),
        ("!on_failure", one.on_failure == other.on_failure),
        ("!rate", one.rate == other.rate),
        ("!at_most", one.at_most == other.at_most),
    ];
    same.into_iter().find(|(_, same)| !same).map(|(name, _)| name)
}

/// The settings that all stages share. Permissions and files add up; the keyword arguments are a map by position.
fn fused_settings(stages: &[&StepEntry<'_>]) -> Option<Settings> {
    let all: Vec<Settings> = stages.iter().map(|stage| stage.all_settings()).collect();
    let mut fused = all.first()?.clone();
    for settings in all.iter().skip(1) {
        add_missing(&mut fused.allow, &settings.allow);
        add_missing(&mut fused.files, &settings.files);
    }
    let keywords: Vec<(Value, Value)> = all
        .iter()
        .enumerate()
        .filter_map(|(at, settings)| {
            let keywords = cbor::decode(settings.keywords.as_ref()?).ok()?;
            Some((Value::Text(at.to_string()), keywords))
        })
        .collect();
    fused.keywords = if keywords.is_empty() { None } else { Some(cbor::encode(&Value::Map(keywords)).into()) };
    Some(fused)
}

fn add_missing<T: Clone + PartialEq>(all: &mut Vec<T>, others: &[T]) {
    for other in others {
        if !all.contains(other) {
            all.push(other.clone());
        }
    }
}
