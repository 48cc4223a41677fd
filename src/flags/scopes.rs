//! `--scopes`: the scopes that workers serve.

use crate::config::setting::SCOPES;
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// Returns the scopes of the flag, or else of the setting; `None` if neither names any.
pub(crate) fn scopes(flag: Option<&str>, settings: &Settings) -> Result<Option<Vec<String>>, CommandError> {
    let Some(text) = flag.map(str::to_owned).or_else(|| settings.text(SCOPES)) else { return Ok(None) };
    let scopes: Vec<String> = text.split(',').map(|scope| scope.trim().to_owned()).collect();
    match scopes.iter().any(String::is_empty) {
        true => Err(CommandError::Usage(format!("`{text}` has an empty scope; type SCOPE or SCOPE,SCOPE"))),
        false => Ok(Some(scopes)),
    }
}
