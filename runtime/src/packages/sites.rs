//! Folders of unpacked packages: one for each set that steps of this process need, removed when no step needs it.
//!
//! They are in a folder of this process, which is locked while the process is alive: the next process removes what a killed
//! one left behind.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use super::problem::{ALL, BadPackages, PackageProblem};
use super::wheel::{Wheel, is_native};
use crate::error::RuntimeError;
use crate::prepared::Prepared;
use crate::step::limits::Limits;

/// The file in a process's folder that the process keeps locked.
const LOCK: &str = "lock";
/// Sandbox hosts may run as another user. The folder around all of them is closed to other users, who cannot get here.
const FOLDER_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
/// The subfolders of a wheel's `NAME.data` folder that are unpacked beside the modules.
const MODULE_FOLDERS: [&str; 2] = ["purelib/", "platlib/"];

/// The unpacked packages of this process.
#[derive(Clone, Debug)]
pub struct Sites {
    process_folder: Arc<ProcessFolder>,
}

#[derive(Debug)]
struct ProcessFolder {
    folder: TempDir,
    /// The open folder, which sandbox hosts get.
    descriptor: Arc<File>,
    _lock: File,
    next: AtomicU64,
}

/// A folder of unpacked packages.
#[derive(Debug)]
pub struct Site {
    path: PathBuf,
    /// The total size of its files, in bytes.
    bytes: u64,
    /// `None` in a sandbox host, which only reads it.
    process_folder: Option<Arc<ProcessFolder>>,
}

impl Site {
    /// A folder that another process keeps.
    pub(crate) const fn read_only(path: PathBuf) -> Self {
        Self { path, bytes: 0, process_folder: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the total size of its files, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Sites {
    /// Creates a folder for this process beside the prepared sandbox, and removes those of processes that have ended.
    ///
    /// # Errors
    /// A cache that cannot be written.
    pub fn open(prepared: &Prepared) -> Result<Self, RuntimeError> {
        let parent = prepared.cache.path("packages");
        let cache_error = |source| RuntimeError::Cache { path: parent.clone(), source };
        Ok(Self { process_folder: Arc::new(process_folder(&parent).map_err(cache_error)?) })
    }

    /// Returns the open folder with all sites.
    pub(crate) fn folder(&self) -> &Arc<File> {
        &self.process_folder.descriptor
    }

    /// Returns the name of a site in this folder; `None` if it is in another.
    pub(crate) fn name_of(&self, site: &Site) -> Option<String> {
        let name = site.path.strip_prefix(self.process_folder.folder.path()).ok()?;
        Some(name.to_str()?.to_owned())
    }

    /// Unpacks a set of wheels, each with its file name. Blocks while it writes the files.
    ///
    /// # Errors
    /// The problem of a wheel, and its file name.
    pub fn unpack(&self, wheels: &[(&str, &[u8])], limits: &Limits) -> Result<Site, BadPackages> {
        check_wheels(wheels, limits)?;
        let number = self.process_folder.next.fetch_add(1, Ordering::Relaxed);
        let path = self.process_folder.folder.path().join(number.to_string());
        // removed with its content when an error drops it
        let mut site = Site { path, bytes: 0, process_folder: Some(Arc::clone(&self.process_folder)) };
        let created = DirBuilder::new().mode(FOLDER_MODE).create(&site.path);
        created.map_err(|error| BadPackages::new(ALL, error.into()))?;
        let mut unpacking = Unpacking { folder: &site.path, limits, files: 0, bytes: 0 };
        for (file, bytes) in wheels {
            unpacking.wheel(bytes).map_err(|problem| BadPackages::new(&format!("package `{file}`"), problem))?;
        }
        site.bytes = unpacking.bytes;
        make_readable(&site.path).map_err(|error| BadPackages::new(ALL, error.into()))?;
        Ok(site)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let (Some(process_folder), path) = (self.process_folder.take(), core::mem::take(&mut self.path)) else {
            return;
        };
        // the last one removes the process's folder, and everything in it
        if Arc::strong_count(&process_folder) > 1 {
            // there may be thousands of files, and the thread that drops the last user may be one that must not block
            std::thread::spawn(move || {
                // what cannot be removed goes with the process's folder
                let _ = fs::remove_dir_all(path);
            });
        }
    }
}

/// Creates and locks a folder for this process. A lock over all folders keeps others from removing it before it is locked.
fn process_folder(parent: &Path) -> io::Result<ProcessFolder> {
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let all = open_locked(&parent.join(LOCK), FlockOperation::LockExclusive)?;
    remove_abandoned(parent)?;
    let folder = tempfile::Builder::new().prefix("process-").tempdir_in(parent)?;
    fs::set_permissions(folder.path(), Permissions::from_mode(FOLDER_MODE))?;
    let lock = open_locked(&folder.path().join(LOCK), FlockOperation::LockExclusive)?;
    drop(all);
    let descriptor = Arc::new(File::open(folder.path())?);
    Ok(ProcessFolder { folder, descriptor, _lock: lock, next: AtomicU64::new(0) })
}

fn open_locked(path: &Path, operation: FlockOperation) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    flock(&file, operation)?;
    Ok(file)
}

/// Removes the folders of processes that have ended.
fn remove_abandoned(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)?.flatten() {
        let path = entry.path();
        if path.is_dir() && open_locked(&path.join(LOCK), FlockOperation::NonBlockingLockExclusive).is_ok() {
            // the next process tries again to remove what is left
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

/// Gives a folder and all in it the modes that they were created with, if the process's umask has removed some.
fn make_readable(folder: &Path) -> io::Result<()> {
    if fs::metadata(folder)?.permissions().mode() & 0o777 == FOLDER_MODE {
        return Ok(());
    }
    fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => make_readable(&path)?,
            false => fs::set_permissions(&path, Permissions::from_mode(FILE_MODE))?,
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
                && let Some(relative) = site_path(&file.path)
            {
                let path = self.folder.join(relative);
                self.write(&path, file)?;
            }
        }
        Ok(())
    }

    /// Writes a file. Counts the bytes that are extracted: the length in the zip file is not trusted.
    fn write(&mut self, path: &Path, file: impl Read) -> Result<(), PackageProblem> {
        if let Some(folder) = path.parent() {
            let created = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder);
            created.map_err(|error| create_problem(error, path))?;
        }
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path);
        let mut target = opened.map_err(|error| create_problem(error, path))?;
        let room = self.limits.packages_bytes.saturating_sub(self.bytes);
        let written = io::copy(&mut file.take(room.saturating_add(1)), &mut target).map_err(copy_problem)?;
        target.flush()?;
        self.bytes = self.bytes.saturating_add(written);
        match written > room {
            true => Err(PackageProblem::bytes("packages_bytes", self.limits.packages_bytes)),
            false => Ok(()),
        }
    }
}

/// Distinguishes paths that no folder can contain together, such as `a` and `a/b`, from an error of this machine. The wheel is the
/// same on every machine, so its steps must fail instead of being tried elsewhere.
fn create_problem(error: io::Error, path: &Path) -> PackageProblem {
    match error.kind() {
        io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::InvalidFilename => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            PackageProblem::Unfit(name, "is a folder too, or has a name that no folder can contain")
        }
        _ => PackageProblem::Io(error),
    }
}

/// Distinguishes a damaged zip file from an error of this machine.
fn copy_problem(error: io::Error) -> PackageProblem {
    match error.kind() {
        // every error of reading it
        io::ErrorKind::InvalidData => PackageProblem::NotZip(error.to_string()),
        _ => PackageProblem::Io(error),
    }
}

/// Returns the path that a file of a wheel is unpacked to; `None` for native code, which a sandbox cannot load, and for scripts and
/// headers of a `NAME.data` folder, which it does not need.
fn site_path(path: &str) -> Option<&str> {
    if is_native(path) {
        return None;
    }
    match path.split_once('/') {
        Some((folder, rest)) if folder.ends_with(".data") => {
            MODULE_FOLDERS.iter().find_map(|kind| rest.strip_prefix(kind))
        }
        _ => Some(path),
    }
}
