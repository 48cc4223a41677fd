//! Folders of unpacked packages: one for each set that steps of this process need, gone when nobody needs it.
//!
//! They lie in a folder of this process, which is locked while the process lives: what a killed one left behind is
//! removed by the next.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::problem::{ALL, BadPackages, PackageProblem};
use super::wheel::Wheel;
use crate::error::RuntimeError;
use crate::prepared::Prepared;
use crate::step::limits::Limits;

/// The file in a process's folder that it keeps locked.
const LOCK: &str = "lock";
/// What may stand in a wheel's `NAME.data` folder and belongs beside the modules.
const MODULES: [&str; 2] = ["purelib/", "platlib/"];

/// The folders of this process.
#[derive(Clone, Debug)]
pub struct Sites {
    own: Arc<Own>,
}

#[derive(Debug)]
struct Own {
    folder: TempDir,
    _lock: File,
    next: AtomicU64,
}

/// A folder of unpacked packages.
#[derive(Debug)]
pub struct Site {
    path: PathBuf,
    /// Bytes of its files.
    bytes: u64,
    /// `None` in a sandbox host, where it is only read.
    own: Option<Arc<Own>>,
}

impl Site {
    /// One that somebody else keeps.
    pub(crate) const fn of_others(path: PathBuf) -> Self {
        Self { path, bytes: 0, own: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of its files.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Sites {
    /// Makes a folder for this process beside the prepared sandbox, and removes those of processes that are gone.
    ///
    /// # Errors
    /// A cache that cannot be written.
    pub fn open(prepared: &Prepared) -> Result<Self, RuntimeError> {
        let parent = prepared.files.code.with_file_name("packages");
        let cannot = |source| RuntimeError::Cache { path: parent.clone(), source };
        Ok(Self { own: Arc::new(own(&parent).map_err(cannot)?) })
    }

    /// Unpacks a set of wheels, each with its file name. Takes as long as it takes to write the files.
    ///
    /// # Errors
    /// What is wrong with one of the wheels, and its name.
    pub fn unpack(&self, wheels: &[(&str, &[u8])], limits: &Limits) -> Result<Site, BadPackages> {
        check_wheels(wheels, limits)?;
        let number = self.own.next.fetch_add(1, Ordering::Relaxed);
        let path = self.own.folder.path().join(number.to_string());
        // gone again, with what is in it, if something is wrong
        let mut site = Site { path, bytes: 0, own: Some(Arc::clone(&self.own)) };
        let made = DirBuilder::new().mode(0o700).create(&site.path);
        made.map_err(|error| BadPackages::new(ALL, error.into()))?;
        let mut unpacking = Unpacking { folder: &site.path, limits, files: 0, bytes: 0 };
        for (file, bytes) in wheels {
            unpacking.wheel(bytes).map_err(|problem| BadPackages::new(&format!("package `{file}`"), problem))?;
        }
        site.bytes = unpacking.bytes;
        Ok(site)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let (Some(own), path) = (self.own.take(), core::mem::take(&mut self.path)) else { return };
        // without others the process's folder goes with this, and all that is in it
        if Arc::strong_count(&own) > 1 {
            // thousands of files, and the thread that drops the last user may be one that must not wait
            std::thread::spawn(move || {
                // what stays behind goes with the process's folder
                let _ = fs::remove_dir_all(path);
            });
        }
    }
}

/// Makes and locks a folder of our own. A lock over all of it keeps a folder from being swept before it is locked.
fn own(parent: &Path) -> io::Result<Own> {
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let all = locked(&parent.join(LOCK), FlockOperation::LockExclusive)?;
    sweep(parent)?;
    let folder = tempfile::Builder::new().prefix("process-").tempdir_in(parent)?;
    let lock = locked(&folder.path().join(LOCK), FlockOperation::LockExclusive)?;
    drop(all);
    Ok(Own { folder, _lock: lock, next: AtomicU64::new(0) })
}

fn locked(path: &Path, operation: FlockOperation) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    flock(&file, operation)?;
    Ok(file)
}

/// Removes the folders of processes that are gone.
fn sweep(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)?.flatten() {
        let path = entry.path();
        if path.is_dir() && locked(&path.join(LOCK), FlockOperation::NonBlockingLockExclusive).is_ok() {
            // one that stays behind is tried again by the next process
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

struct Unpacking<'a> {
    folder: &'a Path,
    limits: &'a Limits,
    files: u32,
    bytes: u64,
}

fn check_wheels(wheels: &[(&str, &[u8])], limits: &Limits) -> Result<(), BadPackages> {
    let packed: u64 = wheels.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    if wheels.len() > limits.packages as usize {
        return Err(BadPackages::number(limits));
    }
    if packed > limits.packages_packed_bytes {
        return Err(BadPackages::packed(limits));
    }
    Ok(())
}

impl Unpacking<'_> {
    fn wheel(&mut self, bytes: &[u8]) -> Result<(), PackageProblem> {
        let mut wheel = Wheel::open(bytes)?;
        for index in 0..wheel.len() {
            self.files = self.files.saturating_add(1);
            if self.files > self.limits.packages_files {
                return Err(PackageProblem::count("packages_files", self.limits.packages_files));
            }
            if let Some(file) = wheel.file(index)?
                && let Some(place) = place(&file.path)
            {
                let path = self.folder.join(place);
                self.write(&path, file)?;
            }
        }
        Ok(())
    }

    /// Writes what really comes out of the zip file, whatever it says of its length.
    fn write(&mut self, path: &Path, file: impl Read) -> Result<(), PackageProblem> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let room = self.limits.packages_bytes.saturating_sub(self.bytes);
        let written = io::copy(&mut file.take(room.saturating_add(1)), &mut to).map_err(of_copy)?;
        to.flush()?;
        self.bytes = self.bytes.saturating_add(written);
        match written > room {
            true => Err(PackageProblem::bytes("packages_bytes", self.limits.packages_bytes)),
            false => Ok(()),
        }
    }
}

/// A zip file that is broken inside is no fault of this machine.
fn of_copy(error: io::Error) -> PackageProblem {
    match error.kind() {
        io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other => PackageProblem::NoZip(error.to_string()),
        _ => PackageProblem::Io(error),
    }
}

/// Where a file of a wheel belongs. A `NAME.data` folder has scripts and headers too, which a sandbox has no use for.
fn place(path: &str) -> Option<&str> {
    match path.split_once('/') {
        Some((folder, rest)) if folder.ends_with(".data") => MODULES.iter().find_map(|kind| rest.strip_prefix(kind)),
        _ => Some(path),
    }
}
