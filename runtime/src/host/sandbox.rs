//! Runs steps in this thread: what a sandbox host process is made of.

use core::future::poll_fn;
use core::pin::pin;
use core::time::Duration;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::error::RuntimeError;
use crate::host::python::steps::{Python, PythonStep};
use crate::host::sqlite::pool::Pool as SqlitePool;
use crate::host::step_run::StepRun;
use crate::host::turns::{Turn, Turns};
use crate::host::wasm::step::WasmStep;
use crate::host::wasm::steps::WasmSteps;
use crate::prepared::Prepared;
use crate::step::failure;
use crate::step::log::Log;
use crate::step::net_port::NetPort;
use crate::step::task::{Code, Finished, Items, Task, Usage};

/// Runs any number of steps at once in the thread that polls them.
///
/// It is not `Send`: two threads of one process that copy pages disturb each other more than two processes do.
pub struct Sandbox {
    python: Python,
    sqlite: SqlitePool,
    wasm: WasmSteps,
    turns: Turns,
}

impl Sandbox {
    /// Maps what was prepared.
    ///
    /// # Errors
    /// Files that are not there any more, or an engine that cannot be made.
    pub fn open(prepared: &Prepared) -> Result<Self, RuntimeError> {
        Ok(Self {
            python: Python::open(prepared)?,
            sqlite: SqlitePool::default(),
            wasm: WasmSteps::new()?,
            turns: Turns::default(),
        })
    }

    /// Runs a step to its end. The elements of a streamed result go to `items`, and the step waits until there is room.
    /// Dropping the future stops the step. Needs a tokio runtime with timers.
    ///
    /// There is no network: see [`Self::run_connected`].
    pub async fn run(&self, task: &Task, items: mpsc::Sender<Items>) -> Finished {
        self.run_connected(task, items, NetPort::closed()).await
    }

    /// The same, with a way to the network: what may be reached is decided behind `net`.
    pub async fn run_connected(&self, task: &Task, items: mpsc::Sender<Items>, net: NetPort) -> Finished {
        let start = Instant::now();
        let log = Log::new(&task.limits);
        let mut usage = Usage::default();
        let mut turn = Turn::new(&self.turns);
        // a SQL step that is pending here computes in a thread of its own
        let may_wait = !matches!(task.code, Code::Sqlite { .. });
        let mut step = pin!(self.ran(task, &log, start, items, net));
        let ran = poll_fn(|context| {
            let start = Instant::now();
            // A guest may run now, for the first time or again after a wait: the clock that interrupts it must not sleep.
            match &task.code {
                Code::Python { .. } => self.python.wake_clock(),
                Code::Wasm { .. } => self.wasm.wake_clock(),
                Code::Sqlite { .. } => {}
            }
            turn.begin();
            let polled = step.as_mut().poll(context);
            usage.cpu += start.elapsed();
            if polled.is_pending() && may_wait {
                turn.pause();
            }
            polled
        })
        .await;
        usage.wall = start.elapsed();
        usage.memory_bytes = ran.memory_bytes;
        usage.dirty_pages = ran.dirty_pages;
        Finished { answer: ran.answer, log: log.finish(), usage }
    }

    /// Who gave way and who waits.
    pub(crate) const fn turns(&self) -> &Turns {
        &self.turns
    }

    async fn ran(&self, task: &Task, log: &Log, start: Instant, items: mpsc::Sender<Items>, net: NetPort) -> StepRun {
        let len: u64 = task.inputs.iter().map(|input| input.len() as u64).sum();
        if len > task.limits.input_bytes {
            let answer = failure::too_much_input(len, task.limits.input_bytes);
            return StepRun { answer, memory_bytes: 0, dirty_pages: None };
        }
        let deadline = start.checked_add(task.limits.time).unwrap_or(start + FAR);
        match &task.code {
            Code::Python { bundle, key, function, packages } => {
                let packages = packages.as_ref().map(|site| site.path());
                let step = PythonStep { task, bundle, key: *key, function, packages, log, deadline };
                // interrupts stop a guest that runs, the timer one that waits
                tokio::time::timeout_at(deadline.into(), self.python.run(step, items, net))
                    .await
                    .unwrap_or_else(|_| StepRun::failed(failure::timed_out(&task.limits)))
            }
            Code::Wasm { step, function } => {
                let step = WasmStep { task, step, function, log, deadline };
                tokio::time::timeout_at(deadline.into(), self.wasm.run(step, net))
                    .await
                    .unwrap_or_else(|_| StepRun::failed(failure::timed_out(&task.limits)))
            }
            Code::Sqlite { bundle, table, placeholders, .. } => {
                let answer = self.sqlite.run(task, bundle, table, placeholders, items).await;
                StepRun { answer, memory_bytes: 0, dirty_pages: None }
            }
        }
    }
}

/// What "for ever" comes to.
const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);
