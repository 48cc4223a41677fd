//! [`FolderWatch`]: notices changes of a script's folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::script::neighbours::folder;

/// Files that are looked at, at most. A script's folder has some dozens.
const MAX_FILES: usize = 10_000;
/// Levels of folders within that of the script.
const MAX_DEPTH: usize = 8;

/// A folder, and when a file in it was last changed.
pub(crate) struct FolderWatch {
    folder: PathBuf,
    /// What changes by itself: the state of the servers.
    ignored: Option<PathBuf>,
    seen: Fingerprint,
}

/// The number of files, and the latest change.
#[derive(PartialEq, Eq)]
struct Fingerprint(usize, Option<SystemTime>);

impl FolderWatch {
    /// Watches the folder of a script from now on, without the folder `ignored`.
    pub(crate) fn new(script: &Path, ignored: &Path) -> Self {
        let mut watch =
            Self { folder: path_of_folder(script), ignored: ignored.canonicalize().ok(), seen: Fingerprint(0, None) };
        watch.seen = watch.fingerprint();
        watch
    }

    /// Whether this is the folder of a script.
    pub(crate) fn is_of(&self, script: &Path) -> bool {
        self.folder == path_of_folder(script)
    }

    /// Whether something has changed since the last call.
    pub(crate) fn has_changed(&mut self) -> bool {
        let now = self.fingerprint();
        let has_changed = now != self.seen;
        self.seen = now;
        has_changed
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut found = Fingerprint(0, None);
        self.add(&mut found, &self.folder, MAX_DEPTH);
        found
    }

    /// Adds the files of a folder, without those whose name begins with a dot, which no step can use.
    fn add(&self, found: &mut Fingerprint, folder: &Path, depth: usize) {
        if self.ignored.is_some() && folder.canonicalize().ok() == self.ignored {
            return;
        }
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let Ok(metadata) = entry.metadata() else { continue };
            if is_hidden || found.0 >= MAX_FILES {
                continue;
            }
            if metadata.is_dir() && depth > 0 {
                self.add(found, &entry.path(), depth - 1);
            } else if metadata.is_file() {
                found.0 += 1;
                found.1 = found.1.max(metadata.modified().ok());
            }
        }
    }
}

fn path_of_folder(script: &Path) -> PathBuf {
    Path::new(".").join(folder(script))
}
