//! Python steps: one memory image a module, one instance a step.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bue_model::guest::{CallRequest, LoadReply, LoadRequest};
use bue_model::{Answer, BlobHash, Bundle, Failure, FailureKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OnceCell, mpsc};

use crate::error::RuntimeError;
use crate::host::engine::GuestEngine;
use crate::host::guest_failure;
use crate::host::memory::image::{Image, SharedImage};
use crate::host::python::guest::{Entry, GuestCode, Instance};
use crate::host::state::StepState;
use crate::host::step_run::StepRun;
use crate::host::turns::computing;
use crate::host::values;
use crate::packages::mount::Mount;
use crate::prepared::Prepared;
use crate::step::failure;
use crate::step::limits::Limits;
use crate::step::log::Log;
use crate::step::net_port::NetPort;
use crate::step::task::{Items, Task};

/// Bytes of module images kept at most. An image holds what importing the module changed: a few megabytes.
const IMAGES_BYTES: usize = 512 << 20;
/// Module images kept at most. Each may keep dozens of slots, whose addresses are not without end.
const IMAGES: usize = 128;

/// Runs of a module whose dirty pages are counted.
const COUNTED_RUNS: u32 = 3;

/// Runs Python steps in one thread.
pub(crate) struct Python {
    code: GuestCode,
    base: SharedImage,
    modules: RefCell<Modules>,
}

/// One step as its parts see it.
#[derive(Clone, Copy)]
pub(crate) struct PythonStep<'a> {
    pub(crate) task: &'a Task,
    pub(crate) bundle: &'a Bundle,
    pub(crate) key: BlobHash,
    pub(crate) function: &'a str,
    pub(crate) packages: Option<&'a Path>,
    pub(crate) log: &'a Log,
    pub(crate) deadline: Instant,
}

impl Python {
    pub(crate) fn open(prepared: &Prepared) -> Result<Self, RuntimeError> {
        let files = &prepared.files;
        let engine = GuestEngine::new()?;
        // SAFETY: who has a `Prepared` has checked the files' MACs, or is the child of a process that has.
        let code = unsafe { GuestCode::load(engine, &files.code)? };
        let cannot = |source| RuntimeError::Cache { path: files.image.clone(), source };
        let file = File::open(&files.image).map_err(cannot)?;
        let len =
            usize::try_from(files.seal.len).map_err(|_| RuntimeError::Guest("map an image that large".to_owned()))?;
        let base = Arc::new(Image::from_file(file, len, files.seal.globals.clone()));
        Ok(Self { code, base, modules: RefCell::default() })
    }

    /// A guest is about to run.
    pub(crate) fn wake_clock(&self) {
        self.code.wake_clock();
    }

    /// Runs one step. Elements go to `items`, requests through `net`.
    pub(crate) async fn run(&self, step: PythonStep<'_>, items: mpsc::Sender<Items>, net: NetPort) -> StepRun {
        let limits = &step.task.limits;
        if let Err(failure) = fits(&self.base, limits) {
            return StepRun::failed(failure);
        }
        let module = self.modules.borrow_mut().get(step.key);
        let packages = match module.packages(step.packages) {
            Ok(packages) => packages,
            Err(error) => return StepRun::failed(internal(&error)),
        };
        // who waits for an image that another step makes waits for a core
        let loaded = computing(module.image.get_or_try_init(|| self.load(step, packages.as_ref()))).await;
        let image = match loaded {
            Ok(Ok(image)) => image,
            Ok(Err(failure)) => return StepRun::failed(failure.clone()),
            Err(failure) => return StepRun::failed(failure),
        };
        self.modules.borrow_mut().shrink(step.key);
        if let Err(failure) = fits(image, limits) {
            return StepRun::failed(failure);
        }
        let items = step.task.loop_text.as_ref().map(|_| items);
        let state = StepState::connected(limits, step.log, step.deadline, packages.as_ref(), items, net);
        match self.code.instance(image, state).await {
            Ok(instance) => call(instance, step, module.counts()).await,
            Err(error) => StepRun::failed(internal(&error)),
        }
    }

    /// Imports the user's module into a copy of the base image. `Ok(Err(…))` is the same every time and is remembered.
    async fn load(&self, step: PythonStep<'_>, packages: Option<&Mount>) -> Result<Loaded, Failure> {
        let limits = &step.task.limits;
        let state = StepState::new(limits, step.log, step.deadline, packages);
        let mut instance = self.code.instance(&self.base, state).await.map_err(|error| internal(&error))?;
        let request = LoadRequest { bundle: step.bundle.clone() };
        match ask(&mut instance, Entry::Load, &request).await? {
            LoadReply::Failed(failure) => {
                let refused = instance.state().memory_refused;
                match guest_failure::name_memory_limit(Answer::Failed(failure), refused, limits) {
                    Answer::Failed(failure) if failure.kind == FailureKind::BadCode => Ok(Err(failure)),
                    Answer::Failed(failure) => Err(failure),
                    _ => Err(Failure::new(FailureKind::Internal, "a failure became none")),
                }
            }
            LoadReply::Loaded => {
                let (memory, globals) = instance.snapshot().map_err(|error| internal(&error))?;
                let image = self.base.with_changes(memory, globals);
                image.map(|image| Ok(Arc::new(image))).map_err(|error| internal(&error.into()))
            }
        }
    }
}

/// May a step have as much memory as it begins with?
fn fits(image: &Image, limits: &Limits) -> Result<(), Failure> {
    let bytes = image.len() as u64;
    if bytes > limits.memory_bytes { Err(guest_failure::image_too_large(bytes, limits)) } else { Ok(()) }
}

async fn call(mut instance: Instance<'_>, step: PythonStep<'_>, count_pages: bool) -> StepRun {
    let task = step.task;
    let request = CallRequest {
        function: step.function.to_owned(),
        inputs: task.inputs.clone(),
        stream: task.loop_text.is_some(),
        env: task.env.clone(),
        max_result: task.limits.result_bytes,
        loop_text: task.loop_text.clone(),
    };
    let answer = match ask::<_, Answer>(&mut instance, Entry::Call, &request).await {
        Ok(answer) => checked(answer, &task.limits, instance.state().memory_refused),
        Err(failure) => Answer::Failed(failure),
    };
    let dirty_pages = if count_pages { instance.dirty_pages() } else { None };
    StepRun { answer, memory_bytes: instance.memory_bytes(), dirty_pages }
}

fn checked(answer: Answer, limits: &Limits, memory_refused: bool) -> Answer {
    match values::check_answer(&answer) {
        Ok(()) => guest_failure::name_memory_limit(answer, memory_refused, limits),
        Err(why) => Answer::Failed(Failure::new(FailureKind::Trap, format!("The guest answered with {why}"))),
    }
}

async fn ask<Request: Serialize, Reply: DeserializeOwned>(
    instance: &mut Instance<'_>,
    entry: Entry,
    request: &Request,
) -> Result<Reply, Failure> {
    let unreadable = |error| Failure::new(FailureKind::Trap, format!("The guest's answer cannot be read: {error}"));
    let request = postcard::to_allocvec(request).map_err(unreadable)?;
    let reply = match instance.ask(entry, &request).await {
        Ok(reply) => reply,
        Err(error) => {
            let out_of_stack = instance.stack_is_used_up();
            return Err(guest_failure::of_error(&error, instance.state(), out_of_stack));
        }
    };
    postcard::from_bytes(&reply).map_err(unreadable)
}

fn internal(error: &wasmtime::Error) -> Failure {
    Failure::new(FailureKind::Internal, format!("The sandbox could not be made: {error:#}"))
}

/// An image, or why the module cannot be loaded.
type Loaded = Result<SharedImage, Failure>;

/// A module that steps run.
#[derive(Default)]
struct PythonModule {
    /// Whoever comes first loads it; the others wait. If the first gives up, the next one loads it.
    image: OnceCell<Loaded>,
    /// The folder of its packages.
    packages: RefCell<Option<Mount>>,
    runs: std::cell::Cell<u32>,
}

impl PythonModule {
    /// The folder of its packages, opened. The same packages may have been unpacked anew since the last step.
    fn packages(&self, path: Option<&Path>) -> wasmtime::Result<Option<Mount>> {
        let mut packages = self.packages.borrow_mut();
        if packages.as_ref().map(Mount::path) != path {
            *packages = path.map(Mount::open).transpose()?;
        }
        Ok(packages.clone())
    }

    /// Are the dirty pages of this run counted?
    fn counts(&self) -> bool {
        let runs = self.runs.get().saturating_add(1);
        self.runs.set(runs);
        runs <= COUNTED_RUNS
    }

    fn bytes(&self) -> usize {
        self.image.get().and_then(|loaded| loaded.as_ref().ok()).map_or(0, |image| image.own_bytes())
    }
}

/// Modules loaded, the ones used last kept.
#[derive(Default)]
struct Modules {
    known: HashMap<BlobHash, (Rc<PythonModule>, u64)>,
    uses: u64,
}

impl Modules {
    fn get(&mut self, key: BlobHash) -> Rc<PythonModule> {
        self.uses += 1;
        let (module, used) = self.known.entry(key).or_default();
        *used = self.uses;
        Rc::clone(module)
    }

    /// Forgets modules until the rest is small enough; steps that run keep their image until they end.
    fn shrink(&mut self, keep: BlobHash) {
        let bytes = |known: &HashMap<_, (Rc<PythonModule>, u64)>| {
            known.values().map(|(module, _)| module.bytes()).sum::<usize>()
        };
        while self.known.len() > IMAGES || bytes(&self.known) > IMAGES_BYTES {
            let oldest = self.known.iter().filter(|(key, _)| **key != keep).min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { return };
            self.known.remove(&oldest);
        }
    }
}
