//! The loop of a sandbox host, the process that runs guests. Its one connection is the socket to its parent; it exits when
//! that is closed.

use std::cell::RefCell;
use std::collections::HashMap;
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
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet, spawn_local};

use crate::host::sandbox::Sandbox;
use crate::host::wasm::compile::compile;
use crate::packages::sites::Site;
use crate::prepared::{Prepared, PreparedFiles};
use crate::protocol::{self, Frames, FromHost, Program, RunRequest, ToHost};
use crate::step::log::{Lines, Log};
use crate::step::net_port::NetPort;
use crate::step::task::{Code, Items, Task};

/// Requests for lines that a task may have open.
const MAX_LINE_REQUESTS: usize = 2;

/// Maximum number of threads for SQL steps.
const MAX_SQL_THREADS: usize = 8;

/// Serves as a sandbox host until the parent closes the socket that is this process's standard input. This is
/// the hidden verb `sandbox-host`.
#[must_use]
pub fn serve_sandbox_host() -> ExitCode {
    abort_on_panic();
    match serve() {
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

fn serve() -> io::Result<()> {
    let socket = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(MAX_SQL_THREADS)
        .build()?;
    let result = LocalSet::new()
        .block_on(&runtime, async { serve_socket(UnixStream::from_std(socket).map_err(|_| not_the_parent())?).await });
    // do not wait for a SQL step that computes: the process exits
    runtime.shutdown_background();
    result
}

async fn serve_socket(socket: UnixStream) -> io::Result<()> {
    let (read, write) = socket.into_split();
    let mut read = BufReader::new(read);
    let (frames, queue) = mpsc::unbounded_channel();
    let writer = spawn_local(protocol::write_all(write, queue));
    let setup = match protocol::read(&mut read).await {
        Ok(Some(ToHost::Setup(files))) => files,
        Ok(Some(ToHost::Compile { kind, wasm })) => {
            let result = compile(kind, &wasm).map_or_else(FromHost::Refused, |code| FromHost::Compiled(code.into()));
            send(&frames, &result)?;
            drop(frames);
            return writer.await?;
        }
        Ok(None) => return Ok(()),
        Ok(Some(_)) => return Err(io::Error::other("the first frame of the parent is not the setup")),
        // the first frame is malformed, so this is not the parent
        Err(_) => return Err(not_the_parent()),
    };
    match open_sandbox(setup) {
        Ok(sandbox) => {
            send(&frames, &FromHost::Ready)?;
            Host { sandbox, frames, bundles: RefCell::default(), running: RefCell::default() }.run(read).await
        }
        Err(message) => {
            send(&frames, &FromHost::Refused(message))?;
            drop(frames);
            writer.await?
        }
    }
}

fn not_the_parent() -> io::Error {
    io::Error::other("this verb is for bue itself, which connects it to a socket; type `bue --help` for the others")
}

fn open_sandbox(files: PreparedFiles) -> Result<Sandbox, String> {
    Sandbox::open(&Prepared::from_parent(files)).map_err(|error| error.to_string())
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
    async fn run(self, mut read: BufReader<OwnedReadHalf>) -> io::Result<()> {
        let host = Rc::new(self);
        spawn_local(Rc::clone(&host).report_waiting_steps());
        while let Some(message) = protocol::read(&mut read).await? {
            match message {
                ToHost::Setup(_) | ToHost::Compile { .. } => {
                    return Err(io::Error::other("the parent sent a second setup"));
                }
                ToHost::Load { key, bundle } => drop(host.bundles.borrow_mut().insert(key, Arc::new(bundle))),
                ToHost::Forget { key } => drop(host.bundles.borrow_mut().remove(&key)),
                ToHost::Run { id, request } => host.start(id, *request)?,
                ToHost::Taken { id } => host.taken(id),
                ToHost::SendLines { id, position } => host.lines_requested(id, position),
                ToHost::Cancel { id } => host.cancel(id),
                ToHost::Net { id, ticket, completion } => host.net_completed(id, ticket, completion),
            }
        }
        Ok(())
    }

    /// Reports the number of waiting steps, because the parent hands out more steps for them.
    async fn report_waiting_steps(self: Rc<Self>) {
        let waiting_steps = self.sandbox.waiting_steps();
        loop {
            waiting_steps.changed().await;
            // changes between two polls are one message; if the parent is gone, this process exits soon
            let _ = send(&self.frames, &FromHost::Waiting { steps: waiting_steps.count() });
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
            Program::Python { function, packages } => {
                let (bundle, key) = self.bundle(request.key)?;
                let packages = packages.map(|path| Arc::new(Site::read_only(path)));
                Code::Python { bundle, key, function, packages }
            }
            Program::Sqlite { table, placeholders } => {
                let (bundle, key) = self.bundle(request.key)?;
                Code::Sqlite { bundle, key, table, placeholders }
            }
            Program::Wasm { step, function } => Code::Wasm { step, function },
        };
        let RunRequest { inputs, env, loop_text, limits, permissions, .. } = request;
        Ok(Task { code, inputs, env, loop_text, limits, permissions })
    }

    fn bundle(&self, key: Option<BlobHash>) -> io::Result<(Arc<Bundle>, BlobHash)> {
        let bundle = key.and_then(|key| Some((self.bundles.borrow().get(&key).cloned()?, key)));
        bundle.ok_or_else(|| io::Error::other("the parent named a bundle that it has not loaded"))
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

    fn send_items(&self, id: u64, Items { count, items }: Items) {
        let _ = send(&self.frames, &FromHost::Items { id, count, items });
    }
}
