//! Restricts the statements of a step to their own database.

use std::sync::{Arc, Mutex, PoisonError};

use bue_model::{Failure, FailureKind};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::heap::Budget;
use super::step::{SqlStep, must_stop};
use crate::step::limits::Limits;

/// Instructions of SQLite's virtual machine between two checks of the clock: about ten microseconds.
const CHECK_INTERVAL: i32 = 1000;

/// PRAGMAs that only describe the step's own tables.
const ALLOWED_PRAGMAS: [&str; 9] = [
    "table_info",
    "table_xinfo",
    "table_list",
    "index_list",
    "index_info",
    "index_xinfo",
    "foreign_key_list",
    "collation_list",
    "function_list",
];

/// Functions that reach outside the database.
const DENIED_FUNCTIONS: [&str; 4] = ["load_extension", "fts3_tokenizer", "writefile", "readfile"];

/// Restricts and interrupts one step.
pub(super) struct Authorizer<'a> {
    step: &'a SqlStep,
    /// The last action that was denied.
    denied: Arc<Mutex<Option<String>>>,
}

impl<'a> Authorizer<'a> {
    pub(super) fn new(step: &'a SqlStep) -> Self {
        Self { step, denied: Arc::default() }
    }

    /// Opens a fresh in-memory database, restricted as far as SQLite can be configured, and interrupted when it must stop.
    pub(super) fn open(&self, limits: &Limits) -> Result<Connection, Failure> {
        self.connect(limits).map_err(|error| internal(&error))
    }

    fn connect(&self, limits: &Limits) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_in_memory_with_flags(flags)?;
        // temporary tables and sorting stay in memory too: a sandbox host has no disk space
        connection
            .execute_batch("PRAGMA temp_store = MEMORY; PRAGMA journal_mode = OFF; PRAGMA cell_size_check = ON;")?;
        self.configure(&connection)?;
        set_limits(&connection, limits)?;
        let (is_cancelled, deadline) = (Arc::clone(&self.step.is_cancelled), self.step.deadline);
        // after a failed allocation, an aggregate goes on over all rows and reports it only at the end
        let interrupt = move || must_stop(&is_cancelled, deadline) || Budget::was_exceeded();
        connection.progress_handler(CHECK_INTERVAL, Some(interrupt))?;
        Ok(connection)
    }

    fn configure(&self, connection: &Connection) -> rusqlite::Result<()> {
        use DbConfig as C;
        for (config, value) in [
            (C::SQLITE_DBCONFIG_DEFENSIVE, true),
            (C::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
            (C::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
            (C::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
            // double quotes quote names only; a misspelt column must not become a string
            (C::SQLITE_DBCONFIG_DQS_DML, false),
            (C::SQLITE_DBCONFIG_DQS_DDL, false),
        ] {
            connection.set_db_config(config, value)?;
        }
        Ok(())
    }

    /// Installs the authorizer: from here on, only what a step may do is allowed.
    pub(super) fn restrict(&self, connection: &mut Connection) -> Result<(), Failure> {
        let denied = Arc::clone(&self.denied);
        let authorize = move |context: AuthContext<'_>| match denied_action(&context.action) {
            None => Authorization::Allow,
            Some(action) => {
                *denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(action);
                Authorization::Deny
            }
        };
        connection.authorizer(Some(authorize)).map_err(|error| internal(&error))
    }

    /// The action that was denied last.
    pub(super) fn denied(&self) -> Option<String> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn must_stop(&self) -> bool {
        self.step.must_stop()
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.step.limits
    }
}

fn set_limits(connection: &Connection, limits: &Limits) -> rusqlite::Result<()> {
    let length = i32::try_from(limits.result_bytes).unwrap_or(i32::MAX);
    for (limit, value) in [
        (Limit::SQLITE_LIMIT_LENGTH, length),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, length),
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

/// The description of an action that is denied, or `None` if it is allowed. Unknown actions are denied.
fn denied_action(action: &AuthAction<'_>) -> Option<String> {
    use AuthAction as A;
    match action {
        A::CreateIndex { .. } | A::CreateTable { .. } | A::CreateTempIndex { .. } | A::CreateTempTable { .. } => None,
        A::CreateTempTrigger { .. } | A::CreateTempView { .. } | A::CreateTrigger { .. } | A::CreateView { .. } => None,
        A::DropIndex { .. } | A::DropTable { .. } | A::DropTempIndex { .. } | A::DropTempTable { .. } => None,
        A::DropTempTrigger { .. } | A::DropTempView { .. } | A::DropTrigger { .. } | A::DropView { .. } => None,
        A::Delete { .. } | A::Insert { .. } | A::Update { .. } | A::Read { .. } | A::Select | A::Recursive => None,
        A::Transaction { .. } | A::Savepoint { .. } | A::AlterTable { .. } | A::Reindex { .. } | A::Analyze { .. } => {
            None
        }
        A::Function { function_name } => {
            let is_denied = DENIED_FUNCTIONS.iter().any(|name| name.eq_ignore_ascii_case(function_name));
            is_denied.then(|| format!("call `{function_name}`"))
        }
        A::Pragma { pragma_name, .. } => {
            let is_allowed = ALLOWED_PRAGMAS.iter().any(|name| name.eq_ignore_ascii_case(pragma_name));
            (!is_allowed).then(|| format!("use `PRAGMA {pragma_name}`"))
        }
        // VACUUM attaches a database too
        A::Attach { .. } | A::Detach { .. } => Some("ATTACH, DETACH or VACUUM a database".to_owned()),
        A::CreateVtable { .. } | A::DropVtable { .. } => Some("make virtual tables".to_owned()),
        _ => Some("do that".to_owned()),
    }
}

pub(super) fn internal(error: &rusqlite::Error) -> Failure {
    Failure::new(FailureKind::Internal, format!("The database for the SQL step could not be created: {error}"))
}
