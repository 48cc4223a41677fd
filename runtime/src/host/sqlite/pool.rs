//! Runs SQL steps, each on a thread of a small pool.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use bue_model::job::Hints;
use bue_model::{Answer, Bundle, Failure, FailureKind};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use super::guard::Guard;
use super::heap::Budget;
use super::output::Output;
use super::rows;
use super::script::Script;
use super::step::SqlStep;
use crate::sql::text::SqlText;
use crate::step::failure as step_failure;
use crate::step::task::{Items, Placeholders, Task};

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
            Err(_) => Answer::Failed(step_failure::timed_out(&task.limits)),
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
        let _budget = Budget::of_this_thread(self.limits.memory_bytes)?;
        let script = Script(SqlText::new(&self.bundle, &self.placeholders)?);
        let guard = Guard::new(self);
        let mut connection = guard.open(&self.limits)?;
        let tables = rows::fill(&connection, &self.table, &self.inputs).map_err(|failed| failed.failure(&guard))?;
        guard.lock(&mut connection)?;
        let mut output = Output::new(&self.limits, self.items.clone());
        script.run(&connection, &mut output).map_err(|failed| failed.failure(&script, &tables, &guard))?;
        output.finish()
    }
}
