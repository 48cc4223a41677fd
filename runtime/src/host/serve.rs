//! The loop of a sandbox host, the process that runs guests. Its one connection is the socket to its parent; it exits when
//! that is closed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use bue_model::net::{Completion, Ticket};
use bue_model::{BlobHash, Bundle};
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet, spawn_local};

use crate::descriptors::{self, DescriptorReader};
use crate::host::sandbox::Sandbox;
use crate::host::wasm::compile::{compile, confine_compiler};
use crate::packages::sites::Site;
use crate::prepared::{GuestFiles, PreparedGuests, Seal};
use crate::protocol::{self, Frames, FromHost, Program, RunRequest, ToHost};
use crate::step::compiled_step::CompiledStep;
use crate::step::log::{Lines, Log};
use crate::step::net_port::NetPort;
use crate::step::task::{Code, Items, Task};
use crate::step::timestamp::set_simulated_now;
use crate::wall::escape::attempt::EscapeTarget;
use crate::wall::escape::report::try_everything;
use crate::wall::privileges::close_inherited;
use crate::wall::raise::raise;
use crate::wall::report::Wall;
use crate::wall::spec::WallSpec;

/// Requests for lines that a task may have open.
const MAX_LINE_REQUESTS: usize = 2;

/// Turns of tasks between two looks at the socket; tokio's default is 61. A turn may take the ten milliseconds of a tick.
const TASKS_BETWEEN_READS: u32 = 8;

/// Maximum number of threads that read the files of packages and check large values.
const MAX_FILE_THREADS: usize = 8;

/// Serves as a sandbox host until the parent closes the socket that is this process's standard input. This is
/// the hidden verb `sandbox-host`.
#[must_use]
pub fn serve_sandbox_host() -> ExitCode {
    serve_sandbox_host_after(&|_| Ok(()))
}

/// What a child process of a worker does behind its wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildRole {
    /// Runs steps.
    SandboxHost,
    /// Compiles a step.
    Compiler,
}

/// A sandbox host that behaves as if a guest had escaped into it, or a compiler that a module broke: it tries what an attacker would,
/// and refuses to serve with a report of what was possible. A child with the other role serves as usual. For tests of the wall.
#[must_use]
pub fn serve_as_if_escaped(target: &EscapeTarget, escaped: ChildRole) -> ExitCode {
    serve_sandbox_host_after(&|role| if role == escaped { Err(try_everything(target)) } else { Ok(()) })
}

/// A sandbox host that first executes `behind_wall` when the wall is up, and refuses to serve with its error.
#[must_use]
pub fn serve_sandbox_host_after(behind_wall: &dyn Fn(ChildRole) -> Result<(), String>) -> ExitCode {
    close_inherited();
    abort_on_panic();
    match serve(behind_wall) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "standard error of this process is a pipe into the parent's log")]
fn print_error(error: &io::Error) {
    eprintln!("the sandbox host exits: {error}");
}

/// After a panic, the state of this process cannot be trusted. The parent starts another host and releases the steps.
fn abort_on_panic() {
    let print_panic = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print_panic(panic);
        std::process::abort();
    }));
}

fn serve(behind_wall: &dyn Fn(ChildRole) -> Result<(), String>) -> io::Result<()> {
    let socket = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(MAX_FILE_THREADS)
        // the parent's pings are read between the steps, also if many of them compute
        .event_interval(TASKS_BETWEEN_READS)
        .build()?;
    let result = LocalSet::new().block_on(&runtime, async {
        serve_socket(UnixStream::from_std(socket).map_err(|_| not_the_parent())?, behind_wall).await
    });
    // do not wait for a thread that reads a file: the process exits
    runtime.shutdown_background();
    result
}

async fn serve_socket(socket: UnixStream, behind_wall: &dyn Fn(ChildRole) -> Result<(), String>) -> io::Result<()> {
    let (read, write) = socket.into_split();
    let mut read = BufReader::new(DescriptorReader::new(read));
    let (frames, queue) = mpsc::unbounded_channel();
    let writer = spawn_local(descriptors::write_all(write, queue));
    let reply = match protocol::read(&mut read).await {
        Ok(Some(ToHost::Setup { python, sqlite, wall })) => {
            match set_up(read.get_mut(), python, sqlite, wall, behind_wall)? {
                Ok((sandbox, wall)) => {
                    send(&frames, &FromHost::Ready(wall))?;
                    return Host::new(sandbox, frames).run(read).await;
                }
                Err(reason) => FromHost::Refused(reason),
            }
        }
        Ok(Some(ToHost::Compile { kind, wasm, wall })) => {
            match confine_compiler(wasm.len() as u64, wall).and_then(|()| behind_wall(ChildRole::Compiler)) {
                Ok(()) => compile(kind, &wasm).map_or_else(FromHost::Refused, |code| FromHost::Compiled(code.into())),
                Err(reason) => FromHost::CompilerFailed(reason),
            }
        }
        Ok(Some(ToHost::RaiseWall(wall))) => {
            let packages = packages_folder(read.get_mut(), wall)?;
            raise(wall, packages.as_ref()).map_or_else(FromHost::Refused, FromHost::Ready)
        }
        Ok(None) => return Ok(()),
        Ok(Some(_)) => return Err(io::Error::other("the first frame of the parent is not the setup")),
        // the first frame is malformed, so this is not the parent
        Err(_) => return Err(not_the_parent()),
    };
    send(&frames, &reply)?;
    drop(frames);
    writer.await?
}

fn not_the_parent() -> io::Error {
    io::Error::other("this verb is for bue itself, which connects it to a socket; type `bue --help` for the others")
}

/// Raises the wall, then maps the guests. The inner error is why this host cannot serve.
fn set_up(
    read: &mut DescriptorReader,
    python: Seal,
    sqlite: Option<Seal>,
    wall: WallSpec,
    behind_wall: &dyn Fn(ChildRole) -> Result<(), String>,
) -> io::Result<Result<(Sandbox, Wall), String>> {
    let mut files = |seal| {
        io::Result::Ok(GuestFiles { code: Arc::new(read.take_file()?), image: Arc::new(read.take_file()?), seal })
    };
    let guests = PreparedGuests { python: files(python)?, sqlite: sqlite.map(files).transpose()? };
    let packages = packages_folder(read, wall)?;
    let set_up = || {
        let wall = raise(wall, packages.as_ref())?;
        behind_wall(ChildRole::SandboxHost)?;
        let sandbox = Sandbox::from_guests(&guests).map_err(|error| error.to_string())?;
        Ok((sandbox, wall))
    };
    Ok(set_up())
}

fn packages_folder(read: &mut DescriptorReader, wall: WallSpec) -> io::Result<Option<File>> {
    wall.packages.then(|| read.take_file()).transpose()
}

fn send(frames: &Frames, message: &FromHost) -> io::Result<()> {
    let frame = protocol::frame(message)?;
    frames.send(frame).map_err(|_| io::Error::other("the parent no longer reads"))
}

struct Host {
    sandbox: Sandbox,
    frames: Frames,
    /// Bundles that the parent has loaded and not yet dropped.
    bundles: RefCell<HashMap<BlobHash, Arc<Bundle>>>,
    /// The same of compiled steps.
    compiled: RefCell<HashMap<BlobHash, CompiledStep>>,
    running: RefCell<HashMap<u64, RunningTask>>,
}

struct RunningTask {
    abort: AbortHandle,
    /// Receives a message when the parent's consumer has taken the last batch of elements.
    taken: mpsc::Sender<()>,
    /// Receives the position from which lines of its log are requested.
    lines: mpsc::Sender<u64>,
    /// Receives the completions of its network operations.
    net: mpsc::UnboundedSender<(Ticket, Completion)>,
}

impl Host {
    fn new(sandbox: Sandbox, frames: Frames) -> Self {
        let (bundles, compiled, running) = (RefCell::default(), RefCell::default(), RefCell::default());
        Self { sandbox, frames, bundles, compiled, running }
    }

    async fn run(self, mut read: BufReader<DescriptorReader>) -> io::Result<()> {
        let host = Rc::new(self);
        spawn_local(Rc::clone(&host).report_load());
        while let Some(message) = protocol::read(&mut read).await? {
            match message {
                ToHost::Setup { .. } | ToHost::Compile { .. } | ToHost::RaiseWall(_) => {
                    return Err(io::Error::other("the parent sent a second setup"));
                }
                ToHost::Load { key, bundle } => drop(host.bundles.borrow_mut().insert(key, Arc::new(bundle))),
                ToHost::LoadCode { key, kind } => {
                    let step = CompiledStep { kind, key, code: Arc::new(read.get_mut().take_file()?) };
                    host.compiled.borrow_mut().insert(key, step);
                }
                ToHost::Forget { key } => host.forget(key),
                ToHost::Run { id, request } => host.start(id, *request)?,
                ToHost::Taken { id } => host.taken(id),
                ToHost::SendLines { id, position } => host.lines_requested(id, position),
                ToHost::Cancel { id } => host.cancel(id),
                ToHost::Net { id, ticket, completion } => host.net_completed(id, ticket, completion),
                ToHost::Ping { number } => send(&host.frames, &FromHost::Pong { number })?,
            }
        }
        Ok(())
    }

    fn forget(&self, key: BlobHash) {
        self.bundles.borrow_mut().remove(&key);
        self.compiled.borrow_mut().remove(&key);
    }

    /// Reports the number of waiting steps, because the parent hands out more steps for them, and the memory that they take beside
    /// that of the process.
    async fn report_load(self: Rc<Self>) {
        let waiting_steps = self.sandbox.waiting_steps();
        loop {
            waiting_steps.changed().await;
            // changes between two polls are one message; if the parent is gone, this process exits soon
            let (waiting, image_bytes) = (waiting_steps.count(), self.sandbox.image_bytes() as u64);
            let _ = send(&self.frames, &FromHost::Load { waiting, image_bytes });
        }
    }

    fn start(self: &Rc<Self>, id: u64, request: RunRequest) -> io::Result<()> {
        let task = self.task(request)?;
        let (taken, acknowledged) = mpsc::channel(1);
        let (lines, requests) = mpsc::channel(MAX_LINE_REQUESTS);
        let host = Rc::clone(self);
        let (net, port) = self.port(id);
        let task = spawn_local(async move { host.run_task(id, task, acknowledged, requests, port).await });
        self.running.borrow_mut().insert(id, RunningTask { abort: task.abort_handle(), taken, lines, net });
        Ok(())
    }

    /// The task of a request, with the code that the parent loaded before.
    fn task(&self, request: RunRequest) -> io::Result<Task> {
        let code = match request.program {
            Program::Python { function, keywords, packages } => {
                let (bundle, key) = self.bundle(request.key)?;
                // relative to the folder of packages, which is the current folder
                let packages = packages.map(|name| Arc::new(Site::read_only(name.into())));
                Code::Python { bundle, key, function, keywords, packages }
            }
            Program::Sqlite { table, placeholders } => {
                let (bundle, key) = self.bundle(request.key)?;
                Code::Sqlite { bundle, key, table, placeholders }
            }
            Program::Wasm { function } => Code::Wasm { step: self.compiled_step(request.key)?, function },
        };
        let RunRequest { inputs, env, loop_text, limits, permissions, simulated_ms, .. } = request;
        simulated_ms.inspect(|millis| set_simulated_now(*millis));
        Ok(Task { code, inputs, env, loop_text, limits, permissions })
    }

    fn bundle(&self, key: BlobHash) -> io::Result<(Arc<Bundle>, BlobHash)> {
        let bundle = self.bundles.borrow().get(&key).map(|bundle| (Arc::clone(bundle), key));
        bundle.ok_or_else(|| io::Error::other("the parent named a bundle that it has not loaded"))
    }

    fn compiled_step(&self, key: BlobHash) -> io::Result<CompiledStep> {
        let step = self.compiled.borrow().get(&key).cloned();
        step.ok_or_else(|| io::Error::other("the parent named a compiled step that it has not loaded"))
    }

    /// A port to the network, which the parent has.
    fn port(&self, id: u64) -> (mpsc::UnboundedSender<(Ticket, Completion)>, NetPort) {
        let (net, completions) = mpsc::unbounded_channel();
        let frames = self.frames.clone();
        let send_request = move |request| {
            // if the parent is gone, this process exits soon
            let _ = send(&frames, &FromHost::Net { id, request });
        };
        (net, NetPort { send: Box::new(send_request), completions })
    }

    fn net_completed(&self, id: u64, ticket: Ticket, completion: Completion) {
        if let Some(task) = self.running.borrow().get(&id) {
            // fails if the step has just ended
            let _ = task.net.send((ticket, completion));
        }
    }

    fn taken(&self, id: u64) {
        if let Some(task) = self.running.borrow().get(&id) {
            // fails if an acknowledgement is queued already
            let _ = task.taken.try_send(());
        }
    }

    fn lines_requested(&self, id: u64, position: u64) {
        if let Some(task) = self.running.borrow().get(&id) {
            // fails if more requests are open than the parent may make
            let _ = task.lines.try_send(position);
        }
    }

    fn cancel(&self, id: u64) {
        if let Some(task) = self.running.borrow_mut().remove(&id) {
            task.abort.abort();
        }
    }

    async fn run_task(
        &self,
        id: u64,
        task: Task,
        mut acknowledged: mpsc::Receiver<()>,
        requests: mpsc::Receiver<u64>,
        net: NetPort,
    ) {
        let (items, mut received) = mpsc::channel(1);
        let log = Log::new(&task.limits);
        let mut running = core::pin::pin!(self.sandbox.run_logged(&task, items, net, log.clone()));
        let forward = async {
            tokio::join!(self.forward(id, &mut received, &mut acknowledged), self.forward_lines(id, &log, requests))
        };
        let finished = tokio::select! {
            biased;
            finished = &mut running => finished,
            // returns when nobody can request anything any more
            _ = forward => running.await,
        };
        while let Ok(items) = received.try_recv() {
            self.send_items(id, items);
        }
        self.running.borrow_mut().remove(&id);
        // if the parent is gone, this process exits soon
        let _ = send(&self.frames, &FromHost::Finished { id, finished });
    }

    /// Sends elements, one batch at a time: the next one when the last one is acknowledged.
    async fn forward(&self, id: u64, received: &mut mpsc::Receiver<Items>, acknowledged: &mut mpsc::Receiver<()>) {
        while let Some(items) = received.recv().await {
            self.send_items(id, items);
            if acknowledged.recv().await.is_none() {
                return;
            }
        }
    }

    /// Answers each request for lines of the log, when there are some or another request comes. The last ones come with the end of the step.
    async fn forward_lines(&self, id: u64, log: &Log, mut requests: mpsc::Receiver<u64>) {
        let mut request = requests.recv().await;
        while let Some(position) = request {
            let (lines, newer) = tokio::select! {
                biased;
                lines = log.lines_from(position) => (lines, None),
                newer = requests.recv() => (Lines { text: String::new(), next: position }, newer),
            };
            let _ = send(&self.frames, &FromHost::Lines { id, position, text: lines.text, next: lines.next });
            request = match newer {
                Some(newer) => Some(newer),
                None => requests.recv().await,
            };
        }
    }

    fn send_items(&self, id: u64, Items { count, items, early }: Items) {
        let _ = send(&self.frames, &FromHost::Items { id, count, items, early });
    }
}
