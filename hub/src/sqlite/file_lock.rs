//! [`FileLock`]: one store of this process at a time has a file open. Against other processes, SQLite locks the file; its locks do not
//! separate the connections of one process, of which a store has several.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::error::HubError;

/// The files that stores of this process have open.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
/// Notified when a store has closed its file.
static CLOSED: Condvar = Condvar::new();

/// Held as long as a store has connections to a file.
#[derive(Debug)]
pub(super) struct FileLock(PathBuf);

impl FileLock {
    /// Waits until no other store has the file open, at most this long.
    pub(super) fn acquire(path: &Path, timeout: Duration) -> Result<Self, HubError> {
        let file = absolute(path);
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut open, waited) = CLOSED
            .wait_timeout_while(open, timeout, |open| open.contains(&file))
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() && open.contains(&file) {
            return Err(HubError::InUse(path.to_owned()));
        }
        open.insert(file.clone());
        Ok(Self(file))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        OPEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
        CLOSED.notify_all();
    }
}

/// Returns a path without links, by which a file is the same whether it exists yet or not.
fn absolute(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (path.canonicalize(), folder.canonicalize(), path.file_name()) {
        (Ok(path), ..) => path,
        (_, Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
