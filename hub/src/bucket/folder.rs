//! [`Folder`]: the backend in a folder of this machine.
//!
//! A file appears under its name whole or not at all: it is written in `part/`, synced and renamed, and then its folder is
//! synced. `object_store` has a backend for folders too, but after a crash it leaves partial files beside the others, which are
//! never cleaned up, and it does not sync deletions.

use std::collections::HashSet;
use std::fs::Metadata;
use std::fs::TryLockError;
use std::io::{ErrorKind, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bue_model::Timestamp;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufWriter, Take};
use tokio::task::spawn_blocking;

use super::folder_names::FolderNames;
use super::object::{ListedObject, Object};
use crate::durability::Durability;
use crate::error::HubError;

/// Bytes buffered before they are written.
const WRITE_BUFFER: usize = 256 * 1024;
/// Bytes read at a time.
const READ_BUFFER: usize = 64 * 1024;

/// A folder. Only one process at a time may have it open.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// The folder `blobs`, locked as long as this exists.
    _lock: std::fs::File,
    durability: Durability,
    next_part: AtomicU64,
    /// Folders whose own directory entries are synced.
    synced_folders: Mutex<HashSet<PathBuf>>,
    pub(super) names: FolderNames,
}

/// A file that is being written. Removed when dropped before [`PartFile::finish`].
#[derive(Debug)]
pub(super) struct PartFile {
    folder: Arc<Folder>,
    part_path: PathBuf,
    /// The name it will have.
    path: PathBuf,
    file: BufWriter<File>,
    is_finished: bool,
}

impl Folder {
    /// Opens a folder and creates it if it does not exist. Removes files that an earlier process left unfinished.
    pub(super) fn open(root: &Path, durability: Durability) -> Result<Self, HubError> {
        let lock = lock(root)?;
        let parts = root.join("part");
        match std::fs::remove_dir_all(&parts) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(HubError::Disk { what: parts, source }),
            _ => {}
        }
        std::fs::create_dir_all(&parts).map_err(|source| disk_error(&parts, source))?;
        let names = FolderNames::open(root, durability)?;
        Ok(Self {
            root: root.to_owned(),
            names,
            _lock: lock,
            durability,
            next_part: AtomicU64::default(),
            synced_folders: Mutex::default(),
        })
    }

    /// Creates the file that will have this name.
    pub(super) async fn create_part(self: &Arc<Self>, name: &str) -> Result<PartFile, HubError> {
        let number = self.next_part.fetch_add(1, Ordering::Relaxed);
        let part_path = self.root.join("part").join(number.to_string());
        let file = File::create(&part_path).await.map_err(|source| disk_error(&part_path, source))?;
        let (folder, path) = (Arc::clone(self), self.root.join(name));
        Ok(PartFile { folder, part_path, path, file: BufWriter::with_capacity(WRITE_BUFFER, file), is_finished: false })
    }

    /// Writes an empty file. If it exists, its modification time is renewed.
    pub(super) async fn touch(&self, name: &str) -> Result<(), HubError> {
        let path = self.root.join(name);
        self.make_parent(&path).await?;
        let file = File::create(&path).await.map_err(|source| disk_error(&path, source))?;
        if self.durability == Durability::Full {
            file.sync_all().await.map_err(|source| disk_error(&path, source))?;
        }
        self.sync_parents(&path).await
    }

    /// Opens an object, or a range of it.
    pub(super) async fn open_object(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Object>, HubError> {
        let path = self.root.join(name);
        let mut file = match File::open(&path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|source| disk_error(&path, source))?,
        };
        let metadata = file.metadata().await.map_err(|source| disk_error(&path, source))?;
        let (length, version) = (metadata.len(), version_of(&metadata));
        // bytes appended from now on are not part of the object
        let range = range.unwrap_or(0..length);
        let (start, end) = (range.start.min(length), range.end.min(length));
        if start > 0 {
            file.seek(SeekFrom::Start(start)).await.map_err(|source| disk_error(&path, source))?;
        }
        let pieces = unfold(file.take(end.saturating_sub(start)), |mut file| async move {
            match read_piece(&mut file).await {
                Ok(piece) if piece.is_empty() => None,
                piece => Some((piece, file)),
            }
        });
        Ok(Some(Object { length, version, pieces: pieces.boxed() }))
    }

    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, HubError> {
        let path = self.root.join(name);
        match fs::metadata(&path).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(disk_error(&path, source)),
        }
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), HubError> {
        let path = self.root.join(name);
        match fs::remove_file(&path).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            removed => removed.map_err(|source| disk_error(&path, source))?,
        }
        if self.durability == Durability::Full {
            sync(path.parent().unwrap_or(&self.root)).await?;
        }
        Ok(())
    }

    /// Lists the files of a subfolder, in no particular order.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<ListedObject>, HubError> {
        let path = self.root.join(folder);
        let listed = spawn_blocking(move || list(&path).map_err(|source| disk_error(&path, source))).await;
        listed.map_err(|_| HubError::Stopped)?
    }

    async fn make_parent(&self, path: &Path) -> Result<(), HubError> {
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).await.map_err(|source| disk_error(folder, source))
    }

    /// Makes a new name durable by syncing its folder. The first time, the folder's own name is new too, and so on upwards.
    async fn sync_parents(&self, path: &Path) -> Result<(), HubError> {
        if self.durability == Durability::Off {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.root);
        sync(folder).await?;
        if self.synced_folders.lock().unwrap_or_else(PoisonError::into_inner).contains(folder) {
            return Ok(());
        }
        for ancestor in folder.ancestors().skip(1).take_while(|ancestor| ancestor.starts_with(&self.root)) {
            sync(ancestor).await?;
        }
        self.synced_folders.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        Ok(())
    }
}

impl PartFile {
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), HubError> {
        self.file.write_all(piece).await.map_err(|source| disk_error(&self.part_path, source))
    }

    /// Renames the file to its name. Replaces an older file.
    pub(super) async fn finish(mut self) -> Result<(), HubError> {
        self.file.flush().await.map_err(|source| disk_error(&self.part_path, source))?;
        if self.folder.durability == Durability::Full {
            self.file.get_ref().sync_all().await.map_err(|source| disk_error(&self.part_path, source))?;
        }
        self.folder.make_parent(&self.path).await?;
        fs::rename(&self.part_path, &self.path).await.map_err(|source| disk_error(&self.path, source))?;
        self.is_finished = true;
        self.folder.sync_parents(&self.path).await
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.is_finished {
            // if this fails, the next start removes the file
            let _ = std::fs::remove_file(&self.part_path);
        }
    }
}

/// A file is written once, and replaced by another one: its number is taken again only after it was removed, at a later time.
fn version_of(metadata: &Metadata) -> String {
    format!("{:x}-{:x}-{:x}-{:x}", metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

async fn read_piece(file: &mut Take<File>) -> std::io::Result<Bytes> {
    let mut piece = BytesMut::with_capacity(READ_BUFFER);
    file.read_buf(&mut piece).await?;
    Ok(piece.freeze())
}

fn list(folder: &Path) -> std::io::Result<Vec<ListedObject>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut listed = Vec::new();
    for entry in entries {
        let entry = entry?;
        let modified = match entry.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata?.modified()?,
        };
        // names that are not UTF-8 are not ours
        let Ok(name) = entry.file_name().into_string() else { continue };
        listed.push(ListedObject { name, modified: to_timestamp(modified) });
    }
    Ok(listed)
}

fn to_timestamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).plus_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

/// Creates the folder and locks `blobs` in it against other processes, if the file system supports locks. The folder itself is
/// not locked: it may be a working directory, in which other programs take locks.
fn lock(root: &Path) -> Result<std::fs::File, HubError> {
    let blobs = root.join("blobs");
    let created = std::fs::create_dir_all(&blobs).and_then(|()| std::fs::File::open(&blobs));
    let folder = created.map_err(|source| disk_error(&blobs, source))?;
    match folder.try_lock() {
        Err(TryLockError::WouldBlock) => Err(HubError::InUse(root.to_owned())),
        Err(TryLockError::Error(error)) => {
            tracing::warn!(folder = %root.display(), %error, "the file system does not support locks; make sure that only one bucket uses the folder");
            Ok(folder)
        }
        Ok(()) => Ok(folder),
    }
}

async fn sync(folder: &Path) -> Result<(), HubError> {
    let handle = File::open(folder).await.map_err(|source| disk_error(folder, source))?;
    handle.sync_all().await.map_err(|source| disk_error(folder, source))
}

fn disk_error(path: &Path, source: std::io::Error) -> HubError {
    HubError::Disk { what: path.to_owned(), source }
}
