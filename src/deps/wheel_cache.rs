//! Wheels by their SHA-256, in the user's cache. The hash is checked whenever a wheel is read, because anyone may have changed
//! the cache.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Largest wheel, in bytes. The largest pure ones have about 20 MiB.
const MAX_WHEEL: u64 = 128 * 1024 * 1024;
/// Largest size of the cache, in bytes. The wheels stored longest ago are removed first.
const MAX_CACHE: u64 = 4 * 1024 * 1024 * 1024;

/// A folder of wheels.
#[derive(Clone, Debug)]
pub(crate) struct WheelCache {
    folder: PathBuf,
}

impl WheelCache {
    /// The wheels inside the user's cache directory.
    pub(crate) fn new(cache: &Path) -> Self {
        Self { folder: cache.join("wheels") }
    }

    /// Returns a wheel, if the cache has it and its content matches the hash.
    pub(crate) fn get(&self, sha256: &str) -> Option<Bytes> {
        let bytes = read_wheel(&self.folder.join(sha256)).ok()?;
        (hash(&bytes) == sha256.to_lowercase()).then_some(bytes)
    }

    /// Stores a wheel and returns its hash.
    pub(crate) fn put(&self, bytes: &[u8]) -> io::Result<String> {
        let name = hash(bytes);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(self.folder.join(&name)).map_err(|error| error.error)?;
        self.evict(&name);
        Ok(name)
    }

    /// Removes the wheels stored longest ago until the cache is small enough. A file that cannot be removed is skipped: it only
    /// costs space.
    fn evict(&self, keep: &str) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut wheels: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                entry.metadata().ok().and_then(|meta| Some((meta.modified().ok()?, meta.len(), entry.path())))
            })
            .collect();
        wheels.sort();
        let mut bytes: u64 = wheels.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in wheels {
            if bytes <= MAX_CACHE {
                return;
            }
            if !path.ends_with(keep) && fs::remove_file(&path).is_ok() {
                bytes -= len;
            }
        }
    }
}

/// Reads a wheel that is not too large.
pub(crate) fn read_wheel(path: &Path) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_WHEEL + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_WHEEL {
        true => Err(io::Error::other(format!("it is larger than {} MiB", MAX_WHEEL / 1024 / 1024))),
        false => Ok(bytes.into()),
    }
}

/// Returns the SHA-256 in hexadecimal digits.
fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_that_was_changed_in_the_cache_is_not_returned() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = WheelCache::new(folder.path());
        let name = cache.put(b"abc").expect("stored");
        assert_eq!(name, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(cache.get(&name).as_deref(), Some(b"abc".as_slice()));
        fs::write(folder.path().join("wheels").join(&name), "abd").expect("changed");
        assert_eq!(cache.get(&name), None);
        assert_eq!(cache.get("no such"), None);
    }
}
