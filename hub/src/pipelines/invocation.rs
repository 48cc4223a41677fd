//! Plans with and without values for their parameters.

use bue_model::{Input, Node, Plan, cbor};
use bytes::Bytes;

/// Returns whether the plan uses a parameter that it does not declare.
pub(crate) fn uses_undeclared(plan: &Plan) -> bool {
    any_input(&plan.nodes, &|input| match input {
        Input::Param(index) => index.get() >= plan.params.len(),
        _ => false,
    })
}

fn any_input(nodes: &[Node], check: &impl Fn(&Input) -> bool) -> bool {
    nodes.iter().any(|node| match node {
        Node::Job(job) => job.inputs.iter().any(check),
        Node::ForEach(for_each) => any_input(&for_each.body, check),
    })
}

/// Returns the plan with null in the places of its parameters, to check everything else about it.
pub(crate) fn with_placeholders(mut plan: Plan) -> Plan {
    let null: Bytes = cbor::encode(&bue_model::Value::Null).into();
    plan.params.clear();
    fill(&mut plan.nodes, &null);
    plan
}

fn fill(nodes: &mut [Node], value: &Bytes) {
    for node in nodes {
        match node {
            Node::Job(job) => {
                for input in &mut job.inputs {
                    if matches!(input, Input::Param(_)) {
                        *input = Input::Literal(value.clone());
                    }
                }
            }
            Node::ForEach(for_each) => fill(&mut for_each.body, value),
        }
    }
}

/// Returns the plan with a higher priority for all of its steps.
pub(crate) fn with_priority(mut plan: Plan, priority: i64) -> Plan {
    for step in &mut plan.steps {
        step.settings.priority = step.settings.priority.saturating_add(priority);
    }
    plan
}
