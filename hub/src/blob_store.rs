//! [`BlobStore`]: bytes by their hash, and values under names, in a folder.
//!
//! ```text
//! blobs/a7/a7c3…   a blob, named by the BLAKE3 of its bytes      keys/5e/5e01…   a value, named by the BLAKE3 of its key
//! part/17-4        a file that is still being written
//! ```
//! Files appear under their name whole or not at all: they are written beside and renamed. No path is ever made of what a
//! client sent, only of hashes, so no name leads out of the folder.

use std::fs::TryLockError;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bue_model::BlobHash;
use tokio::fs::{self, File};
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::error::HubError;
use crate::sqlite::Durability;

/// Bytes of a key.
const MAX_KEY: usize = 1024;
/// Bytes gathered before they are written.
const BUFFER: usize = 256 * 1024;

/// A folder of blobs and keys. One process at a time may serve it.
#[derive(Clone, Debug)]
pub struct BlobStore {
    root: Arc<Path>,
    /// The folder of the blobs, locked for as long as anybody has this.
    _lock: Arc<std::fs::File>,
    durability: Durability,
    parts: Arc<AtomicU64>,
}

/// A file that is being written. Gone when dropped before it is kept.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    kept: bool,
}

impl BlobStore {
    /// Opens a folder, made if missing. What was half written when an earlier process ended is thrown away.
    ///
    /// # Errors
    /// The folder cannot be made or read, or another process serves it.
    pub fn open(root: &Path, durability: Durability) -> Result<Self, HubError> {
        let lock = lock(root)?;
        let part = root.join("part");
        match std::fs::remove_dir_all(&part) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(HubError::Disk { what: part, source }),
            _ => {}
        }
        std::fs::create_dir_all(&part).map_err(|source| HubError::Disk { what: part, source })?;
        Ok(Self { root: root.into(), _lock: Arc::new(lock), durability, parts: Arc::default() })
    }

    /// Whether anything can be stored: writes a file and throws it away.
    ///
    /// # Errors
    /// The disk is full, read-only or gone.
    pub async fn check(&self) -> Result<(), HubError> {
        let mut part = self.part().await?;
        part.write(b"ready").await?;
        part.file.flush().await.map_err(|source| disk(&part.path, source))
    }

    /// A file to write to.
    pub(crate) async fn part(&self) -> Result<Part, HubError> {
        let number = self.parts.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join("part").join(format!("{}-{number}", std::process::id()));
        let file = File::create(&path).await.map_err(|source| disk(&path, source))?;
        Ok(Part { path, file: BufWriter::with_capacity(BUFFER, file), hasher: blake3::Hasher::new(), kept: false })
    }

    /// A blob's file, and its length. `None` where there is none.
    pub(crate) async fn blob(&self, hash: &BlobHash) -> Result<Option<(File, u64)>, HubError> {
        open(&self.blob_path(hash)).await
    }

    /// Keeps a file as a blob, if its bytes are what the name says.
    pub(crate) async fn keep_blob(&self, part: Part, expected: &BlobHash) -> Result<(), HubError> {
        let found = BlobHash(*part.hasher.finalize().as_bytes());
        if found != *expected {
            return Err(HubError::WrongHash { expected: *expected, found });
        }
        self.keep(part, self.blob_path(expected)).await
    }

    /// The file of a key's value, and its length. `None` where there is none.
    pub(crate) async fn key(&self, key: &Key) -> Result<Option<(File, u64)>, HubError> {
        open(&self.key_path(key)).await
    }

    /// Keeps a file as the value of a key, in place of an older one.
    pub(crate) async fn keep_key(&self, part: Part, key: &Key) -> Result<(), HubError> {
        self.keep(part, self.key_path(key)).await
    }

    /// Takes a key away; whether it was there.
    pub(crate) async fn delete_key(&self, key: &Key) -> Result<bool, HubError> {
        let path = self.key_path(key);
        match fs::remove_file(&path).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(source) => Err(disk(&path, source)),
        }
    }

    async fn keep(&self, mut part: Part, path: PathBuf) -> Result<(), HubError> {
        part.file.flush().await.map_err(|source| disk(&part.path, source))?;
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).await.map_err(|source| disk(folder, source))?;
        if self.durability == Durability::Full {
            part.file.get_ref().sync_all().await.map_err(|source| disk(&part.path, source))?;
        }
        fs::rename(&part.path, &path).await.map_err(|source| disk(&path, source))?;
        part.kept = true;
        if self.durability == Durability::Full {
            sync_folder(folder).await?;
            sync_folder(folder.parent().unwrap_or(folder)).await?;
        }
        Ok(())
    }

    fn blob_path(&self, hash: &BlobHash) -> PathBuf {
        self.path_in("blobs", hash)
    }

    fn key_path(&self, key: &Key) -> PathBuf {
        self.path_in("keys", &key.0)
    }

    fn path_in(&self, folder: &str, hash: &BlobHash) -> PathBuf {
        let name = hash.to_string();
        self.root.join(folder).join(name.get(..2).unwrap_or_default()).join(name)
    }
}

impl Part {
    /// Adds a piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), HubError> {
        self.hasher.update(piece);
        self.file.write_all(piece).await.map_err(|source| disk(&self.path, source))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            // left behind it is thrown away at the next start
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A key's name, checked: the hash of its text.
#[derive(Clone, Debug)]
pub(crate) struct Key(BlobHash);

impl Key {
    /// A name is parts with `/` between them; no part is empty, `.` or `..`, and nothing in it is invisible.
    pub(crate) fn new(text: &str) -> Result<Self, HubError> {
        let refuse = |why| Err(HubError::BadKey { key: text.chars().take(80).collect(), why });
        if text.is_empty() || text.len() > MAX_KEY {
            return refuse("it is empty or longer than 1024 bytes");
        }
        if text.chars().any(|letter| letter.is_control() || letter == '\\') {
            return refuse("it has a control character or a backslash");
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse("a part of it is empty, `.` or `..`");
        }
        Ok(Self(BlobHash(*blake3::hash(text.as_bytes()).as_bytes())))
    }
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

async fn open(path: &Path) -> Result<Option<(File, u64)>, HubError> {
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(disk(path, source)),
    };
    let length = file.metadata().await.map_err(|source| disk(path, source))?.len();
    Ok(Some((file, length)))
}

/// A rename is on the disk when the folder is.
async fn sync_folder(folder: &Path) -> Result<(), HubError> {
    let handle = File::open(folder).await.map_err(|source| disk(folder, source))?;
    handle.sync_all().await.map_err(|source| disk(folder, source))
}

fn disk(path: &Path, source: std::io::Error) -> HubError {
    HubError::Disk { what: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_lead_elsewhere_is_no_key() {
        for text in ["", "..", "a/../b", "/etc/passwd", "a//b", "a/", ".", "a\\b", "a\0b", "a\nb"] {
            assert!(matches!(Key::new(text), Err(HubError::BadKey { .. })), "{text:?}");
        }
        assert!(Key::new(&"a".repeat(1025)).is_err());
        for text in ["a", "reports/2026/käse.csv", "...", "a b"] {
            assert!(Key::new(text).is_ok(), "{text:?}");
        }
    }
}
