//! [`FileFingerprint`]: whether a file is still the one that was read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// The metadata by which a changed or replaced file is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileFingerprint {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

impl FileFingerprint {
    /// The fingerprint of the file at `path`; `None` if it cannot be found. Costs one system call.
    pub(crate) fn from_path(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { inode: metadata.ino(), length: metadata.len(), modified: metadata.modified().ok() })
    }
}
