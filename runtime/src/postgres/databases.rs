//! The databases of a worker, and the steps that run on them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bue_model::{Answer, Failure, FailureKind};
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::database::Database;
use super::pool::Pool;
use super::query::Query;
use super::step;
use crate::background_runtime::BackgroundRuntime;
use crate::parent::running::Running;

/// Events of a step that may be in flight.
const MAX_EVENTS: usize = 1;

/// The databases of a worker, by the names that scripts use.
#[derive(Clone, Debug, Default)]
pub struct DatabasesConfig {
    /// For steps that name none.
    pub unnamed: Option<Database>,
    /// For steps that name one.
    pub named: HashMap<String, Database>,
}

impl DatabasesConfig {
    /// Returns the addresses of their servers, `host:port` each.
    pub fn servers(&self) -> impl Iterator<Item = String> {
        self.unnamed.iter().chain(self.named.values()).flat_map(Database::servers)
    }

    /// Runs steps even as roles that can reach the server's files or the hub's tables. Otherwise they fail.
    #[must_use]
    pub fn allow_privileged_roles(mut self) -> Self {
        for database in self.unnamed.iter_mut().chain(self.named.values_mut()) {
            database.allows_privileged_role = true;
        }
        self
    }

    /// Connects to all of them, and returns why steps will not be run as the roles of some. A server that cannot be reached is
    /// left out: it may be up when the first step comes.
    pub async fn refused_roles(&self) -> Vec<String> {
        let databases = self.unnamed.iter().chain(self.named.values());
        let opened = join_all(databases.map(Connection::open)).await;
        let refused = opened.into_iter().filter_map(Result::err).filter(|failure| failure.kind == FailureKind::Denied);
        refused.map(|failure| failure.message).collect()
    }

    /// Returns the passwords for them that are UTF-8, to keep them out of messages.
    pub fn passwords(&self) -> impl Iterator<Item = String> {
        self.unnamed.iter().chain(self.named.values()).filter_map(Database::password)
    }
}

/// The databases that postgres steps use, each with a pool of connections.
pub struct Databases {
    unnamed: Option<Arc<Pool>>,
    named: HashMap<String, Arc<Pool>>,
    tasks: TaskTracker,
    /// Texts and rows of steps can be large. Their conversion must keep nothing waiting but other postgres steps. Started by the
    /// first step.
    thread: OnceLock<Option<BackgroundRuntime>>,
}

impl core::fmt::Debug for Databases {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Databases").field("named", &self.named.keys()).finish_non_exhaustive()
    }
}

impl Databases {
    /// Opens no connection yet.
    #[must_use]
    pub fn new(config: DatabasesConfig) -> Self {
        let pool = |database| Arc::new(Pool::new(database));
        let named = config.named.into_iter().map(|(name, database)| (name, pool(database))).collect();
        Self { unnamed: config.unnamed.map(pool), named, tasks: TaskTracker::new(), thread: OnceLock::new() }
    }

    /// Starts a step. It first waits for a connection, which does not count as the step's time. Dropping the returned value
    /// stops the step and cancels its statement. Needs a tokio runtime with timers.
    pub fn run(&self, query: Query) -> Running {
        let pool = match self.pool(query.connection.as_deref(), &query.placeholders.scope) {
            Ok(pool) => Arc::clone(pool),
            Err(failure) => return Running::finished(Answer::Failed(failure)),
        };
        if let Err(refused) = step::check_inputs(&query) {
            return Running::finished(refused);
        }
        let (events, running) = mpsc::channel(MAX_EVENTS);
        let step = step::run(query, pool, events);
        match self.thread() {
            Some(thread) => self.tasks.spawn_on(step, thread.handle()),
            None => self.tasks.spawn(step),
        };
        Running::local(running)
    }

    /// Returns the thread of all steps; `None` if the system has no more threads.
    fn thread(&self) -> Option<&BackgroundRuntime> {
        let start = || match BackgroundRuntime::start("bue-postgres") {
            Ok(thread) => Some(thread),
            Err(error) => {
                tracing::warn!(%error, "postgres steps get no thread of their own");
                None
            }
        };
        self.thread.get_or_init(start).as_ref()
    }

    /// Waits until every step has ended and every abandoned statement is cancelled.
    pub async fn shutdown(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Returns the pool of a connection for a step of this scope.
    fn pool(&self, name: Option<&str>, scope: &str) -> Result<&Arc<Pool>, Failure> {
        let denied = |message| Failure::new(FailureKind::Denied, message);
        let pool = match name {
            Some(name) => self.named.get(name).ok_or_else(|| denied(unknown(name)))?,
            None => self.unnamed.as_ref().ok_or_else(|| denied(UNSET.to_owned()))?,
        };
        if pool.database.serves(scope) { Ok(pool) } else { Err(denied(other_scope(name, scope))) }
    }
}

const UNSET: &str = "This worker has no PostgreSQL connection. Where the worker runs, set POSTGRES_HOST, POSTGRES_PORT, \
                     POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DATABASE, or BUE_POSTGRES_URL, in its environment or its \
                     `.env`; or write `[postgres]` with `url = \"postgres://USER:PASSWORD@HOST/DATABASE\"` into its `bue.toml`";

fn other_scope(name: Option<&str>, scope: &str) -> String {
    let table = name.map_or_else(|| "postgres".to_owned(), |name| format!("postgres.{name}"));
    format!(
        "This worker's PostgreSQL connection is not for steps of the scope `{scope}`. Where the worker runs, add the scope to \
         `scopes` of `[{table}]` in its `bue.toml`"
    )
}

fn unknown(name: &str) -> String {
    format!(
        "This worker has no PostgreSQL connection named `{name}`, which the step requests with `!allow postgres {name}`. \
         Where the worker runs, write `[postgres.{name}]` with `url = \"postgres://USER:PASSWORD@HOST/DATABASE\"` into its \
         `bue.toml`"
    )
}
