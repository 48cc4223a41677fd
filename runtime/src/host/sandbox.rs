//! Executes steps in the current thread. A sandbox host process is a loop around it.

use core::future::poll_fn;
use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use bue_model::{Answer, Failure, FailureKind};
use tokio::sync::mpsc;

use crate::error::RuntimeError;
use crate::host::engine::GuestEngine;
use crate::host::python::steps::{Python, PythonStep};
use crate::host::sqlite::steps::{Sqlite, SqliteStep};
use crate::host::step_context::StepContext;
use crate::host::step_run::StepRun;
use crate::host::waiting_steps::{StepActivity, WaitingSteps};
use crate::host::wasm::step::WasmStep;
use crate::host::wasm::steps::WasmSteps;
use crate::prepared::{Prepared, PreparedGuests};
use crate::step::failure;
use crate::step::log::Log;
use crate::step::net_port::NetPort;
use crate::step::task::{Code, Finished, Items, Task, Usage};
use crate::step::timestamp::simulated_now;

/// The longest time limit added to an `Instant`, because the addition could overflow.
const MAX_TIME_LIMIT: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How long a step may take in real time at least while time is simulated: as long as a step may by default.
const MAX_SIMULATED_COMPUTING: Duration = Duration::from_secs(20 * 60);

/// Executes any number of steps concurrently, in the thread that polls them.
///
/// It is not `Send`: threads of one process that copy pages slow each other down more than processes do.
pub struct Sandbox {
    engine: Arc<GuestEngine>,
    python: Python,
    /// `None` only in tests.
    sqlite: Option<Sqlite>,
    wasm: WasmSteps,
    waiting_steps: WaitingSteps,
}

impl Sandbox {
    /// Maps the prepared files.
    ///
    /// # Errors
    /// Files that are missing, or an engine that cannot be created.
    pub fn open(prepared: &Prepared) -> Result<Self, RuntimeError> {
        Self::from_guests(&prepared.guests)
    }

    /// The same in a sandbox host, which gets the files from its parent.
    pub(crate) fn from_guests(guests: &PreparedGuests) -> Result<Self, RuntimeError> {
        let engine = Arc::new(GuestEngine::new()?);
        let sqlite = guests.sqlite.as_ref().map(|files| Sqlite::open(Arc::clone(&engine), files));
        Ok(Self {
            python: Python::open(Arc::clone(&engine), &guests.python)?,
            sqlite: sqlite.transpose()?,
            engine,
            wasm: WasmSteps::new()?,
            waiting_steps: WaitingSteps::default(),
        })
    }

    /// Executes a step to its end, without a network. The elements of a streamed result go to `items`; the step waits until
    /// there is room. Dropping the future stops the step. Needs a tokio runtime with timers.
    ///
    /// See [`Self::run_connected`] for a step with a network.
    pub async fn run(&self, task: &Task, items: mpsc::Sender<Items>) -> Finished {
        self.run_connected(task, items, NetPort::closed()).await
    }

    /// The same, with a network. The receiver of `net`'s requests decides what the step may reach.
    pub async fn run_connected(&self, task: &Task, items: mpsc::Sender<Items>, net: NetPort) -> Finished {
        self.run_logged(task, items, net, Log::new(&task.limits)).await
    }

    /// The same, with a log that others can read meanwhile.
    pub(crate) async fn run_logged(&self, task: &Task, items: mpsc::Sender<Items>, net: NetPort, log: Log) -> Finished {
        let start = Instant::now();
        let mut usage = Usage::default();
        let mut activity = StepActivity::new(&self.waiting_steps);
        let mut step = pin!(self.execute(task, &log, start, items, net));
        let run = poll_fn(|context| {
            let start = Instant::now();
            // A guest may run now, for the first time or after a wait: the ticker that interrupts it must not sleep.
            match &task.code {
                Code::Python { .. } | Code::Sqlite { .. } => self.engine.wake_ticker(),
                Code::Wasm { .. } => self.wasm.wake_ticker(),
            }
            activity.resume();
            let polled = step.as_mut().poll(context);
            usage.cpu += start.elapsed();
            if polled.is_pending() {
                activity.suspend();
            }
            polled
        })
        .await;
        usage.wall = start.elapsed();
        usage.memory_bytes = run.memory_bytes;
        usage.dirty_pages = run.dirty_pages;
        Finished { answer: run.answer, log: log.finish(), usage }
    }

    /// How many of its steps wait.
    pub(crate) const fn waiting_steps(&self) -> &WaitingSteps {
        &self.waiting_steps
    }

    /// Bytes of memory that its images hold. They are in memory files, which are not part of a process's private memory.
    pub(crate) fn image_bytes(&self) -> usize {
        self.python.image_bytes()
    }

    async fn execute(
        &self,
        task: &Task,
        log: &Log,
        start: Instant,
        items: mpsc::Sender<Items>,
        net: NetPort,
    ) -> StepRun {
        let len: u64 = task.inputs.iter().map(|input| input.len() as u64).sum();
        if len > task.limits.input_bytes {
            let answer = Answer::Failed(failure::too_much_input(len, task.limits.input_bytes));
            return StepRun::without_memory(answer);
        }
        let limits = &task.limits;
        // In simulated time, the limit is for sleeping. A step may compute longer than it has time on paper, but not forever.
        let time = match simulated_now() {
            Some(_) => task.limits.time.max(MAX_SIMULATED_COMPUTING),
            None => task.limits.time,
        };
        let deadline = start.checked_add(time).unwrap_or(start + MAX_TIME_LIMIT);
        let soft_deadline = limits.soft_time.and_then(|time| start.checked_add(time));
        let context = StepContext { limits, log, deadline, soft_deadline };
        let run = self.execute_code(task, context, items, net);
        // epochs interrupt a guest that runs, the timer one that waits
        let run = tokio::time::timeout_at(deadline.into(), run).await;
        run.unwrap_or_else(|_| StepRun::failed(failure::timed_out(&task.limits)))
    }

    async fn execute_code(
        &self,
        task: &Task,
        context: StepContext<'_>,
        items: mpsc::Sender<Items>,
        net: NetPort,
    ) -> StepRun {
        match &task.code {
            Code::Python { bundle, key, function, keywords, packages } => {
                let packages = packages.as_ref().map(|site| site.path());
                let keywords = keywords.as_ref();
                let step = PythonStep { task, context, bundle, key: *key, function, keywords, packages };
                self.python.execute(step, items, net).await
            }
            Code::Wasm { step: code, function } => {
                self.wasm.execute(WasmStep { task, context, code, function }, net).await
            }
            Code::Sqlite { bundle, table, placeholders, .. } => match &self.sqlite {
                Some(sqlite) => sqlite.execute(SqliteStep { task, context, bundle, table, placeholders }, items).await,
                None => StepRun::failed(Failure::new(FailureKind::Internal, "This sandbox has no SQLite")),
            },
        }
    }
}
