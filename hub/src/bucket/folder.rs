//! A shelf in a folder of this machine.
//!
//! Files appear under their name whole or not at all: they are written in `part/`, synced, renamed, and the folder is synced.
//! `object_store` has a store on folders too; it leaves half-written files beside the others after a crash, where nobody looks
//! for them, and its deletions are not synced.

use std::collections::HashSet;
use std::fs::TryLockError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bue_model::Timestamp;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter, Take};
use tokio::task::spawn_blocking;

use super::backend::{Listed, Object};
use crate::durability::Durability;
use crate::error::HubError;

/// Bytes gathered before they are written.
const BUFFER: usize = 256 * 1024;
/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// A folder. One process at a time has it.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// The folder of the blobs, locked for as long as anybody has this.
    _lock: std::fs::File,
    durability: Durability,
    parts: AtomicU64,
    /// Folders whose own names are on the disk.
    durable: Mutex<HashSet<PathBuf>>,
}

/// A file that is being written. Gone when dropped before it is kept.
#[derive(Debug)]
pub(super) struct Part {
    folder: Arc<Folder>,
    part: PathBuf,
    path: PathBuf,
    file: BufWriter<File>,
    kept: bool,
}

impl Folder {
    /// Opens a folder, made if missing. What was half written when an earlier process ended is thrown away.
    pub(super) fn open(root: &Path, durability: Durability) -> Result<Self, HubError> {
        let lock = lock(root)?;
        let part = root.join("part");
        match std::fs::remove_dir_all(&part) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(HubError::Disk { what: part, source }),
            _ => {}
        }
        std::fs::create_dir_all(&part).map_err(|source| disk(&part, source))?;
        Ok(Self {
            root: root.to_owned(),
            _lock: lock,
            durability,
            parts: AtomicU64::default(),
            durable: Mutex::default(),
        })
    }

    /// A file to write to that will have this name.
    pub(super) async fn part(self: &Arc<Self>, name: &str) -> Result<Part, HubError> {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let part = self.root.join("part").join(number.to_string());
        let file = File::create(&part).await.map_err(|source| disk(&part, source))?;
        let (folder, path) = (Arc::clone(self), self.root.join(name));
        Ok(Part { folder, part, path, file: BufWriter::with_capacity(BUFFER, file), kept: false })
    }

    /// Puts an empty file under a name, new again if it was there.
    pub(super) async fn mark(&self, name: &str) -> Result<(), HubError> {
        let path = self.root.join(name);
        self.make_parent(&path).await?;
        let file = File::create(&path).await.map_err(|source| disk(&path, source))?;
        if self.durability == Durability::Full {
            file.sync_all().await.map_err(|source| disk(&path, source))?;
        }
        self.sync_parents(&path).await
    }

    pub(super) async fn open_file(&self, name: &str) -> Result<Option<Object>, HubError> {
        let path = self.root.join(name);
        let file = match File::open(&path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|source| disk(&path, source))?,
        };
        let length = file.metadata().await.map_err(|source| disk(&path, source))?.len();
        // what is added to the file meanwhile does not belong to it
        let pieces = unfold(file.take(length), |mut file| async move {
            match read_piece(&mut file).await {
                Ok(piece) if piece.is_empty() => None,
                piece => Some((piece, file)),
            }
        });
        Ok(Some(Object { length, pieces: pieces.boxed() }))
    }

    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, HubError> {
        let path = self.root.join(name);
        match fs::metadata(&path).await {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(disk(&path, source)),
        }
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), HubError> {
        let path = self.root.join(name);
        match fs::remove_file(&path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            gone => gone.map_err(|source| disk(&path, source))?,
        }
        if self.durability == Durability::Full {
            sync(path.parent().unwrap_or(&self.root)).await?;
        }
        Ok(())
    }

    /// What is in one of its folders, in no order.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Listed>, HubError> {
        let path = self.root.join(folder);
        let listed = spawn_blocking(move || list(&path).map_err(|source| disk(&path, source))).await;
        listed.map_err(|_| HubError::Stopped)?
    }

    async fn make_parent(&self, path: &Path) -> Result<(), HubError> {
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).await.map_err(|source| disk(folder, source))
    }

    /// A new name is on the disk when its folder is; and that one's, which is new once.
    async fn sync_parents(&self, path: &Path) -> Result<(), HubError> {
        if self.durability == Durability::Off {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.root);
        sync(folder).await?;
        if self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(folder) {
            return Ok(());
        }
        for outer in folder.ancestors().skip(1).take_while(|outer| outer.starts_with(&self.root)) {
            sync(outer).await?;
        }
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        Ok(())
    }
}

impl Part {
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), HubError> {
        self.file.write_all(piece).await.map_err(|source| disk(&self.part, source))
    }

    /// Gives it its name, in place of an older file.
    pub(super) async fn keep(mut self) -> Result<(), HubError> {
        self.file.flush().await.map_err(|source| disk(&self.part, source))?;
        if self.folder.durability == Durability::Full {
            self.file.get_ref().sync_all().await.map_err(|source| disk(&self.part, source))?;
        }
        self.folder.make_parent(&self.path).await?;
        fs::rename(&self.part, &self.path).await.map_err(|source| disk(&self.path, source))?;
        self.kept = true;
        self.folder.sync_parents(&self.path).await
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            // left behind it is thrown away at the next start
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

async fn read_piece(file: &mut Take<File>) -> std::io::Result<Bytes> {
    let mut piece = BytesMut::with_capacity(PIECE);
    file.read_buf(&mut piece).await?;
    Ok(piece.freeze())
}

fn list(folder: &Path) -> std::io::Result<Vec<Listed>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut listed = Vec::new();
    for entry in entries {
        let entry = entry?;
        let modified = match entry.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            found => found?.modified()?,
        };
        // what is no UTF-8 is not ours
        let Ok(name) = entry.file_name().into_string() else { continue };
        listed.push(Listed { name, modified: timestamp(modified) });
    }
    Ok(listed)
}

fn timestamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).plus_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Makes the folder and locks what is in it against other processes, as far as its file system can. Not the folder itself, which
/// may be somebody's working directory and have other things to be locked in it.
fn lock(root: &Path) -> Result<std::fs::File, HubError> {
    let blobs = root.join("blobs");
    let made = std::fs::create_dir_all(&blobs).and_then(|()| std::fs::File::open(&blobs));
    let folder = made.map_err(|source| disk(&blobs, source))?;
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => Err(HubError::InUse(root.to_owned())),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(folder = %root.display(), %error, "the file system has no locks; let one bucket use the folder");
            Ok(folder)
        }
        Ok(()) => Ok(folder),
    }
}

async fn sync(folder: &Path) -> Result<(), HubError> {
    let handle = File::open(folder).await.map_err(|source| disk(folder, source))?;
    handle.sync_all().await.map_err(|source| disk(folder, source))
}

fn disk(path: &Path, source: std::io::Error) -> HubError {
    HubError::Disk { what: path.to_owned(), source }
}
