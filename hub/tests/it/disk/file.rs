//! A file on a disk: what programs read, what was synced, and what a power cut leaves of the rest.

use fastrand::Rng;

/// Bytes that reach a disk together or not at all, but for those being written at the very moment of the cut.
const SECTOR: usize = 512;

/// A change of a file that is not synced.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// What programs read.
    pub(super) live: Vec<u8>,
    /// What was synced.
    pub(super) durable: Vec<u8>,
    /// What was not, in its order.
    pub(super) pending: Vec<Change>,
    /// A new journal or log: its first sync takes the folder along.
    pub(super) syncs_folder: bool,
}

impl File {
    /// A change that programs see at once.
    pub(super) fn take(&mut self, change: Change) {
        apply(&mut self.live, &change);
        self.pending.push(change);
    }

    /// Everything so far is on the disk; whether the folder goes along.
    pub(super) fn sync(&mut self) -> bool {
        for change in self.pending.drain(..) {
            apply(&mut self.durable, &change);
        }
        std::mem::take(&mut self.syncs_folder)
    }

    /// Keeps what chance keeps.
    pub(super) fn cut(&mut self, chance: &mut Rng) {
        // all, nothing, or any part: each is what some disk does
        let share = [0.0, 0.1, 0.5, 0.9, 1.0][chance.usize(..5)];
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Resize(size) => {
                    if chance.f64() < share {
                        self.durable.resize(size, 0);
                    }
                }
                Change::Write { at, bytes } => {
                    // the larger size may be there and the bytes not
                    if chance.f64() < share && at + bytes.len() > self.durable.len() {
                        self.durable.resize(at + bytes.len(), 0);
                    }
                    for (at, sector) in sectors(at, &bytes) {
                        if chance.f64() < share {
                            put(&mut self.durable, at, &torn(sector, chance));
                        }
                    }
                }
            }
        }
        self.live = self.durable.clone();
    }
}

/// The parts of a write that lie in different sectors.
fn sectors(at: usize, bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut at, mut rest, mut parts) = (at, bytes, Vec::new());
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
        parts.push((at, part));
        (at, rest) = (at + part.len(), behind);
    }
    parts
}

/// Mostly the whole; now and then its beginning, or its beginning and garbage.
fn torn(sector: &[u8], chance: &mut Rng) -> Vec<u8> {
    let mut kept = sector.to_vec();
    let end = chance.usize(..=kept.len());
    match chance.u8(..32) {
        0 => kept.truncate(end),
        1 => kept[end..].iter_mut().for_each(|byte| *byte = chance.u8(..)),
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
