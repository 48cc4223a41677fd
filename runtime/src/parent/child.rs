//! The process of a sandbox host or of a compiler, as its parent sees it.

use core::time::Duration;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::process::{ChildStderr, Command};
use tokio::sync::mpsc;

use crate::descriptors;
use crate::error::RuntimeError;
use crate::protocol::{self, Frame, Frames, FromHost};
use crate::wall::report::Wall;

/// A child that is not ready after this time hangs. Mapping its files takes milliseconds.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// A child ends at once when its socket is closed; one that takes longer than this is killed.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a line of its standard error that are logged at most.
const MAX_LOG_LINE: u64 = 4096;

/// A child process and the socket to it.
pub(crate) struct Child {
    process: tokio::process::Child,
    read: BufReader<OwnedReadHalf>,
    frames: Option<Frames>,
}

impl Child {
    /// Starts a child with its first message, and waits until it is ready behind its wall.
    pub(crate) async fn start(
        command: &(PathBuf, Vec<OsString>),
        setup: io::Result<Frame>,
    ) -> Result<(Self, Wall), RuntimeError> {
        let mut child = Self::spawn(command)?;
        child.send(setup.map_err(|source| RuntimeError::Spawn { command: command.0.clone(), source })?);
        let wall = child.wait_until_ready().await?;
        Ok((child, wall))
    }

    /// Starts a child, which does what its first frame says.
    pub(crate) fn spawn((program, arguments): &(PathBuf, Vec<OsString>)) -> Result<Self, RuntimeError> {
        let spawn_error = |source| RuntimeError::Spawn { command: program.clone(), source };
        let (ours, theirs) = StdUnixStream::pair().map_err(spawn_error)?;
        ours.set_nonblocking(true).map_err(spawn_error)?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().current_dir("/").kill_on_drop(true);
        // Ctrl-C goes to a terminal's whole process group, but the parent decides when its children end
        command.process_group(0);
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().map_err(spawn_error)?;
        // the command holds the child's end of the socket, which must be closed when the child dies
        drop(command);
        if let Some(stderr) = process.stderr.take() {
            tokio::spawn(log_lines(stderr));
        }
        let (read, write) = UnixStream::from_std(ours).map_err(spawn_error)?.into_split();
        let (frames, queue) = mpsc::unbounded_channel();
        tokio::spawn(descriptors::write_all(write, queue));
        Ok(Self { process, read: BufReader::new(read), frames: Some(frames) })
    }

    pub(crate) fn send(&self, frame: Frame) {
        if let Some(frames) = &self.frames {
            // `next` notices a child that is gone
            let _ = frames.send(frame);
        }
    }

    async fn wait_until_ready(&mut self) -> Result<Wall, RuntimeError> {
        let refused = |reason: &str| RuntimeError::Refused(reason.to_owned());
        match tokio::time::timeout(START_TIMEOUT, self.next()).await {
            Err(_) => Err(refused("it was not ready after 30 s")),
            Ok(message) => match message? {
                Some(FromHost::Ready(wall)) => Ok(wall),
                Some(FromHost::Refused(reason)) => Err(RuntimeError::Refused(reason)),
                Some(_) => Err(refused("its first message was not that it is ready")),
                None => Err(refused("it ended at once; the log above says why")),
            },
        }
    }

    /// Returns the process id; 0 if the process has ended.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap_or(0)
    }

    /// Returns the sender of frames to the child, which ends when the sender is dropped. Can be taken once.
    pub(crate) fn take_frames(&mut self) -> Frames {
        // a second caller gets a channel that leads nowhere
        self.frames.take().unwrap_or_else(|| mpsc::unbounded_channel().0)
    }

    /// Returns the next message; `None` when the child has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<FromHost>, RuntimeError> {
        let message = protocol::read(&mut self.read).await;
        message.map_err(|error| RuntimeError::Refused(format!("its message cannot be read: {error}")))
    }

    /// Closes the socket, waits for the child's end, and kills it after a timeout. Returns how it ended by itself.
    pub(crate) async fn end(mut self) -> Option<ExitStatus> {
        drop(self.read);
        drop(self.frames);
        if let Ok(ended) = tokio::time::timeout(END_TIMEOUT, self.process.wait()).await {
            return ended.ok();
        }
        // killing fails if the child has ended meanwhile
        let _ = self.process.kill().await;
        None
    }
}

/// Logs what a child writes to its standard error.
async fn log_lines(stderr: ChildStderr) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut lines).take(MAX_LOG_LINE).read_until(b'\n', &mut line).await {
        tracing::warn!(target: "bue_runtime::sandbox_host", "{}", String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}
