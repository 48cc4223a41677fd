//! Where the rows of a step come from and go to.

use crate::result::RowBatch;

/// The outside of the database: the inputs of the step that runs, and the receiver of its rows.
pub trait Host {
    /// Writes the bytes of an input, counted from 0, from `offset` on into the buffer and returns how many there are. These are
    /// fewer than there is room for only at the end of the input.
    fn read_input(&mut self, input: u32, offset: u64, buffer: &mut [u8]) -> usize;

    /// Takes rows for a loop, and returns when more may follow.
    fn emit(&mut self, batch: RowBatch);

    /// Takes the next bytes of the rows of a result that is one list: maps, one after the other.
    fn append_rows(&mut self, rows: &[u8]);
}
