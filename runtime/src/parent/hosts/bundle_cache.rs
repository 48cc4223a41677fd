//! Which code a child holds: bundles and compiled steps. The parent decides: it sends them, and has the least recently used
//! ones dropped.

use std::collections::HashMap;
use std::io;

use bue_model::{BlobHash, Bundle};

use crate::protocol::{self, Frame, Frames, ToHost};
use crate::step::task::Code;

/// Bundles that a child holds at most.
const MAX_BUNDLES: usize = 256;
/// Bytes of the bundles that a child holds at most, and of a single one.
pub const MAX_BUNDLE_BYTES: usize = 128 << 20;

/// The child has closed its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disconnected;

/// The bundles that a child was sent.
#[derive(Debug, Default)]
pub(crate) struct BundleCache {
    bundles: HashMap<BlobHash, CachedBundle>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct CachedBundle {
    bytes: usize,
    /// The value of [`BundleCache::uses`] at the last use.
    last_use: u64,
}

impl BundleCache {
    /// Sends the bundle or the compiled step that a task runs, unless the child holds it already.
    pub(crate) fn ensure(&mut self, code: &Code, frames: &Frames) -> Result<(), Disconnected> {
        let key = code.key();
        self.uses += 1;
        if let Some(cached) = self.bundles.get_mut(&key) {
            cached.last_use = self.uses;
            return Ok(());
        }
        // `request.rs` lets no bundle through that a frame cannot hold
        let frame = load(code).map_err(|_| Disconnected)?;
        let bytes = frame.bytes.len();
        self.make_room(bytes, frames)?;
        frames.send(frame).map_err(|_| Disconnected)?;
        self.bundles.insert(key, CachedBundle { bytes, last_use: self.uses });
        self.bytes += bytes;
        Ok(())
    }

    fn make_room(&mut self, bytes: usize, frames: &Frames) -> Result<(), Disconnected> {
        while self.bundles.len() >= MAX_BUNDLES || (self.bytes + bytes > MAX_BUNDLE_BYTES && !self.bundles.is_empty()) {
            let Some(key) = self.least_recently_used() else { return Ok(()) };
            let frame = protocol::frame(&ToHost::Forget { key }).map_err(|_| Disconnected)?;
            frames.send(frame).map_err(|_| Disconnected)?;
            self.bytes -= self.bundles.remove(&key).map_or(0, |cached| cached.bytes);
        }
        Ok(())
    }

    fn least_recently_used(&self) -> Option<BlobHash> {
        self.bundles.iter().min_by_key(|(_, cached)| cached.last_use).map(|(key, _)| *key)
    }
}

/// The message that gives a child the code of a task.
fn load(code: &Code) -> io::Result<Frame> {
    match code {
        Code::Python { bundle, key, .. } | Code::Sqlite { bundle, key, .. } => {
            protocol::frame(&ToHost::Load { key: *key, bundle: Bundle::clone(bundle) })
        }
        Code::Wasm { step, .. } => {
            let frame = protocol::frame(&ToHost::LoadCode { key: step.key, kind: step.kind })?;
            Ok(frame.with_file(&step.code))
        }
    }
}
