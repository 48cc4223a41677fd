//! Other systems on the same machine, each in the folder that `bench/peers.sh` makes.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bue_bench::Database;
use serde::Deserialize;

use crate::Sample;

/// What their scripts print.
#[derive(Deserialize)]
struct Told {
    add_s: f64,
    run_s: f64,
    #[serde(default)]
    cpu_s: f64,
}

/// Where they are installed.
pub(crate) struct Peers {
    folder: PathBuf,
}

impl Peers {
    /// Beside the folder of this program: `target/peers`.
    pub(crate) fn find() -> Result<Self> {
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(2).context("a program without a folder")?;
        Ok(Self { folder: target.join("peers") })
    }

    /// Is it there? If not, says how to get it.
    pub(crate) fn has(&self, name: &str) -> Result<()> {
        let folder = self.folder.join(name);
        ensure!(folder.is_dir(), "{name} is not in {}; type: bench/peers.sh {0}", self.folder.display());
        Ok(())
    }

    /// graphile-worker on a new database of this server; the second sample is of running alone, without adding.
    pub(crate) async fn graphile(&self, jobs: u32, database: &Database) -> Result<(Sample, Sample)> {
        let address = url(&database.fresh().await)?;
        let before = database.cpu()?;
        let mut command = Command::new("node");
        command.current_dir(self.folder.join("graphile")).arg(script("run_graphile.mjs"));
        let told = tell(command.args([&address, &jobs.to_string()]))?;
        let (client, database) = (Duration::from_secs_f64(told.cpu_s), database.cpu()?.saturating_sub(before));
        let whole = Duration::from_secs_f64(told.add_s + told.run_s);
        let running = Sample { wall: Duration::from_secs_f64(told.run_s), ..Sample::default() };
        Ok((Sample { wall: whole, client, database, ..Sample::default() }, running))
    }

    /// Buelon. It hangs now and then, which is an error here.
    pub(crate) fn buelon(&self, jobs: u32) -> Result<Sample> {
        let mut command = Command::new(self.folder.join("buelon/bin/python"));
        let told = tell(command.arg(script("run_buelon.py")).arg(jobs.to_string()))?;
        Ok(Sample { wall: Duration::from_secs_f64(told.add_s + told.run_s), ..Sample::default() })
    }
}

fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "peers", name].iter().collect()
}

fn tell(command: &mut Command) -> Result<Told> {
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout)?;
    Ok(serde_json::from_str(said.lines().last().context("it said nothing")?)?)
}

/// `host=/a/b user=u dbname=d` as a URL.
fn url(address: &str) -> Result<String> {
    let part = |name: &str| {
        let found = address.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.with_context(|| format!("no {name} in {address}"))
    };
    Ok(format!("postgres://{}@{}/{}", part("user")?, part("host")?.replace('/', "%2F"), part("dbname")?))
}
