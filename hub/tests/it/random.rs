//! Random requests on random plans, compared with a small model.

mod events;
mod model;
mod model_test;
mod plans;
mod reruns;

use std::path::PathBuf;
use std::sync::Arc;

use bue_hub::{Durability, JobStore, SqliteStore};
use futures_util::FutureExt;
use proptest::prelude::{Just, Strategy, prop, prop_oneof};
use tokio::runtime::Runtime;

use events::{Event, events};
use model_test::ModelTest;
pub(crate) use model_test::StoreFactory;
use plans::{Part, parts};
pub(crate) use reruns::play_reruns;

/// Everything random in one case: the plan, its `finally` block, the lengths of the lists that jobs return, the events, and how
/// often the run is cancelled then.
type Case = (Vec<Part>, Option<Vec<Part>>, Vec<u32>, Vec<Event>, u32);

async fn check_case(open: StoreFactory, (parts, finally, lists, events, cancellations): Case) {
    let mut test = ModelTest::new(open, plans::write(&parts, finally.as_deref()), lists).await;
    for event in &events {
        test.play(event).await;
        if !test.is_long {
            test.compare().await;
        }
    }
    for _ in 0..cancellations {
        test.cancel_run().await;
    }
    test.finish().await;
    // what failed or was cancelled can be reset, whatever happened before
    test.reset_run().await;
    test.finish().await;
    assert!(test.model.resettable().is_empty() && !test.model.was_cancelled());
}

/// Plays this many cases, each on a new store.
fn play_all(runtime: &Runtime, cases: u32, open: impl Fn() -> StoreFactory, strategy: impl Strategy<Value = Case>) {
    let mut runner = crate::proptest_runner::runner(cases);
    let played = runner.run(&strategy, |case| {
        runtime.block_on(check_case(open(), case));
        Ok(())
    });
    played.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Small runs with many events.
pub(crate) fn play(runtime: &Runtime, cases: u32, open: impl Fn() -> StoreFactory) {
    let lists = prop::collection::vec(0..4_u32, 1..6);
    let finally = prop::option::weighted(0.3, parts(3, 1));
    let cancellations = prop_oneof![8 => Just(0_u32), 1 => Just(1), 1 => Just(2)];
    play_all(runtime, cases, open, (parts(5, 2), finally, lists, events(150), cancellations));
}

/// Lists so long that their rounds are not instantiated at once.
pub(crate) fn play_long(runtime: &Runtime, cases: u32, open: impl Fn() -> StoreFactory) {
    let lists = prop::collection::vec(0..3_000_u32, 1..4);
    let finally = prop::option::weighted(0.3, parts(2, 1));
    play_all(runtime, cases, open, (parts(3, 1), finally, lists, events(40), 0..2_u32));
}

fn sqlite() -> StoreFactory {
    let folder = tempfile::tempdir().expect("a folder");
    Box::new(move || {
        let path: PathBuf = folder.path().join("hub.db");
        let open =
            move || -> Arc<dyn JobStore> { Arc::new(SqliteStore::open(&path, Durability::Off).expect("a store")) };
        futures_util::future::lazy(move |_| open()).boxed()
    })
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn whatever_happens_no_job_is_lost_and_none_is_done_twice() {
    play(&runtime(), 120, sqlite);
}

#[test]
fn whatever_happens_while_rounds_are_instantiated_none_is_lost() {
    play_long(&runtime(), 2, sqlite);
}

#[test]
fn whatever_is_reused_the_results_are_those_of_a_run_from_the_beginning() {
    play_reruns(&runtime(), 150, sqlite);
}
