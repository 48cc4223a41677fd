//! Compiled steps in one thread: code mapped once, a fresh instance a step.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use bue_model::{Answer, Failure, FailureKind};

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

/// Steps whose code stays mapped.
const MAPPED: usize = 256;

/// Runs compiled steps.
pub(crate) struct WasmSteps {
    engine: WasmEngine,
    mapped: RefCell<Mapped>,
}

/// Code that is mapped and linked.
enum Program {
    Command(Command),
    Component(Component),
}

impl WasmSteps {
    pub(crate) fn new() -> Result<Self, RuntimeError> {
        Ok(Self { engine: WasmEngine::new()?, mapped: RefCell::default() })
    }

    /// A guest is about to run.
    pub(crate) fn wake_clock(&self) {
        self.engine.guest_runs();
    }

    /// Runs one step. Requests go through `net`.
    pub(crate) async fn run(&self, step: WasmStep<'_>, net: NetPort) -> StepRun {
        let program = match self.program(step.step) {
            Ok(program) => program,
            Err(error) => return StepRun::failed(cannot_link(&error)),
        };
        let ended = match &*program {
            Program::Command(command) => command.run(step).await,
            Program::Component(component) => component.run(step, net).await,
        };
        let answer = ended.answer.and_then(|answer| checked(answer, step.task)).unwrap_or_else(|failure| {
            mapping::give_back_heap();
            Answer::Failed(failure)
        });
        StepRun { answer, memory_bytes: ended.memory_bytes, dirty_pages: None }
    }

    fn program(&self, step: &CompiledStep) -> Result<Rc<Program>, RuntimeError> {
        if let Some(program) = self.mapped.borrow_mut().get(&step.code) {
            return Ok(program);
        }
        // SAFETY: who has a `CompiledStep` has checked the file's MAC, or is the child of a process that has.
        let program = Rc::new(unsafe { Program::load(&self.engine, step)? });
        self.mapped.borrow_mut().keep(step.code.clone(), Rc::clone(&program));
        Ok(program)
    }
}

impl Program {
    /// # Safety
    /// The file must be one that this installation compiled, unchanged: what it says is run.
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

/// Code that cannot be linked imports what is not there, which was not seen by its names alone.
fn cannot_link(error: &RuntimeError) -> Failure {
    Failure::new(FailureKind::BadCode, format!("The step's code cannot be run: {error}"))
}

/// A result is no longer than it may be, and a value.
fn checked(answer: Answer, task: &Task) -> Result<Answer, Failure> {
    if let Answer::Completed { value, .. } = &answer
        && value.len() as u64 > task.limits.result_bytes
    {
        return Err(failure::too_much_result(value.len() as u64, task.limits.result_bytes));
    }
    match values::check_answer(&answer) {
        Ok(()) => Ok(answer),
        Err(why) => Err(Failure::new(FailureKind::BadResult, format!("The step answered with {why}"))),
    }
}

/// Programs by file, the ones used last kept.
#[derive(Default)]
struct Mapped {
    known: HashMap<PathBuf, (Rc<Program>, u64)>,
    uses: u64,
}

impl Mapped {
    fn get(&mut self, code: &PathBuf) -> Option<Rc<Program>> {
        self.uses += 1;
        let (program, used) = self.known.get_mut(code)?;
        *used = self.uses;
        Some(Rc::clone(program))
    }

    fn keep(&mut self, code: PathBuf, program: Rc<Program>) {
        if self.known.len() >= MAPPED {
            let oldest = self.known.iter().min_by_key(|(_, (_, used))| *used).map(|(code, _)| code.clone());
            oldest.and_then(|code| self.known.remove(&code));
        }
        self.known.insert(code, (program, self.uses));
    }
}
