//! A durable PostgreSQL server: a cluster in a temporary folder, which is removed with this program.

use std::fs;

use anyhow::{Context, Result};
use bue_test_support::cluster::Cluster;
use tokio_postgres::{Client, NoTls};

use crate::process::family_cpu;

/// Switches on what the tests' cluster switches off, and uses the memory of a server of moderate size. Commits wait for the
/// disk, as by default.
const SETTINGS: &str =
    "fsync = on\nsynchronous_commit = on\nshared_buffers = 1GB\nmax_wal_size = 8GB\nwal_compression = on\n";

/// A running PostgreSQL cluster.
pub struct Database {
    cluster: Cluster,
}

impl Database {
    /// Creates and starts a cluster.
    ///
    /// # Panics
    /// PostgreSQL is not installed.
    #[must_use]
    pub fn start() -> Self {
        Self { cluster: Cluster::start_with(SETTINGS, &[]) }
    }

    /// Creates a database; returns its address, `host=… user=… dbname=…`.
    pub async fn create(&self) -> String {
        self.cluster.database().await
    }

    /// Returns the processor time of all its processes.
    ///
    /// # Errors
    /// The server has ended.
    pub fn cpu(&self) -> Result<std::time::Duration> {
        let file = self.cluster.folder().join("data/postmaster.pid");
        let text = fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
        Ok(family_cpu(text.lines().next().context("no process id")?.trim().parse()?))
    }

    /// Returns the number of times the server has fsynced its write-ahead log since it started. Its processes publish their
    /// counts at most once a second: wait for a second of idleness before.
    ///
    /// # Errors
    /// The query fails.
    pub async fn fsyncs(&self, address: &str) -> Result<u64> {
        let client = connect(address).await?;
        let row = client.query_one("SELECT wal_sync FROM pg_stat_wal", &[]).await?;
        Ok(u64::try_from(row.get::<_, i64>(0))?)
    }
}

/// Connects to a database, and spawns the task that drives the connection.
///
/// # Errors
/// The server cannot be reached.
pub async fn connect(address: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
