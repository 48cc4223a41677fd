//! [`Peers`]: other systems on the same machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

/// The folder in which `bench/peers.sh` installs other systems.
#[derive(Debug)]
pub struct Peers {
    folder: PathBuf,
}

impl Peers {
    /// Returns the folder `peers` in the target directory.
    ///
    /// # Errors
    /// The running program has no folder.
    pub fn find() -> Result<Self> {
        let program = std::env::current_exe()?;
        let target = program.ancestors().nth(2).context("a program without a folder")?;
        Ok(Self { folder: target.join("peers") })
    }

    /// Checks that a system is installed.
    ///
    /// # Errors
    /// It is not; the error has the command that installs it.
    pub fn check_installed(&self, name: &str) -> Result<()> {
        let folder = self.folder.join(name);
        ensure!(folder.is_dir(), "{name} is not in {}; type: bench/peers.sh {0}", self.folder.display());
        Ok(())
    }

    /// Runs a script of `bench/peers` with graphile-worker on a database, `host=… user=… dbname=…`. Returns what it prints.
    ///
    /// # Errors
    /// The script failed.
    pub fn run_graphile<T: DeserializeOwned>(&self, name: &str, database: &str, arguments: &[String]) -> Result<T> {
        let mut command = Command::new("node");
        command.current_dir(self.folder.join("graphile")).arg(script(name)).arg(url(database)?);
        run(command.args(arguments))
    }

    /// Runs a script of `bench/peers` with Buelon. Returns what it prints.
    ///
    /// # Errors
    /// The script failed.
    pub fn run_buelon<T: DeserializeOwned>(&self, name: &str, arguments: &[String]) -> Result<T> {
        let mut command = Command::new(self.folder.join("buelon/bin/python"));
        run(command.arg(script(name)).args(arguments))
    }
}

fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "peers", name].iter().collect()
}

/// Parses the last line that a script prints.
fn run<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout)?;
    Ok(serde_json::from_str(stdout.lines().last().context("it printed nothing")?)?)
}

/// Converts `host=/a/b user=u dbname=d` into a URL.
fn url(address: &str) -> Result<String> {
    let part = |name: &str| {
        let value = address.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        value.with_context(|| format!("no {name} in {address}"))
    };
    Ok(format!("postgres://{}@{}/{}", part("user")?, part("host")?.replace('/', "%2F"), part("dbname")?))
}
