//! Reads scripts and source files, up to the length that the language allows.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use bue_lang::FileContents;

use crate::script::not_a_script::explain;
use crate::script::text_file::{read_limited, read_text};

/// Returns the text of a script, or a message that names the file.
pub(crate) fn read_script(path: &Path) -> Result<String, String> {
    if let Some(message) = explain(path) {
        return Err(message);
    }
    read_text(path).map_err(|error| format!("failed to read {}: {error}", path.display()))
}

/// Returns the text of a script on stdin, or a message.
pub(crate) fn read_script_on_stdin() -> Result<String, String> {
    read_limited(io::stdin().lock()).map_err(|error| format!("failed to read the script on stdin: {error}"))
}

/// Returns the text of a file that a step names.
pub(crate) fn read_source(path: &Path) -> FileContents<'static> {
    match read_text(path) {
        Ok(text) => FileContents::Text(Cow::Owned(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileContents::Missing,
        Err(error) => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge | io::ErrorKind::IsADirectory => {
                FileContents::Opaque
            }
            _ => FileContents::Unreadable(error.to_string()),
        },
    }
}
