//! A wheel: a zip file of Python modules. Nothing in it is trusted.

use std::io::{self, Cursor, Read};

use zip::ZipArchive;
use zip::read::ZipFile;

use super::problem::PackageProblem;

/// Bytes of a path inside a wheel at most, and of one of its components, as file systems limit it.
const MAX_PATH: usize = 1_000;
const MAX_COMPONENT: usize = 255;

/// Where a zip file's end is searched for its directory: the longest comment, and the records before and after it.
const MAX_END: usize = 0xffff + 1024;
/// The signatures of two records at the end of a zip file: the first exists only in the format ZIP64, directly before the second.
const ZIP64_LOCATOR: &[u8] = b"PK\x06\x07";
const END_OF_DIRECTORY: &[u8] = b"PK\x05\x06";
const ZIP64_LOCATOR_BYTES: usize = 20;

/// The suffixes of native code, which a sandbox cannot load.
const NATIVE_SUFFIXES: [&str; 6] = [".so", ".pyd", ".dll", ".dylib", ".a", ".o"];

/// An open wheel.
pub struct Wheel<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
}

/// A file of a wheel.
pub(crate) struct WheelFile<'a, 'b> {
    /// The relative path, with `/`, without `.` and `..`.
    pub(crate) path: String,
    content: ZipFile<'b, Cursor<&'a [u8]>>,
}

impl<'a> Wheel<'a> {
    /// Reads the list of its files.
    ///
    /// # Errors
    /// It is not a zip file, a damaged one, or one in the format ZIP64.
    pub fn open(bytes: &'a [u8]) -> Result<Self, PackageProblem> {
        if is_zip64(bytes) {
            return Err(PackageProblem::NotZip("it has the format ZIP64, which a wheel does not need".to_owned()));
        }
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| PackageProblem::NotZip(error.to_string()))?;
        Ok(Self { archive })
    }

    /// Returns the number of entries, including folders.
    pub(crate) fn len(&self) -> usize {
        self.archive.len()
    }

    /// Returns the file at an index; `None` for a folder.
    pub(crate) fn file(&mut self, index: usize) -> Result<Option<WheelFile<'a, '_>>, PackageProblem> {
        let not_zip = |error: zip::result::ZipError| PackageProblem::NotZip(error.to_string());
        let content = self.archive.by_index(index).map_err(not_zip)?;
        let path = content.name().map_err(not_zip)?.into_owned();
        if content.is_symlink() || content.encrypted() {
            return Err(PackageProblem::Unfit(path, "is a link or encrypted"));
        }
        if content.is_dir() {
            return Ok(None);
        }
        check_path(&path)?;
        Ok(Some(WheelFile { path, content }))
    }

    /// Returns the paths of its files, in the order of the wheel.
    ///
    /// # Errors
    /// A path that leads out of the wheel, a link, or a damaged zip file.
    pub fn paths(&mut self) -> Result<Vec<String>, PackageProblem> {
        let mut paths = Vec::new();
        for index in 0..self.len() {
            paths.extend(self.file(index)?.map(|file| file.path));
        }
        Ok(paths)
    }

    /// Returns the first `max` bytes of a file as text; `None` if there is no such file.
    ///
    /// # Errors
    /// A damaged zip file.
    pub fn text(&mut self, path: &str, max: u64) -> Result<Option<String>, PackageProblem> {
        let Some(index) = self.archive.index_for_name(path) else { return Ok(None) };
        let Some(file) = self.file(index)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.content.take(max).read_to_end(&mut bytes).map_err(|error| PackageProblem::NotZip(error.to_string()))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

impl Read for WheelFile<'_, '_> {
    /// The wheel is in memory, so every error is one of its content, such as an unknown method of compression.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Returns whether a path names a file of native code.
#[must_use]
pub fn is_native(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    // also `libx.so.1`
    NATIVE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) || name.contains(".so.")
}

/// Whether a zip file may have more than 65,535 files. The library reserves memory for all files that such a file claims to have,
/// gigabytes for a wheel of megabytes.
fn is_zip64(bytes: &[u8]) -> bool {
    let end = bytes.get(bytes.len().saturating_sub(MAX_END)..).unwrap_or_default();
    let mut records = end.windows(ZIP64_LOCATOR_BYTES + END_OF_DIRECTORY.len());
    records.any(|record| record.starts_with(ZIP64_LOCATOR) && record.ends_with(END_OF_DIRECTORY))
}

fn check_path(path: &str) -> Result<(), PackageProblem> {
    let is_valid = |part: &str| {
        !matches!(part, "" | "." | "..") && part.len() <= MAX_COMPONENT && !part.contains(['\\', '\0', ':'])
    };
    match path.len() <= MAX_PATH && path.split('/').all(is_valid) {
        true => Ok(()),
        false => Err(PackageProblem::Unfit(path.chars().take(100).collect(), "leads out of the package")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["../a.py", "/etc/passwd", "a/../../b", "a//b", "./a", "a\\b", "c:/a", "a/\0", ""] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
        assert!(check_path(&"a".repeat(300)).is_err());
        assert!(check_path(&"a/".repeat(600)).is_err());
        for path in ["a.py", "a/b-1.0.dist-info/METADATA", "ä/..b/c..", "a b.txt"] {
            assert!(check_path(path).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn native_code_is_recognised_by_its_name() {
        for path in ["a/_b.cpython-313-x86_64-linux-gnu.so", "a/b.pyd", "a.libs/libz.so.1.2", "x.dylib"] {
            assert!(is_native(path), "{path}");
        }
        for path in ["a/so.py", "a/b.so.py/c.py", "a.so/readme.txt", "solver.py"] {
            assert!(!is_native(path), "{path}");
        }
    }
}
