//! [`FolderNames`]: the names of the values in a folder, in order, so that those with a prefix are found without reading all. A file
//! system returns the entries of a folder in no order, so they are in an SQLite file.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, params};
use tokio::task::spawn_blocking;

use crate::durability::Durability;
use crate::error::HubError;

/// The name of the file.
const FILE: &str = "names.db";

/// The file. The folder is locked, so no other process has it open.
#[derive(Clone, Debug)]
pub(super) struct FolderNames(Arc<Mutex<Connection>>);

impl FolderNames {
    /// Opens the file in a folder, and creates it if it does not exist.
    pub(super) fn open(root: &Path, durability: Durability) -> Result<Self, HubError> {
        let db = Connection::open(root.join(FILE))?;
        db.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
        db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        db.pragma_update(None, "synchronous", durability.synchronous())?;
        db.execute_batch("CREATE TABLE IF NOT EXISTS name (name TEXT PRIMARY KEY) WITHOUT ROWID")?;
        Ok(Self(Arc::new(Mutex::new(db))))
    }

    /// Adds a name; nothing is written if it is there.
    pub(super) async fn add(&self, name: &str) -> Result<(), HubError> {
        let name = name.to_owned();
        self.with(move |db| {
            db.prepare_cached("INSERT INTO name VALUES (?1) ON CONFLICT DO NOTHING")?.execute([&name])?;
            Ok(())
        })
        .await
    }

    /// Removes a name, if it is there.
    pub(super) async fn remove(&self, name: &str) -> Result<(), HubError> {
        let name = name.to_owned();
        self.with(move |db| {
            db.prepare_cached("DELETE FROM name WHERE name = ?1")?.execute([&name])?;
            Ok(())
        })
        .await
    }

    /// Returns the first names behind `after` that begin with a prefix, in order.
    pub(super) async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, HubError> {
        let (prefix, after) = (prefix.to_owned(), after.to_owned());
        self.with(move |db| {
            let sql = "SELECT name FROM name WHERE name > ?1 AND name >= ?2 ORDER BY name LIMIT ?3";
            let mut select = db.prepare_cached(sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let names = select.query_map(params![after, prefix, limit], |row| row.get(0))?;
            // the names with a prefix are together
            let mut found: Vec<String> = names.collect::<Result<_, _>>()?;
            found.truncate(found.partition_point(|name| name.starts_with(&prefix)));
            Ok(found)
        })
        .await
    }

    /// Uses the file, which blocks.
    async fn with<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> Result<T, HubError> + Send + 'static,
    ) -> Result<T, HubError> {
        let db = Arc::clone(&self.0);
        let done = spawn_blocking(move || operation(&db.lock().unwrap_or_else(PoisonError::into_inner)));
        done.await.map_err(|_| HubError::Stopped)?
    }
}
