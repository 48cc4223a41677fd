//! SQL steps: a fresh in-memory database each.
//!
//! ```text
//! inputs --rows.rs--> tables     text --script.rs--> statements     last one's rows --output.rs--> CBOR
//!                     guard.rs: what the statements may do      heap.rs: how much memory they may take
//! ```
//! SQLite has no way to wait in the middle of a statement, so each step has a thread of a small pool. It stops within a
//! thousand instructions of SQLite's machine when its time is over or nobody waits for it any more.

mod failure;
mod guard;
mod heap;
mod output;
mod rows;
mod script;
mod syntax;

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use bue_model::job::Hints;
use bue_model::{Answer, Bundle, Failure, FailureKind};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use crate::sql::SqlText;
use crate::step::failure as step_failure;
use crate::step::limits::Limits;
use crate::step::task::{Items, Placeholders, Task};

pub use syntax::{SqlProblem, check_sql};

/// SQL steps that run at once in one sandbox host. More wait their turn: they compute, and there is one core a host.
const AT_ONCE: usize = 4;

/// Runs SQL steps on threads.
pub(crate) struct Pool {
    turns: Semaphore,
}

impl Default for Pool {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE) }
    }
}

/// One SQL step.
struct SqlStep {
    bundle: Arc<Bundle>,
    table: String,
    placeholders: Placeholders,
    inputs: Vec<Bytes>,
    limits: Limits,
    deadline: Option<Instant>,
    /// Nobody waits for it any more.
    abandoned: Arc<AtomicBool>,
    /// Takes the rows if a loop runs over them.
    items: Option<mpsc::Sender<Items>>,
}

impl Pool {
    pub(crate) async fn run(
        &self,
        task: &Task,
        bundle: &Arc<Bundle>,
        table: &str,
        placeholders: &Placeholders,
        items: mpsc::Sender<Items>,
    ) -> Answer {
        // never closed, so there is always a turn to be had
        let _turn = self.turns.acquire().await;
        let abandoned = Abandon::default();
        let step = SqlStep {
            bundle: Arc::clone(bundle),
            table: table.to_owned(),
            placeholders: placeholders.clone(),
            inputs: task.inputs.clone(),
            limits: task.limits.clone(),
            // time in the queue is not the step's
            deadline: Instant::now().checked_add(task.limits.time),
            abandoned: Arc::clone(&abandoned.0),
            items: task.loop_text.as_ref().map(|_| items),
        };
        let thread = tokio::task::spawn_blocking(move || step.run());
        match tokio::time::timeout(task.limits.time, thread).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                Answer::Failed(Failure::new(FailureKind::Internal, format!("The SQL step's thread ended: {error}")))
            }
            Err(_) => Answer::Failed(step_failure::of_timeout(&task.limits)),
        }
    }
}

/// Tells a thread that nobody waits for it any more.
#[derive(Default)]
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl SqlStep {
    fn run(self) -> Answer {
        match self.result() {
            Ok(value) => Answer::Completed { value, streamed: self.items.is_some(), hints: Hints::default() },
            Err(failure) => Answer::Failed(failure),
        }
    }

    fn result(&self) -> Result<Bytes, Failure> {
        let _budget = heap::Budget::of_this_thread(self.limits.memory_bytes)?;
        let script = script::Script(SqlText::new(&self.bundle, &self.placeholders)?);
        let guard = guard::Guard::new(self);
        let mut connection = guard.open(&self.limits)?;
        let tables = rows::fill(&connection, &self.table, &self.inputs).map_err(|failed| failed.failure(&guard))?;
        guard.lock(&mut connection)?;
        let mut output = output::Output::new(&self.limits, self.items.clone());
        script.run(&connection, &mut output).map_err(|failed| failed.failure(&script, &tables, &guard))?;
        output.finish()
    }

    /// Must it stop?
    fn is_over(&self) -> bool {
        is_over(&self.abandoned, self.deadline)
    }
}

fn is_over(abandoned: &AtomicBool, deadline: Option<Instant>) -> bool {
    abandoned.load(Ordering::Relaxed) || deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
