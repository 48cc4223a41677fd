//! Whether each job gets the arguments that its function takes.

use std::collections::HashSet;

use bue_model::plan::Source;
use bue_model::{Input, JobNode, Node, Plan, StepIndex};

use super::checked_step::CheckedStep;
use super::keywords;
use crate::build::source_map::{SourceMap, StepLocation};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::list::Diagnostics;
use crate::python::{Function, Lookup, Module};

/// Reports each step and number of inputs once.
pub(super) fn check(
    plan: &Plan,
    source_map: &SourceMap,
    modules: &[Option<Module>],
    diagnostics: &mut Diagnostics<'_>,
) {
    let mut steps: Vec<Option<CheckedStep<'_>>> = plan.steps.iter().map(|_| None).collect();
    for location in &source_map.steps {
        let function =
            modules.get(location.code).and_then(Option::as_ref).map(|module| module.lookup(&location.function));
        if let (Some(Lookup::Found(function)), Some(StepIndex(index))) = (function, location.index)
            && let (Some(slot), Some(step)) = (steps.get_mut(index as usize), plan.steps.get(index as usize))
        {
            let step = CheckedStep { location, function, keywords: keywords::names(step) };
            keywords::unknown(&step).for_each(|diagnostic| diagnostics.add(diagnostic));
            *slot = Some(step);
        }
    }
    let mut reported = HashSet::new();
    each_job(&plan.nodes, &mut |job| {
        let given = u32::try_from(job.inputs.len()).unwrap_or(u32::MAX);
        for (index, given) in executed(plan, job.step, given) {
            let Some(Some(step)) = steps.get(index.get()) else { continue };
            let problem = wrong_inputs(step, given).or_else(|| given_twice(step, given));
            if let Some((code, message)) = problem.filter(|_| reported.insert((index, given))) {
                diagnostics.add(at_call(job, step.location, source_map, code, message));
            }
        }
    });
}

/// The steps that a job executes, each with its number of inputs: its step, or the stages of a fused one, of which all but the first
/// get what the one before yields.
fn executed(plan: &Plan, step: StepIndex, given: u32) -> Vec<(StepIndex, u32)> {
    match plan.steps.get(step.get()).map(|step| &step.source) {
        Some(Source::Fused(stages)) => {
            let inputs = core::iter::once(given).chain(core::iter::repeat(1));
            stages.iter().copied().zip(inputs).collect()
        }
        _ => vec![(step, given)],
    }
}

fn each_job(nodes: &[Node], visit: &mut impl FnMut(&JobNode)) {
    for node in nodes {
        match node {
            Node::Job(job) => visit(job),
            Node::ForEach(for_each) => each_job(&for_each.body, visit),
            Node::Finally(finally) => each_job(&finally.body, visit),
        }
    }
}

fn wrong_inputs(step: &CheckedStep<'_>, given: u32) -> Option<(&'static str, String)> {
    let CheckedStep { location, function, keywords } = step;
    let fits = keywords::has_all(function, keywords, given) && function.max_inputs.is_none_or(|most| given <= most);
    let message = || format!("step `{}` gets {} but takes {}", location.name, inputs(given), takes(function));
    (!fits).then(|| (codes::WRONG_INPUTS, message()))
}

fn given_twice(step: &CheckedStep<'_>, given: u32) -> Option<(&'static str, String)> {
    let name = keywords::given_twice(step.function, &step.keywords, given)?;
    let message = format!("step `{}` gets `{name}` as an input and from its `!with`", step.location.name);
    Some((codes::INVALID_KEYWORDS, message))
}

fn at_call(
    job: &JobNode,
    step: &StepLocation,
    source_map: &SourceMap,
    code: &'static str,
    message: String,
) -> DiagnosticBuilder {
    const PIPE: &str =
        "the first step of a pipe gets the arguments of the call, each further step the result of the step before it";
    const HANDLER: &str =
        "`!on_failure` calls it with one input, the failure: a dict with run, job, step, error and attempts";
    let is_handler = matches!(job.inputs.as_slice(), [Input::Failure(_)]);
    let call = source_map.calls.get(job.call.0 as usize).copied().unwrap_or(step.function_span);
    DiagnosticBuilder::new(code, call, message)
        .label(if is_handler { "if a step of this call fails" } else { "in this call" })
        .label_at(step.function_span, format!("`{}` is its function", step.function))
        .hint(if is_handler { HANDLER } else { PIPE })
}

fn inputs(count: u32) -> String {
    match count {
        0 => "no input".into(),
        1 => "1 input".into(),
        count => format!("{count} inputs"),
    }
}

fn takes(function: &Function) -> String {
    match (function.min_inputs, function.max_inputs) {
        (0, Some(0)) => "none".into(),
        (min, Some(max)) if min == max => min.to_string(),
        (min, Some(max)) => format!("{min} to {max}"),
        (min, None) => format!("at least {min}"),
    }
}
