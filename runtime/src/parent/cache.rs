//! The directory of compiled code and memory images, and the proof that this installation made them.
//!
//! Compiled code is machine code: anyone who can place a file there can run code in this process. So the directory is
//! accessible only to its user, and every file has a MAC under a key. The key is kept elsewhere, so that a cache that was copied
//! or prepared by someone else is not taken for ours.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::rand::{GetRandomFlags, getrandom};

use super::sealed;
use crate::error::RuntimeError;

/// A keyed BLAKE3 hash.
pub(crate) type Tag = [u8; 32];

/// The file with the key of this installation.
const KEY: &str = "sandbox.key";

/// The directory of this installation in the cache.
pub(crate) struct Cache {
    dir: PathBuf,
    key: Tag,
}

impl core::fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Cache").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Cache {
    /// Opens the directory `sandbox` inside `parent`, and the key in the directory `keys`; creates what is missing.
    pub(crate) fn open(parent: &Path, keys: &Path) -> Result<Self, RuntimeError> {
        let dir = open_private(&parent.join("sandbox"), cache_error)?;
        // an older bue kept it here
        let _ = fs::remove_file(dir.join("key"));
        let keys = open_private(keys, key_error)?;
        let key = load_key(&keys).map_err(key_error(&keys.join(KEY)))?;
        Ok(Self { dir, key })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Waits for the lock that processes hold while they create files here.
    pub(crate) fn lock(&self, progress: &dyn Fn(&str)) -> Result<File, RuntimeError> {
        let path = self.path("lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(cache_error(&path))?;
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            progress("waiting for another bue process that prepares the sandbox");
            rustix::fs::flock(&file, FlockOperation::LockExclusive)
                .map_err(|error| cache_error(&path)(error.into()))?;
        }
        Ok(file)
    }

    /// Returns the MAC of some bytes.
    pub(crate) fn tag(&self, bytes: &[u8]) -> Tag {
        *blake3::keyed_hash(&self.key, bytes).as_bytes()
    }

    /// Returns the content of a file in sealed memory, and its MAC.
    pub(crate) fn read_sealed(&self, name: &str) -> io::Result<(File, Tag)> {
        let mut file = File::open(self.path(name))?;
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        let memory = sealed::copy(&mut file, |part| {
            hasher.update(part);
        })?;
        Ok((memory, *hasher.finalize().as_bytes()))
    }

    /// Creates a file atomically: other processes see it when it is complete.
    pub(crate) fn write(&self, name: &str, content: impl FnOnce(&File) -> io::Result<()>) -> Result<(), RuntimeError> {
        let path = self.path(name);
        write_new(&self.dir, &path, content).map_err(cache_error(&path))
    }

    /// Returns the names of the files with this suffix, the last modified first.
    pub(crate) fn newest(&self, suffix: &str) -> Vec<String> {
        let mut files: Vec<_> = fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                name.ends_with(suffix).then_some((entry.metadata().ok()?.modified().ok()?, name))
            })
            .collect();
        files.sort_by(|a, b| b.cmp(a));
        files.into_iter().map(|(_, name)| name).collect()
    }
}

/// Creates a directory that only its user can access, or checks that an existing one is so.
fn open_private<E: Fn(io::Error) -> RuntimeError>(
    dir: &Path,
    error: impl Fn(&Path) -> E,
) -> Result<PathBuf, RuntimeError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(error(dir))?;
    check_owner(dir, error)?;
    Ok(dir.to_owned())
}

fn key_error(path: &Path) -> impl Fn(io::Error) -> RuntimeError + use<> {
    let path = path.to_owned();
    move |source| RuntimeError::Key { path: path.clone(), source }
}

/// Returns a function that makes an I/O error one about this path.
fn cache_error(path: &Path) -> impl Fn(io::Error) -> RuntimeError + use<> {
    let path = path.to_owned();
    move |source| RuntimeError::Cache { path: path.clone(), source }
}

fn check_owner<E: Fn(io::Error) -> RuntimeError>(dir: &Path, error: impl Fn(&Path) -> E) -> Result<(), RuntimeError> {
    let meta = fs::symlink_metadata(dir).map_err(error(dir))?;
    let is_private = meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o077 == 0;
    match is_private {
        true => Ok(()),
        false => Err(RuntimeError::OpenCache { path: dir.to_owned() }),
    }
}

/// Returns the installation's key, which the first process creates.
fn load_key(dir: &Path) -> io::Result<Tag> {
    let path = dir.join(KEY);
    if let Ok(bytes) = fs::read(&path)
        && let Ok(key) = Tag::try_from(bytes)
    {
        return Ok(key);
    }
    let temporary = dir.join(temporary_name()?);
    write_private(&temporary, |mut file| file.write_all(&random_bytes()?))?;
    // linking fails if another process was faster: its key is used. A key of a wrong length is replaced.
    let linked = fs::hard_link(&temporary, &path);
    if linked.is_err() && fs::metadata(&path).is_ok_and(|meta| meta.len() != size_of::<Tag>() as u64) {
        tracing::warn!(path = %path.display(), "the key of the cache was damaged and is replaced; the sandbox is prepared again");
        fs::rename(&temporary, &path)?;
    } else {
        fs::remove_file(&temporary)?;
    }
    Tag::try_from(fs::read(&path)?).map_err(|_| io::Error::other("the key is not 32 bytes"))
}

fn random_bytes() -> io::Result<Tag> {
    let mut bytes = [0; 32];
    let len = getrandom(&mut bytes, GetRandomFlags::empty())?;
    if len < bytes.len() {
        return Err(io::Error::other("the system returned no random bytes"));
    }
    Ok(bytes)
}

fn temporary_name() -> io::Result<String> {
    let random = random_bytes()?;
    Ok(format!("tmp-{:032x}", u128::from_ne_bytes(*random.first_chunk().unwrap_or(&[0; 16]))))
}

fn write_private(path: &Path, content: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    content(&file)
}

fn write_new(dir: &Path, path: &Path, content: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let temporary = dir.join(temporary_name()?);
    let written = write_private(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // the error of writing matters more than one of removing
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn open(dir: &Path) -> Result<Cache, RuntimeError> {
        Cache::open(dir, &dir.join("keys"))
    }

    #[test]
    fn the_key_is_created_once_and_is_private() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = open(dir.path()).expect("opened");
        let second = open(dir.path()).expect("opened again");
        assert_eq!(first.key, second.key);
        let mode = |name: &str| fs::metadata(dir.path().join(name)).expect("there").mode() & 0o777;
        assert_eq!((mode("keys/sandbox.key"), mode("keys"), mode("sandbox")), (0o600, 0o700, 0o700));
    }

    #[test]
    fn the_key_is_not_in_the_cache() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("sandbox")).expect("a cache");
        fs::set_permissions(dir.path().join("sandbox"), fs::Permissions::from_mode(0o700)).expect("private");
        fs::write(dir.path().join("sandbox/key"), [7; 32]).expect("the key of an older bue, or of someone else");
        let cache = open(dir.path()).expect("opened");
        assert_ne!(cache.key, [7; 32]);
        assert!(!cache.path("key").exists(), "removed");
    }

    #[test]
    fn a_damaged_key_is_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = open(dir.path()).expect("opened");
        fs::write(dir.path().join("keys/sandbox.key"), b"short").expect("broken");
        let second = open(dir.path()).expect("opened again");
        assert_ne!(first.key, second.key);
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        open(dir.path()).expect("opened");
        for name in ["sandbox", "keys"] {
            let path = dir.path().join(name);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("opened wide");
            assert!(matches!(open(dir.path()), Err(RuntimeError::OpenCache { path: refused }) if refused == path));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("closed");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = open(dir.path()).expect("opened");
        assert!(cache.write("x", |_| Err(io::Error::other("disk full"))).is_err());
        let names: Vec<_> =
            fs::read_dir(&cache.dir).expect("read").map(|entry| entry.expect("an entry").file_name()).collect();
        assert!(names.is_empty(), "{names:?}");
    }

    #[test]
    fn processes_that_start_at_once_agree_on_the_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let keys: Vec<Tag> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(dir.path()).expect("opened").key)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
