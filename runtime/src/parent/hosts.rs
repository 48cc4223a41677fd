//! The parent's side: sandbox host processes, started, fed, watched and started again.
//!
//! ```text
//! Hosts -- slot -- supervisor task -- child process     a slot outlives its children
//!            |          reads frames, gives events to the tasks' Running
//!            +-- Link: the child that lives now, its tasks, the bundles it knows
//! ```

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bue_model::net::{Ended, NetError, NetErrorKind, Ticket};
use bue_model::{Answer, BlobHash, Bundle, Failure};
use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use crate::error::RuntimeError;
use crate::parent::blobs::Blobs;
use crate::parent::child::Child;
use crate::parent::egress::{Egress, Session, Tell};
use crate::parent::running::Running;
use crate::parent::step_compiler::StepCompiler;
use crate::prepared::Prepared;
use crate::protocol::{self, Frames, FromHost, MAX_FRAME, Program, RunRequest, ToHost};
use crate::step::compiled_step::CompiledStep;
use crate::step::failure;
use crate::step::limits::Limits;
use crate::step::net_port::NetRequest;
use crate::step::permissions::Permissions;
use crate::step::task::{Code, Event, Finished, Task};

/// Events a task may have under way: elements sent last, elements left at the end, and the end itself.
const EVENTS: usize = 4;
/// Bundles a child keeps.
const BUNDLES: usize = 256;
/// Bytes of bundles a child keeps, and of one bundle.
const BUNDLE_BYTES: usize = 128 << 20;
/// Processor time of the steps that a core is given before they are needed: what a step takes is not known before it ran,
/// and a core shall not idle while the hub is asked for more.
const IN_HAND: Duration = Duration::from_millis(250);
/// Steps a core is given at least: a few endless ones must not hold up the others, with which they take turns.
const FEWEST_A_CORE: usize = 8;
/// Steps a core is given at most.
const MOST_A_CORE: usize = 500;
/// What a step is taken to need before any has run: so much that a worker begins with [`FEWEST_A_CORE`].
const FIRST_STEP_NS: u64 = 30_000_000;
/// Steps after which what is known of those before has mostly gone.
const STEPS_LEARNED: u64 = 16;
/// First and longest pause before a child that died young is replaced.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// A child that lived this long did not die of its start.
const YOUNG: Duration = Duration::from_secs(10);

/// How to start sandbox hosts.
#[derive(Clone, Debug)]
pub struct HostsConfig {
    /// Absolute path of the program and its arguments. It must call [`serve_sandbox_host`](crate::serve_sandbox_host).
    pub command: (PathBuf, Vec<OsString>),
    /// How many: one a core, because each runs its guests in one thread.
    pub hosts: usize,
    /// What they run.
    pub prepared: Prepared,
    /// The network of their steps.
    pub egress: Egress,
}

/// Running sandbox hosts. Dropping it kills them.
#[derive(Debug)]
pub struct Hosts {
    shared: Arc<Shared>,
    supervisors: JoinSet<()>,
    close: watch::Sender<bool>,
}

#[derive(Debug)]
struct Shared {
    slots: Vec<Slot>,
    next_id: AtomicU64,
    /// A child is ready, or all is closed.
    changed: Notify,
    /// A step ended or began to wait: there may be room for another.
    eased: Notify,
    /// What the last steps took of a processor, in nanoseconds.
    step_ns: AtomicU64,
    closed: watch::Receiver<bool>,
    egress: Egress,
    compiler: StepCompiler,
}

/// Place of one child.
#[derive(Debug, Default)]
struct Slot {
    link: Mutex<Option<Link>>,
}

/// The child that lives now.
#[derive(Debug)]
struct Link {
    frames: Frames,
    tasks: HashMap<u64, TaskLink>,
    /// Tasks that waited when the child last said so. It may be behind by what is on its way.
    waiting: usize,
    process: u32,
    bundles: Bundles,
}

impl Link {
    /// Tasks that want the child's core.
    fn running(&self) -> usize {
        self.tasks.len().saturating_sub(self.waiting)
    }
}

/// A task that runs there.
#[derive(Debug)]
struct TaskLink {
    events: mpsc::Sender<Event>,
    /// Names its packages, which are unpacked as long as somebody does.
    _code: Code,
    /// Ends what the task has under way on the network when the task is gone.
    net: Session,
    /// Where its blobs are kept, if anywhere.
    blobs: Option<Arc<dyn Blobs>>,
}

impl Slot {
    fn link(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hosts {
    /// Starts the hosts and waits until all of them are ready.
    ///
    /// # Errors
    /// A host that cannot be started or refuses to serve.
    pub async fn start(config: HostsConfig) -> Result<Self, RuntimeError> {
        raise_file_limit();
        let (close, closed) = watch::channel(false);
        let slots = (0..config.hosts.max(1)).map(|_| Slot::default()).collect();
        let egress = config.egress.clone();
        let compiler = StepCompiler::open(&config.prepared, config.command.clone())?;
        let shared = Arc::new(Shared {
            slots,
            next_id: AtomicU64::new(1),
            changed: Notify::new(),
            eased: Notify::new(),
            step_ns: AtomicU64::new(FIRST_STEP_NS),
            closed,
            egress,
            compiler,
        });
        let config = Arc::new(config);
        let mut starting = JoinSet::new();
        for slot in 0..shared.slots.len() {
            let config = Arc::clone(&config);
            starting.spawn(async move { (slot, Child::start(&config).await) });
        }
        let mut supervisors = JoinSet::new();
        while let Some(started) = starting.join_next().await {
            let (slot, child) = started.map_err(|error| RuntimeError::Refused(error.to_string()))?;
            supervisors.spawn(supervise(Arc::clone(&shared), slot, Arc::clone(&config), child?));
        }
        Ok(Self { shared, supervisors, close })
    }

    /// Starts a task that keeps no blobs: where its code asks for that, it is refused. See [`Self::run_with`].
    ///
    /// # Errors
    /// The hosts were shut down.
    pub async fn run(&self, task: Task) -> Result<Running, RuntimeError> {
        self.start_task(task, None).await
    }

    /// Starts a task in the host that has least to do, and keeps its blobs there. Waits where every host is being started again.
    ///
    /// # Errors
    /// The hosts were shut down.
    pub async fn run_with(&self, task: Task, blobs: Arc<dyn Blobs>) -> Result<Running, RuntimeError> {
        self.start_task(task, Some(blobs)).await
    }

    async fn start_task(&self, task: Task, blobs: Option<Arc<dyn Blobs>>) -> Result<Running, RuntimeError> {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut request = match request(id, task, blobs) {
            Ok(request) => request,
            Err(refused) => return Ok(Running::over(refused)),
        };
        loop {
            let changed = self.shared.changed.notified();
            if *self.shared.closed.borrow() {
                return Err(RuntimeError::Closed);
            }
            let events = self.shared.idlest().and_then(|slot| self.shared.hand_out(slot, &mut request));
            match events {
                Some((slot, events)) => {
                    return Ok(Running::hosted(events, HostTask { shared: Arc::clone(&self.shared), slot, id }));
                }
                None => changed.await,
            }
        }
    }

    /// The code of a compiled step for this machine, made in a process of its own or found in the cache. The module is the
    /// entry of the bundle.
    ///
    /// # Errors
    /// A failure of the step: it is no step, or too large to compile.
    pub async fn compile(&self, bundle: &Bundle, key: BlobHash) -> Result<CompiledStep, Failure> {
        self.shared.compiler.compile(bundle, key).await
    }

    /// How many more steps the cores have room for now; where there is none, one that runs has to end or wait first.
    ///
    /// Steps that wait do not count, they cost memory: see [`Self::memory`]. What runs is kept to about [`IN_HAND`] of
    /// work, so that a worker does not hold what another could begin.
    #[must_use]
    pub fn cores_free(&self) -> usize {
        let cores = self.shared.slots.len();
        let in_hand = IN_HAND.as_nanos() / u128::from(self.shared.step_ns.load(Ordering::Relaxed).max(1));
        let most = usize::try_from(in_hand).unwrap_or(usize::MAX).clamp(FEWEST_A_CORE, MOST_A_CORE) * cores;
        most.saturating_sub(self.shared.sum(Link::running))
    }

    /// Steps that are in the hosts, running or waiting.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.shared.sum(|link| link.tasks.len())
    }

    /// Bytes of memory that the hosts have to themselves, where the system tells: what their steps wrote.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        let links = self.shared.slots.iter().map(|slot| slot.link().as_ref().map(|link| link.process));
        links.flatten().map(own_memory).sum()
    }

    /// Returns when a step ended or began to wait since the future was made.
    pub fn eased(&self) -> Notified<'_> {
        self.shared.eased.notified()
    }

    /// Ends the hosts. Tasks that still run get [`HostLost`].
    pub async fn shutdown(mut self) {
        // nobody may listen any more, which is the same
        let _ = self.close.send(true);
        self.shared.changed.notify_waiters();
        for slot in &self.shared.slots {
            drop(slot.link().take());
        }
        while self.supervisors.join_next().await.is_some() {}
    }
}

/// Thousands of steps wait for as many connections, and systems begin with room for a thousand. One that does not give
/// more refuses connections later, which the steps are told.
fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// A task as it is handed to a child.
struct Request {
    id: u64,
    /// Names the bundle.
    code: Code,
    /// The frame that runs it; empty when it was sent.
    run: Vec<u8>,
    permissions: Permissions,
    limits: Limits,
    /// Where its blobs are kept, if anywhere.
    blobs: Option<Arc<dyn Blobs>>,
}

fn request(id: u64, task: Task, blobs: Option<Arc<dyn Blobs>>) -> Result<Request, Answer> {
    let Task { code, inputs, env, loop_text, limits, permissions } = task;
    let (asked, allowed) = (permissions.clone(), limits.clone());
    let len: u64 = inputs.iter().map(|input| input.len() as u64).sum();
    if len > limits.input_bytes {
        return Err(failure::too_much_input(len, limits.input_bytes));
    }
    let files = code.bundle().map(|(bundle, _)| bundle.files.as_slice()).unwrap_or_default();
    let code_bytes: usize = files.iter().map(|file| file.path.len() + file.content.len()).sum();
    if code_bytes > BUNDLE_BYTES {
        return Err(failure::too_much_code(code_bytes as u64, BUNDLE_BYTES as u64));
    }
    let program = match &code {
        Code::Python { function, packages, .. } => {
            let packages = packages.as_ref().map(|site| site.path().to_owned());
            Program::Python { function: function.clone(), packages }
        }
        Code::Sqlite { table, placeholders, .. } => {
            Program::Sqlite { table: table.clone(), placeholders: placeholders.clone() }
        }
        Code::Wasm { step, function } => Program::Wasm { step: step.clone(), function: function.clone() },
    };
    let key = code.bundle().map(|(_, key)| key);
    let request = RunRequest { key, program, inputs, env, loop_text, limits, permissions };
    match protocol::frame(&ToHost::Run { id, request: Box::new(request) }) {
        Ok(run) => Ok(Request { id, code, run, permissions: asked, limits: allowed, blobs }),
        Err(_) => Err(failure::too_much_input(len, MAX_FRAME as u64)),
    }
}

/// Bytes of a process's memory that are its own, and not pages of files or shared.
fn own_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib.saturating_mul(1024))
}

impl Shared {
    fn sum(&self, what: impl Fn(&Link) -> usize) -> usize {
        self.slots.iter().map(|slot| slot.link().as_ref().map_or(0, &what)).sum()
    }

    /// The living child with the least to do: the fewest tasks that run, and of those the fewest in all.
    fn idlest(&self) -> Option<usize> {
        let tasks = |slot: &Slot| slot.link().as_ref().map(|link| (link.running(), link.tasks.len()));
        let living = self.slots.iter().enumerate().filter_map(|(index, slot)| Some((tasks(slot)?, index)));
        living.min().map(|(_, index)| index)
    }

    fn hand_out(&self, slot: usize, request: &mut Request) -> Option<(usize, mpsc::Receiver<Event>)> {
        let mut link = self.slots.get(slot)?.link();
        let link = link.as_mut()?;
        let (send, events) = mpsc::channel(EVENTS);
        link.bundles.need(&request.code, &link.frames)?;
        if let Err(back) = link.frames.send(core::mem::take(&mut request.run)) {
            request.run = back.0;
            return None;
        }
        let net = self.egress.session(&request.permissions, &request.limits, tell(request.id, link.frames.clone()));
        let (_code, blobs) = (request.code.clone(), request.blobs.clone());
        link.tasks.insert(request.id, TaskLink { events: send, _code, net, blobs });
        Some((slot, events))
    }

    /// Tells a child something about a task; one that is gone needs not hear it.
    fn tell(&self, slot: usize, message: &ToHost) {
        if let Some(link) = self.slots.get(slot).and_then(|slot| slot.link().as_ref().map(|link| link.frames.clone()))
            && let Ok(frame) = protocol::frame(message)
        {
            let _ = link.send(frame);
        }
    }

    /// Does on the network what a task asks. One that is not known was dropped, and gets nothing done.
    fn net(&self, slot: usize, id: u64, request: NetRequest) {
        let Some(link) = self.slots.get(slot).map(Slot::link) else { return };
        let Some(link) = link.as_ref() else { return };
        let Some(task) = link.tasks.get(&id) else { return };
        match (request, &task.blobs) {
            (NetRequest::PutBlob(ticket, bytes), Some(blobs)) => {
                let stored = blobs.put(bytes);
                let name = async { stored.await.map(|hash| Bytes::from(hash.to_string())) };
                tokio::spawn(tell_blob(id, ticket, name, link.frames.clone()));
            }
            (NetRequest::GetBlob(ticket, hash), Some(blobs)) => {
                tokio::spawn(tell_blob(id, ticket, blobs.get(hash), link.frames.clone()));
            }
            (request, _) => task.net.handle(request),
        }
    }

    /// Gives an event to its task. A task that is not known was dropped.
    fn deliver(&self, slot: usize, id: u64, event: Event) -> Result<(), RuntimeError> {
        let Some(mut link) = self.slots.get(slot).map(Slot::link) else { return Ok(()) };
        let Some(link) = link.as_mut() else { return Ok(()) };
        let task = match &event {
            Event::Finished(_) => link.tasks.remove(&id).map(|task| task.events),
            Event::Items { .. } => link.tasks.get(&id).map(|task| task.events.clone()),
        };
        let Some(task) = task else { return Ok(()) };
        if let Event::Finished(finished) = &event {
            self.note_end(finished);
        }
        match task.try_send(event) {
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(RuntimeError::Refused("it sent elements that nobody asked for".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl Shared {
    /// A step ended: there is room for another, and something was learned of how much they take.
    fn note_end(&self, finished: &Finished) {
        let took = u64::try_from(finished.usage.cpu.as_nanos()).unwrap_or(u64::MAX);
        let mean = self.step_ns.load(Ordering::Relaxed);
        // one task writes at a time for each child; a figure lost to the other's is no loss
        self.step_ns.store(mean - mean / STEPS_LEARNED + took / STEPS_LEARNED, Ordering::Relaxed);
        self.eased.notify_waiters();
    }

    /// A child said how many of its steps wait.
    fn note_waiting(&self, slot: usize, steps: u32) {
        if let Some(link) = self.slots.get(slot).map(Slot::link).as_deref_mut().and_then(Option::as_mut) {
            link.waiting = steps as usize;
        }
        self.eased.notify_waiters();
    }
}

/// How a child hears of the ends of a task's operations.
fn tell(id: u64, frames: Frames) -> Tell {
    Box::new(move |ticket, ended| {
        // one that is gone needs not hear it
        let _ = protocol::frame(&ToHost::Net { id, ticket, ended }).map(|frame| frames.send(frame));
    })
}

/// Tells a child what became of a blob.
async fn tell_blob(id: u64, ticket: Ticket, ended: impl Future<Output = Result<Bytes, String>> + Send, frames: Frames) {
    let ended = match ended.await {
        Ok(bytes) => Ended::Data { bytes, last: true },
        Err(why) => Ended::Failed(NetError::new(NetErrorKind::Closed, why)),
    };
    tell(id, frames)(ticket, ended);
}

/// Keeps one slot alive.
async fn supervise(shared: Arc<Shared>, slot: usize, config: Arc<HostsConfig>, first: Child) {
    let mut closed = shared.closed.clone();
    let mut next = Some(first);
    let mut pause = PAUSE.0;
    loop {
        let started = Instant::now();
        let ended = match next.take() {
            Some(child) => attend(&shared, slot, child).await,
            None => match Child::start(&config).await {
                Ok(child) => attend(&shared, slot, child).await,
                Err(error) => Err(error),
            },
        };
        if *closed.borrow() {
            return;
        }
        let why = ended.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
        tracing::warn!(slot, why, "a sandbox host is gone and is started again; its steps are given back");
        pause = if started.elapsed() >= YOUNG { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}

/// Serves a child until it ends.
async fn attend(shared: &Shared, slot: usize, mut child: Child) -> Result<(), RuntimeError> {
    let Some(place) = shared.slots.get(slot) else { return Ok(()) };
    *place.link() = Some(Link {
        frames: child.take_frames(),
        tasks: HashMap::new(),
        waiting: 0,
        process: child.id(),
        bundles: Bundles::default(),
    });
    if *shared.closed.borrow() {
        drop(place.link().take());
    }
    shared.changed.notify_waiters();
    let ended = read_events(shared, slot, &mut child).await;
    // dropping the tasks' senders tells them that the host is lost
    drop(place.link().take());
    child.end().await;
    ended
}

async fn read_events(shared: &Shared, slot: usize, child: &mut Child) -> Result<(), RuntimeError> {
    while let Some(message) = child.next().await? {
        match message {
            FromHost::Items { id, count, items } => shared.deliver(slot, id, Event::Items { count, items })?,
            FromHost::Finished { id, finished } => shared.deliver(slot, id, Event::Finished(finished))?,
            FromHost::Net { id, request } => shared.net(slot, id, request),
            FromHost::Waiting { steps } => shared.note_waiting(slot, steps),
            FromHost::Ready | FromHost::Refused(_) | FromHost::Compiled(_) => {
                return Err(RuntimeError::Refused("it was set up twice".to_owned()));
            }
        }
    }
    Ok(())
}

/// Bundles that a child was sent, with when they were last used.
#[derive(Debug, Default)]
struct Bundles {
    known: HashMap<BlobHash, (u64, usize)>,
    uses: u64,
}

impl Bundles {
    /// Sends what the child needs for this code and does not have; takes back what was not used for long. `None` where
    /// the child is gone.
    fn need(&mut self, code: &Code, frames: &Frames) -> Option<()> {
        let Some((bundle, key)) = code.bundle() else { return Some(()) };
        self.uses += 1;
        if let Some((used, _)) = self.known.get_mut(&key) {
            *used = self.uses;
            return Some(());
        }
        let frame = protocol::frame(&ToHost::Load { key, bundle: Bundle::clone(bundle) }).ok()?;
        self.make_room(frame.len(), frames)?;
        self.known.insert(key, (self.uses, frame.len()));
        frames.send(frame).ok()
    }

    fn make_room(&mut self, len: usize, frames: &Frames) -> Option<()> {
        let bytes = |known: &HashMap<BlobHash, (u64, usize)>| known.values().map(|(_, len)| len).sum::<usize>();
        while self.known.len() >= BUNDLES || (bytes(&self.known) + len > BUNDLE_BYTES && !self.known.is_empty()) {
            let oldest = self.known.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key)?;
            self.known.remove(&oldest);
            frames.send(protocol::frame(&ToHost::Forget { key: oldest }).ok()?).ok()?;
        }
        Some(())
    }
}

/// A task that one of the hosts has.
#[derive(Debug)]
pub(crate) struct HostTask {
    shared: Arc<Shared>,
    slot: usize,
    id: u64,
}

impl HostTask {
    /// Its elements were taken: it may give more.
    pub(crate) fn taken(&self) {
        self.shared.tell(self.slot, &ToHost::Taken { id: self.id });
    }

    /// Nobody waits for it any more.
    pub(crate) fn cancel(&self) {
        if let Some(slot) = self.shared.slots.get(self.slot)
            && let Some(link) = slot.link().as_mut()
        {
            link.tasks.remove(&self.id);
        }
        self.shared.tell(self.slot, &ToHost::Cancel { id: self.id });
    }
}
