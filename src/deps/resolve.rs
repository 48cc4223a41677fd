//! Needs become wheels: by pip, with this user's own configuration of it. Where only uv is there, uv brings pip.
//!
//! pip runs nothing of a package here: it takes wheels alone, and never builds one.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::Deserialize;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

use super::lock::LockedWheel;
use super::needs::{Needs, normal_name};
use super::store::{Store, read_wheel};
use super::wheel::FileName;
use crate::reactor::{block_on, interruptible};
use crate::stop::Stop;

/// The Python that steps find in their sandbox.
pub(crate) const PYTHON: &str = "3.14";
const PYTHON_FULL: &str = "3.14.0";
const WRAPPER: &str = include_str!("pip.py");
/// Where the newest version of something needs native code, pip tries all older ones of everything, which may take hours.
const PATIENCE: Duration = Duration::from_secs(300);
/// Characters of what pip says that are shown.
const MAX_SAID: usize = 4_000;

/// A pip that can be run.
#[derive(Clone, Debug)]
pub(crate) struct Pip {
    program: OsString,
    arguments: Vec<OsString>,
}

/// Why there are no wheels.
#[derive(Debug)]
pub(crate) enum NoWheels {
    /// pip found none that fit, and says why.
    Unsolved(String),
    /// It could not be run, was interrupted, or what it gave cannot be used.
    Failed(Stop),
}

impl From<NoWheels> for Stop {
    fn from(error: NoWheels) -> Self {
        match error {
            NoWheels::Unsolved(said) => Self::Surroundings(anyhow!("pip found no packages that fit\n{said}")),
            NoWheels::Failed(stop) => stop,
        }
    }
}

impl From<anyhow::Error> for NoWheels {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(Stop::Surroundings(error))
    }
}

/// A package as published for machines like this one, and why it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) file: String,
}

impl Pip {
    /// The one of this machine.
    pub(crate) fn find() -> Result<Self, Stop> {
        let python = ["python3", "python"].into_iter().find(|python| runs(python, &["-m", "pip", "--version"]));
        if let Some(python) = python {
            return Ok(Self { program: python.into(), arguments: vec!["-c".into(), WRAPPER.into()] });
        }
        if runs("uv", &["--version"]) {
            let arguments = ["run", "--no-project", "--quiet", "--with", "pip", "python", "-c", WRAPPER];
            return Ok(Self { program: "uv".into(), arguments: arguments.map(OsString::from).to_vec() });
        }
        Err(Stop::Surroundings(anyhow!(
            "packages are found by pip, and neither `python3 -m pip` nor `uv` is here; install one of them"
        )))
    }

    /// Finds wheels for needs, puts them into the store, and says which they are.
    pub(crate) fn resolve(&self, needs: &Needs, store: &Store) -> Result<Vec<LockedWheel>, NoWheels> {
        let folder = temporary()?;
        self.download(needs, &[], folder.path())?;
        let mut wheels = collect(folder.path(), store)?;
        wheels.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(wheels)
    }

    /// Gets wheels that are locked and not in the store.
    pub(crate) fn fetch(&self, wheels: &[LockedWheel], store: &Store) -> Result<(), NoWheels> {
        // several versions of one package cannot be asked for at once
        for wheel in wheels {
            let folder = temporary()?;
            let pinned = vec![format!("{}=={} --hash=sha256:{}", wheel.name, wheel.version, wheel.sha256)];
            self.download(&pinned, &["--no-deps"], folder.path())?;
            if !collect(folder.path(), store)?.iter().any(|got| got.sha256 == wheel.sha256.to_lowercase()) {
                return Err(anyhow!("pip did not get {}, which bue.lock names", wheel.file).into());
            }
        }
        Ok(())
    }

    /// What would be installed on this machine: packages with native code too. Nothing is downloaded but descriptions.
    pub(crate) fn published(&self, needs: &Needs) -> Result<Vec<Published>, NoWheels> {
        let folder = temporary()?;
        let report = folder.path().join("report.json");
        let mut command = self.command(&["install", "--dry-run", "--ignore-installed"]);
        command.arg("--report").arg(&report).arg("--requirement").arg(list(folder.path(), needs)?);
        run(command)?;
        let text = fs::read_to_string(report).context("failed to read what pip found")?;
        let report: Report = serde_json::from_str(&text).context("failed to understand what pip found")?;
        Ok(report.install.into_iter().map(Published::from).collect())
    }

    /// Whether some version of a package is published as pure Python.
    pub(crate) fn has_pure(&self, name: &str) -> Result<bool, NoWheels> {
        match self.download(&vec![name.to_owned()], &["--no-deps"], temporary()?.path()) {
            Ok(()) => Ok(true),
            Err(NoWheels::Unsolved(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn download(&self, needs: &Needs, options: &[&str], folder: &Path) -> Result<(), NoWheels> {
        let mut command = self.command(&["download", "--platform=any", "--implementation=py", "--abi=none"]);
        command.arg(format!("--python-version={PYTHON}")).args(options);
        command.arg("--dest").arg(folder).arg("--requirement").arg(list(folder, needs)?);
        run(command)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(guest_markers()).args(arguments);
        command.args(["--only-binary=:all:", "--no-input", "--quiet", "--disable-pip-version-check"]);
        command
    }
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let silent = || Stdio::null();
    let run = Command::new(program).args(arguments).stdin(silent()).stdout(silent()).stderr(silent()).status();
    run.is_ok_and(|status| status.success())
}

fn temporary() -> Result<TempDir, anyhow::Error> {
    tempfile::tempdir().context("failed to make a temporary folder")
}

/// A requirements file in a folder.
fn list(folder: &Path, needs: &Needs) -> Result<PathBuf, anyhow::Error> {
    let path = folder.join("needs.txt");
    fs::write(&path, needs.join("\n")).context("failed to write what is needed")?;
    Ok(path)
}

fn run(command: Command) -> Result<(), NoWheels> {
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = block_on(interruptible(async {
        let ended = timeout(PATIENCE, command.output()).await.ok();
        Ok(ended.transpose().context("failed to run pip")?)
    }));
    let Some(Output { status, stderr, .. }) = ended.map_err(NoWheels::Failed)? else {
        let minutes = PATIENCE.as_secs() / 60;
        return Err(NoWheels::Unsolved(format!("ERROR: pip looked for {minutes} minutes and came to no end")));
    };
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stderr);
    let said: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(NoWheels::Unsolved(said.join("\n").chars().take(MAX_SAID).collect()))
}

/// Puts what was downloaded into the store.
fn collect(folder: &Path, store: &Store) -> Result<Vec<LockedWheel>, NoWheels> {
    let mut wheels = Vec::new();
    for entry in fs::read_dir(folder).context("failed to read what pip downloaded")? {
        let path = entry.context("failed to read what pip downloaded")?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(FileName { name, version, .. }) = FileName::parse(&file) {
            let bytes = read_wheel(&path).with_context(|| format!("failed to read {file}"))?;
            let sha256 = store.put(&bytes).context("failed to keep a package in the cache")?;
            wheels.push(LockedWheel { name, version, file, sha256 });
        }
    }
    Ok(wheels)
}

/// What markers of requirements are compared with: the guest, not this machine.
fn guest_markers() -> String {
    json!({
        "implementation_name": "rustpython",
        "implementation_version": PYTHON_FULL,
        "os_name": "posix",
        "platform_machine": "wasm32",
        "platform_python_implementation": "RustPython",
        "platform_release": "",
        "platform_system": "wasi",
        "platform_version": "",
        "python_full_version": PYTHON_FULL,
        "python_version": PYTHON,
        "sys_platform": "wasi",
    })
    .to_string()
}

/// What of pip's report is looked at.
#[derive(Deserialize)]
struct Report {
    install: Vec<Installed>,
}

#[derive(Deserialize)]
struct Installed {
    metadata: Metadata,
    download_info: DownloadInfo,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct DownloadInfo {
    url: String,
}

impl From<Installed> for Published {
    fn from(installed: Installed) -> Self {
        let file = installed.download_info.url.rsplit('/').next().unwrap_or_default();
        let file = file.split(['#', '?']).next().unwrap_or_default().to_owned();
        Self { name: normal_name(&installed.metadata.name), version: installed.metadata.version, file }
    }
}
