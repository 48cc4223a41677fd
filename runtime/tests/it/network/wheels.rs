//! Packages as published, fetched once into the target directory from the index that this machine's `pip` uses.

use std::fs;
use std::path::Path;
use std::process::Command;

use bue_test_support::process;

/// Packages with their versions, and the folder that keeps them.
#[derive(Debug)]
pub(crate) struct Wheels {
    folder: &'static str,
    packages: &'static [&'static str],
}

pub(crate) const REQUESTS: Wheels = Wheels {
    folder: "requests-2",
    packages: &["requests==2.34.2", "urllib3==2.8.0", "idna==3.20", "certifi==2026.10.18", "charset_normalizer==3.5.2"],
};
pub(crate) const OLDER_URLLIB3: Wheels = Wheels { folder: "urllib3-2", packages: &["urllib3==1.26.20"] };
pub(crate) const HTTPX: Wheels = Wheels {
    folder: "httpx-3",
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

pub(crate) const AIOHTTP: Wheels = Wheels {
    folder: "aiohttp-1",
    packages: &[
        "aiohappyeyeballs==2.7.1",
        "aiohttp==3.14.5",
        "aiosignal==1.4.0",
        "attrs==26.1.0",
        "frozenlist==1.8.0",
        "idna==3.20",
        "multidict==7.2.1",
        "propcache==0.5.4",
        "yarl==1.25.1",
    ],
};

pub(crate) const REDIS: Wheels = Wheels { folder: "redis-1", packages: &["redis==8.1.0"] };
pub(crate) const PYMYSQL: Wheels = Wheels { folder: "pymysql-1", packages: &["PyMySQL==1.2.4"] };
pub(crate) const PG8000: Wheels = Wheels {
    folder: "pg8000-1",
    packages: &["pg8000==1.31.6", "scramp==1.5.0", "asn1crypto==1.5.1", "python-dateutil==4.0.0", "six==1.17.0"],
};

/// The wheels of these packages, by their file names. `None`, with a message, if they cannot be fetched: tests do not need
/// the network, unless `BUE_TEST_WHEELS=1` says that they may.
pub(crate) fn files(wheels: &Wheels) -> Option<Vec<(String, Vec<u8>)>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wheels").join(wheels.folder);
    if !folder.is_dir()
        && let Err(error) = download(wheels, &folder)
    {
        assert!(std::env::var_os("BUE_TEST_WHEELS").is_none(), "{error}");
        println!("not tested: {} cannot be fetched: {error}", wheels.packages.join(", "));
        return None;
    }
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|path| {
            (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(&path).expect("a file"))
        })
        .collect();
    files.sort();
    Some(files)
}

fn download(wheels: &Wheels, folder: &Path) -> Result<(), String> {
    // made beside it, so that a folder is there only when it is complete
    let parent = folder.parent().ok_or("no folder")?;
    fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    let half = tempfile::tempdir_in(parent).map_err(|error| error.to_string())?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--platform=any"]);
    pip.args(["--implementation=py", "--abi=none", "--python-version=3.14", "--dest"]).arg(half.path());
    let output = process::output(pip.args(wheels.packages)).map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let done = fs::rename(half.path(), folder);
    if folder.is_dir() { Ok(()) } else { done.map_err(|error| error.to_string()) }
}
