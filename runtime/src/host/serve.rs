//! A sandbox host: the loop of the process that runs guests. It holds no token and no connection but the one socket to its
//! parent, and it ends when that is closed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use bue_model::net::{Ended, Ticket};
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
use crate::step::net_port::NetPort;
use crate::step::task::{Code, Items, Task};

/// Threads for SQL steps.
const SQL_THREADS: usize = 8;

/// Serves as a sandbox host until the parent closes the socket that is this process's standard input. The whole of the
/// hidden verb `sandbox-host`.
#[must_use]
pub fn serve_sandbox_host() -> ExitCode {
    die_of_panics();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell_parent(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "standard error of this process is a pipe into the parent's log")]
fn tell_parent(error: &io::Error) {
    eprintln!("sandbox host ends: {error}");
}

/// After a panic nothing here can be trusted. The parent starts another host and gives the steps back.
fn die_of_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::abort();
    }));
}

fn serve() -> io::Result<()> {
    let socket = StdUnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(SQL_THREADS)
        .build()?;
    let served = LocalSet::new()
        .block_on(&runtime, async { serve_socket(UnixStream::from_std(socket).map_err(|_| not_for_people())?).await });
    // a SQL step that computes is not waited for: the process ends
    runtime.shutdown_background();
    served
}

async fn serve_socket(socket: UnixStream) -> io::Result<()> {
    let (read, write) = socket.into_split();
    let mut read = BufReader::new(read);
    let (frames, queue) = mpsc::unbounded_channel();
    let writer = spawn_local(protocol::write_all(write, queue));
    let setup = match protocol::read(&mut read).await {
        Ok(Some(ToHost::Setup(files))) => files,
        Ok(Some(ToHost::Compile { kind, wasm })) => {
            let said = compile(kind, &wasm).map_or_else(FromHost::Refused, |code| FromHost::Compiled(code.into()));
            send(&frames, &said)?;
            drop(frames);
            return writer.await?;
        }
        Ok(None) => return Ok(()),
        Ok(Some(_)) => return Err(io::Error::other("the parent did not begin with the setup")),
        // nothing was said yet: whatever this is, it is not the parent
        Err(_) => return Err(not_for_people()),
    };
    match open(setup) {
        Ok(sandbox) => {
            send(&frames, &FromHost::Ready)?;
            Host { sandbox, frames, bundles: RefCell::default(), running: RefCell::default() }.run(read).await
        }
        Err(why) => {
            send(&frames, &FromHost::Refused(why))?;
            drop(frames);
            writer.await?
        }
    }
}

fn not_for_people() -> io::Error {
    io::Error::other(
        "this verb is for bue itself, which talks to it through a socket; type `bue --help` for the others",
    )
}

fn open(files: PreparedFiles) -> Result<Sandbox, String> {
    Sandbox::open(&Prepared::from_parent(files)).map_err(|error| error.to_string())
}

fn send(frames: &Frames, message: &FromHost) -> io::Result<()> {
    let frame = protocol::frame(message)?;
    frames.send(frame).map_err(|_| io::Error::other("the parent does not read any more"))
}

struct Host {
    sandbox: Sandbox,
    frames: Frames,
    /// What the parent loaded and did not take back.
    bundles: RefCell<HashMap<BlobHash, Arc<Bundle>>>,
    running: RefCell<HashMap<u64, RunningTask>>,
}

struct RunningTask {
    abort: AbortHandle,
    /// Hears that the parent's consumer took the elements sent last.
    taken: mpsc::Sender<()>,
    /// Hears how its operations on the network end.
    net: mpsc::UnboundedSender<(Ticket, Ended)>,
}

impl Host {
    async fn run(self, mut read: BufReader<OwnedReadHalf>) -> io::Result<()> {
        let host = Rc::new(self);
        spawn_local(Rc::clone(&host).tell_who_waits());
        while let Some(message) = protocol::read(&mut read).await? {
            match message {
                ToHost::Setup(_) | ToHost::Compile { .. } => {
                    return Err(io::Error::other("the parent sent a second setup"));
                }
                ToHost::Load { key, bundle } => drop(host.bundles.borrow_mut().insert(key, Arc::new(bundle))),
                ToHost::Forget { key } => drop(host.bundles.borrow_mut().remove(&key)),
                ToHost::Run { id, request } => host.start(id, *request)?,
                ToHost::Taken { id } => host.taken(id),
                ToHost::Cancel { id } => host.cancel(id),
                ToHost::Net { id, ticket, ended } => host.net_ended(id, ticket, ended),
            }
        }
        Ok(())
    }

    /// The parent gives out more steps when those it gave out wait.
    async fn tell_who_waits(self: Rc<Self>) {
        let turns = self.sandbox.turns();
        loop {
            turns.changed().await;
            // all that changed in one turn of the loop is one message; if the parent is gone, so is this process in a moment
            let _ = send(&self.frames, &FromHost::Waiting { steps: turns.waiting() });
        }
    }

    fn start(self: &Rc<Self>, id: u64, request: RunRequest) -> io::Result<()> {
        let task = self.task(request)?;
        let (taken, acknowledged) = mpsc::channel(1);
        let host = Rc::clone(self);
        let (net, port) = self.port(id);
        let task = spawn_local(async move { host.run_task(id, task, acknowledged, port).await });
        self.running.borrow_mut().insert(id, RunningTask { abort: task.abort_handle(), taken, net });
        Ok(())
    }

    /// What the parent wants done, with the code that it sent before.
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
        let found = key.and_then(|key| Some((self.bundles.borrow().get(&key).cloned()?, key)));
        found.ok_or_else(|| io::Error::other("the parent named a bundle it did not load"))
    }

    /// The way to the network, which the parent has.
    fn port(&self, id: u64) -> (mpsc::UnboundedSender<(Ticket, Ended)>, NetPort) {
        let (net, ended) = mpsc::unbounded_channel();
        let frames = self.frames.clone();
        let ask = move |request| {
            // if the parent is gone, so is this process in a moment
            let _ = send(&frames, &FromHost::Net { id, request });
        };
        (net, NetPort { send: Box::new(ask), ended })
    }

    fn net_ended(&self, id: u64, ticket: Ticket, ended: Ended) {
        if let Some(task) = self.running.borrow().get(&id) {
            // one that listens no more is about to be done
            let _ = task.net.send((ticket, ended));
        }
    }

    fn taken(&self, id: u64) {
        if let Some(task) = self.running.borrow().get(&id) {
            // one that is full has been told already
            let _ = task.taken.try_send(());
        }
    }

    fn cancel(&self, id: u64) {
        if let Some(task) = self.running.borrow_mut().remove(&id) {
            task.abort.abort();
        }
    }

    async fn run_task(&self, id: u64, task: Task, mut acknowledged: mpsc::Receiver<()>, net: NetPort) {
        let (items, mut given) = mpsc::channel(1);
        let mut running = core::pin::pin!(self.sandbox.run_connected(&task, items, net));
        let finished = tokio::select! {
            biased;
            finished = &mut running => finished,
            // ends when the step drops its sender, a moment before it ends itself
            () = self.forward(id, &mut given, &mut acknowledged) => running.await,
        };
        while let Ok(items) = given.try_recv() {
            self.send_items(id, items);
        }
        self.running.borrow_mut().remove(&id);
        // if the parent is gone, so is this process in a moment
        let _ = send(&self.frames, &FromHost::Finished { id, finished });
    }

    /// Sends elements, one batch at a time: the next one when the last one was taken.
    async fn forward(&self, id: u64, given: &mut mpsc::Receiver<Items>, acknowledged: &mut mpsc::Receiver<()>) {
        while let Some(items) = given.recv().await {
            self.send_items(id, items);
            if acknowledged.recv().await.is_none() {
                return;
            }
        }
    }

    fn send_items(&self, id: u64, Items { count, items }: Items) {
        let _ = send(&self.frames, &FromHost::Items { id, count, items });
    }
}
