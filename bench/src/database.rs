//! PostgreSQL as a server that must not lose anything: its own cluster in a temporary folder, which goes with this program.

use std::fs;

use anyhow::{Context, Result};
use bue_test_support::cluster::Cluster;
use tokio_postgres::{Client, NoTls};

use crate::process::family_cpu;

/// What the tests' cluster leaves out, switched on again, with memory as an installation of some size has it. Commits wait
/// for the disk, as they do by default.
const SETTINGS: &str =
    "fsync = on\nsynchronous_commit = on\nshared_buffers = 1GB\nmax_wal_size = 8GB\nwal_compression = on\n";

/// A cluster whose databases are measured.
pub struct Database {
    cluster: Cluster,
}

impl Database {
    /// Makes and starts it.
    ///
    /// # Panics
    /// PostgreSQL is not installed.
    #[must_use]
    pub fn start() -> Self {
        Self { cluster: Cluster::start_with(SETTINGS, &[]) }
    }

    /// A new database's address, as `host=… user=… dbname=…`.
    pub async fn fresh(&self) -> String {
        self.cluster.database().await
    }

    /// Processor time of all its processes.
    ///
    /// # Errors
    /// It is gone.
    pub fn cpu(&self) -> Result<std::time::Duration> {
        let file = self.cluster.folder().join("data/postmaster.pid");
        let text = fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
        Ok(family_cpu(text.lines().next().context("no process id")?.trim().parse()?))
    }

    /// Times it has waited for the disk to have its log, since it started. Its processes tell at most once a second what they
    /// counted: one must let them be idle for that long before.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn fsyncs(&self, address: &str) -> Result<u64> {
        let client = connect(address).await?;
        let row = client.query_one("SELECT wal_sync FROM pg_stat_wal", &[]).await?;
        Ok(u64::try_from(row.get::<_, i64>(0))?)
    }
}

/// A connection whose other half runs by itself.
///
/// # Errors
/// Nobody is there.
pub async fn connect(address: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
