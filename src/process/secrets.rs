//! pip and uv get no secrets of bue. Compilers get even less: `compiled/tool.rs`.

use std::ffi::OsStr;
use std::process::Command;

/// Prefixes of variables with secrets, and with the names of servers.
const PRIVATE_PREFIXES: [&str; 5] = ["BUE_", "POSTGRES", "PG", "AWS_", "OTEL_"];

/// Returns the command of a program, without variables that may be secret.
pub(crate) fn without_secrets(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let is_private = |name: &str| PRIVATE_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if name.to_str().is_some_and(is_private) {
            command.env_remove(name);
        }
    }
    command
}
