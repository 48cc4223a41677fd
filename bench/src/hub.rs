//! A `bue hub` and a `bue bucket` as processes, on stores of their own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bue_client::HubClient;
use tempfile::TempDir;

use crate::Bue;
use crate::process::{children_of, cpu};

/// Where a hub keeps its jobs.
#[derive(Clone, Debug)]
pub enum Place {
    /// A new SQLite file.
    Sqlite,
    /// A PostgreSQL database, as `host=… dbname=…`.
    Postgres(String),
}

/// A running server. Ends with this value.
struct Served {
    process: Child,
    traced: bool,
    address: String,
    folder: TempDir,
}

/// A running hub. Ends with this value.
pub struct HubProcess(Served);

/// A running bucket on a folder. Ends with this value.
pub struct BucketProcess(Served);

impl HubProcess {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(place: &Place) -> Result<Self> {
        let bue = Bue::find()?;
        Self::spawn(Command::new(bue.program()), place, false)
    }

    /// The same under strace, which writes each fsync as a line into a file. Other calls pass without a stop.
    ///
    /// # Errors
    /// There is no strace, or the hub does not start.
    pub fn start_traced(place: &Place, calls: &Path) -> Result<Self> {
        let mut command = Command::new("strace");
        command.args(["-f", "--seccomp-bpf", "-qq", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o"]);
        command.arg(calls).arg(Bue::find()?.program());
        Self::spawn(command, place, true)
    }

    fn spawn(mut command: Command, place: &Place, traced: bool) -> Result<Self> {
        let folder = folder()?;
        let store = match place {
            Place::Sqlite => format!("sqlite:{}", folder.path().join("hub.db").display()),
            Place::Postgres(address) => format!("postgres:{address}"),
        };
        command.args(["hub", "-b", "127.0.0.1:0", "--store", &store]);
        Ok(Self(Served::spawn(command, folder, traced)?))
    }

    /// A client of it.
    ///
    /// # Errors
    /// None that is known of.
    pub fn client(&self) -> Result<HubClient> {
        Ok(HubClient::new(core::slice::from_ref(&self.0.address))?)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its processor time.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        cpu(self.id())
    }
}

impl BucketProcess {
    /// Starts one and waits until it listens.
    ///
    /// # Errors
    /// It does not start.
    pub fn start() -> Result<Self> {
        let folder = folder()?;
        let mut command = Command::new(Bue::find()?.program());
        command.args(["bucket", "-b", "127.0.0.1:0", "--store"]);
        command.arg(format!("dir:{}", folder.path().join("blobs").display()));
        Ok(Self(Served::spawn(command, folder, false)?))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }
}

/// In the folder of the programs: temporary folders may be in memory.
fn folder() -> Result<TempDir> {
    let mut program = std::env::current_exe()?;
    program.pop();
    Ok(tempfile::tempdir_in(program)?)
}

impl Served {
    fn spawn(mut command: Command, folder: TempDir, traced: bool) -> Result<Self> {
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let talk = process.stderr.take().context("no standard error")?;
        let address = listens(BufReader::new(talk));
        let mut served = Self { process, traced, address: String::new(), folder };
        served.address = address.with_context(|| format!("in {}", served.folder.path().display()))?;
        Ok(served)
    }

    fn id(&self) -> u32 {
        let own = self.process.id();
        if self.traced { children_of(own).first().copied().unwrap_or(own) } else { own }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let pid = i32::try_from(self.id()).ok().and_then(rustix::process::Pid::from_raw);
        // one that is gone already needs no signal, and one that does not listen to it none other than this
        let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
        let told = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && told.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads up to the line with the address; a thread reads on, so that the hub never waits for a reader.
fn listens(mut talk: BufReader<std::process::ChildStderr>) -> Result<String> {
    let mut said = String::new();
    loop {
        let from = said.len();
        ensure!(talk.read_line(&mut said)? > 0, "the server did not start: {said}");
        let Some((_, rest)) = said.get(from..).unwrap_or_default().split_once(" listens on ") else { continue };
        let Some((address, _)) = rest.split_once(',') else { bail!("the server says {rest}") };
        let address = address.to_owned();
        std::thread::spawn(move || std::io::copy(&mut talk, &mut std::io::sink()));
        return Ok(address);
    }
}
