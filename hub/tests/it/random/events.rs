//! Events that happen to a run.

use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};

use super::model_test::LEASE;

/// An event. Numbers choose among the jobs, leases or reports that exist.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Lease(u32),
    /// One batch.
    Report(Vec<(usize, Answer)>),
    /// So many elements of a list whose job goes on; or of one that ended.
    Piece(usize, u32),
    Heartbeat(usize),
    Wait(i64),
    Reap,
    CancelJob(usize),
    ResetJob(usize),
    ResetRun,
    CancelRun,
    Restart,
}

/// What is reported about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Complete,
    Fail,
    Pending,
    Reset,
    Cancel,
    Release,
    /// An old report, sent again.
    Again,
}

pub(super) fn events(most: usize) -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 0..most)
}

fn event() -> impl Strategy<Value = Event> {
    let which = any::<usize>;
    prop_oneof![
        6 => (1..6_u32).prop_map(Event::Lease),
        12 => prop::collection::vec((which(), answer()), 1..2).prop_map(Event::Report),
        4 => prop::collection::vec((which(), answer()), 2..6).prop_map(Event::Report),
        5 => (which(), 0..5_u32).prop_map(|(which, count)| Event::Piece(which, count)),
        2 => which().prop_map(Event::Heartbeat),
        2 => (0..LEASE).prop_map(Event::Wait),
        2 => Just(Event::Reap),
        2 => which().prop_map(Event::CancelJob),
        2 => which().prop_map(Event::ResetJob),
        2 => Just(Event::ResetRun),
        1 => Just(Event::CancelRun),
        1 => Just(Event::Restart),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        10 => Just(Answer::Complete),
        4 => Just(Answer::Fail),
        1 => Just(Answer::Pending),
        2 => Just(Answer::Reset),
        2 => Just(Answer::Cancel),
        2 => Just(Answer::Release),
        2 => Just(Answer::Again),
    ]
}
