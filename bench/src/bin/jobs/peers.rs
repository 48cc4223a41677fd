//! The arms of other systems.

use std::time::Duration;

use anyhow::Result;
use bue_bench::{Database, Peers};
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

/// Measures graphile-worker on a new database of this server. The second sample is without adding the jobs.
pub(crate) async fn graphile(peers: &Peers, jobs: u32, database: &Database) -> Result<(Sample, Sample)> {
    let address = database.create().await;
    let before = database.cpu()?;
    let run: PeerRun = peers.run_graphile("run_graphile.mjs", &address, &[jobs.to_string()])?;
    let (client, database) = (Duration::from_secs_f64(run.cpu_s), database.cpu()?.saturating_sub(before));
    let whole = Duration::from_secs_f64(run.add_s + run.run_s);
    let running = Sample { wall: Duration::from_secs_f64(run.run_s), ..Sample::default() };
    Ok((Sample { wall: whole, client, database, ..Sample::default() }, running))
}

/// Measures Buelon. Fails if it hangs, which happens occasionally.
pub(crate) fn buelon(peers: &Peers, jobs: u32) -> Result<Sample> {
    let run: PeerRun = peers.run_buelon("run_buelon.py", &[jobs.to_string()])?;
    Ok(Sample { wall: Duration::from_secs_f64(run.add_s + run.run_s), ..Sample::default() })
}
