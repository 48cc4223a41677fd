//! [`Disk`]: a disk in memory that records what was synced. A power cut loses, tears and reorders what was not: sector by
//! sector, sizes and names of files included. The disk can also be full, read-only or broken.
//!
//! ```text
//! SqliteStore --> SQLite --> vfs (unsafe, no decisions) --> Disk (decisions, safe)
//!                                                            live: what programs read    durable: what a cut leaves
//! ```
//! It syncs what SQLite's own layer for Unix syncs: a file's content on request, and the names in its folder together with the
//! first sync of a new journal or log, or when a file is deleted durably. The index of the log (`-shm`) is in memory, as in SQLite's
//! layer `unix-excl`.

mod file;
mod sharing;
mod vfs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bue_test_support::wait::wait_until;
use fastrand::Rng;
use rusqlite::ffi;

use file::{Change, File};
use sharing::Sharing;

/// The answer to SQLite; an error code of SQLite on failure.
type Answer<T> = Result<T, i32>;

/// A fault, until it is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// No file can grow.
    Full,
    /// Mounted read-only, as systems do after errors.
    ReadOnly,
    /// Writing fails.
    Write,
    /// Syncing fails, and what it was to sync is not durable, whatever later syncs return.
    Sync,
}

/// All faults.
pub(crate) const ALL_FAULTS: [DiskFault; 4] = [DiskFault::Full, DiskFault::ReadOnly, DiskFault::Write, DiskFault::Sync];

/// A call to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Write,
    Resize,
    Sync,
    Delete,
}

/// When the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// In this call from now on, 1 being the next.
    pub(crate) after: usize,
    /// Counts only these calls; `None` counts all.
    pub(crate) only: Option<Call>,
}

/// A name and its file; `None` after a deletion.
type Entry = (String, Option<usize>);

#[derive(Clone, Debug)]
struct State {
    /// By number, including deleted ones: programs may still have them open.
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names, in order: file systems keep a journal of these.
    pending_names: Vec<Entry>,
    /// How often the power came back; files that were opened before are closed.
    boot: u64,
    is_off: bool,
    cut: Option<Cut>,
    fault: Option<DiskFault>,
    rng: Rng,
}

/// A disk.
#[derive(Debug)]
pub(crate) struct Disk {
    number: u64,
    state: Mutex<State>,
    /// What connections to the same file share, by boot and file.
    sharing: Mutex<BTreeMap<(u64, usize), Weak<Sharing>>>,
}

impl Disk {
    /// An empty disk; the seed decides what a cut leaves.
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Self::with(State {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            boot: 0,
            is_off: false,
            cut: None,
            fault: None,
            rng: Rng::with_seed(seed),
        })
    }

    fn with(state: State) -> Arc<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let disk = Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(state),
            sharing: Mutex::default(),
        };
        let disk = Arc::new(disk);
        vfs::add_disk(&disk);
        disk
    }

    /// Returns a copy of the disk, to be checked without changing it.
    pub(crate) fn copy(&self) -> Arc<Self> {
        Self::with(State { cut: None, fault: None, ..self.state().clone() })
    }

    /// Returns the path by which SQLite opens the database on it.
    pub(crate) fn path(&self) -> PathBuf {
        format!("file:/{}/{}/hub.db?vfs={}", self.number, self.state().boot, vfs::NAME).into()
    }

    /// Cuts the power in a certain call, if it happens.
    pub(crate) fn cut_at(&self, cut: Cut) {
        self.state().cut = Some(cut);
    }

    /// Cuts the power now.
    pub(crate) fn cut(&self) {
        self.state().cut();
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// Restores the power.
    pub(crate) fn power_on(&self) {
        let mut state = self.state();
        state.is_off = false;
        state.boot += 1;
    }

    /// Waits until every file on it is closed: a store that was dropped closes its file a moment later.
    pub(crate) fn wait_until_closed(self: &Arc<Self>) {
        wait_until("every file of the disk is closed", || Arc::strong_count(self) == 1);
    }

    /// Introduces a fault, or repairs it.
    pub(crate) fn set_fault(&self, fault: Option<DiskFault>) {
        self.state().fault = fault;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that a program has open.
#[derive(Clone, Copy, Debug)]
struct Handle {
    file: usize,
    boot: u64,
}

/// The disk as programs see it.
impl Disk {
    /// `name` is `None` for a temporary file. Returns whether the file is read-only.
    fn open(&self, name: Option<&str>, boot: u64, flags: i32) -> Answer<(Handle, bool)> {
        let mut state = self.state();
        state.check(boot, ffi::SQLITE_CANTOPEN)?;
        let is_read_only = state.fault == Some(DiskFault::ReadOnly);
        let found = name.and_then(|name| state.names.get(name).copied());
        let file = match found {
            Some(file) => file,
            None if flags & ffi::SQLITE_OPEN_CREATE == 0 || is_read_only => return Err(ffi::SQLITE_CANTOPEN),
            None => state.create(name, flags)?,
        };
        Ok((Handle { file, boot }, is_read_only))
    }

    /// Returns what the connections to a file share.
    fn sharing(&self, handle: Handle) -> Arc<Sharing> {
        let mut sharing = self.sharing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sharing.entry((handle.boot, handle.file)).or_default();
        known.upgrade().unwrap_or_else(|| {
            let new = Arc::<Sharing>::default();
            *known = Arc::downgrade(&new);
            new
        })
    }

    fn delete(&self, name: &str, boot: u64, syncs_folder: bool) -> Answer<()> {
        let mut state = self.state();
        state.change(boot, Call::Delete, ffi::SQLITE_IOERR_DELETE, |state| {
            state.names.remove(name);
            state.pending_names.push((name.to_owned(), None));
        })?;
        if syncs_folder {
            state.sync_names();
        }
        Ok(())
    }

    fn exists(&self, name: &str, boot: u64) -> Answer<bool> {
        let state = self.state();
        state.check(boot, ffi::SQLITE_IOERR_ACCESS)?;
        Ok(state.names.contains_key(name))
    }

    /// Fills the buffer, with zeros after the file's end. Returns how many bytes are the file's.
    fn read(&self, handle: Handle, at: usize, buffer: &mut [u8]) -> Answer<usize> {
        let state = self.state();
        state.check(handle.boot, ffi::SQLITE_IOERR_READ)?;
        let there = state.files[handle.file].live.get(at..).unwrap_or_default();
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        buffer[count..].fill(0);
        Ok(count)
    }

    fn write(&self, handle: Handle, at: usize, bytes: &[u8]) -> Answer<()> {
        let mut state = self.state();
        let grows = at + bytes.len() > state.files[handle.file].live.len();
        if state.fault == Some(DiskFault::Full) && grows {
            return Err(ffi::SQLITE_FULL);
        }
        let change = Change::Write { at, bytes: bytes.to_vec() };
        state.change(handle.boot, Call::Write, ffi::SQLITE_IOERR_WRITE, |state| state.files[handle.file].take(change))
    }

    fn resize(&self, handle: Handle, size: usize) -> Answer<()> {
        let change = Change::Resize(size);
        let mut state = self.state();
        state.change(handle.boot, Call::Resize, ffi::SQLITE_IOERR_TRUNCATE, |state| {
            state.files[handle.file].take(change);
        })
    }

    fn sync(&self, handle: Handle) -> Answer<()> {
        let mut state = self.state();
        state.change(handle.boot, Call::Sync, ffi::SQLITE_IOERR_FSYNC, |_| ())?;
        let file = &mut state.files[handle.file];
        if file.sync() {
            state.sync_names();
        }
        Ok(())
    }

    fn size(&self, handle: Handle) -> Answer<usize> {
        let state = self.state();
        state.check(handle.boot, ffi::SQLITE_IOERR_FSTAT)?;
        Ok(state.files[handle.file].live.len())
    }
}

impl State {
    /// Fails for programs from before the last cut.
    fn check(&self, boot: u64, failure: i32) -> Answer<()> {
        if self.is_off || boot != self.boot { Err(failure) } else { Ok(()) }
    }

    /// Makes a change, in which the power may be cut.
    fn change(&mut self, boot: u64, call: Call, failure: i32, change: impl FnOnce(&mut Self)) -> Answer<()> {
        self.check(boot, failure)?;
        match (self.fault, call) {
            (Some(DiskFault::Sync), Call::Sync) => {
                // the system forgets that these pages are not durable, and reports it once
                self.files.iter_mut().for_each(|file| file.pending.clear());
                return Err(failure);
            }
            (Some(DiskFault::ReadOnly), _) | (Some(DiskFault::Write), Call::Write) => return Err(failure),
            _ => {}
        }
        change(self);
        if self.is_time_to_cut(call) {
            self.cut();
            return Err(failure);
        }
        Ok(())
    }

    fn is_time_to_cut(&mut self, call: Call) -> bool {
        let Some(cut) = self.cut.as_mut().filter(|cut| cut.only.is_none_or(|only| only == call)) else { return false };
        cut.after = cut.after.saturating_sub(1);
        cut.after == 0
    }

    fn create(&mut self, name: Option<&str>, flags: i32) -> Answer<usize> {
        let is_log = flags & (ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL) != 0;
        self.files.push(File { syncs_folder: is_log, ..File::default() });
        let file = self.files.len() - 1;
        if let Some(name) = name {
            self.change(self.boot, Call::Create, ffi::SQLITE_CANTOPEN, |state| {
                state.names.insert(name.to_owned(), file);
                state.pending_names.push((name.to_owned(), Some(file)));
            })?;
        }
        Ok(file)
    }

    fn sync_names(&mut self) {
        self.durable_names = self.names.clone();
        self.pending_names.clear();
    }

    /// Keeps what was synced, and a random part of the remainder.
    fn cut(&mut self) {
        let kept = self.rng.usize(..=self.pending_names.len());
        for (name, file) in self.pending_names.drain(..).take(kept) {
            match file {
                Some(file) => self.durable_names.insert(name, file),
                None => self.durable_names.remove(&name),
            };
        }
        self.names = self.durable_names.clone();
        for file in &mut self.files {
            file.cut(&mut self.rng);
        }
        (self.is_off, self.cut) = (true, None);
    }
}
