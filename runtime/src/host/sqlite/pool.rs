//! Runs SQL steps, each on a thread of a small pool.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use bue_model::job::Hints;
use bue_model::{Answer, Bundle, Failure, FailureKind};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use super::authorizer::Authorizer;
use super::heap::Budget;
use super::output::Output;
use super::rows;
use super::script::Script;
use super::step::SqlStep;
use crate::sql::text::SqlText;
use crate::step::failure as step_failure;
use crate::step::task::{Items, Placeholders, Task};

/// Maximum number of SQL steps that run concurrently in one sandbox host. More wait, because they compute and there is one
/// core per host.
const MAX_CONCURRENT: usize = 4;

/// Executes SQL steps on threads.
pub(crate) struct Pool {
    permits: Semaphore,
}

impl Default for Pool {
    fn default() -> Self {
        Self { permits: Semaphore::new(MAX_CONCURRENT) }
    }
}

impl Pool {
    pub(crate) async fn execute(
        &self,
        task: &Task,
        bundle: &Arc<Bundle>,
        table: &str,
        placeholders: &Placeholders,
        items: mpsc::Sender<Items>,
    ) -> Answer {
        // the semaphore is never closed, so this cannot fail
        let _permit = self.permits.acquire().await;
        let cancel = CancelOnDrop::default();
        let step = SqlStep {
            bundle: Arc::clone(bundle),
            table: table.to_owned(),
            placeholders: placeholders.clone(),
            inputs: task.inputs.clone(),
            limits: task.limits.clone(),
            // the time in the queue does not count
            deadline: Instant::now().checked_add(task.limits.time),
            is_cancelled: Arc::clone(&cancel.0),
            items: task.loop_text.as_ref().map(|_| items),
        };
        let thread = tokio::task::spawn_blocking(move || step.execute());
        match tokio::time::timeout(task.limits.time, thread).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                Answer::Failed(Failure::new(FailureKind::Internal, format!("The SQL step's thread crashed: {error}")))
            }
            Err(_) => Answer::Failed(step_failure::timed_out(&task.limits)),
        }
    }
}

/// Cancels the step on its thread when the future that waits for it is dropped.
#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl SqlStep {
    fn execute(self) -> Answer {
        match self.result() {
            Ok(value) => Answer::Completed { value, streamed: self.items.is_some(), hints: Hints::default() },
            Err(failure) => Answer::Failed(failure),
        }
    }

    fn result(&self) -> Result<Bytes, Failure> {
        let _budget = Budget::for_this_thread(self.limits.memory_bytes)?;
        let sql = SqlText::new(&self.bundle, &self.placeholders)?;
        let authorizer = Authorizer::new(self);
        let mut connection = authorizer.open(&self.limits)?;
        let tables =
            rows::fill(&connection, &self.table, &self.inputs).map_err(|error| error.into_failure(&authorizer))?;
        authorizer.restrict(&mut connection)?;
        let script = Script::new(&connection, &sql, &tables)?;
        let mut output = Output::new(&self.limits, self.items.clone());
        script.execute(&mut output).map_err(|error| error.into_failure(&sql, &tables.tables, &authorizer))?;
        output.finish()
    }
}
