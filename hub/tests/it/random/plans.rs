//! Random plans: calls, loops, nested loops, gathered lists, handlers, and blocks for the end.

use bue_model::{Input, NodeId, Plan};
use bytes::Bytes;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop, prop_oneof};

use crate::script::Script;

/// Returns the retries of a node's jobs: one for every third node.
pub(super) fn retries(node: u32) -> u32 {
    u32::from(node.is_multiple_of(3))
}

/// Steps of a long pipe, whose block is not read as a whole.
const LONG: usize = 70;

/// A part of a plan, or of a loop's body. Numbers choose among the values that are visible there.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// A call of this many steps.
    Call {
        len: usize,
        uses: Vec<usize>,
        /// Whether its jobs have handlers.
        handled: bool,
    },
    /// Over the list of an earlier loop, or of a separate call.
    Loop { over: usize, uses: Vec<usize>, body: Vec<Part>, gathers: bool },
}

/// Up to this many parts, with loops nested up to this depth.
pub(super) fn parts(most: usize, depth: u32) -> impl Strategy<Value = Vec<Part>> {
    prop::collection::vec(part(depth), 1..=most)
}

fn part(depth: u32) -> BoxedStrategy<Part> {
    let uses = || prop::collection::vec(any::<usize>(), 0..4);
    let len = prop_oneof![60 => 1..4_usize, 1 => Just(LONG)];
    let handled = prop::bool::weighted(0.4);
    let call = (len, uses(), handled).prop_map(|(len, uses, handled)| Part::Call { len, uses, handled });
    if depth == 0 {
        return call.boxed();
    }
    let body = prop::collection::vec(part(depth - 1), 1..4);
    let each = (any::<usize>(), uses(), body, any::<bool>()).prop_map(|(over, uses, body, gathers)| Part::Loop {
        over,
        uses,
        body,
        gathers,
    });
    prop_oneof![3 => call, 3 => each].boxed()
}

/// Returns the plan. Every job has a step named after its node.
pub(super) fn write(parts: &[Part], finally: Option<&[Part]>) -> Plan {
    let mut script = Script::new();
    let fixed = [Input::Literal(Bytes::from_static(b"fixed"))];
    write_block(&mut script, parts, &fixed, None);
    if let Some(parts) = finally {
        script.finally(|script, run| write_block(script, parts, &fixed, Some(&run)));
    }
    let mut plan = script.plan();
    for step in &mut plan.steps {
        step.settings.retries = retries(number_of(&step.name));
    }
    plan
}

/// Returns the node that a step is named after.
pub(super) fn number_of(step: &str) -> u32 {
    step[1..].parse().expect("a number")
}

/// The last job of the block. In a loop, the first argument of every call is the element, which identifies the round.
fn write_block(script: &mut Script, parts: &[Part], around: &[Input], element: Option<&Input>) -> NodeId {
    let (mut known, mut sources, mut last) = (around.to_vec(), Vec::new(), NodeId(0));
    for part in parts {
        let (Part::Call { uses, .. } | Part::Loop { uses, .. }) = part;
        let inputs: Vec<Input> = element.cloned().into_iter().chain(choose(&known, uses)).collect();
        match part {
            Part::Call { len, handled, .. } => {
                last = script.call_of(*len, &inputs);
                for node in (0..=last.0).rev().take(*len).filter(|_| *handled) {
                    script.on_failure_of(NodeId(node));
                }
                known.push(Input::Node(last));
            }
            Part::Loop { over, body, gathers, .. } => {
                let source = sources.get(over % (sources.len() + 1)).copied().unwrap_or_else(|| {
                    last = script.call_of(1, &inputs);
                    sources.push(last);
                    known.push(Input::Node(last));
                    last
                });
                let around: Vec<Input> = known.iter().chain(element).cloned().collect();
                let write_body = |script: &mut Script, x| write_block(script, body, &around, Some(&x));
                if *gathers {
                    known.push(script.gather_of(source, write_body));
                } else {
                    script.each(source, write_body);
                }
            }
        }
    }
    last
}

fn choose(known: &[Input], uses: &[usize]) -> Vec<Input> {
    uses.iter().filter_map(|use_| known.get(use_ % known.len().max(1)).cloned()).collect()
}
