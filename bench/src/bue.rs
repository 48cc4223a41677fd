//! Commands as a user runs them, timed, their processes' memory and processor time watched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process::{children_of, cpu, status_kib};

/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(10);

/// The release build beside the running benchmark.
#[derive(Debug)]
pub struct Bue {
    program: PathBuf,
}

/// One finished command.
#[derive(Debug)]
pub struct Finished {
    /// From start to exit.
    pub wall: Duration,
    /// Processor time of it and its children, as last seen: up to [`LOOK`] before its end.
    pub cpu: Duration,
    /// Largest resident memory of the process itself, in KiB.
    pub peak_kib: u64,
    /// Largest sum of the memory that all its processes had to themselves, in KiB.
    pub peak_all_kib: u64,
    /// What it printed.
    pub stdout: String,
}

impl Bue {
    /// Finds the command.
    ///
    /// # Errors
    /// It was not built.
    pub fn find() -> Result<Self> {
        let mut program = std::env::current_exe()?;
        program.set_file_name("bue");
        ensure!(program.is_file(), "{} is missing; type: cargo build --release", program.display());
        Ok(Self { program })
    }

    /// The program itself.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// `bue run --json` of a script, in a folder of its own with these files.
    ///
    /// # Errors
    /// The run failed.
    pub fn run(&self, script: &str, files: &[(&str, &str)]) -> Result<Finished> {
        self.run_with(&[], script, files)
    }

    /// The same, with more arguments.
    ///
    /// # Errors
    /// The run failed.
    pub fn run_with(&self, arguments: &[&str], script: &str, files: &[(&str, &str)]) -> Result<Finished> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("bench.bue"), script)?;
        for (name, content) in files {
            fs::write(folder.path().join(name), content)?;
        }
        let mut command = Command::new(&self.program);
        command.args(["run", "--json", "bench.bue"]).args(arguments).current_dir(folder.path());
        run(command)
    }
}

/// Runs a command to its end.
///
/// # Errors
/// It failed, with what it said.
pub fn run(mut command: Command) -> Result<Finished> {
    let folder = tempfile::tempdir()?;
    let (output, talk) = (folder.path().join("stdout"), folder.path().join("stderr"));
    command.stdin(Stdio::null()).stdout(fs::File::create(&output)?).stderr(fs::File::create(&talk)?);
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
    let seen = watch(&mut child)?;
    let wall = start.elapsed();
    let status = child.wait()?;
    ensure!(status.success(), "{command:?} failed: {}", fs::read_to_string(talk)?);
    let stdout = fs::read_to_string(output)?;
    Ok(Finished { wall, cpu: seen.cpu, peak_kib: seen.own_kib, peak_all_kib: seen.all_kib, stdout })
}

/// Gives this process and its children as many files and connections as the system lets it.
pub fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // with fewer, a benchmark says what failed
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// What was seen of a process and its children.
#[derive(Default)]
struct Seen {
    own_kib: u64,
    all_kib: u64,
    cpu: Duration,
}

/// Looks at a process and its children until it ends.
fn watch(child: &mut Child) -> Result<Seen> {
    let mut seen = Seen::default();
    while child.try_wait()?.is_none() {
        let mut processes = children_of(child.id());
        processes.push(child.id());
        seen.own_kib = seen.own_kib.max(status_kib(child.id(), "VmHWM:"));
        seen.all_kib = seen.all_kib.max(processes.iter().map(|process| status_kib(*process, "RssAnon:")).sum());
        seen.cpu = seen.cpu.max(processes.iter().map(|process| cpu(*process)).sum());
        thread::sleep(LOOK);
    }
    Ok(seen)
}
