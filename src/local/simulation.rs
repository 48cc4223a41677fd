//! [`RunSimulation`]: the simulated time of a local run, with its limit; and what cannot be simulated.

use std::collections::BTreeSet;
use std::time::Duration;

use bue_hub::Simulation;
use bue_model::plan::{Capability, Step};
use bue_model::{JobId, Language, Plan, Timestamp};
use bue_runtime::SimulatedTime;
use tokio::sync::watch;

/// A pinned future, as the trait wants it.
type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// A clock that advances until a limit.
#[derive(Debug)]
pub(crate) struct RunSimulation {
    time: SimulatedTime,
    start: Timestamp,
    end: Timestamp,
    is_over: watch::Sender<bool>,
}

impl RunSimulation {
    /// Creates a clock that shows `start`, and advances at most so far.
    pub(crate) fn new(start: Timestamp, limit: Duration) -> Self {
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let (end, is_over) = (start.plus_ms(limit), watch::Sender::new(false));
        Self { time: SimulatedTime::starting_at(start), start, end, is_over }
    }

    /// Returns the clock.
    pub(crate) const fn time(&self) -> &SimulatedTime {
        &self.time
    }

    /// Returns when it began.
    pub(crate) const fn start(&self) -> Timestamp {
        self.start
    }

    /// Returns when the limit is reached.
    pub(crate) async fn over(&self) {
        // the sender is here
        let _ = self.is_over.subscribe().wait_for(|is_over| *is_over).await;
    }
}

impl Simulation for RunSimulation {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn sleeping_jobs(&self) -> BTreeSet<JobId> {
        self.time.sleeping_jobs().into_iter().map(JobId).collect()
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.time.next_wake()
    }

    fn advance_to(&self, time: Timestamp) {
        match time > self.end {
            true => drop(self.is_over.send_replace(true)),
            false => self.time.advance_to(time),
        }
    }

    fn changed(&self) -> BoxFuture<()> {
        let mut changes = self.time.subscribe();
        Box::pin(async move {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Returns why a script cannot run in simulated time.
pub(crate) fn cannot_be_simulated(plan: &Plan) -> Option<String> {
    plan.steps
        .iter()
        .find_map(|step| Some(format!("step `{}` cannot run in simulated time: {}", step.name, reason(step)?)))
}

fn reason(step: &Step) -> Option<&'static str> {
    let settings = &step.settings;
    if step.language == Language::Postgres {
        return Some("a PostgreSQL server has a clock of its own; test what reads its result with `run_step`");
    }
    if step.language.is_compiled() {
        return Some("compiled steps read the machine's clock; test it by itself, with `bue try`");
    }
    if settings.soft_timeout_ms.is_some() {
        return Some("its soft time limit counts real time; remove `soft` from its `!timeout` in a copy of the script");
    }
    if settings.allow.iter().any(|capability| matches!(capability, Capability::Tcp(_))) {
        return Some("TCP connections (`!allow tcp`) go to real servers, which have clocks of their own");
    }
    None
}
