//! Sealed memory: an anonymous file that nobody can change, not even root. Code and images reach sandbox hosts in it, so
//! that what was checked is what is run.

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Bytes that are copied at a time: they stay in the processor's cache between reading, hashing and writing.
const CHUNK_BYTES: usize = 256 << 10;

/// Returns sealed memory with these bytes.
pub(crate) fn from_bytes(bytes: &[u8]) -> io::Result<File> {
    let mut memory = create()?;
    memory.write_all(bytes)?;
    seal(memory)
}

/// Returns sealed memory with the rest of a file. Each part of its content is also passed to `inspect`.
pub(crate) fn copy(file: &mut File, mut inspect: impl FnMut(&[u8])) -> io::Result<File> {
    let mut memory = create()?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = match file.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let part = chunk.get(..read).unwrap_or_default();
        if part.is_empty() {
            return seal(memory);
        }
        inspect(part);
        memory.write_all(part)?;
    }
}

fn create() -> io::Result<File> {
    Ok(File::from(memfd_create("bue-sealed", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?))
}

fn seal(memory: File) -> io::Result<File> {
    fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn sealed_memory_has_the_content_and_cannot_be_changed() {
        let content: Vec<u8> = (0..CHUNK_BYTES + 1000).map(|index| u8::try_from(index % 251).unwrap_or(0)).collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all_at(&content, 0).expect("written");
        let mut inspected = Vec::new();
        let copied = copy(&mut file, |part| inspected.extend_from_slice(part)).expect("copied");
        assert_eq!(inspected, content);
        for memory in [copied, from_bytes(&content).expect("sealed")] {
            let mut back = vec![0; content.len()];
            memory.read_exact_at(&mut back, 0).expect("read");
            assert_eq!(back, content);
            assert!(memory.write_at(b"x", 0).is_err());
            assert!(memory.set_len(0).is_err() && memory.set_len(1 << 20).is_err());
            assert!(fcntl_add_seals(&memory, SealFlags::empty()).is_err(), "the seals are final");
        }
    }
}
