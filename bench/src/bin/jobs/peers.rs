//! Other systems on the same machine, in the folder that `bench/peers.sh` creates.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bue_bench::Database;
use serde::Deserialize;

use crate::Sample;

/// The output of their scripts.
#[derive(Deserialize)]
struct PeerRun {
    add_s: f64,
    run_s: f64,
    #[serde(default)]
    cpu_s: f64,
}

/// The folder in which they are installed.
pub(crate) struct Peers {
    folder: PathBuf,
}

impl Peers {
    /// Returns the folder `peers` in the target directory.
    pub(crate) fn find() -> Result<Self> {
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(2).context("a program without a folder")?;
        Ok(Self { folder: target.join("peers") })
    }

    /// Fails with the command that installs the system if it is not installed.
    pub(crate) fn check_installed(&self, name: &str) -> Result<()> {
        let folder = self.folder.join(name);
        ensure!(folder.is_dir(), "{name} is not in {}; type: bench/peers.sh {0}", self.folder.display());
        Ok(())
    }

    /// Measures graphile-worker on a new database of this server. The second sample is without adding the jobs.
    pub(crate) async fn graphile(&self, jobs: u32, database: &Database) -> Result<(Sample, Sample)> {
        let address = url(&database.create().await)?;
        let before = database.cpu()?;
        let mut command = Command::new("node");
        command.current_dir(self.folder.join("graphile")).arg(script("run_graphile.mjs"));
        let run = run_peer(command.args([&address, &jobs.to_string()]))?;
        let (client, database) = (Duration::from_secs_f64(run.cpu_s), database.cpu()?.saturating_sub(before));
        let whole = Duration::from_secs_f64(run.add_s + run.run_s);
        let running = Sample { wall: Duration::from_secs_f64(run.run_s), ..Sample::default() };
        Ok((Sample { wall: whole, client, database, ..Sample::default() }, running))
    }

    /// Measures Buelon. Fails if it hangs, which happens occasionally.
    pub(crate) fn buelon(&self, jobs: u32) -> Result<Sample> {
        let mut command = Command::new(self.folder.join("buelon/bin/python"));
        let run = run_peer(command.arg(script("run_buelon.py")).arg(jobs.to_string()))?;
        Ok(Sample { wall: Duration::from_secs_f64(run.add_s + run.run_s), ..Sample::default() })
    }
}

fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "peers", name].iter().collect()
}

fn run_peer(command: &mut Command) -> Result<PeerRun> {
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout)?;
    Ok(serde_json::from_str(stdout.lines().last().context("it printed nothing")?)?)
}

/// Converts `host=/a/b user=u dbname=d` into a URL.
fn url(address: &str) -> Result<String> {
    let part = |name: &str| {
        let value = address.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        value.with_context(|| format!("no {name} in {address}"))
    };
    Ok(format!("postgres://{}@{}/{}", part("user")?, part("host")?.replace('/', "%2F"), part("dbname")?))
}
