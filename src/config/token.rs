//! The token that clients and workers send: in the setting itself, or in a file that it names.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::config::setting::{TOKEN, TOKEN_FILE};
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// Longest file that may contain a token, in bytes.
const MAX_TOKEN_FILE: u64 = 4096;

/// Returns the token of the settings, if one is set.
pub(crate) fn token_from_settings(settings: &Settings) -> Result<Option<String>, CommandError> {
    if let Some(token) = settings.text(TOKEN) {
        return Ok(Some(token.trim().to_owned()));
    }
    settings.text(TOKEN_FILE).map(|file| read_token(Path::new(&file))).transpose()
}

/// Reads a file that contains a token and nothing else.
pub(crate) fn read_token(path: &Path) -> Result<String, CommandError> {
    let refuse = |problem: &str| {
        CommandError::Usage(format!("{} {problem}; it must contain one token and nothing else", path.display()))
    };
    let failed = || format!("failed to read the token in {}", path.display());
    if fs::metadata(path).with_context(failed)?.len() > MAX_TOKEN_FILE {
        return Err(refuse("is too long for a token"));
    }
    let text = fs::read_to_string(path).with_context(failed)?;
    match text.trim() {
        "" => Err(refuse("is empty")),
        token if token.contains(char::is_whitespace) => Err(refuse("contains more than a token")),
        token => Ok(token.to_owned()),
    }
}
