//! Finds and downloads wheels with pip, in the user's own configuration of it. If only uv is installed, uv provides pip.
//!
//! pip runs no code of a package here: it takes wheels only, and never builds one. Of a package that is published only with native
//! code it takes the wheel for Linux, without whose native files many packages work.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::time::timeout;

use super::guest_python::{PYTHON, marker_environment};
use super::instead::instead;
use super::lock::LockedWheel;
use super::requirements::{Requirements, normalized_name};
use super::wheel::WheelName;
use super::wheel_cache::{WheelCache, read_wheel};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::secrets::without_secrets;

const WRAPPER: &str = include_str!("pip.py");
/// If the newest version of a package needs native code, pip tries all older versions of all packages, which may take hours.
const PIP_TIMEOUT: Duration = Duration::from_secs(300);
/// The most characters of pip's error output that are shown.
const MAX_ERROR_OUTPUT: usize = 4_000;

/// Versions of CPython for which a package with native code may be published, the best one first.
const NATIVE_PYTHONS: [&str; 4] = [PYTHON, "3.13", "3.12", "3.11"];
/// The platforms of Linux for which packages are published, without the processor.
const LINUX: [&str; 6] =
    ["manylinux_2_28", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "manylinux2010", "manylinux1"];

/// A pip that can be run.
#[derive(Clone, Debug)]
pub(crate) struct Pip {
    program: OsString,
    arguments: Vec<OsString>,
}

/// Why pip found no wheels.
#[derive(Debug)]
pub(crate) enum PipError {
    /// No versions match the requirements; pip's own message.
    NoMatch(String),
    /// pip could not be run, was interrupted, or its result cannot be used.
    Failed(CommandError),
}

impl From<PipError> for CommandError {
    fn from(error: PipError) -> Self {
        match error {
            PipError::NoMatch(message) => Self::Environment(anyhow!("pip found no matching packages\n{message}")),
            PipError::Failed(error) => error,
        }
    }
}

impl From<anyhow::Error> for PipError {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(CommandError::Environment(error))
    }
}

/// A package that pip would install on this machine, with or without native code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedPackage {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) file: String,
}

impl Pip {
    /// Finds the pip of this machine.
    pub(crate) fn find() -> Result<Self, CommandError> {
        let python = ["python3", "python"].into_iter().find(|python| succeeds(python, &["-m", "pip", "--version"]));
        if let Some(python) = python {
            return Ok(Self { program: python.into(), arguments: vec!["-c".into(), WRAPPER.into()] });
        }
        if succeeds("uv", &["--version"]) {
            let arguments = ["run", "--no-project", "--quiet", "--with", "pip", "python", "-c", WRAPPER];
            return Ok(Self { program: "uv".into(), arguments: arguments.map(OsString::from).to_vec() });
        }
        Err(CommandError::Environment(anyhow!(
            "packages are found by pip, but neither `python3 -m pip` nor `uv` is installed; install one of them"
        )))
    }

    /// Finds wheels that satisfy requirements, puts them into the cache, and returns them sorted by file name.
    pub(crate) fn resolve(
        &self,
        requirements: &Requirements,
        cache: &WheelCache,
    ) -> Result<Vec<LockedWheel>, PipError> {
        let folder = temporary_folder()?;
        let mut wheels = match self.download(requirements, &Target::pure(), &[], folder.path()) {
            Ok(()) => store_downloads(folder.path(), cache)?,
            Err(PipError::NoMatch(message)) => {
                self.resolve_with_native(requirements, cache)?.ok_or(PipError::NoMatch(message))?
            }
            Err(error) => return Err(error),
        };
        wheels.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(wheels)
    }

    /// Finds wheels as [`Self::resolve`] does, where some packages are published only with native code: many of them work without
    /// it. Offers these to pip under the names of pure ones. `None` if one of them is known not to work, or if that does not help.
    fn resolve_with_native(
        &self,
        requirements: &Requirements,
        cache: &WheelCache,
    ) -> Result<Option<Vec<LockedWheel>>, PipError> {
        let Some(natives) = self.native_wheels(requirements, cache)? else { return Ok(None) };
        let (links, folder) = (temporary_folder()?, temporary_folder()?);
        for wheel in &natives {
            let bytes = cache.get(&wheel.sha256).ok_or_else(|| anyhow!("{} disappeared from the cache", wheel.file))?;
            let name = format!("{}-{}-py3-none-any.whl", wheel.name.replace('-', "_"), wheel.version);
            fs::write(links.path().join(name), bytes).context("failed to write a package")?;
        }
        let links = ["--find-links".into(), links.path().as_os_str().to_owned()];
        match self.download(requirements, &Target::pure(), &links, folder.path()) {
            Ok(()) => {}
            Err(PipError::NoMatch(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        let original =
            |wheel: LockedWheel| natives.iter().find(|native| native.sha256 == wheel.sha256).cloned().unwrap_or(wheel);
        Ok(Some(store_downloads(folder.path(), cache)?.into_iter().map(original).collect()))
    }

    /// Downloads the wheels of packages that requirements lead to and that are published only with native code. `None` if there
    /// are none, or one of them is known not to work without it.
    fn native_wheels(
        &self,
        requirements: &Requirements,
        cache: &WheelCache,
    ) -> Result<Option<Vec<LockedWheel>>, PipError> {
        let published = match self.published(requirements) {
            Err(PipError::NoMatch(_)) => return Ok(None),
            published => published?,
        };
        let mut natives = Vec::new();
        for package in published.iter().filter(|package| package.is_native()) {
            // some packages are published in both forms, and pip chooses the native one for this machine
            if self.has_pure(&package.name)? {
                continue;
            }
            if instead(&package.name).is_some() {
                return Ok(None);
            }
            let Some(wheel) = self.download_native(package, cache)? else { return Ok(None) };
            natives.push(wheel);
        }
        Ok((!natives.is_empty()).then_some(natives))
    }

    /// Downloads a package with native code. Its Python files are the same for all machines, so it is always the one for Linux.
    fn download_native(&self, package: &PublishedPackage, cache: &WheelCache) -> Result<Option<LockedWheel>, PipError> {
        let pinned = vec![format!("{}=={}", package.name, package.version)];
        for python in NATIVE_PYTHONS {
            let folder = temporary_folder()?;
            match self.download(&pinned, &Target::linux(python), &["--no-deps".into()], folder.path()) {
                Ok(()) => return Ok(store_downloads(folder.path(), cache)?.pop()),
                Err(PipError::NoMatch(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Downloads locked wheels into the cache.
    pub(crate) fn fetch(&self, wheels: &[LockedWheel], cache: &WheelCache) -> Result<(), PipError> {
        // one at a time, because pip refuses several versions of one package
        for wheel in wheels {
            let folder = temporary_folder()?;
            let pinned = vec![format!("{}=={} --hash=sha256:{}", wheel.name, wheel.version, wheel.sha256)];
            let target = WheelName::parse(&wheel.file).map_or_else(Target::pure, |name| Target::of(&name));
            self.download(&pinned, &target, &["--no-deps".into()], folder.path())?;
            let downloads = store_downloads(folder.path(), cache)?;
            if !downloads.iter().any(|download| download.sha256 == wheel.sha256.to_lowercase()) {
                return Err(anyhow!("pip did not download {}, which bue.lock names", wheel.file).into());
            }
        }
        Ok(())
    }

    /// Returns what pip would install on this machine, including packages with native code. Downloads only metadata.
    pub(crate) fn published(&self, requirements: &Requirements) -> Result<Vec<PublishedPackage>, PipError> {
        let folder = temporary_folder()?;
        let report = folder.path().join("report.json");
        let mut command = self.command(&["install", "--dry-run", "--ignore-installed"]);
        command.arg("--report").arg(&report).arg("--requirement").arg(write_list(folder.path(), requirements)?);
        run(command, folder.path())?;
        let text = fs::read_to_string(report).context("failed to read pip's report")?;
        let report: Report = serde_json::from_str(&text).context("failed to parse pip's report")?;
        Ok(report.install.into_iter().map(PublishedPackage::from).collect())
    }

    /// Returns whether any version of a package is published as pure Python.
    pub(crate) fn has_pure(&self, name: &str) -> Result<bool, PipError> {
        let options = ["--no-deps".into()];
        match self.download(&vec![name.to_owned()], &Target::pure(), &options, temporary_folder()?.path()) {
            Ok(()) => Ok(true),
            Err(PipError::NoMatch(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn download(
        &self,
        requirements: &Requirements,
        target: &Target,
        options: &[OsString],
        folder: &Path,
    ) -> Result<(), PipError> {
        let mut command = self.command(&["download"]);
        command.args(target.options()).args(options);
        command.arg("--dest").arg(folder).arg("--requirement").arg(write_list(folder, requirements)?);
        run(command, folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = without_secrets(&self.program);
        command.args(&self.arguments).arg(marker_environment()).args(arguments);
        command.args(["--only-binary=:all:", "--no-input", "--quiet", "--disable-pip-version-check"]);
        command
    }
}

/// What wheels are for.
struct Target {
    /// `3.14`.
    python: String,
    implementation: &'static str,
    abis: Vec<String>,
    platforms: Vec<String>,
}

impl Target {
    /// Any machine.
    fn pure() -> Self {
        let one = |text: &str| vec![text.to_owned()];
        Self { python: PYTHON.to_owned(), implementation: "py", abis: one("none"), platforms: one("any") }
    }

    /// CPython of a version such as `3.14`, on Linux.
    fn linux(python: &str) -> Self {
        let abi = format!("cp{}", python.replace('.', ""));
        let abis = vec![abi, "abi3".to_owned(), "none".to_owned()];
        let platforms = LINUX.map(|platform| format!("{platform}_x86_64")).to_vec();
        Self { python: python.to_owned(), implementation: "cp", abis, platforms }
    }

    /// What a wheel is for, according to its file name.
    fn of(wheel: &WheelName) -> Self {
        if wheel.is_pure() {
            return Self::pure();
        }
        let [python, abi, platform] = &wheel.tags;
        let list = |tags: &str| tags.split('.').map(str::to_owned).collect::<Vec<_>>();
        let minor = python.split('.').find_map(|tag| tag.strip_prefix("cp3"));
        let python = minor.map_or_else(|| PYTHON.to_owned(), |minor| format!("3.{minor}"));
        Self { python, implementation: "cp", abis: list(abi), platforms: list(platform) }
    }

    fn options(&self) -> Vec<String> {
        let mut options =
            vec![format!("--python-version={}", self.python), format!("--implementation={}", self.implementation)];
        options.extend(self.abis.iter().map(|abi| format!("--abi={abi}")));
        options.extend(self.platforms.iter().map(|platform| format!("--platform={platform}")));
        options
    }
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let null = || Stdio::null();
    // Python would execute a `pip` of the working directory
    let Ok(folder) = temporary_folder() else { return false };
    let mut command = without_secrets(program);
    let status = command.args(arguments).current_dir(&folder).stdin(null()).stdout(null()).stderr(null()).status();
    status.is_ok_and(|status| status.success())
}

fn temporary_folder() -> Result<TempDir, anyhow::Error> {
    tempfile::tempdir().context("failed to create a temporary folder")
}

/// Writes a requirements file into a folder.
fn write_list(folder: &Path, requirements: &Requirements) -> Result<PathBuf, anyhow::Error> {
    let path = folder.join("requirements.txt");
    fs::write(&path, requirements.join("\n")).context("failed to write the requirements")?;
    Ok(path)
}

/// Runs pip in a folder of ours, so that nothing of the working directory is taken for a part of Python.
fn run(command: Command, folder: &Path) -> Result<(), PipError> {
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true).current_dir(folder);
    let output = block_on(interruptible(async {
        let output = timeout(PIP_TIMEOUT, command.output()).await.ok();
        Ok(output.transpose().context("failed to run pip")?)
    }));
    let Some(Output { status, stderr, .. }) = output.map_err(PipError::Failed)? else {
        let minutes = PIP_TIMEOUT.as_secs() / 60;
        return Err(PipError::NoMatch(format!("ERROR: pip found no solution within {minutes} minutes")));
    };
    if status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&stderr);
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(PipError::NoMatch(lines.join("\n").chars().take(MAX_ERROR_OUTPUT).collect()))
}

/// Puts downloaded wheels into the cache.
fn store_downloads(folder: &Path, cache: &WheelCache) -> Result<Vec<LockedWheel>, PipError> {
    let mut wheels = Vec::new();
    for entry in fs::read_dir(folder).context("failed to read pip's downloads")? {
        let path = entry.context("failed to read pip's downloads")?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(WheelName { name, version, .. }) = WheelName::parse(&file) {
            let bytes = read_wheel(&path).with_context(|| format!("failed to read {file}"))?;
            let sha256 = cache.put(&bytes).context("failed to store a package in the cache")?;
            wheels.push(LockedWheel { name, version, file, sha256 });
        }
    }
    Ok(wheels)
}

/// The part of pip's installation report that is used.
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

impl PublishedPackage {
    /// Returns whether its wheel is for one kind of machine.
    pub(crate) fn is_native(&self) -> bool {
        WheelName::parse(&self.file).is_some_and(|name| !name.is_pure())
    }
}

impl From<Installed> for PublishedPackage {
    fn from(installed: Installed) -> Self {
        let file = installed.download_info.url.rsplit('/').next().unwrap_or_default();
        let file = file.split(['#', '?']).next().unwrap_or_default().to_owned();
        Self { name: normalized_name(&installed.metadata.name), version: installed.metadata.version, file }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_wheel_is_downloaded_for_what_it_was_built_for() {
        for (file, expected) in [
            ("six-1.17.0-py2.py3-none-any.whl", "--python-version=3.14 --implementation=py --abi=none --platform=any"),
            (
                "x-1-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
                "--python-version=3.12 --implementation=cp --abi=cp312 --platform=manylinux2014_x86_64 \
                 --platform=manylinux_2_17_x86_64",
            ),
            (
                "x-1-py3-none-manylinux1_x86_64.whl",
                "--python-version=3.14 --implementation=cp --abi=none --platform=manylinux1_x86_64",
            ),
        ] {
            let name = WheelName::parse(file).expect("a wheel");
            assert_eq!(Target::of(&name).options().join(" "), expected);
        }
    }
}
