//! Packages as published, fetched once into the target directory by whatever index this machine's `pip` knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bue_model::SourceFile;

/// Packages with their versions, in a folder of their own.
#[derive(Debug)]
pub(crate) struct Wheels {
    folder: &'static str,
    packages: &'static [&'static str],
}

pub(crate) const REQUESTS: Wheels = Wheels {
    folder: "requests-1",
    packages: &["requests==2.34.2", "urllib3==2.8.0", "idna==3.20", "certifi==2026.10.18", "charset_normalizer==3.5.2"],
};
pub(crate) const OLDER_URLLIB3: Wheels = Wheels { folder: "urllib3-1", packages: &["urllib3==1.26.20"] };
pub(crate) const HTTPX: Wheels = Wheels {
    folder: "httpx-2",
    packages: &[
        "httpx==0.28.1",
        "httpcore==1.0.9",
        "h11==0.16.0",
        "anyio==4.16.0",
        "typing_extensions==4.16.0",
        "sniffio==1.3.1",
        "idna==3.20",
        "certifi==2026.10.18",
    ],
};

/// The Python files of these packages. None, and a word on it, where they cannot be fetched: tests do not need the
/// network, unless `BUE_TEST_WHEELS=1` says that they may.
pub(crate) fn files(wheels: &Wheels) -> Option<Vec<SourceFile>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wheels").join(wheels.folder);
    if !folder.is_dir()
        && let Err(error) = install(wheels, &folder)
    {
        assert!(std::env::var_os("BUE_TEST_WHEELS").is_none(), "{error}");
        println!("not tested: {} cannot be fetched: {error}", wheels.packages.join(", "));
        return None;
    }
    Some(python_files(&folder))
}

fn install(wheels: &Wheels, folder: &Path) -> Result<(), String> {
    // made beside it, so that a folder is there only when it is complete
    let parent = folder.parent().ok_or("no folder")?;
    fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    let half = tempfile::tempdir_in(parent).map_err(|error| error.to_string())?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--platform=any"]);
    pip.args(["--implementation=py", "--abi=none", "--python-version=3.13", "--target"]).arg(half.path());
    let output = pip.args(wheels.packages).output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let done = fs::rename(half.path(), folder);
    if folder.is_dir() { Ok(()) } else { done.map_err(|error| error.to_string()) }
}

fn python_files(root: &Path) -> Vec<SourceFile> {
    let (mut files, mut folders): (Vec<SourceFile>, Vec<PathBuf>) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                let name = path.strip_prefix(root).expect("below it").to_string_lossy().into_owned();
                files.push(SourceFile { path: name, content: fs::read(&path).expect("a file").into() });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}
