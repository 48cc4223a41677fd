//! Runs SQL steps: one memory image, one instance per step.

use core::cell::Cell;
use std::sync::Arc;

use bue_model::{Answer, Bundle, Failure, FailureKind};
use bue_sql::placeholders::Placeholders;
use bue_sql::sqlite::StepRequest;
use bue_sql::text::SqlText;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::error::RuntimeError;
use crate::host::engine::GuestEngine;
use crate::host::guest::code::{GuestCode, GuestFunction, Instance};
use crate::host::guest::kind::GuestKind;
use crate::host::guest::request::{check_image_size, checked, not_created, request};
use crate::host::memory::image::SharedImage;
use crate::host::state::StepState;
use crate::host::step_context::StepContext;
use crate::host::step_run::StepRun;
use crate::prepared::GuestFiles;
use crate::step::failure::limit;
use crate::step::task::{Items, Task};

/// The number of runs whose dirty pages are counted.
const MAX_COUNTED_RUNS: u32 = 3;

/// Runs SQL steps in one thread.
pub(crate) struct Sqlite {
    code: GuestCode,
    image: SharedImage,
    runs: Cell<u32>,
}

/// One SQL step.
#[derive(Clone, Copy)]
pub(crate) struct SqliteStep<'a> {
    pub(crate) task: &'a Task,
    pub(crate) context: StepContext<'a>,
    pub(crate) bundle: &'a Bundle,
    pub(crate) table: &'a str,
    pub(crate) placeholders: &'a Placeholders,
}

impl Sqlite {
    pub(crate) fn open(engine: Arc<GuestEngine>, files: &GuestFiles) -> Result<Self, RuntimeError> {
        // SAFETY: `GuestFiles` are sealed memory whose MACs were checked, by this process or its parent.
        let code = unsafe { GuestCode::load(engine, GuestKind::Sqlite, files.code()?)? };
        Ok(Self { code, image: files.image()?, runs: Cell::new(0) })
    }

    /// Executes one step. The rows go to `items` if a loop runs over them.
    pub(crate) async fn execute(&self, step: SqliteStep<'_>, items: mpsc::Sender<Items>) -> StepRun {
        match self.try_execute(step, items).await {
            Ok(run) => run,
            Err(failure) => StepRun::failed(failure),
        }
    }

    async fn try_execute(&self, step: SqliteStep<'_>, items: mpsc::Sender<Items>) -> Result<StepRun, Failure> {
        let task = step.task;
        check_image_size(&self.image, "SQLite", &task.limits)?;
        let request = step.request()?;
        let items = request.is_streamed.then_some(items);
        let state = StepState::for_sql(step.context, task.inputs.clone(), items);
        let instance = self.code.instantiate(&self.image, state).await;
        let mut instance = instance.map_err(|error| not_created(&error))?;
        let answer = answer(&mut instance, &request).await.unwrap_or_else(Answer::Failed);
        let dirty_pages = if self.counts_pages() { instance.dirty_pages() } else { None };
        Ok(StepRun { answer, memory_bytes: instance.memory_bytes(), dirty_pages })
    }

    /// Counts a run and returns whether its dirty pages are to be counted.
    fn counts_pages(&self) -> bool {
        let runs = self.runs.get().saturating_add(1);
        self.runs.set(runs);
        runs <= MAX_COUNTED_RUNS
    }
}

impl SqliteStep<'_> {
    fn request(&self) -> Result<StepRequest, Failure> {
        let Task { inputs, loop_text, limits, .. } = self.task;
        Ok(StepRequest {
            sql: SqlText::new(self.bundle, self.placeholders)?,
            table: self.table.to_owned(),
            inputs: inputs.iter().map(|input| input.len() as u64).collect(),
            is_streamed: loop_text.is_some(),
            limits: limits.rows(),
            memory_bytes: limits.memory_bytes,
        })
    }
}

/// Has the guest execute the step, and puts the rows that it handed over into its answer.
async fn answer(instance: &mut Instance<'_>, step: &StepRequest) -> Result<Answer, Failure> {
    let answer = request::<_, Answer>(instance, GuestFunction::Call, step).await?;
    let state = instance.state_mut();
    match answer {
        // SQLite may report a refusal as another error of the statement
        Answer::Failed(_) if state.memory_refused => {
            Err(limit(bue_sql::sqlite::memory_message(state.limits.memory_bytes)))
        }
        Answer::Completed { value, streamed: false, hints } if !step.is_streamed => {
            let value = with_rows(state, value)?;
            checked(Answer::Completed { value, streamed: false, hints }).await
        }
        Answer::Completed { streamed, .. } if streamed != step.is_streamed => {
            Err(Failure::new(FailureKind::Trap, "The guest streamed a list, or returned what was to be streamed"))
        }
        answer => checked(answer).await,
    }
}

fn with_rows(state: &mut StepState, head: Bytes) -> Result<Bytes, Failure> {
    let list = match state.take_rows() {
        Some(rows) => rows.into_list(head),
        None => Some(head),
    };
    list.ok_or_else(|| Failure::new(FailureKind::Trap, "The guest answered with a list that has no head"))
}
