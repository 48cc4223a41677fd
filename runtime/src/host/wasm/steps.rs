//! Runs compiled steps in one thread: code is mapped once, and each step gets a fresh instance.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use bue_model::{Answer, BlobHash, Failure, FailureKind};

use super::command::Command;
use super::component::Component;
use super::engine::WasmEngine;
use super::step::WasmStep;
use crate::error::RuntimeError;
use crate::host::memory::mapping;
use crate::host::step_run::StepRun;
use crate::host::values;
use crate::step::compiled_step::{CompiledStep, WasmKind};
use crate::step::failure;
use crate::step::net_port::NetPort;
use crate::step::task::Task;

/// The number of programs that stay mapped.
const MAX_MAPPED: usize = 256;

/// Runs compiled steps.
pub(crate) struct WasmSteps {
    engine: WasmEngine,
    programs: RefCell<ProgramCache>,
}

/// Mapped and linked code.
enum Program {
    Command(Command),
    Component(Component),
}

/// Bytes of values after which memory that was freed is returned to the system.
const LARGE_VALUES: usize = 1024 * 1024;

impl WasmSteps {
    pub(crate) fn new() -> Result<Self, RuntimeError> {
        Ok(Self { engine: WasmEngine::new()?, programs: RefCell::default() })
    }

    /// A guest is about to run: the epoch ticker must not sleep.
    pub(crate) fn wake_ticker(&self) {
        self.engine.wake_ticker();
    }

    /// Executes one step. Requests go through `net`.
    pub(crate) async fn execute(&self, step: WasmStep<'_>, net: NetPort) -> StepRun {
        let program = match self.program(step.code) {
            Ok(program) => program,
            Err(error) => return StepRun::failed(cannot_link(&error)),
        };
        let input_bytes: usize = step.task.inputs.iter().map(bytes::Bytes::len).sum();
        let run = match &*program {
            Program::Command(command) => command.execute(step).await,
            Program::Component(component) => component.execute(step, net).await,
        };
        let answer = match run.answer {
            Ok(answer) => checked_answer(answer, step.task).await,
            Err(failure) => Err(failure),
        };
        let answer = answer.unwrap_or_else(|failure| {
            mapping::trim_heap();
            Answer::Failed(failure)
        });
        // JSON takes many times its bytes while it is converted
        let output_bytes = if let Answer::Completed { value, .. } = &answer { value.len() } else { 0 };
        if input_bytes.saturating_add(output_bytes) > LARGE_VALUES {
            mapping::trim_heap();
        }
        StepRun { answer, memory_bytes: run.memory_bytes, dirty_pages: None }
    }

    fn program(&self, code: &CompiledStep) -> Result<Rc<Program>, RuntimeError> {
        if let Some(program) = self.programs.borrow_mut().get(code.key) {
            return Ok(program);
        }
        // SAFETY: a `CompiledStep` is sealed memory whose MAC was checked, by this process or its parent.
        let program = Rc::new(unsafe { Program::load(&self.engine, code)? });
        self.programs.borrow_mut().insert(code.key, Rc::clone(&program));
        Ok(program)
    }
}

impl Program {
    /// # Safety
    /// This installation must have compiled it, and nothing may change the file: its content is executed.
    unsafe fn load(engine: &WasmEngine, step: &CompiledStep) -> Result<Self, RuntimeError> {
        // SAFETY: the caller vouches for the file.
        unsafe {
            match step.kind {
                WasmKind::Command => Ok(Self::Command(Command::load(&engine.engine, &step.code)?)),
                WasmKind::Component => Ok(Self::Component(Component::load(&engine.engine, &step.code)?)),
            }
        }
    }
}

/// Linking fails if an import has the right name but another type; [`check_wasm`](super::contract::check_wasm) checks names only.
fn cannot_link(error: &RuntimeError) -> Failure {
    Failure::new(FailureKind::BadCode, format!("The step's code cannot be run: {error}"))
}

/// Returns an answer whose result is within its limit and a well-formed value.
async fn checked_answer(answer: Answer, task: &Task) -> Result<Answer, Failure> {
    if let Answer::Completed { value, .. } = &answer
        && value.len() as u64 > task.limits.result_bytes
    {
        return Err(failure::too_much_result(value.len() as u64, task.limits.result_bytes));
    }
    let wrong = |problem| Failure::new(FailureKind::BadResult, format!("The step answered with {problem}"));
    values::checked_answer(answer).await.map_err(wrong)
}

/// An LRU cache of programs.
#[derive(Default)]
struct ProgramCache {
    /// Each with the value of `uses` at its last use.
    programs: HashMap<BlobHash, (Rc<Program>, u64)>,
    uses: u64,
}

impl ProgramCache {
    fn get(&mut self, code: BlobHash) -> Option<Rc<Program>> {
        self.uses += 1;
        let (program, last_use) = self.programs.get_mut(&code)?;
        *last_use = self.uses;
        Some(Rc::clone(program))
    }

    fn insert(&mut self, code: BlobHash, program: Rc<Program>) {
        if self.programs.len() >= MAX_MAPPED {
            let oldest = self.programs.iter().min_by_key(|(_, (_, last_use))| *last_use).map(|(code, _)| *code);
            oldest.and_then(|code| self.programs.remove(&code));
        }
        self.programs.insert(code, (program, self.uses));
    }
}
