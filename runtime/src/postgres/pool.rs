//! A bounded number of connections to one database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bue_model::Failure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use super::database::Database;

/// A pool of connections, which are opened as needed.
pub(super) struct Pool {
    pub(super) database: Database,
    permits: Arc<Semaphore>,
    /// Connections that are reset and unused.
    idle: Mutex<Vec<Connection>>,
}

/// A step's connection. Dropping it closes it and lets the next step have one.
pub(super) struct PooledConnection {
    pub(super) connection: Connection,
    permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(database: Database) -> Self {
        let permits = Arc::new(Semaphore::new(database.connections.get().min(Semaphore::MAX_PERMITS)));
        Self { database, permits, idle: Mutex::default() }
    }

    /// Waits for a connection, first come first served, and returns one that works.
    pub(super) async fn acquire(&self) -> Result<PooledConnection, Failure> {
        // the semaphore is never closed
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| Failure::new(bue_model::FailureKind::Internal, error.to_string()))?;
        loop {
            let idle = self.idle().pop();
            match idle {
                Some(connection) if connection.is_alive().await => return Ok(PooledConnection { connection, permit }),
                // dropped: the server was restarted meanwhile
                Some(_) => {}
                None => return Ok(PooledConnection { connection: Connection::open(&self.database).await?, permit }),
            }
        }
    }

    /// Returns the connection of a successful step to the pool. One that cannot be reset is closed.
    pub(super) async fn release(&self, pooled: PooledConnection) {
        let PooledConnection { connection, permit } = pooled;
        if let Some(connection) = connection.reset().await {
            self.idle().push(connection);
        }
        drop(permit);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PooledConnection {
    /// Cancels the running statement and closes the connection.
    pub(super) async fn cancel_and_close(self) {
        self.connection.cancel_and_close().await;
    }
}
