//! One sandbox host process, seen from its parent.

use core::time::Duration;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::process::{ChildStderr, Command};
use tokio::sync::mpsc;

use crate::error::RuntimeError;
use crate::prepared::PreparedFiles;
use crate::protocol::{self, Frames, FromHost, ToHost};

/// A child that is not ready by then hangs. Mapping its files takes milliseconds.
const START: Duration = Duration::from_secs(30);
/// A child whose socket is closed ends at once; one that does not is killed.
const END: Duration = Duration::from_secs(2);
/// Bytes of a line of its standard error that are logged.
const LOG_LINE: u64 = 4096;

/// A child process that is ready.
pub(crate) struct Child {
    process: tokio::process::Child,
    read: BufReader<OwnedReadHalf>,
    frames: Option<Frames>,
}

impl Child {
    /// Starts one and waits until it is ready.
    pub(crate) async fn start(
        command: &(PathBuf, Vec<OsString>),
        prepared: &PreparedFiles,
    ) -> Result<Self, RuntimeError> {
        let mut child = Self::spawn(command)?;
        let setup = protocol::frame(&ToHost::Setup(prepared.clone()));
        child.send(setup.map_err(|source| RuntimeError::Spawn { command: command.0.clone(), source })?);
        child.wait_until_ready().await?;
        Ok(child)
    }

    /// Starts one that does what its first frame says.
    pub(crate) fn spawn((program, arguments): &(PathBuf, Vec<OsString>)) -> Result<Self, RuntimeError> {
        let cannot = |source| RuntimeError::Spawn { command: program.clone(), source };
        let (ours, theirs) = StdUnixStream::pair().map_err(cannot)?;
        ours.set_nonblocking(true).map_err(cannot)?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().current_dir("/").kill_on_drop(true);
        // Ctrl-C goes to a terminal's whole group: what becomes of the children is for their parent to decide
        command.process_group(0);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(cannot)?;
        // the command holds the child's end of the socket, and the child's death must close it
        drop(command);
        if let Some(stderr) = process.stderr.take() {
            tokio::spawn(pass_on(stderr));
        }
        let (read, write) = UnixStream::from_std(ours).map_err(cannot)?.into_split();
        let (frames, queue) = mpsc::unbounded_channel();
        tokio::spawn(protocol::write_all(write, queue));
        Ok(Self { process, read: BufReader::new(read), frames: Some(frames) })
    }

    pub(crate) fn send(&self, frame: Vec<u8>) {
        if let Some(frames) = &self.frames {
            // one that is gone already is noticed by reading
            let _ = frames.send(frame);
        }
    }

    async fn wait_until_ready(&mut self) -> Result<(), RuntimeError> {
        let refused = |why: &str| RuntimeError::Refused(why.to_owned());
        match tokio::time::timeout(START, self.next()).await {
            Err(_) => Err(refused("it was not ready after 30 s")),
            Ok(message) => match message? {
                Some(FromHost::Ready) => Ok(()),
                Some(FromHost::Refused(why)) => Err(RuntimeError::Refused(why)),
                Some(_) => Err(refused("it did not begin with being ready")),
                None => Err(refused("it ended at once; the log above says why")),
            },
        }
    }

    /// Its number in the system.
    pub(crate) fn id(&self) -> u32 {
        // one that has ended already has none, and no memory either
        self.process.id().unwrap_or(0)
    }

    /// Where to send frames. Can be taken once; when the taker drops it, the child ends.
    pub(crate) fn take_frames(&mut self) -> Frames {
        // a channel nobody reads stands for a taker that comes twice
        self.frames.take().unwrap_or_else(|| mpsc::unbounded_channel().0)
    }

    /// What it says next, or `None` when it has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<FromHost>, RuntimeError> {
        let message = protocol::read(&mut self.read).await;
        message.map_err(|error| RuntimeError::Refused(format!("it cannot be understood: {error}")))
    }

    /// Waits for its end, and kills it where that does not come.
    pub(crate) async fn end(mut self) {
        drop(self.read);
        drop(self.frames);
        if tokio::time::timeout(END, self.process.wait()).await.is_err() {
            // one that is dead already cannot be killed, which is fine
            let _ = self.process.kill().await;
        }
    }
}

/// What a child writes to its standard error is ours to log.
async fn pass_on(stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut lines).take(LOG_LINE).read_until(b'\n', &mut line).await {
        tracing::warn!(target: "bue_runtime::sandbox_host", "{}", String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}
