//! One postgres step: a transaction from its first table to its last row.

use std::sync::Arc;
use std::time::Instant;

use bue_model::job::Hints;
use bue_model::{Answer, Failure, FailureKind, SqlTable};
use bue_sql::result::{RowBatch, RowBuffer, unique_names};
use bue_sql::table::{Table, quoted, table_name};
use bue_sql::text::SqlText;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, CopyInSink, SimpleQueryMessage};

use super::connection::Connection;
use super::copy_source::{InputTable, TablePart};
use super::empty::EmptyTables;
use super::failure::{from_server_error, from_statement_error};
use super::output::{ColumnKind, OUTPUT_SETTINGS, encode_row};
use super::pool::Pool;
use super::query::Query;
use super::shadow::InputNames;
use super::statements::{Statement, statements};
use crate::step::failure::{limit, timed_out, too_much_input};
use crate::step::limits::{Limits, bytes_text};
use crate::step::log::Log;
use crate::step::task::{Event, Finished, Usage};

/// The server's timeout for a statement is this much longer than the step's: it matters only if this process is gone.
const SERVER_TIMEOUT_MARGIN_MS: u128 = 1_000;

/// How strings are read: a backslash in them is an ordinary character. `statements.rs` splits a script by this rule.
const STANDARD_STRINGS: &str = "SET LOCAL standard_conforming_strings = on";

/// Parts of a table that wait to be sent at most.
const MAX_PARTS_IN_FLIGHT: usize = 2;

/// What a step returned.
struct StepOutput {
    value: Bytes,
    /// The connection can be reset for the next step.
    is_reusable: bool,
}

/// Runs a step to its end and sends its events. Stops when the receiver of the events is dropped.
pub(super) async fn run(query: Query, pool: Arc<Pool>, events: mpsc::Sender<Event>) {
    let pooled = tokio::select! {
        pooled = pool.acquire() => pooled,
        () = events.closed() => return,
    };
    let start = Instant::now();
    let log = Log::new(&query.limits);
    let (pooled, result) = match pooled {
        Ok(pooled) => {
            let step = Step { query: &query, log: &log, events: &events };
            let result = tokio::select! {
                result = step.run_with_timeout(&pooled.connection) => result,
                () = events.closed() => return pooled.cancel_and_close().await,
            };
            (Some(pooled), result)
        }
        Err(failure) => (None, Err(failure)),
    };
    let is_reusable = result.as_ref().is_ok_and(|output| output.is_reusable);
    let usage = Usage { wall: start.elapsed(), ..Usage::default() };
    let finished = Finished { answer: answer(result, query.streamed), log: log.finish(), usage };
    // a receiver that was dropped does not need it
    let _ = events.send(Event::Finished(finished)).await;
    match pooled {
        Some(pooled) if is_reusable => pool.release(pooled).await,
        Some(pooled) => pooled.cancel_and_close().await,
        None => {}
    }
}

/// Restores the rule for strings after a statement, which may have changed it. The server would find other statements in the text of
/// the next one than this process did, a COMMIT among them.
fn with_standard_strings(statement: &str) -> String {
    // on a line of its own: the statement may end with a comment
    format!("{statement}\n;{STANDARD_STRINGS}")
}

fn answer(result: Result<StepOutput, Failure>, streamed: bool) -> Answer {
    match result {
        Ok(StepOutput { value, .. }) => Answer::Completed { value, streamed, hints: Hints::default() },
        Err(failure) => Answer::Failed(failure),
    }
}

/// The failure of a step whose server began to send a message that is too long.
fn too_long(bytes: u64, limits: &Limits) -> Failure {
    let (bytes, allowed) = (bytes_text(bytes), bytes_text(limits.result_bytes));
    limit(format!(
        "PostgreSQL sent one row or message of {bytes}, and the result limit is {allowed}, so the connection was closed and the \
         step's changes were rolled back; select less, for example with `left` or `substr`"
    ))
}

/// A step that has a connection.
struct Step<'s> {
    query: &'s Query,
    log: &'s Log,
    events: &'s mpsc::Sender<Event>,
}

impl Step<'_> {
    async fn run_with_timeout(&self, connection: &Connection) -> Result<StepOutput, Failure> {
        let Limits { time, .. } = self.query.limits;
        let outcome = tokio::time::timeout(time, self.run_transaction(connection)).await;
        match (outcome, connection.refused_message()) {
            (Ok(Err(_)), Some(bytes)) => Err(too_long(bytes, &self.query.limits)),
            (Ok(result), _) => result,
            (Err(_), _) => Err(timed_out(&self.query.limits)),
        }
    }

    async fn run_transaction(&self, connection: &Connection) -> Result<StepOutput, Failure> {
        let Query { bundle, placeholders, .. } = self.query;
        let sql = SqlText::new(bundle, placeholders)?;
        let statements = statements(&sql)?;
        let client = &connection.client;
        connection.use_for(self.log, self.query.limits.result_bytes);
        let started = client.batch_execute(&self.begin_sql()).await;
        started.map_err(|error| from_server_error(&error, "The step's transaction could not be started"))?;
        let first = SqlTable::from_text(&self.query.table);
        let inputs = InputNames::new((0..self.query.inputs.len()).map(|index| table_name(&first.name, index)));
        inputs.check_names(client, &sql).await?;
        let tables = self.create_tables(client, &first).await?;
        let mut empty = EmptyTables::new(&tables);
        let unchanged = inputs.changes(client).await?;
        let mut output = StepOutput { value: RowBuffer::new(self.query.limits.rows()).into_list(), is_reusable: true };
        if let Some((last, others)) = statements.split_last() {
            for statement in others {
                empty.add_columns(client, statement.text).await?;
                let result = client.batch_execute(&with_standard_strings(statement.text)).await;
                result.map_err(|error| from_statement_error(&error, statement, &sql, &tables))?;
                self.check_log()?;
                // it may have created a table, or changed the search path
                inputs.check_names(client, &sql).await?;
            }
            empty.add_columns(client, last.text).await?;
            output = self.run_last(client, last, &|error| from_statement_error(&error, last, &sql, &tables)).await?;
            self.check_log()?;
        }
        // to look up a type, the client caches prepared statements, which DISCARD ALL would remove behind its back
        output.is_reusable &= !empty.has_prepared();
        inputs.check_names(client, &sql).await?;
        inputs.check_changes(client, &unchanged).await?;
        let committed = client.batch_execute("COMMIT").await;
        committed.map_err(|error| from_server_error(&error, "The step's transaction could not be committed"))?;
        Ok(output)
    }

    /// Returns the SQL that starts the transaction. `statements.rs` assumes that a backslash in a plain string is an ordinary
    /// character, so the setting must say the same.
    fn begin_sql(&self) -> String {
        let time = self
            .query
            .limits
            .time
            .as_millis()
            .saturating_add(SERVER_TIMEOUT_MARGIN_MS)
            .min(i32::MAX.unsigned_abs().into());
        format!("BEGIN; SET LOCAL statement_timeout = {time}; {STANDARD_STRINGS}")
    }

    async fn create_tables(&self, client: &Client, first: &SqlTable) -> Result<Vec<Table>, Failure> {
        let mut tables = Vec::new();
        for (index, bytes) in self.query.inputs.iter().enumerate() {
            let table = table_name(&first.name, index);
            let declared = first.columns.clone().filter(|_| index == 0);
            let input = InputTable { table, input: index + 1, bytes: bytes.clone(), declared };
            tables.push(create_table(client, input).await?);
        }
        Ok(tables)
    }

    /// Runs the last statement, whose rows are the result.
    async fn run_last(
        &self,
        client: &Client,
        statement: &Statement<'_>,
        failed: &(dyn Fn(tokio_postgres::Error) -> Failure + Sync),
    ) -> Result<StepOutput, Failure> {
        let prepared = client.prepare(statement.text).await.map_err(failed)?;
        client.batch_execute(OUTPUT_SETTINGS).await.map_err(failed)?;
        let names = unique_names(prepared.columns().iter().map(tokio_postgres::Column::name));
        let kinds = prepared.columns().iter().map(|column| ColumnKind::from_type(column.type_()));
        let columns: Vec<(String, ColumnKind)> = names.into_iter().zip(kinds).collect();
        // to look up a type, the client caches prepared statements, which DISCARD ALL would remove behind its back
        let is_reusable = prepared.columns().iter().all(|column| Type::from_oid(column.type_().oid()).is_some());
        let mut buffer = RowBuffer::new(self.query.limits.rows());
        let rows = client.simple_query_raw(statement.text).await.map_err(failed)?;
        let mut rows = core::pin::pin!(rows);
        while let Some(message) = rows.next().await {
            let SimpleQueryMessage::Row(row) = message.map_err(failed)? else { continue };
            encode_row(&mut buffer.rows, &columns, |index| row.try_get(index).ok().flatten());
            buffer.row_written()?;
            if self.query.streamed && buffer.is_batch() {
                self.send_items(buffer.take_batch()?).await?;
            }
        }
        if self.query.streamed && !buffer.is_empty() {
            self.send_items(buffer.take_batch()?).await?;
        }
        let value = if self.query.streamed { Bytes::new() } else { buffer.into_list() };
        Ok(StepOutput { value, is_reusable })
    }

    async fn send_items(&self, RowBatch { count, rows }: RowBatch) -> Result<(), Failure> {
        let sent = self.events.send(Event::Items { count, items: rows, early: false }).await;
        sent.map_err(|_| Failure::new(FailureKind::Internal, "The receiver of the step's rows was dropped"))
    }

    fn check_log(&self) -> Result<(), Failure> {
        self.log.exceeded().map_or(Ok(()), |exceeded| Err(limit(exceeded.to_string())))
    }
}

/// Checks that the inputs are within the step's limit.
pub(super) fn check_inputs(query: &Query) -> Result<(), Answer> {
    let len: u64 = query.inputs.iter().map(|input| input.len() as u64).sum();
    let allowed = query.limits.input_bytes;
    if len > allowed { Err(Answer::Failed(too_much_input(len, allowed))) } else { Ok(()) }
}

/// Creates a temporary table from an input. It is dropped with the transaction.
async fn create_table(client: &Client, input_table: InputTable) -> Result<Table, Failure> {
    let (send, mut parts) = mpsc::channel(MAX_PARTS_IN_FLIGHT);
    let InputTable { table, input, .. } = input_table.clone();
    let feeder = input_table.clone();
    let thread = tokio::task::spawn_blocking(move || feeder.send(&send));
    let failed = |error: tokio_postgres::Error| {
        let failure = from_server_error(&error, "PostgreSQL says");
        if error.as_db_error().is_some() { input_table.not_a_table(&failure.message) } else { failure }
    };
    let mut sink = None;
    while let Some(part) = parts.recv().await {
        match part {
            TablePart::Columns(columns) => sink = Some(open_copy(client, &table, &columns).await.map_err(&failed)?),
            TablePart::Rows(rows) => {
                if let Some(sink) = &mut sink {
                    sink.send(rows).await.map_err(&failed)?;
                }
            }
        }
    }
    let shape = thread.await.map_err(|error| input_table.not_a_table(&format!("its thread ended: {error}")))??;
    if let Some(sink) = &mut sink {
        sink.as_mut().finish().await.map_err(&failed)?;
    }
    Ok(Table { name: table, input, shape })
}

async fn open_copy(
    client: &Client,
    table: &str,
    columns: &str,
) -> Result<core::pin::Pin<Box<CopyInSink<Bytes>>>, tokio_postgres::Error> {
    let table = quoted(table);
    client.batch_execute(&format!("CREATE TEMP TABLE {table} ({columns}) ON COMMIT DROP")).await?;
    Ok(Box::pin(client.copy_in(&format!("COPY pg_temp.{table} FROM STDIN (FORMAT binary)")).await?))
}
