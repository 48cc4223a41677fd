//! The `bue` command as a user runs it, timed, its processes' memory watched.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The release build beside the running benchmark.
#[derive(Debug)]
pub struct Bue {
    program: PathBuf,
}

/// One finished `bue run`.
#[derive(Debug)]
pub struct Finished {
    /// From start to exit.
    pub wall: Duration,
    /// Largest resident memory of the `bue` process, in KiB.
    pub peak_kib: u64,
    /// Largest sum of the private memory of all its processes seen, in KiB.
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

    /// `bue run --json` of a script, in a folder of its own with these files.
    ///
    /// # Errors
    /// The run failed.
    pub fn run(&self, script: &str, files: &[(&str, &str)]) -> Result<Finished> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("bench.bue"), script)?;
        for (name, content) in files {
            fs::write(folder.path().join(name), content)?;
        }
        let output = fs::File::create(folder.path().join("stdout"))?;
        let talk = fs::File::create(folder.path().join("stderr"))?;
        let start = Instant::now();
        let mut child = Command::new(&self.program)
            .args(["run", "--json", "bench.bue"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(talk)
            .spawn()
            .context("failed to start bue")?;
        let (peak_kib, peak_all_kib) = watch(&mut child)?;
        let wall = start.elapsed();
        let status = child.wait()?;
        let talk = fs::read_to_string(folder.path().join("stderr"))?;
        ensure!(status.success(), "bue run failed: {talk}");
        Ok(Finished { wall, peak_kib, peak_all_kib, stdout: fs::read_to_string(folder.path().join("stdout"))? })
    }
}

/// Looks at the memory of a process and its children every few milliseconds until it ends.
fn watch(child: &mut Child) -> Result<(u64, u64)> {
    let (mut own, mut all) = (0, 0);
    while child.try_wait()?.is_none() {
        own = own.max(field_kib(child.id(), "status", "VmHWM:"));
        let children =
            children_of(child.id()).into_iter().map(|child| field_kib(child, "smaps_rollup", "Private_Dirty:"));
        all = all.max(field_kib(child.id(), "smaps_rollup", "Private_Dirty:") + children.sum::<u64>());
        thread::sleep(Duration::from_millis(2));
    }
    Ok((own, all))
}

/// A field in KiB of a file under `/proc`; 0 where the process is gone.
fn field_kib(process: u32, file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn children_of(process: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
