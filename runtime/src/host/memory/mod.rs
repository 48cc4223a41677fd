//! Memory of guests: address space, images and the slots that begin from them, stacks.
//!
//! Depends on nothing of ours. Most of this crate's `unsafe` is here: each block carries its proof.

pub(crate) mod free_slots;
pub(crate) mod image;
pub(crate) mod mapping;
pub(crate) mod pagemap;
pub(crate) mod pool;
pub(crate) mod stacks;
