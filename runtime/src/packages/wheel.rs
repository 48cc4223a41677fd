//! A wheel: a zip file of Python modules. Whoever made it, nothing in it is believed.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::read::ZipFile;

use super::problem::PackageProblem;

/// Bytes of one path inside a wheel; of one part of it, as file systems have it.
const MAX_PATH: usize = 1_000;
const MAX_PART: usize = 255;

/// What files of native code end in: they cannot be loaded, wherever they stand.
const NATIVE: [&str; 6] = [".so", ".pyd", ".dll", ".dylib", ".a", ".o"];

/// An open wheel.
pub struct Wheel<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
}

/// A file of a wheel.
pub(crate) struct WheelFile<'a, 'b> {
    /// Relative, with `/`, without `.` and `..`.
    pub(crate) path: String,
    content: ZipFile<'b, Cursor<&'a [u8]>>,
}

impl<'a> Wheel<'a> {
    /// Reads the table of its files.
    ///
    /// # Errors
    /// It is no zip file, or a broken one.
    pub fn open(bytes: &'a [u8]) -> Result<Self, PackageProblem> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| PackageProblem::NoZip(error.to_string()))?;
        Ok(Self { archive })
    }

    /// Entries there are, folders among them.
    pub(crate) fn len(&self) -> usize {
        self.archive.len()
    }

    /// The file at a position; `None` for a folder.
    pub(crate) fn file(&mut self, index: usize) -> Result<Option<WheelFile<'a, '_>>, PackageProblem> {
        let no_zip = |error: zip::result::ZipError| PackageProblem::NoZip(error.to_string());
        let content = self.archive.by_index(index).map_err(no_zip)?;
        let path = content.name().map_err(no_zip)?.into_owned();
        if content.is_symlink() || content.encrypted() {
            return Err(PackageProblem::Unfit(path, "is a link or encrypted"));
        }
        if content.is_dir() {
            return Ok(None);
        }
        check_path(&path)?;
        Ok(Some(WheelFile { path, content }))
    }

    /// The paths of its files, in the order of the wheel.
    ///
    /// # Errors
    /// A path that leads out of the wheel, a link, or a broken zip file.
    pub fn paths(&mut self) -> Result<Vec<String>, PackageProblem> {
        let mut paths = Vec::new();
        for index in 0..self.len() {
            paths.extend(self.file(index)?.map(|file| file.path));
        }
        Ok(paths)
    }

    /// The beginning of a file, as text; `None` where there is no such file.
    ///
    /// # Errors
    /// A broken zip file.
    pub fn text(&mut self, path: &str, most: u64) -> Result<Option<String>, PackageProblem> {
        let Some(index) = self.archive.index_for_name(path) else { return Ok(None) };
        let Some(file) = self.file(index)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.content.take(most).read_to_end(&mut bytes).map_err(|error| PackageProblem::NoZip(error.to_string()))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

impl Read for WheelFile<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.content.read(buffer)
    }
}

/// Is this a file of native code?
#[must_use]
pub fn is_native(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    // `libx.so.1` too
    NATIVE.iter().any(|ending| name.ends_with(ending)) || name.contains(".so.")
}

fn check_path(path: &str) -> Result<(), PackageProblem> {
    let fits =
        |part: &str| !matches!(part, "" | "." | "..") && part.len() <= MAX_PART && !part.contains(['\\', '\0', ':']);
    match path.len() <= MAX_PATH && path.split('/').all(fits) {
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
    fn native_code_is_known_by_its_name() {
        for path in ["a/_b.cpython-313-x86_64-linux-gnu.so", "a/b.pyd", "a.libs/libz.so.1.2", "x.dylib"] {
            assert!(is_native(path), "{path}");
        }
        for path in ["a/so.py", "a/b.so.py/c.py", "a.so/readme.txt", "solver.py"] {
            assert!(!is_native(path), "{path}");
        }
    }
}
