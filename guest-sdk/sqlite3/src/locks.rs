//! The locks of database files, between the connections of one guest. <https://sqlite.org/lockingv3.html> describes the levels.

use core::ffi::c_int;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use libsqlite3_sys::{
    SQLITE_BUSY, SQLITE_LOCK_EXCLUSIVE, SQLITE_LOCK_NONE, SQLITE_LOCK_PENDING, SQLITE_LOCK_RESERVED,
    SQLITE_LOCK_SHARED, SQLITE_OK,
};

thread_local! {
    static FILES: RefCell<HashMap<PathBuf, FileLocks>> = RefCell::new(HashMap::new());
}

/// Who has locked a file.
#[derive(Default)]
struct FileLocks {
    /// Connections that have it open.
    connections: usize,
    /// Connections that read, including the one that writes.
    readers: usize,
    /// The level of the connection that writes, or will write: `SQLITE_LOCK_NONE`, `RESERVED`, `PENDING` or `EXCLUSIVE`.
    writer: c_int,
}

/// The lock that one connection has on a file.
pub(crate) struct Lock {
    path: PathBuf,
    level: c_int,
}

impl Lock {
    /// Adds a connection, which has no lock yet.
    pub(crate) fn new(path: &Path) -> Self {
        FILES.with_borrow_mut(|files| files.entry(path.to_owned()).or_default().connections += 1);
        Self { path: path.to_owned(), level: SQLITE_LOCK_NONE }
    }

    /// Raises the level, or returns `SQLITE_BUSY`.
    pub(crate) fn raise(&mut self, level: c_int) -> c_int {
        if self.level >= level {
            return SQLITE_OK;
        }
        let own = self.level;
        let reached = self.with_file(|file| file.raise(own, level));
        self.level = reached;
        if reached >= level { SQLITE_OK } else { SQLITE_BUSY }
    }

    /// Lowers the level to `SQLITE_LOCK_SHARED` or `SQLITE_LOCK_NONE`.
    pub(crate) fn lower(&mut self, level: c_int) {
        let own = self.level;
        if own <= level {
            return;
        }
        self.with_file(|file| {
            if own >= SQLITE_LOCK_RESERVED {
                file.writer = SQLITE_LOCK_NONE;
            }
            if level == SQLITE_LOCK_NONE {
                file.readers -= 1;
            }
        });
        self.level = level;
    }

    /// Whether a connection writes, or will write.
    pub(crate) fn is_reserved(&self) -> bool {
        self.with_file(|file| file.writer >= SQLITE_LOCK_RESERVED)
    }

    fn with_file<T>(&self, change: impl FnOnce(&mut FileLocks) -> T) -> T {
        FILES.with_borrow_mut(|files| change(files.entry(self.path.clone()).or_default()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.lower(SQLITE_LOCK_NONE);
        FILES.with_borrow_mut(|files| {
            if let Some(file) = files.get_mut(&self.path) {
                file.connections -= 1;
                if file.connections == 0 {
                    files.remove(&self.path);
                }
            }
        });
    }
}

impl FileLocks {
    /// Raises the level of a connection as far as the others permit. Returns the level that it has then.
    fn raise(&mut self, own: c_int, level: c_int) -> c_int {
        let is_writer = own >= SQLITE_LOCK_RESERVED;
        if level == SQLITE_LOCK_SHARED {
            if self.writer >= SQLITE_LOCK_PENDING {
                return own;
            }
            self.readers += 1;
            return SQLITE_LOCK_SHARED;
        }
        if !is_writer && self.writer != SQLITE_LOCK_NONE {
            return own;
        }
        self.writer = match level {
            SQLITE_LOCK_EXCLUSIVE if self.readers > 1 => SQLITE_LOCK_PENDING,
            level => level,
        };
        self.writer
    }
}
