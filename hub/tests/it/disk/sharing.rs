//! [`Sharing`]: what the connections of a process that have the same file open share: locks of the file, and the index of its log, which
//! is in memory, with locks of its own. Decides as SQLite's layer for Unix does for `unix-excl`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use super::Answer;

/// Locks of the index that SQLite uses.
const INDEX_LOCKS: usize = ffi::SQLITE_SHM_NLOCK as usize;

/// What the connections to a file share, as long as one is open.
#[derive(Debug, Default)]
pub(super) struct Sharing(Mutex<Shared>);

#[derive(Debug, Default)]
struct Shared {
    next_connection: u64,
    /// The level of each connection's lock of the file.
    file_locks: BTreeMap<u64, i32>,
    index_locks: [IndexLock; INDEX_LOCKS],
    /// Parts of the index, as numbers that are read and written without a lock by design.
    index: Vec<Box<[std::sync::atomic::AtomicU64]>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct IndexLock {
    shared: u32,
    is_exclusive: bool,
}

impl Sharing {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of a new connection.
    pub(super) fn connect(&self) -> u64 {
        let mut shared = self.shared();
        shared.next_connection += 1;
        shared.next_connection
    }

    pub(super) fn disconnect(&self, connection: u64) {
        self.shared().file_locks.remove(&connection);
    }

    /// Raises a connection's lock of the file to a level.
    pub(super) fn lock_file(&self, connection: u64, level: i32) -> Answer<()> {
        let mut shared = self.shared();
        let most = match level {
            ffi::SQLITE_LOCK_SHARED => ffi::SQLITE_LOCK_RESERVED,
            ffi::SQLITE_LOCK_RESERVED | ffi::SQLITE_LOCK_PENDING => ffi::SQLITE_LOCK_SHARED,
            _ => ffi::SQLITE_LOCK_NONE,
        };
        let others = shared.file_locks.iter().filter(|(other, _)| **other != connection);
        if others.map(|(_, level)| *level).max().unwrap_or(0) > most {
            return Err(ffi::SQLITE_BUSY);
        }
        let held = shared.file_locks.entry(connection).or_default();
        *held = level.max(*held);
        Ok(())
    }

    /// Lowers a connection's lock of the file to a level.
    pub(super) fn unlock_file(&self, connection: u64, level: i32) {
        let mut shared = self.shared();
        let held = shared.file_locks.entry(connection).or_default();
        *held = level.min(*held);
    }

    /// Returns whether a connection is about to write the file itself.
    pub(super) fn is_reserved(&self) -> bool {
        self.shared().file_locks.values().any(|level| *level >= ffi::SQLITE_LOCK_RESERVED)
    }

    /// Returns the address of a part of the index, whose parts all have this many bytes; `None` if there is none and none is to be made.
    /// The part stays where it is.
    pub(super) fn index_part(&self, part: usize, bytes: usize, is_made: bool) -> Option<*mut u8> {
        let mut shared = self.shared();
        while is_made && shared.index.len() <= part {
            shared.index.push((0..bytes.div_ceil(8)).map(|_| std::sync::atomic::AtomicU64::new(0)).collect());
        }
        shared.index.get(part).map(|part| part.as_ptr().cast_mut().cast())
    }

    /// Takes or frees some locks of the index, all or none of them.
    pub(super) fn lock_index(&self, first: usize, count: usize, flags: i32) -> Answer<()> {
        let mut shared = self.shared();
        let locks = shared.index_locks.get_mut(first..first + count).ok_or(ffi::SQLITE_MISUSE)?;
        let is_shared = flags & ffi::SQLITE_SHM_SHARED != 0;
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            for lock in locks {
                if is_shared { lock.shared = lock.shared.saturating_sub(1) } else { lock.is_exclusive = false }
            }
            return Ok(());
        }
        let is_free = |lock: &IndexLock| !lock.is_exclusive && (is_shared || lock.shared == 0);
        if !locks.iter().all(is_free) {
            return Err(ffi::SQLITE_BUSY);
        }
        for lock in locks {
            if is_shared { lock.shared += 1 } else { lock.is_exclusive = true }
        }
        Ok(())
    }
}
