//! Which settings files the user trusts: for each a file in the user's state directory, with the hash of the content that the user
//! trusted. Another content, another place or another user is not trusted.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::config::user_dirs::trust_dir;
use crate::process::command_error::CommandError;

/// The trusted files of this user.
#[derive(Clone, Debug)]
pub(crate) struct TrustStore {
    folder: PathBuf,
}

/// Whether a file may set everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Trusted,
    /// The user trusted another content.
    Changed,
    Unknown,
}

/// A file that the user trusted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct TrustedFile {
    pub(crate) path: PathBuf,
    /// The BLAKE3 hash of its content, as hexadecimal digits.
    hash: String,
}

impl TrustStore {
    /// The store of this user. It need not exist.
    pub(crate) fn of_user() -> Result<Self, CommandError> {
        Ok(Self { folder: trust_dir()? })
    }

    /// Returns whether the user trusts this content of the file at this place. A store that cannot be read trusts nothing.
    pub(crate) fn trust(&self, path: &Path, content: &[u8]) -> Trust {
        match read_entry(&self.entry(path)) {
            Some(entry) if entry.hash == hash(content) => Trust::Trusted,
            Some(_) => Trust::Changed,
            None => Trust::Unknown,
        }
    }

    /// Trusts this content of the file from now on.
    pub(crate) fn add(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let entry = TrustedFile { path: path.to_owned(), hash: hash(content) };
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(&entry)?)?;
        file.persist(self.entry(path))?;
        Ok(())
    }

    /// Trusts the file no longer. Returns whether it was trusted, with whatever content.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<bool> {
        match fs::remove_file(self.entry(path)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets files that are gone, so that the store does not grow for ever.
    pub(crate) fn remove_missing(&self) {
        for file in self.files().into_iter().filter(|file| matches!(file.path.try_exists(), Ok(false))) {
            // one that cannot be removed is only listed
            let _ = self.remove(&file.path);
        }
    }

    /// Returns the files, in the order of their paths.
    pub(crate) fn files(&self) -> Vec<TrustedFile> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<TrustedFile> = entries.filter_map(|entry| read_entry(&entry.path())).collect();
        files.sort();
        files
    }

    fn entry(&self, path: &Path) -> PathBuf {
        self.folder.join(blake3::hash(path.as_os_str().as_bytes()).to_hex().as_str())
    }
}

fn read_entry(path: &Path) -> Option<TrustedFile> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn hash(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_trusted_with_the_content_that_the_user_saw() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = TrustStore { folder: folder.path().join("trusted") };
        let (path, other) = (folder.path().join(".env"), folder.path().join("bue.toml"));
        assert_eq!(store.trust(&path, b"a"), Trust::Unknown);
        store.add(&path, b"a").expect("added");
        assert_eq!(store.trust(&path, b"a"), Trust::Trusted);
        assert_eq!(store.trust(&path, b"b"), Trust::Changed);
        assert_eq!(store.trust(&other, b"a"), Trust::Unknown);
        store.add(&path, b"b").expect("added");
        assert_eq!((store.trust(&path, b"a"), store.trust(&path, b"b")), (Trust::Changed, Trust::Trusted));
        let paths: Vec<PathBuf> = store.files().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, core::slice::from_ref(&path));
        assert!(store.remove(&path).expect("removed"));
        assert!(!store.remove(&path).expect("nothing to remove"));
        assert_eq!(store.trust(&path, b"b"), Trust::Unknown);
    }

    #[test]
    fn files_that_are_gone_are_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = TrustStore { folder: folder.path().join("trusted") };
        let (kept, gone) = (folder.path().join("kept"), folder.path().join("gone"));
        fs::write(&kept, "a").expect("a file");
        store.add(&kept, b"a").expect("added");
        store.add(&gone, b"a").expect("added");
        store.remove_missing();
        assert_eq!(store.files().into_iter().map(|file| file.path).collect::<Vec<_>>(), [kept]);
    }
}
