//! A `bue hub` and a `bue bucket` as processes, each with a new store.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bue_client::HubClient;
use tempfile::TempDir;

use crate::Bue;
use crate::process::{children_of, cpu};

/// The store of a hub.
#[derive(Clone, Debug)]
pub enum StoreKind {
    /// A new SQLite file.
    Sqlite,
    /// A PostgreSQL database, as `host=… dbname=…`.
    Postgres(String),
}

/// A running server, which is stopped when this value is dropped.
struct ServerProcess {
    process: Child,
    traced: bool,
    address: String,
    folder: TempDir,
}

/// A running hub, which is stopped when this value is dropped.
pub struct HubProcess(ServerProcess);

/// A running bucket on a folder, which is stopped when this value is dropped.
pub struct BucketProcess(ServerProcess);

impl HubProcess {
    /// Starts a hub and waits until it listens.
    ///
    /// # Errors
    /// The hub does not start.
    pub fn start(store: &StoreKind) -> Result<Self> {
        let bue = Bue::find()?;
        Self::spawn(Command::new(bue.program()), store, false)
    }

    /// Starts a hub under strace, which writes a line to the file for each fsync. Other system calls are not intercepted.
    ///
    /// # Errors
    /// strace is not installed, or the hub does not start.
    pub fn start_traced(store: &StoreKind, trace: &Path) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o"]);
        command.arg(trace).arg(Bue::find()?.program());
        Self::spawn(command, store, true)
    }

    fn spawn(mut command: Command, store: &StoreKind, traced: bool) -> Result<Self> {
        let folder = folder()?;
        let address = match store {
            StoreKind::Sqlite => format!("sqlite:{}", folder.path().join("hub.db").display()),
            StoreKind::Postgres(database) => format!("postgres:{database}"),
        };
        command.args(["hub", "-b", "127.0.0.1:0", "--store", &address]);
        Ok(Self(ServerProcess::spawn(command, folder, traced)?))
    }

    /// Returns a client of the hub.
    ///
    /// # Errors
    /// The client cannot be created.
    pub fn client(&self) -> Result<HubClient> {
        Ok(HubClient::new(core::slice::from_ref(&self.0.address))?)
    }

    /// Returns the address, `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Returns the processor time used so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        cpu(self.id())
    }
}

impl BucketProcess {
    /// Starts a bucket and waits until it listens.
    ///
    /// # Errors
    /// The bucket does not start.
    pub fn start() -> Result<Self> {
        let folder = folder()?;
        let mut command = Command::new(Bue::find()?.program());
        command.args(["bucket", "-b", "127.0.0.1:0", "--store"]);
        command.arg(format!("dir:{}", folder.path().join("blobs").display()));
        Ok(Self(ServerProcess::spawn(command, folder, false)?))
    }

    /// Returns the address, `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }
}

/// Creates a folder beside the programs, because temporary folders may be in memory.
fn folder() -> Result<TempDir> {
    let mut program = std::env::current_exe()?;
    program.pop();
    Ok(tempfile::tempdir_in(program)?)
}

impl ServerProcess {
    fn spawn(mut command: Command, folder: TempDir, traced: bool) -> Result<Self> {
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let stderr = process.stderr.take().context("no standard error")?;
        let address = read_address(BufReader::new(stderr));
        // first, so that an error stops the process
        let mut server = Self { process, traced, address: String::new(), folder };
        server.address = address.with_context(|| format!("in {}", server.folder.path().display()))?;
        Ok(server)
    }

    fn id(&self) -> u32 {
        let own = self.process.id();
        if self.traced { children_of(own).first().copied().unwrap_or(own) } else { own }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let pid = i32::try_from(self.id()).ok().and_then(rustix::process::Pid::from_raw);
        // fails if the process has ended; if it ignores the signal, it is killed below
        let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        let signalled_at = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && signalled_at.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads the log up to the line with the address. A thread discards the rest, so that the server never blocks on a full pipe.
fn read_address(mut stderr: BufReader<std::process::ChildStderr>) -> Result<String> {
    let mut log = String::new();
    loop {
        let from = log.len();
        ensure!(stderr.read_line(&mut log)? > 0, "the server did not start: {log}");
        let Some((_, rest)) = log.get(from..).unwrap_or_default().split_once(" listens on ") else { continue };
        let Some((address, _)) = rest.split_once(',') else { bail!("unexpected log line: {rest}") };
        let address = address.to_owned();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        return Ok(address);
    }
}
