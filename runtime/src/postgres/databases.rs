//! The databases of a worker, and the steps that run on them.

use std::collections::HashMap;
use std::sync::Arc;

use bue_model::{Answer, Failure, FailureKind};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::database::Database;
use super::pool::Pool;
use super::query::Query;
use super::step;
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
        Self { unnamed: config.unnamed.map(pool), named, tasks: TaskTracker::new() }
    }

    /// Starts a step. It first waits for a connection, which does not count as the step's time. Dropping the returned value
    /// stops the step and cancels its statement. Needs a tokio runtime with timers.
    pub fn run(&self, query: Query) -> Running {
        let pool = match self.pool(query.connection.as_deref()) {
            Ok(pool) => Arc::clone(pool),
            Err(failure) => return Running::finished(Answer::Failed(failure)),
        };
        if let Err(refused) = step::check_inputs(&query) {
            return Running::finished(refused);
        }
        let (events, running) = mpsc::channel(MAX_EVENTS);
        self.tasks.spawn(step::run(query, pool, events));
        Running::local(running)
    }

    /// Waits until every step has ended and every abandoned statement is cancelled.
    pub async fn shutdown(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn pool(&self, name: Option<&str>) -> Result<&Arc<Pool>, Failure> {
        let denied = |message| Failure::new(FailureKind::Denied, message);
        match name {
            Some(name) => self.named.get(name).ok_or_else(|| denied(unknown(name))),
            None => self.unnamed.as_ref().ok_or_else(|| denied(UNSET.to_owned())),
        }
    }
}

const UNSET: &str = "This worker has no PostgreSQL connection. Where the worker runs, set POSTGRES_HOST, POSTGRES_PORT, \
                     POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DATABASE, or BUE_POSTGRES_URL, in its environment or its \
                     `.env`; or write `[postgres]` with `url = \"postgres://USER:PASSWORD@HOST/DATABASE\"` into its `bue.toml`";

fn unknown(name: &str) -> String {
    format!(
        "This worker has no PostgreSQL connection named `{name}`, which the step requests with `!allow postgres {name}`. \
         Where the worker runs, write `[postgres.{name}]` with `url = \"postgres://USER:PASSWORD@HOST/DATABASE\"` into its \
         `bue.toml`"
    )
}
