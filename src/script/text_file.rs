//! Text files of a bounded length.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use bue_lang::MAX_SCRIPT;

/// Returns the text of a file, up to the length that the language allows.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    read_limited(fs::File::open(path)?)
}

/// Returns the text that a reader has, up to that length.
pub(super) fn read_limited(reader: impl Read) -> io::Result<String> {
    let limit = MAX_SCRIPT as u64 + 1;
    let mut bytes = Vec::new();
    reader.take(limit).read_to_end(&mut bytes)?;
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {MAX_SCRIPT} bytes"));
    if bytes.len() > MAX_SCRIPT { Err(too_long()) } else { String::from_utf8(bytes).map_err(not_text) }
}
