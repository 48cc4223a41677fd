//! CPython's own tests, where a CPython is installed that has them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bue_model::SourceFile;
use bue_test_support::process;
use bytes::Bytes;

/// Folders that several tests use.
const SHARED: [&str; 2] = ["support", "typinganndata"];

/// The folder `test` of an installed CPython, and the CPython's version.
pub(crate) struct Installed {
    /// `3.11`
    pub(crate) version: String,
    folder: PathBuf,
}

impl Installed {
    /// What `BUE_TEST_PYTHON`, or else `python3`, has.
    ///
    /// # Errors
    /// What to install.
    pub(crate) fn find() -> Result<Self, String> {
        let python = env::var("BUE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = "import sys, test.support; print(*sys.version_info[:2], sep='.'); print(test.__path__[0])";
        let install = format!(
            "`{python}` has no package `test`: install it (Debian: `apt-get install libpython3-testsuite`), or name another \
             CPython with BUE_TEST_PYTHON"
        );
        let mut command = Command::new(&python);
        let output = process::output(command.args(["-I", "-c", script])).map_err(|_| install.clone())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines();
        match (lines.next(), lines.next()) {
            (Some(version), Some(folder)) if output.status.success() => {
                Ok(Self { version: version.to_owned(), folder: folder.into() })
            }
            _ => Err(install),
        }
    }

    /// `test_json` as the modules it is made of: one, or those of a package.
    pub(crate) fn modules(&self, name: &str) -> Vec<String> {
        if !self.folder.join(name).is_dir() {
            return vec![format!("test.{name}")];
        }
        let files = python_files(&self.folder, &self.folder.join(name));
        let tests = files.iter().filter(|path| path.rsplit('/').next().is_some_and(|file| file.starts_with("test_")));
        let package = format!("test.{name}");
        core::iter::once(package).chain(tests.map(|path| module(path))).collect()
    }

    /// The files that a module of tests may need: its own, what tests share, and `test.support`.
    pub(crate) fn files(&self, name: &str) -> Vec<SourceFile> {
        let top = name.split('/').next().unwrap_or(name);
        let folders = SHARED.iter().copied().chain([top]);
        let mut paths: Vec<String> =
            folders.flat_map(|folder| python_files(&self.folder, &self.folder.join(folder))).collect();
        let shared = entries(&self.folder).into_iter().filter_map(|path| {
            let file = path.file_name()?.to_str()?.to_owned();
            (file.ends_with(".py")
                && (!file.starts_with("test_") || file == format!("{top}.py") || file == "test_urllib.py"))
                .then_some(file)
        });
        paths.extend(shared);
        let read = |path: &String| fs::read(self.folder.join(path)).expect("a file");
        paths.iter().map(|path| SourceFile { path: format!("test/{path}"), content: Bytes::from(read(path)) }).collect()
    }
}

/// `test_json/test_decode.py` as `test.test_json.test_decode`.
fn module(path: &str) -> String {
    format!("test.{}", path.trim_end_matches(".py").replace('/', "."))
}

/// Python files below a folder, named from the root.
fn python_files(root: &Path, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() {
            found.extend(python_files(root, &path));
        } else if path.extension().is_some_and(|extension| extension == "py") {
            found.push(path.strip_prefix(root).expect("below it").to_string_lossy().into_owned());
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
