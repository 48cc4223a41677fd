//! The allocator of the Python guest, on the processor that runs the tests: blocks never overlap.

use core::alloc::{GlobalAlloc, Layout};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[path = "../../../guest-sdk/python/src/heap.rs"]
mod heap;

use heap::{Heap, MAX_BLOCK_SIZE};

/// Something a program does with memory.
#[derive(Clone, Debug)]
enum Use {
    Allocate { size: usize, align: usize, zeroed: bool },
    Resize { which: usize, size: usize },
    Free(usize),
}

fn uses() -> impl Strategy<Value = Vec<Use>> {
    // around the borders between sizes of blocks, and between ours and the C library's
    let size = || prop_oneof![8 => 1..200_usize, 2 => MAX_BLOCK_SIZE - 20..MAX_BLOCK_SIZE + 20, 1 => 1..100_000_usize];
    let allocate = (size(), 0..7_u32, any::<bool>()).prop_map(|(size, align, zeroed)| Use::Allocate {
        size,
        align: 1 << align,
        zeroed,
    });
    let one = prop_oneof![
        4 => allocate,
        2 => (any::<usize>(), size()).prop_map(|(which, size)| Use::Resize { which, size }),
        3 => any::<usize>().prop_map(Use::Free),
    ];
    proptest::collection::vec(one, 0..2_000)
}

/// A block in use, filled with a unique number.
struct Block {
    at: *mut u8,
    layout: Layout,
    mark: u8,
}

impl Block {
    fn check(&self, len: usize) {
        assert!(self.at.addr().is_multiple_of(self.layout.align()), "{:?} at {:p}", self.layout, self.at);
        // SAFETY: the block is in use and was filled up to its length, of which `len` is no more.
        let bytes = unsafe { core::slice::from_raw_parts(self.at, len) };
        assert!(bytes.iter().all(|byte| *byte == self.mark), "another block overlaps a block of {:?}", self.layout);
    }

    fn fill(&self) {
        // SAFETY: the block is in use and as long as its layout.
        unsafe { self.at.write_bytes(self.mark, self.layout.size()) };
    }
}

struct Program {
    heap: Heap,
    blocks: Vec<Block>,
    made: u8,
}

impl Program {
    fn go(&mut self, one: &Use) {
        match *one {
            Use::Allocate { size, align, zeroed } => self.allocate(size, align, zeroed),
            Use::Resize { which, size } if !self.blocks.is_empty() => self.resize(which % self.blocks.len(), size),
            Use::Free(which) if !self.blocks.is_empty() => self.free(which % self.blocks.len()),
            _ => {}
        }
    }

    fn allocate(&mut self, size: usize, align: usize, zeroed: bool) {
        let layout = Layout::from_size_align(size, align).expect("a layout");
        // SAFETY: no size is 0.
        let at = unsafe { if zeroed { self.heap.alloc_zeroed(layout) } else { self.heap.alloc(layout) } };
        assert!(!at.is_null());
        if zeroed {
            Block { at, layout, mark: 0 }.check(size);
        }
        self.made = self.made.wrapping_add(1);
        let block = Block { at, layout, mark: self.made };
        block.fill();
        self.blocks.push(block);
    }

    fn resize(&mut self, which: usize, size: usize) {
        let Some(block) = self.blocks.get_mut(which) else { return };
        // SAFETY: the block is in use and of this layout; no size is 0.
        let at = unsafe { self.heap.realloc(block.at, block.layout, size) };
        assert!(!at.is_null());
        let kept = block.layout.size().min(size);
        block.at = at;
        block.layout = Layout::from_size_align(size, block.layout.align()).expect("a layout");
        block.check(kept);
        block.fill();
    }

    fn free(&mut self, which: usize) {
        let block = self.blocks.swap_remove(which);
        block.check(block.layout.size());
        // SAFETY: the block is in use, of this layout, and not used any more.
        unsafe { self.heap.dealloc(block.at, block.layout) };
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_block_is_nobody_elses(uses in uses()) {
        let mut program = Program { heap: Heap::new(), blocks: Vec::new(), made: 0 };
        for (number, one) in uses.iter().enumerate() {
            program.go(one);
            // as between an image's making and the calls in it
            if number == uses.len() / 2 {
                program.heap.abandon_free_blocks();
            }
        }
        while !program.blocks.is_empty() {
            program.free(0);
        }
    }
}

#[test]
fn a_freed_block_is_the_next_one_of_its_size() {
    let heap = Heap::new();
    let (small, other) = (Layout::new::<[u64; 6]>(), Layout::new::<[u64; 8]>());
    // SAFETY: no size is 0, and each block is freed once, with its layout.
    unsafe {
        let (one, two) = (heap.alloc(small), heap.alloc(small));
        assert_eq!(two.addr() - one.addr(), 48, "blocks have no heads");
        heap.dealloc(one, small);
        assert_ne!(heap.alloc(other), one);
        assert_eq!(heap.alloc(small), one);
        heap.dealloc(two, small);
        heap.abandon_free_blocks();
        assert_ne!(heap.alloc(small), two);
    }
}
