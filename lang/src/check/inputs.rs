//! Whether each job gets as many inputs as its function takes.

use std::collections::HashSet;

use bue_model::{JobNode, Node, Plan, StepIndex};

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
    let mut steps: Vec<Option<(&StepLocation, &Function)>> = vec![None; plan.steps.len()];
    for step in &source_map.steps {
        let function = modules.get(step.code).and_then(Option::as_ref).map(|module| module.lookup(&step.function));
        if let (Some(Lookup::Found(function)), Some(StepIndex(index))) = (function, step.index)
            && let Some(slot) = steps.get_mut(index as usize)
        {
            *slot = Some((step, function));
        }
    }
    let mut reported = HashSet::new();
    each_job(&plan.nodes, &mut |job| {
        let Some(Some((step, function))) = steps.get(job.step.get()) else { return };
        let given = u32::try_from(job.inputs.len()).unwrap_or(u32::MAX);
        let fits = given >= function.min_inputs && function.max_inputs.is_none_or(|most| given <= most);
        if !fits && reported.insert((job.step, given)) {
            diagnostics.add(wrong_inputs(job, step, function, given, source_map));
        }
    });
}

fn each_job(nodes: &[Node], visit: &mut impl FnMut(&JobNode)) {
    for node in nodes {
        match node {
            Node::Job(job) => visit(job),
            Node::ForEach(for_each) => each_job(&for_each.body, visit),
        }
    }
}

fn wrong_inputs(
    job: &JobNode,
    step: &StepLocation,
    function: &Function,
    given: u32,
    source_map: &SourceMap,
) -> DiagnosticBuilder {
    let message = format!("step `{}` gets {} but takes {}", step.name, inputs(given), takes(function));
    let call = source_map.calls.get(job.call.0 as usize).copied().unwrap_or(step.function_span);
    DiagnosticBuilder::new(codes::WRONG_INPUTS, call, message)
        .label("in this call")
        .label_at(step.function_span, format!("`{}` is its function", step.function))
        .hint("the first step of a pipe gets the arguments of the call, each further step the result of the step before it")
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
