//! The lower bounds: the databases without bue. Each batch is inserted, claimed and completed in a transaction each.

use std::time::Instant;

use anyhow::Result;
use bue_bench::{Database, Load, connect, thread_time};
use futures_util::future::try_join_all;
use rusqlite::{Connection, params};
use tokio_postgres::Client;

use crate::Sample;

const SQLITE: &str = "
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE job (id INTEGER PRIMARY KEY, state INT NOT NULL, token INT NOT NULL, worker TEXT, until INT);
    CREATE INDEX ready ON job (id) WHERE state = 0;
    CREATE TABLE done (id INTEGER PRIMARY KEY, value BLOB NOT NULL);";

/// Measures bare SQLite: one connection, prepared statements, a durable commit for each batch.
pub(crate) fn sqlite(load: Load) -> Result<Sample> {
    let mut program = std::env::current_exe()?;
    program.pop();
    let folder = tempfile::tempdir_in(program)?;
    let mut database = Connection::open(folder.path().join("floor.db"))?;
    database.execute_batch(SQLITE)?;
    let (start, cpu) = (Instant::now(), thread_time()?);
    for from in (0..load.jobs).step_by(load.batch as usize) {
        let transaction = database.transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO job VALUES (?1, 0, 0, NULL, NULL)")?;
        for id in from..load.jobs.min(from + load.batch) {
            insert.execute([id])?;
        }
        drop(insert);
        transaction.commit()?;
    }
    while complete_batch(&mut database, load.batch)? > 0 {}
    Ok(Sample { wall: start.elapsed(), client: thread_time()?.saturating_sub(cpu), ..Sample::default() })
}

/// Claims a batch and completes it; returns its size.
fn complete_batch(database: &mut Connection, batch: u32) -> Result<usize> {
    let claim = "UPDATE job SET state = 1, token = token + 1, worker = 'w', until = 1 WHERE id IN
        (SELECT id FROM job WHERE state = 0 ORDER BY id LIMIT ?1) RETURNING id, token";
    let transaction = database.transaction()?;
    let mut statement = transaction.prepare_cached(claim)?;
    let claimed = statement.query_map([batch], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let claimed = claimed.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    drop(statement);
    transaction.commit()?;
    let transaction = database.transaction()?;
    {
        let mut delete = transaction.prepare_cached("DELETE FROM job WHERE id = ?1 AND token = ?2")?;
        let mut insert = transaction.prepare_cached("INSERT INTO done VALUES (?1, ?2)")?;
        for (id, token) in &claimed {
            delete.execute([id, token])?;
            insert.execute(params![id, [0xf6_u8]])?;
        }
    }
    transaction.commit()?;
    Ok(claimed.len())
}

const POSTGRES: &str = "
    CREATE TABLE job (id BIGINT PRIMARY KEY, state INT NOT NULL, token BIGINT NOT NULL, worker TEXT, until BIGINT);
    CREATE INDEX ready ON job (id) WHERE state = 0;
    CREATE TABLE done (id BIGINT PRIMARY KEY, value BYTEA NOT NULL);";

const INSERT: &str = "INSERT INTO job SELECT id, 0, 0, NULL, NULL FROM unnest($1::bigint[]) AS id";

const CLAIM: &str = "UPDATE job SET state = 1, token = token + 1, worker = 'w', until = 1 WHERE id = ANY
    (ARRAY(SELECT id FROM job WHERE state = 0 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)) RETURNING id, token";

const COMPLETE: &str = "WITH gone AS (DELETE FROM job USING unnest($1::bigint[], $2::bigint[]) AS one (id, token)
    WHERE job.id = one.id AND job.token = one.token RETURNING job.id)
    INSERT INTO done SELECT id, '\\xf6' FROM gone";

/// Measures bare PostgreSQL: as many connections as the hub's clients have, prepared statements, a durable commit for each batch.
pub(crate) async fn postgres(load: Load, database: &Database) -> Result<Sample> {
    let address = database.create().await;
    let mut clients = Vec::new();
    for _ in 0..load.connections {
        clients.push(connect(&address).await?);
    }
    if let Some(first) = clients.first() {
        first.batch_execute(POSTGRES).await?;
    }
    let (start, cpu, server) = (Instant::now(), thread_time()?, database.cpu()?);
    let inserts = clients.iter().enumerate().map(|(index, client)| insert_share(client, load, index));
    try_join_all(inserts).await?;
    try_join_all(clients.iter().map(|client| complete_batches(client, load.batch))).await?;
    Ok(Sample {
        wall: start.elapsed(),
        client: thread_time()?.saturating_sub(cpu),
        database: database.cpu()?.saturating_sub(server),
        ..Sample::default()
    })
}

/// Inserts the batches of one connection: every `load.connections`-th, starting with `index`.
async fn insert_share(client: &Client, load: Load, index: usize) -> Result<()> {
    let insert = client.prepare(INSERT).await?;
    for from in (0..load.jobs).step_by(load.batch as usize).skip(index).step_by(load.connections) {
        let ids: Vec<i64> = (from..load.jobs.min(from + load.batch)).map(i64::from).collect();
        client.execute(&insert, &[&ids]).await?;
    }
    Ok(())
}

/// Claims and completes batches until no jobs remain.
async fn complete_batches(client: &Client, batch: u32) -> Result<()> {
    let (claim, complete) = (client.prepare(CLAIM).await?, client.prepare(COMPLETE).await?);
    loop {
        let claimed = client.query(&claim, &[&i64::from(batch)]).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        let (ids, tokens): (Vec<i64>, Vec<i64>) =
            claimed.iter().map(|row| (row.get::<_, i64>(0), row.get::<_, i64>(1))).unzip();
        client.execute(&complete, &[&ids, &tokens]).await?;
    }
}
