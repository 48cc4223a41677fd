//! Random reruns: whatever is reused, the results are those of a run in which everything ran.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use bue_hub::Rerun;
use bue_model::job::Hints;
use bue_model::wire::{Gathered, JobInput};
use bue_model::{Chunk, Outcome, Plan, RunId, RunState, Value, ValueRef, cbor};
use proptest::prelude::{any, prop};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::StoreFactory;
use super::plans::{self, Part, parts};
use crate::script::submission;
use crate::world::{LeasedJob, World, completed, failed, text_of};

/// A plan, which of its steps have changed, and whether all that depends on them runs anew.
type Case = (Vec<Part>, Vec<usize>, bool);

/// Longer than any wait before a retry.
const LONG_WAIT: i64 = 400_000;

/// Plays this many cases, each on a new store: a run, then some steps change, then a rerun, beside a run from the beginning.
pub(crate) fn play_reruns(runtime: &Runtime, cases: u32, open: impl Fn() -> StoreFactory) {
    let reused = AtomicU64::new(0);
    let strategy = (parts(5, 2), prop::collection::vec(any::<usize>(), 0..3), any::<bool>());
    let mut runner = crate::proptest_runner::runner(cases);
    let played = runner.run(&strategy, |case| {
        reused.fetch_add(runtime.block_on(check_case(open(), case)), Ordering::Relaxed);
        Ok(())
    });
    played.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(reused.into_inner() > u64::from(cases), "next to nothing was reused");
}

/// Returns how many jobs were reused.
async fn check_case(open: StoreFactory, (parts, changed, all): Case) -> u64 {
    let mut world = World::new(open().await);
    let plan = plans::write(&parts, None);
    let steps = changed.iter().map(|which| plan.steps[which % plan.steps.len()].name.clone());
    let changed: BTreeSet<String> = steps.collect();
    let first = run(&mut world, 1, &plan, &BTreeSet::new()).await;
    let names: Vec<String> = changed.iter().cloned().collect();
    let (from, only) = if all { (names, Vec::new()) } else { (Vec::new(), names) };
    let again = rerun(&mut world, (first, 2), (from, only), &changed).await;
    let fresh = run(&mut world, 3, &plan, &changed).await;
    expect_same(&world, again, fresh).await;
    // what ran is reused in turn, also where it failed before
    let third = rerun(&mut world, (again, 4), Default::default(), &changed).await;
    expect_same(&world, third, fresh).await;
    let view = world.view(third).await;
    view.steps.iter().map(|step| step.reused).sum()
}

async fn run(world: &mut World, number: u128, plan: &Plan, changed: &BTreeSet<String>) -> RunId {
    let run = world.store.submit(world.time(), submission(number, plan.clone())).await.expect("a run");
    finish(world, run, changed).await;
    run
}

async fn rerun(
    world: &mut World,
    (original, number): (RunId, u128),
    (from, only): (Vec<String>, Vec<String>),
    changed: &BTreeSet<String>,
) -> RunId {
    let (params, replace) = Default::default();
    let rerun = Rerun { run: RunId(Uuid::from_u128(number)), original, from, only, params, replace };
    let run = world.store.rerun(world.time(), rerun).await.expect("a run").run;
    finish(world, run, changed).await;
    run
}

/// Runs everything, until the run has ended.
async fn finish(world: &mut World, run: RunId, changed: &BTreeSet<String>) {
    for _ in 0..100 {
        world.run_all(|held| answer(held, changed)).await;
        if world.state(run).await != RunState::Running {
            return;
        }
        world.now += LONG_WAIT;
    }
    panic!("the run does not end");
}

async fn expect_same(world: &World, run: RunId, fresh: RunId) {
    assert_eq!(world.results(run).await, world.results(fresh).await);
    assert_eq!(world.missing(run).await, world.missing(fresh).await);
    assert_eq!(world.state(run).await, world.state(fresh).await);
}

/// An outcome that depends on the step, on whether it has changed, and on the arguments. There are few different results, so that
/// some are the same although the step or its arguments are not.
fn answer(held: &LeasedJob, changed: &BTreeSet<String>) -> Outcome {
    let arguments: Vec<String> = held.lease.inputs.iter().map(argument).collect();
    if arguments.iter().any(|argument| argument.contains("error")) {
        // a handler, which gets the failure of a job with a number of its own
        return completed("handled");
    }
    let changes = changed.contains(held.name());
    let inputs = format!("{} {changes} {} {:?}", held.name(), arguments.join(" "), held.lease.env);
    let hash = blake3::hash(inputs.as_bytes());
    let [kind, value, ..] = *hash.as_bytes();
    match kind {
        0..16 => failed("no"),
        16..32 => Outcome::Cancelled,
        _ if held.step.loop_text.is_some() => list(value),
        _ => {
            let env = (kind < 64).then(|| vec![value % 2].into());
            Outcome::Completed {
                value: ValueRef::Inline(vec![b'a' + value % 3].into()),
                hints: Hints { env, ..Hints::default() },
            }
        }
    }
}

/// A list of up to three elements of three, each in one of several orders.
fn list(value: u8) -> Outcome {
    let elements = (0..value % 4).map(|at| Value::Int(i64::from((value >> (2 * at)) % 3)));
    let elements: Vec<Value> = elements.collect();
    let count = elements.len() as u32;
    let chunk = Chunk { count, value: Box::new(ValueRef::Inline(cbor::encode(&Value::List(elements)).into())) };
    let chunks = if count == 0 { Vec::new() } else { vec![chunk] };
    Outcome::Completed { value: ValueRef::List(chunks), hints: Hints::default() }
}

fn argument(input: &JobInput) -> String {
    match input {
        JobInput::Value(ValueRef::List(chunks)) => format!("{chunks:?}"),
        JobInput::Value(value) => text_of(value),
        JobInput::Element { chunk, index } => {
            let ValueRef::Inline(bytes) = &*chunk.value else { panic!("a short list") };
            let Ok(Value::List(mut elements)) = cbor::decode(bytes) else { panic!("a list") };
            format!("{:?}", elements.swap_remove(*index as usize))
        }
        JobInput::Part { .. } => panic!("no zip in these scripts"),
        JobInput::Gathered(values) => {
            let texts = values.iter().map(|value| match value {
                Gathered::Value(value) => argument(&JobInput::Value(value.clone())),
                Gathered::Nothing => "-".to_owned(),
            });
            format!("[{}]", texts.collect::<Vec<_>>().join(" "))
        }
    }
}
