//! Runs commands as a user does, and measures the time, memory and processor time of their processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process::{children_of, cpu, faults, status_kib, system_cpu};

/// The interval at which the processes are sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(10);

/// The `bue` program that was built with the running benchmark.
#[derive(Debug)]
pub struct Bue {
    program: PathBuf,
}

/// The measurement of a finished command.
#[derive(Debug)]
pub struct CommandRun {
    /// From start to exit.
    pub wall: Duration,
    /// Processor time of the process and its children, sampled at most [`SAMPLE_INTERVAL`] before the end.
    pub cpu: Duration,
    /// The part of it that was spent in the kernel.
    pub system: Duration,
    /// Minor page faults of the process and its children.
    pub faults: u64,
    /// Peak resident memory of the process itself, in KiB.
    pub peak_kib: u64,
    /// Peak of the anonymous memory of all its processes, in KiB.
    pub peak_all_kib: u64,
    /// Its standard output.
    pub stdout: String,
}

impl Bue {
    /// Finds the program.
    ///
    /// # Errors
    /// It is not built.
    pub fn find() -> Result<Self> {
        let mut program = std::env::current_exe()?;
        program.set_file_name("bue");
        ensure!(program.is_file(), "{} is missing; type: cargo build --release", program.display());
        Ok(Self { program })
    }

    /// Returns the path of the program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Runs `bue run --json` on a script, in a new folder with these files.
    ///
    /// # Errors
    /// The run failed.
    pub fn run(&self, script: &str, files: &[(&str, &str)]) -> Result<CommandRun> {
        self.run_with(&[], script, files)
    }

    /// Does the same with additional arguments.
    ///
    /// # Errors
    /// The run failed.
    pub fn run_with(&self, arguments: &[&str], script: &str, files: &[(&str, &str)]) -> Result<CommandRun> {
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
/// The command failed; the error contains its standard error.
pub fn run(mut command: Command) -> Result<CommandRun> {
    let folder = tempfile::tempdir()?;
    let (stdout, stderr) = (folder.path().join("stdout"), folder.path().join("stderr"));
    command.stdin(Stdio::null()).stdout(fs::File::create(&stdout)?).stderr(fs::File::create(&stderr)?);
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("failed to start {command:?}"))?;
    let usage = sample_usage(&mut child)?;
    let wall = start.elapsed();
    let status = child.wait()?;
    ensure!(status.success(), "{command:?} failed: {}", fs::read_to_string(stderr)?);
    let stdout = fs::read_to_string(stdout)?;
    let Usage { own_kib: peak_kib, all_kib: peak_all_kib, cpu, system, faults } = usage;
    Ok(CommandRun { wall, cpu, system, faults, peak_kib, peak_all_kib, stdout })
}

/// Raises the limit of open files and connections to the hard limit, for this process and its children.
pub fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // if the limit is too low, the benchmark fails with an error
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The resources of a process and its children.
#[derive(Default)]
struct Usage {
    own_kib: u64,
    all_kib: u64,
    cpu: Duration,
    system: Duration,
    faults: u64,
}

/// Samples a process and its children until it ends.
fn sample_usage(child: &mut Child) -> Result<Usage> {
    let mut usage = Usage::default();
    while child.try_wait()?.is_none() {
        let mut processes = children_of(child.id());
        processes.push(child.id());
        usage.own_kib = usage.own_kib.max(status_kib(child.id(), "VmHWM:"));
        usage.all_kib = usage.all_kib.max(processes.iter().map(|process| status_kib(*process, "RssAnon:")).sum());
        usage.cpu = usage.cpu.max(processes.iter().map(|process| cpu(*process)).sum());
        usage.system = usage.system.max(processes.iter().map(|process| system_cpu(*process)).sum());
        usage.faults = usage.faults.max(processes.iter().map(|process| faults(*process)).sum());
        thread::sleep(SAMPLE_INTERVAL);
    }
    Ok(usage)
}
