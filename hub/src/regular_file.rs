//! Reads files whose names others may have chosen.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// `O_NONBLOCK` of Linux: opening a FIFO without a writer would wait for one.
const NONBLOCK: i32 = 0o4000;

/// Reads a file of at most `max_bytes`. A device or FIFO, which could have no end, is refused.
///
/// # Errors
/// The file cannot be opened or read, is not a regular file, or is larger.
pub fn read_regular_file(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut content = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut content)?;
    match content.len() as u64 > max_bytes {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {max_bytes} bytes"))),
        false => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn only_files_with_an_end_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "12345").expect("a file");
        std::os::unix::fs::symlink("/dev/zero", path("zero")).expect("a link");
        let _socket = UnixListener::bind(path("socket")).expect("a socket");
        let fifo = std::process::Command::new("mkfifo").arg(path("fifo")).status().expect("mkfifo");
        assert!(fifo.success());
        assert_eq!(read_regular_file(&path("file"), 5).expect("a file"), b"12345");
        for (name, limit) in [("file", 4), ("zero", 5), ("fifo", 5), ("socket", 5), (".", 5), ("none", 5)] {
            assert!(read_regular_file(&path(name), limit).is_err(), "{name}");
        }
    }
}
