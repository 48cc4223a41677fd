//! A disk in memory that knows what was synced. At a power cut it forgets, tears and reorders what was not: sector by
//! sector, sizes and names of files included. It can also be full, read-only or broken.
//!
//! ```text
//! SqliteStore --> SQLite --> vfs (unsafe, no decisions) --> Disk (decisions, safe)
//!                                                            live: what programs read    durable: what a cut leaves
//! ```
//! It syncs what SQLite's own layer for Unix syncs: a file's content when told to, and the names in its folder together with
//! the first sync of a new journal or log, or when a file is deleted for good. The store asks for exclusive use of its
//! file, so SQLite keeps the index of the log (`-shm`) in memory and no such file is ever made.

mod file;
mod vfs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use rusqlite::ffi;

use file::{Change, File};

/// What SQLite is told; a code of SQLite where it failed.
type Answer<T> = Result<T, i32>;

/// Something that does not work until it is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No byte more than there are.
    Full,
    /// Mounted read-only, as systems do with a disk they mistrust.
    ReadOnly,
    /// Writing fails.
    Write,
    /// Syncing fails, and what it was to sync is not on the disk, whatever later syncs say.
    Sync,
}

/// All there are.
pub(crate) const TROUBLES: [Trouble; 4] = [Trouble::Full, Trouble::ReadOnly, Trouble::Write, Trouble::Sync];

/// What is asked of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Write,
    Resize,
    Sync,
    Delete,
}

/// When the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// In the so-manyth call from now, 1 being the next.
    pub(crate) after: usize,
    /// Counting only these; none counts all.
    pub(crate) only: Option<Call>,
}

/// A name and the file it stands for; none after a deletion.
type Entry = (String, Option<usize>);

#[derive(Clone, Debug)]
struct State {
    /// By number, deleted ones too: programs may still have them open.
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names in their order: file systems keep a journal of these.
    pending_names: Vec<Entry>,
    /// How often the power came back; what was opened before is gone.
    boot: u64,
    is_off: bool,
    cut: Option<Cut>,
    trouble: Option<Trouble>,
    chance: Rng,
}

/// A disk.
#[derive(Debug)]
pub(crate) struct Disk {
    number: u64,
    state: Mutex<State>,
}

impl Disk {
    /// An empty one; the seed decides what a cut leaves.
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Self::with(State {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            boot: 0,
            is_off: false,
            cut: None,
            trouble: None,
            chance: Rng::with_seed(seed),
        })
    }

    fn with(state: State) -> Arc<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let disk = Self { number: NUMBER.fetch_add(1, Ordering::Relaxed), state: Mutex::new(state) };
        let disk = Arc::new(disk);
        vfs::plug_in(&disk);
        disk
    }

    /// The disk as it is, once more: to look at without changing it.
    pub(crate) fn copy(&self) -> Arc<Self> {
        Self::with(State { cut: None, trouble: None, ..self.state().clone() })
    }

    /// How SQLite is to open the database on it.
    pub(crate) fn path(&self) -> PathBuf {
        format!("file:/{}/{}/hub.db?vfs={}", self.number, self.state().boot, vfs::NAME).into()
    }

    /// The power will go in a certain call, if it comes to that.
    pub(crate) fn cut_at(&self, cut: Cut) {
        self.state().cut = Some(cut);
    }

    /// The power goes now.
    pub(crate) fn cut(&self) {
        self.state().cut();
    }

    pub(crate) fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// The power is back.
    pub(crate) fn power_on(&self) {
        let mut state = self.state();
        state.is_off = false;
        state.boot += 1;
    }

    /// Waits until every file on it is closed: a store that was dropped closes its own a moment later.
    pub(crate) fn wait_until_closed(self: &Arc<Self>) {
        while Arc::strong_count(self) > 1 {
            std::thread::yield_now();
        }
    }

    /// Breaks it, or mends it.
    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        self.state().trouble = trouble;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file in the hands of a program.
#[derive(Clone, Copy, Debug)]
struct Handle {
    file: usize,
    boot: u64,
}

/// What the program sees.
impl Disk {
    /// `name` is none for a file that nobody else will see. The bool says that it can only be read.
    fn open(&self, name: Option<&str>, boot: u64, flags: i32) -> Answer<(Handle, bool)> {
        let mut state = self.state();
        state.check(boot, ffi::SQLITE_CANTOPEN)?;
        let is_read_only = state.trouble == Some(Trouble::ReadOnly);
        let found = name.and_then(|name| state.names.get(name).copied());
        let file = match found {
            Some(file) => file,
            None if flags & ffi::SQLITE_OPEN_CREATE == 0 || is_read_only => return Err(ffi::SQLITE_CANTOPEN),
            None => state.create(name, flags)?,
        };
        Ok((Handle { file, boot }, is_read_only))
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

    /// Fills the buffer, with zeros behind the file's end; how many bytes are the file's.
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
        if state.trouble == Some(Trouble::Full) && grows {
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
    /// Fails for programs of before the last cut.
    fn check(&self, boot: u64, failure: i32) -> Answer<()> {
        if self.is_off || boot != self.boot { Err(failure) } else { Ok(()) }
    }

    /// Does something that may be the last thing before the power goes.
    fn change(&mut self, boot: u64, call: Call, failure: i32, change: impl FnOnce(&mut Self)) -> Answer<()> {
        self.check(boot, failure)?;
        match (self.trouble, call) {
            (Some(Trouble::Sync), Call::Sync) => {
                // the system forgets that these pages are not on the disk, and says so once
                self.files.iter_mut().for_each(|file| file.pending.clear());
                return Err(failure);
            }
            (Some(Trouble::ReadOnly), _) | (Some(Trouble::Write), Call::Write) => return Err(failure),
            _ => {}
        }
        change(self);
        if self.is_the_moment(call) {
            self.cut();
            return Err(failure);
        }
        Ok(())
    }

    fn is_the_moment(&mut self, call: Call) -> bool {
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

    /// Keeps what was synced, and of the rest what chance keeps.
    fn cut(&mut self) {
        let kept = self.chance.usize(..=self.pending_names.len());
        for (name, file) in self.pending_names.drain(..).take(kept) {
            match file {
                Some(file) => self.durable_names.insert(name, file),
                None => self.durable_names.remove(&name),
            };
        }
        self.names = self.durable_names.clone();
        for file in &mut self.files {
            file.cut(&mut self.chance);
        }
        (self.is_off, self.cut) = (true, None);
    }
}
