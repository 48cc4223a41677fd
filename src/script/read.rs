//! Reads scripts and source files, up to the length that the language allows.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use bue_lang::{FileContents, MAX_SCRIPT};

use crate::script::not_a_script::explain;

/// Returns the text of a script, or a message that names the file.
pub(crate) fn read_script(path: &Path) -> Result<String, String> {
    if let Some(message) = explain(path) {
        return Err(message);
    }
    read_text(path).map_err(|error| format!("failed to read {}: {error}", path.display()))
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

fn read_text(path: &Path) -> io::Result<String> {
    let limit = MAX_SCRIPT as u64 + 1;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {MAX_SCRIPT} bytes"));
    if bytes.len() > MAX_SCRIPT { Err(too_long()) } else { String::from_utf8(bytes).map_err(not_text) }
}
