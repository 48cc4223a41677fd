//! One postgres step: a transaction from its first table to its last row.

use std::sync::Arc;
use std::time::Instant;

use bue_model::job::Hints;
use bue_model::{Answer, Failure, FailureKind};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, CopyInSink, SimpleQueryMessage};

use super::connection::Connection;
use super::failure::{of_server, of_statement};
use super::feed::{Fed, Source};
use super::output::{Kind, PLAIN_OUTPUT, put_row};
use super::pool::Pool;
use super::query::Query;
use super::statements::{Statement, statements};
use crate::sql::result::{RowBuffer, unique_names};
use crate::sql::table::{Table, quoted, table_name};
use crate::sql::text::SqlText;
use crate::step::failure::{limit, of_timeout, too_much_input};
use crate::step::limits::Limits;
use crate::step::log::Log;
use crate::step::task::{Event, Finished, Items, Usage};

/// The server stops a statement this much later than we do: it is asked to only for the case that we are gone.
const SERVER_LATER_MS: u128 = 1_000;

/// Pieces of rows that are ready to be sent.
const PIECES: usize = 2;

/// How a step left its connection.
struct Done {
    value: Bytes,
    /// Nothing of it stays in the client's caches either.
    is_reusable: bool,
}

/// Runs a step to its end and tells `events` all that comes of it. Where nobody listens any more, it stops.
pub(super) async fn run(query: Query, pool: Arc<Pool>, events: mpsc::Sender<Event>) {
    let lent = tokio::select! {
        lent = pool.lend() => lent,
        () = events.closed() => return,
    };
    let start = Instant::now();
    let log = Log::new(&query.limits);
    let (lent, result) = match lent {
        Ok(lent) => {
            let step = Step { query: &query, log: &log, events: &events };
            let result = tokio::select! {
                result = step.in_time(&lent.connection) => result,
                () = events.closed() => return lent.stop().await,
            };
            (Some(lent), result)
        }
        Err(failure) => (None, Err(failure)),
    };
    let is_reusable = result.as_ref().is_ok_and(|done| done.is_reusable);
    let usage = Usage { wall: start.elapsed(), ..Usage::default() };
    let finished = Finished { answer: answer(result, query.streamed), log: log.finish(), usage };
    // one who does not listen any more needs no end
    let _ = events.send(Event::Finished(finished)).await;
    match lent {
        Some(lent) if is_reusable => pool.take_back(lent).await,
        Some(lent) => lent.stop().await,
        None => {}
    }
}

fn answer(result: Result<Done, Failure>, streamed: bool) -> Answer {
    match result {
        Ok(Done { value, .. }) => Answer::Completed { value, streamed, hints: Hints::default() },
        Err(failure) => Answer::Failed(failure),
    }
}

/// A step that has its connection.
struct Step<'s> {
    query: &'s Query,
    log: &'s Log,
    events: &'s mpsc::Sender<Event>,
}

impl Step<'_> {
    async fn in_time(&self, connection: &Connection) -> Result<Done, Failure> {
        let Limits { time, .. } = self.query.limits;
        let ended = tokio::time::timeout(time, self.transaction(connection)).await;
        ended.unwrap_or_else(|_| Err(of_timeout(&self.query.limits)))
    }

    async fn transaction(&self, connection: &Connection) -> Result<Done, Failure> {
        let Query { bundle, placeholders, .. } = self.query;
        let sql = SqlText::new(bundle, placeholders)?;
        let statements = statements(&sql)?;
        let client = &connection.client;
        connection.log_to(self.log);
        let begun = client.batch_execute(&self.begin()).await;
        begun.map_err(|error| of_server(&error, "The step's transaction could not begin"))?;
        let tables = self.fill(client).await?;
        let mut done = Done { value: RowBuffer::new(&self.query.limits).into_list(), is_reusable: true };
        if let Some((last, others)) = statements.split_last() {
            for statement in others {
                let ran = client.batch_execute(statement.text).await;
                ran.map_err(|error| of_statement(&error, statement, &sql, &tables))?;
                self.check_log()?;
            }
            done = self.last(client, last, &|error| of_statement(&error, last, &sql, &tables)).await?;
            self.check_log()?;
        }
        let committed = client.batch_execute("COMMIT").await;
        committed.map_err(|error| of_server(&error, "The step's transaction could not be completed"))?;
        Ok(done)
    }

    /// Statements are told apart as if backslashes in plain texts meant nothing, so that is what they must mean.
    fn begin(&self) -> String {
        let time =
            self.query.limits.time.as_millis().saturating_add(SERVER_LATER_MS).min(i32::MAX.unsigned_abs().into());
        format!("BEGIN; SET LOCAL statement_timeout = {time}; SET LOCAL standard_conforming_strings = on")
    }

    async fn fill(&self, client: &Client) -> Result<Vec<Table>, Failure> {
        let mut tables = Vec::new();
        for (index, bytes) in self.query.inputs.iter().enumerate() {
            let table = table_name(&self.query.table, index);
            tables.push(fill_one(client, Source { table, input: index + 1, bytes: bytes.clone() }).await?);
        }
        Ok(tables)
    }

    /// Runs the last statement, whose rows are the result.
    async fn last(
        &self,
        client: &Client,
        statement: &Statement<'_>,
        failed: &(dyn Fn(tokio_postgres::Error) -> Failure + Sync),
    ) -> Result<Done, Failure> {
        let prepared = client.prepare(statement.text).await.map_err(failed)?;
        client.batch_execute(PLAIN_OUTPUT).await.map_err(failed)?;
        let names = unique_names(prepared.columns().iter().map(tokio_postgres::Column::name));
        let kinds = prepared.columns().iter().map(|column| Kind::of(column.type_()));
        let columns: Vec<(String, Kind)> = names.into_iter().zip(kinds).collect();
        // to look a type up, the client prepares statements that DISCARD ALL takes away under its hands
        let is_reusable = prepared.columns().iter().all(|column| Type::from_oid(column.type_().oid()).is_some());
        let mut buffer = RowBuffer::new(&self.query.limits);
        let rows = client.simple_query_raw(statement.text).await.map_err(failed)?;
        let mut rows = core::pin::pin!(rows);
        while let Some(message) = rows.next().await {
            let SimpleQueryMessage::Row(row) = message.map_err(failed)? else { continue };
            put_row(&mut buffer.rows, &columns, |index| row.try_get(index).ok().flatten());
            buffer.row_written()?;
            if self.query.streamed && buffer.is_batch() {
                self.hand_on(buffer.take_batch()?).await?;
            }
        }
        if self.query.streamed && !buffer.is_empty() {
            self.hand_on(buffer.take_batch()?).await?;
        }
        let value = if self.query.streamed { Bytes::new() } else { buffer.into_list() };
        Ok(Done { value, is_reusable })
    }

    async fn hand_on(&self, Items { count, items }: Items) -> Result<(), Failure> {
        let sent = self.events.send(Event::Items { count, items }).await;
        sent.map_err(|_| Failure::new(FailureKind::Internal, "Nobody takes the step's rows any more"))
    }

    fn check_log(&self) -> Result<(), Failure> {
        self.log.exceeded().map_or(Ok(()), |exceeded| Err(limit(exceeded.to_string())))
    }
}

/// The failure of inputs that are more than a step may have.
pub(super) fn check_inputs(query: &Query) -> Result<(), Answer> {
    let len: u64 = query.inputs.iter().map(|input| input.len() as u64).sum();
    let allowed = query.limits.input_bytes;
    if len > allowed { Err(too_much_input(len, allowed)) } else { Ok(()) }
}

/// Makes a temporary table of an input. It goes with the transaction.
async fn fill_one(client: &Client, source: Source) -> Result<Table, Failure> {
    let (send, mut fed) = mpsc::channel(PIECES);
    let Source { table, input, .. } = source.clone();
    let feeder = source.clone();
    let thread = tokio::task::spawn_blocking(move || feeder.feed(&send));
    let failed = |error: tokio_postgres::Error| {
        let failure = of_server(&error, "PostgreSQL says");
        if error.as_db_error().is_some() { source.no_table(&failure.message) } else { failure }
    };
    let mut sink = None;
    while let Some(piece) = fed.recv().await {
        match piece {
            Fed::Columns(columns) => sink = Some(create(client, &table, &columns).await.map_err(&failed)?),
            Fed::Rows(rows) => {
                if let Some(sink) = &mut sink {
                    sink.send(rows).await.map_err(&failed)?;
                }
            }
        }
    }
    let shape = thread.await.map_err(|error| source.no_table(&format!("its thread ended: {error}")))??;
    if let Some(sink) = &mut sink {
        sink.as_mut().finish().await.map_err(&failed)?;
    }
    Ok(Table { name: table, input, shape })
}

async fn create(
    client: &Client,
    table: &str,
    columns: &str,
) -> Result<core::pin::Pin<Box<CopyInSink<Bytes>>>, tokio_postgres::Error> {
    let table = quoted(table);
    client.batch_execute(&format!("CREATE TEMP TABLE {table} ({columns}) ON COMMIT DROP")).await?;
    Ok(Box::pin(client.copy_in(&format!("COPY pg_temp.{table} FROM STDIN (FORMAT binary)")).await?))
}
