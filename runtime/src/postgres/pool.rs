//! A bounded number of connections to one database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bue_model::Failure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use super::database::Database;

/// Connections, made when they are needed.
pub(super) struct Pool {
    database: Database,
    turns: Arc<Semaphore>,
    /// Clean ones that nobody uses.
    idle: Mutex<Vec<Connection>>,
}

/// A connection of one step, and the step's turn. Dropped, it is closed.
pub(super) struct Lent {
    pub(super) connection: Connection,
    turn: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(database: Database) -> Self {
        let turns = Arc::new(Semaphore::new(database.connections.get().min(Semaphore::MAX_PERMITS)));
        Self { database, turns, idle: Mutex::default() }
    }

    /// Waits for a turn, first come first served, and gives a connection that works.
    pub(super) async fn lend(&self) -> Result<Lent, Failure> {
        // never closed, so there is always a turn to be had
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|error| Failure::new(bue_model::FailureKind::Internal, error.to_string()))?;
        loop {
            let kept = self.idle().pop();
            match kept {
                Some(connection) if connection.is_alive().await => return Ok(Lent { connection, turn }),
                // the server was restarted meanwhile
                Some(_) => {}
                None => return Ok(Lent { connection: Connection::open(&self.database).await?, turn }),
            }
        }
    }

    /// Takes a connection back whose step went well. One that cannot be cleaned is closed.
    pub(super) async fn take_back(&self, lent: Lent) {
        let Lent { connection, turn } = lent;
        if let Some(connection) = connection.cleaned().await {
            self.idle().push(connection);
        }
        drop(turn);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    /// Stops what runs on it and closes it; then it is another step's turn.
    pub(super) async fn stop(self) {
        self.connection.stop().await;
    }
}
