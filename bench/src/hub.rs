//! A `bue hub` as a process, on a store of its own.

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
    /// A new SQLite file in the folder of the programs: temporary folders may be in memory.
    Sqlite,
    /// A PostgreSQL database, as `host=… dbname=…`.
    Postgres(String),
}

/// A running hub. Ends with this value.
pub struct HubProcess {
    process: Child,
    traced: bool,
    address: String,
    _folder: TempDir,
}

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
        let mut program = std::env::current_exe()?;
        program.pop();
        let folder = tempfile::tempdir_in(program)?;
        let store = match place {
            Place::Sqlite => format!("sqlite:{}", folder.path().join("hub.db").display()),
            Place::Postgres(address) => format!("postgres:{address}"),
        };
        command.args(["hub", "-b", "127.0.0.1:0", "--store", &store]).current_dir(folder.path());
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let talk = process.stderr.take().context("no standard error")?;
        let address = listens(BufReader::new(talk));
        let mut hub = Self { process, traced, address: String::new(), _folder: folder };
        hub.address = address?;
        Ok(hub)
    }

    /// A client of it.
    ///
    /// # Errors
    /// None that is known of.
    pub fn client(&self) -> Result<HubClient> {
        Ok(HubClient::new(core::slice::from_ref(&self.address))?)
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        let own = self.process.id();
        if self.traced { children_of(own).first().copied().unwrap_or(own) } else { own }
    }

    /// Its processor time.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        cpu(self.id())
    }
}

impl Drop for HubProcess {
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
        ensure!(talk.read_line(&mut said)? > 0, "the hub did not start: {said}");
        let Some((_, rest)) = said.get(from..).unwrap_or_default().split_once("the hub listens on ") else { continue };
        let Some((address, _)) = rest.split_once(',') else { bail!("the hub says {rest}") };
        let address = address.to_owned();
        std::thread::spawn(move || std::io::copy(&mut talk, &mut std::io::sink()));
        return Ok(address);
    }
}
