//! Runs Python steps: one memory image per module, one instance per step.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bue_model::guest::{CallRequest, LoadReply, LoadRequest};
use bue_model::{Answer, BlobHash, Bundle, Failure, FailureKind};
use bytes::Bytes;
use tokio::sync::{OnceCell, mpsc};

use crate::error::RuntimeError;
use crate::host::engine::GuestEngine;
use crate::host::guest::code::{GuestCode, GuestFunction, Instance};
use crate::host::guest::kind::GuestKind;
use crate::host::guest::request::{check_image_size, checked, not_created, request};
use crate::host::guest_failure;
use crate::host::memory::image::SharedImage;
use crate::host::state::StepState;
use crate::host::step_context::StepContext;
use crate::host::step_run::StepRun;
use crate::host::waiting_steps::count_as_running;
use crate::packages::mount::Mount;
use crate::prepared::GuestFiles;
use crate::step::failure::soft_limit_message;
use crate::step::net_port::NetPort;
use crate::step::task::{Items, Task};

/// Size of all module images, in bytes, beyond which those that no step uses are evicted. An image holds what importing the module
/// changed: a few megabytes.
const MAX_CACHED_IMAGE_BYTES: usize = 512 << 20;
/// Number of module images beyond which those that no step uses are evicted. Each may keep dozens of slots, and address space is
/// limited.
const MAX_CACHED_IMAGES: usize = 128;

/// What an image contains, for messages.
const CONTENT: &str = "Python with the step's module";

/// The number of runs of a module whose dirty pages are counted.
const MAX_COUNTED_RUNS: u32 = 3;

/// Runs Python steps in one thread.
pub(crate) struct Python {
    code: GuestCode,
    base: SharedImage,
    modules: RefCell<ModuleCache>,
}

/// One Python step.
#[derive(Clone, Copy)]
pub(crate) struct PythonStep<'a> {
    pub(crate) task: &'a Task,
    pub(crate) context: StepContext<'a>,
    pub(crate) bundle: &'a Bundle,
    pub(crate) key: BlobHash,
    pub(crate) function: &'a str,
    /// The function's keyword arguments.
    pub(crate) keywords: Option<&'a Bytes>,
    /// The folder of its packages.
    pub(crate) packages: Option<&'a Path>,
}

impl Python {
    pub(crate) fn open(engine: Arc<GuestEngine>, files: &GuestFiles) -> Result<Self, RuntimeError> {
        // SAFETY: `GuestFiles` are sealed memory whose MACs were checked, by this process or its parent.
        let code = unsafe { GuestCode::load(engine, GuestKind::Python, files.code()?)? };
        Ok(Self { code, base: files.image()?, modules: RefCell::default() })
    }

    /// Bytes of memory that the images of modules hold, beside their slots.
    pub(crate) fn image_bytes(&self) -> usize {
        self.modules.borrow().image_bytes()
    }

    /// Executes one step. Elements go to `items`, requests through `net`.
    pub(crate) async fn execute(&self, step: PythonStep<'_>, items: mpsc::Sender<Items>, net: NetPort) -> StepRun {
        let run = self.execute_in_image(step, items, net).await;
        self.modules.borrow_mut().evict();
        run
    }

    async fn execute_in_image(&self, step: PythonStep<'_>, items: mpsc::Sender<Items>, net: NetPort) -> StepRun {
        let limits = &step.task.limits;
        if let Err(failure) = check_image_size(&self.base, CONTENT, limits) {
            return StepRun::failed(failure);
        }
        let module = self.modules.borrow_mut().get(step.key);
        let packages = match module.packages(step.packages) {
            Ok(packages) => packages,
            Err(error) => return StepRun::failed(not_created(&error)),
        };
        // a step that waits for another step to load the module waits for a core
        let loaded = count_as_running(module.image.get_or_try_init(|| self.load(step, packages.as_ref()))).await;
        let image = match loaded {
            Ok(Ok(image)) => image,
            Ok(Err(failure)) => return StepRun::failed(failure.clone()),
            Err(failure) => return StepRun::failed(failure),
        };
        self.modules.borrow_mut().evict();
        if let Err(failure) = check_image_size(image, CONTENT, limits) {
            return StepRun::failed(failure);
        }
        let items = step.task.loop_text.as_ref().map(|_| items);
        let state = StepState::connected(step.context, packages.as_ref(), items, net);
        match self.code.instantiate(image, state).await {
            Ok(instance) => call(instance, step, module.counts_pages()).await,
            Err(error) => StepRun::failed(not_created(&error)),
        }
    }

    /// Imports the user's module into a copy of the base image. An inner error would be the same every time and is cached.
    async fn load(&self, step: PythonStep<'_>, packages: Option<&Mount>) -> Result<LoadResult, Failure> {
        let limits = &step.task.limits;
        let state = StepState::new(step.context, packages);
        let mut instance = self.code.instantiate(&self.base, state).await.map_err(|error| not_created(&error))?;
        let load = LoadRequest { bundle: step.bundle.clone() };
        match request(&mut instance, GuestFunction::Load, &load).await? {
            LoadReply::Failed(failure) => {
                let refused = instance.state().memory_refused;
                match guest_failure::name_memory_limit(Answer::Failed(failure), refused, limits) {
                    Answer::Failed(failure) if failure.kind == FailureKind::BadCode => Ok(Err(failure)),
                    Answer::Failed(failure) => Err(failure),
                    _ => Err(Failure::new(FailureKind::Internal, "a failure became another answer")),
                }
            }
            LoadReply::Loaded => {
                let (memory, globals) = instance.snapshot().map_err(|error| not_created(&error))?;
                let image = self.base.with_changes(memory, globals);
                image.map(|image| Ok(Arc::new(image))).map_err(|error| not_created(&error.into()))
            }
        }
    }
}

async fn call(mut instance: Instance<'_>, step: PythonStep<'_>, count_pages: bool) -> StepRun {
    let task = step.task;
    let call = CallRequest {
        function: step.function.to_owned(),
        inputs: task.inputs.clone(),
        keywords: step.keywords.cloned(),
        stream: task.loop_text.is_some(),
        batch_items: task.limits.batch_items.max(1),
        env: task.env.clone(),
        environment: task.permissions.environment.clone().into_iter().collect(),
        tcp: task.permissions.tcp.clone(),
        max_result: task.limits.result_bytes,
        loop_text: task.loop_text.clone(),
        soft_limit: task.limits.soft_time.map(|soft| soft_limit_message(soft, task.limits.time)),
    };
    if let Some(deadline) = step.context.soft_deadline
        && let Err(error) = instance.set_soft_limit(deadline).await
    {
        return StepRun::failed(not_created(&error));
    }
    let answer = match request::<_, Answer>(&mut instance, GuestFunction::Call, &call).await {
        Ok(answer) => {
            let refused = instance.state().memory_refused;
            let answer = checked(answer).await.unwrap_or_else(Answer::Failed);
            guest_failure::name_memory_limit(answer, refused, &task.limits)
        }
        Err(failure) => Answer::Failed(failure),
    };
    let dirty_pages = if count_pages { instance.dirty_pages() } else { None };
    StepRun { answer, memory_bytes: instance.memory_bytes(), dirty_pages }
}

/// The image of a module, or why it cannot be loaded.
type LoadResult = Result<SharedImage, Failure>;

/// A cached module.
#[derive(Default)]
struct PythonModule {
    /// Loaded by the first step; others wait. If the first is dropped meanwhile, the next one loads it.
    image: OnceCell<LoadResult>,
    /// The folder of its packages.
    packages: RefCell<Option<Mount>>,
    runs: std::cell::Cell<u32>,
}

impl PythonModule {
    /// The opened folder of its packages. It may have changed since the last step, if the packages were unpacked again.
    fn packages(&self, path: Option<&Path>) -> wasmtime::Result<Option<Mount>> {
        let mut packages = self.packages.borrow_mut();
        if packages.as_ref().map(Mount::path) != path {
            *packages = path.map(Mount::open).transpose()?;
        }
        Ok(packages.clone())
    }

    /// Counts a run and returns whether its dirty pages are to be counted.
    fn counts_pages(&self) -> bool {
        let runs = self.runs.get().saturating_add(1);
        self.runs.set(runs);
        runs <= MAX_COUNTED_RUNS
    }

    fn bytes(&self, count: impl Fn(&SharedImage) -> usize) -> usize {
        self.image.get().and_then(|loaded| loaded.as_ref().ok()).map_or(0, count)
    }
}

/// Loaded modules: those that steps use, and an LRU cache of others.
#[derive(Default)]
struct ModuleCache {
    /// Each with the value of `uses` at its last use.
    modules: HashMap<BlobHash, (Rc<PythonModule>, u64)>,
    uses: u64,
}

impl ModuleCache {
    fn get(&mut self, key: BlobHash) -> Rc<PythonModule> {
        self.uses += 1;
        let (module, last_use) = self.modules.entry(key).or_default();
        *last_use = self.uses;
        Rc::clone(module)
    }

    fn bytes(&self, count: impl Fn(&SharedImage) -> usize) -> usize {
        self.modules.values().map(|(module, _)| module.bytes(&count)).sum()
    }

    fn image_bytes(&self) -> usize {
        self.bytes(|image| image.file_bytes())
    }

    /// Evicts the least recently used modules that no step uses, until the cache is within its limits. Evicting one that is in use
    /// would free no memory, and the next step of the module would make a second image of it.
    fn evict(&mut self) {
        while self.modules.len() > MAX_CACHED_IMAGES || self.bytes(|image| image.own_bytes()) > MAX_CACHED_IMAGE_BYTES {
            let idle = self.modules.iter().filter(|(_, (module, _))| Rc::strong_count(module) == 1);
            let oldest = idle.min_by_key(|(_, (_, last_use))| *last_use);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { return };
            self.modules.remove(&oldest);
        }
    }
}
