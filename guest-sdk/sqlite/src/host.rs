//! The sandbox host as the outside of the database.

use bue_guest_contract::host::{notify, read};
use bue_model::guest::HostRequest;
use bue_sql::result::RowBatch;
use bue_sql::sqlite::Host;
use bytes::Bytes;

/// Bytes of a list that are handed over at once, because they are copied.
const PART_BYTES: usize = 1 << 20;

/// The sandbox host.
pub(crate) struct SandboxHost;

impl Host for SandboxHost {
    fn read_input(&mut self, input: u32, offset: u64, buffer: &mut [u8]) -> usize {
        let max = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        read(&HostRequest::Input { index: input, offset, max }, buffer).min(buffer.len())
    }

    fn emit(&mut self, batch: RowBatch) {
        let len = batch.rows.len();
        notify(&HostRequest::Emit { count: batch.count, items: batch.rows, early: false }, len);
    }

    fn append_rows(&mut self, rows: &[u8]) {
        for part in rows.chunks(PART_BYTES) {
            notify(&HostRequest::Rows(Bytes::copy_from_slice(part)), part.len());
        }
    }
}
