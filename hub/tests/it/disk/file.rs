//! [`File`]: its content as programs read it, what was synced, and what a power cut leaves of the remainder.

use fastrand::Rng;

/// Bytes that reach a disk together or not at all, except for those being written at the moment of the cut.
const SECTOR: usize = 512;

/// A change that is not synced.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// The content that programs read.
    pub(super) live: Vec<u8>,
    /// The content that was synced.
    pub(super) durable: Vec<u8>,
    /// Changes that were not, in order.
    pub(super) pending: Vec<Change>,
    /// A new journal or log: its first sync also syncs the folder.
    pub(super) syncs_folder: bool,
}

impl File {
    /// Applies a change, which programs see at once.
    pub(super) fn take(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.pending.push(change);
    }

    /// Makes everything so far durable. Returns whether the folder is synced too.
    pub(super) fn sync(&mut self) -> bool {
        for change in self.pending.drain(..) {
            apply(&mut self.durable, &change);
        }
        std::mem::take(&mut self.syncs_folder)
    }

    /// Keeps a random part of what was not synced.
    pub(super) fn cut(&mut self, rng: &mut Rng) {
        // all, nothing, or any part: some disk does each of these
        let share = [0.0, 0.1, 0.5, 0.9, 1.0][rng.usize(..5)];
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Resize(size) => {
                    if rng.f64() < share {
                        self.durable.resize(size, 0);
                    }
                }
                Change::Write { at, bytes } => {
                    // the larger size may be durable and the bytes not
                    if rng.f64() < share && at + bytes.len() > self.durable.len() {
                        self.durable.resize(at + bytes.len(), 0);
                    }
                    for (at, sector) in sectors(at, &bytes) {
                        if rng.f64() < share {
                            put(&mut self.durable, at, &torn(sector, rng));
                        }
                    }
                }
            }
        }
        self.live = self.durable.clone();
    }
}

/// Splits a write into its sectors.
fn sectors(at: usize, bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut at, mut rest, mut parts) = (at, bytes, Vec::new());
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
        parts.push((at, part));
        (at, rest) = (at + part.len(), behind);
    }
    parts
}

/// Mostly all of it; sometimes its beginning, or its beginning and garbage.
fn torn(sector: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut kept = sector.to_vec();
    let end = rng.usize(..=kept.len());
    match rng.u8(..32) {
        0 => kept.truncate(end),
        1 => kept[end..].iter_mut().for_each(|byte| *byte = rng.u8(..)),
        _ => {}
    }
    kept
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { at, bytes } => put(content, *at, bytes),
        Change::Resize(size) => content.resize(*size, 0),
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if at + bytes.len() > content.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}
