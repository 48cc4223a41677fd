//! The token that clients and workers send: in the setting itself, or in a file that it names.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::config::setting::{TOKEN, TOKEN_FILE};
use crate::config::settings::{Origin, Settings};
use crate::process::command_error::CommandError;

/// Longest file that may contain a token, in bytes.
const MAX_TOKEN_FILE: u64 = 4096;

/// The server that a token is sent to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenRecipient<'a> {
    pub(crate) address: &'a str,
    /// Where the address is set. `None`: it was typed, or is the default, or a server that got the token has told it.
    pub(crate) origin: Option<Origin>,
    /// The flag that sets the address.
    pub(crate) flag: &'static str,
}

/// Returns the token of the settings for a server, if one is set.
///
/// # Errors
/// The address comes from the working directory and the token does not, or the other way round: the author of a folder could
/// otherwise have the user's token sent to himself.
pub(crate) fn token_from_settings(
    settings: &Settings,
    recipient: TokenRecipient<'_>,
) -> Result<Option<String>, CommandError> {
    if let Some(token) = find_token(settings, recipient.origin)? {
        return Ok(Some(token));
    }
    let is_set_elsewhere = [TOKEN, TOKEN_FILE].iter().any(|setting| settings.text(*setting).is_some());
    if is_set_elsewhere { Err(other_origin(recipient)) } else { Ok(None) }
}

fn find_token(settings: &Settings, origin: Option<Origin>) -> Result<Option<String>, CommandError> {
    if let Some(token) = settings.text_from(TOKEN, origin) {
        return Ok(Some(token.trim().to_owned()));
    }
    settings.text_from(TOKEN_FILE, origin).map(|file| read_token(Path::new(&file))).transpose()
}

fn other_origin(recipient: TokenRecipient<'_>) -> CommandError {
    let TokenRecipient { address, flag, .. } = recipient;
    let (here, there) = ("`.env` or `bue.toml` of the working directory", "the environment or your own bue.toml");
    let (address_at, token_at) = match recipient.origin {
        Some(Origin::WorkingDirectory) => (here, there),
        Some(Origin::User) | None => (there, here),
    };
    CommandError::Usage(format!(
        "refused to send the token to {address}: the address is set in {address_at}, the token in {token_at}. Set both in the \
         same place, or type the address: `{flag} {address}`"
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Without settings, no token is sent, whatever the origin of the address.
    #[test]
    fn no_token_is_no_error() {
        for origin in [None, Some(Origin::User), Some(Origin::WorkingDirectory)] {
            let recipient = TokenRecipient { address: "a:1", origin, flag: "-b" };
            assert!(matches!(token_from_settings(&Settings::default(), recipient), Ok(None)));
        }
    }
}
