//! The database of a step: in memory, opened before there is a step, and restricted as far as SQLite can be configured.

use bue_model::job::Hints;
use bue_model::{Answer, Failure, FailureKind, SqlTable};
use bytes::Bytes;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::authorizer::Authorizer;
use super::exact::functions;
use super::host::Host;
use super::output::Output;
use super::rows;
use super::script::Script;
use super::step::StepRequest;

/// What is executed before a step. Temporary tables and sorting stay in memory too: a guest has no files. The last statements
/// make SQLite allocate what every step needs.
const PREPARE: &str = "PRAGMA temp_store = MEMORY; PRAGMA journal_mode = OFF; PRAGMA cell_size_check = ON;
    CREATE TABLE warm(a); INSERT INTO warm VALUES (1); SELECT a FROM warm ORDER BY a; DROP TABLE warm";

/// A fresh in-memory database.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
}

impl Database {
    /// Opens it.
    ///
    /// # Errors
    /// SQLite fails.
    pub fn open() -> Result<Self, Failure> {
        let connection = connect().map_err(|error| internal(&error))?;
        Ok(Self { connection })
    }

    /// Executes a step. The database is to be used for one step only. If the answer is completed and not streamed, its value is only
    /// the head of the list: the rows went to the host.
    pub fn execute(&mut self, request: &StepRequest, host: &mut dyn Host) -> Answer {
        match self.result(request, host) {
            Ok(value) => Answer::Completed { value, streamed: request.is_streamed, hints: Hints::default() },
            Err(failure) => Answer::Failed(failure),
        }
    }

    fn result(&mut self, request: &StepRequest, host: &mut dyn Host) -> Result<Bytes, Failure> {
        let authorizer = Authorizer::new(request);
        set_length_limits(&self.connection, request.limits.result_bytes).map_err(|error| internal(&error))?;
        let first = SqlTable::from_text(&request.table);
        let tables = rows::fill(&self.connection, &first, &request.inputs, host);
        let tables = tables.map_err(|error| error.into_failure(&authorizer))?;
        authorizer.restrict(&mut self.connection).map_err(|error| internal(&error))?;
        let script = Script::new(&self.connection, &request.sql, &tables).map_err(|error| internal(&error))?;
        let mut output = Output::new(request, host);
        let executed = script.execute(&mut output);
        executed.map_err(|error| error.into_failure(&request.sql, &tables.tables, &authorizer))?;
        output.finish()
    }
}

fn connect() -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_in_memory_with_flags(flags)?;
    configure(&connection)?;
    set_limits(&connection)?;
    functions::register_checked(&connection)?;
    connection.execute_batch(PREPARE)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    use DbConfig as C;
    for (config, value) in [
        (C::SQLITE_DBCONFIG_DEFENSIVE, true),
        (C::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (C::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (C::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (C::SQLITE_DBCONFIG_ENABLE_FKEY, true),
        // double quotes quote names only; a misspelt column must not become a string
        (C::SQLITE_DBCONFIG_DQS_DML, false),
        (C::SQLITE_DBCONFIG_DQS_DDL, false),
    ] {
        connection.set_db_config(config, value)?;
    }
    Ok(())
}

fn set_limits(connection: &Connection) -> rusqlite::Result<()> {
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 500),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 500),
        (Limit::SQLITE_LIMIT_VDBE_OP, 10_000_000),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, value)?;
    }
    Ok(())
}

/// Limits texts, blobs and statements.
fn set_length_limits(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let length = i32::try_from(bytes).unwrap_or(i32::MAX);
    for limit in [Limit::SQLITE_LIMIT_LENGTH, Limit::SQLITE_LIMIT_SQL_LENGTH] {
        connection.set_limit(limit, length)?;
    }
    Ok(())
}

fn internal(error: &rusqlite::Error) -> Failure {
    Failure::new(FailureKind::Internal, format!("The database for the SQL step could not be created: {error}"))
}
