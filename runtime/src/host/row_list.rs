//! The rows of a SQL step, which the guest hands over in parts.

use bytes::Bytes;

use crate::host::abort::GuestAbort;

/// Bytes of the longest head of a list. They are left free before the rows, so that the head can be put there.
const HEAD_BYTES: usize = 9;

/// Encoded rows whose number is not known yet.
#[derive(Debug)]
pub(crate) struct RowList {
    bytes: Vec<u8>,
    max_bytes: u64,
}

impl RowList {
    /// No rows, and at most `max_bytes` later.
    pub(crate) const fn new(max_bytes: u64) -> Self {
        Self { bytes: Vec::new(), max_bytes }
    }

    /// Adds the next bytes.
    pub(crate) fn append(&mut self, rows: &[u8]) -> Result<(), GuestAbort> {
        if self.bytes.is_empty() {
            self.bytes.resize(HEAD_BYTES, 0);
        }
        if (self.bytes.len() + rows.len()).saturating_sub(HEAD_BYTES) as u64 > self.max_bytes {
            return Err(GuestAbort::Contract("it returns more rows than its result limit".to_owned()));
        }
        self.bytes.extend_from_slice(rows);
        Ok(())
    }

    /// Returns the list: its head and the rows. `None` if the head is longer than that of any list.
    pub(crate) fn into_list(mut self, head: Bytes) -> Option<Bytes> {
        if self.bytes.is_empty() {
            return Some(head);
        }
        let start = HEAD_BYTES.checked_sub(head.len())?;
        self.bytes.get_mut(start..HEAD_BYTES)?.copy_from_slice(&head);
        Some(Bytes::from(self.bytes).slice(start..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bue_model::cbor;

    #[test]
    fn a_list_is_its_head_and_all_parts() {
        for count in [1, 23, 24, 300] {
            let mut rows = RowList::new(1000);
            for _ in 0..count {
                rows.append(&[0xa0]).expect("within the limit");
            }
            let list = rows.into_list(cbor::array_head(count).into()).expect("a list");
            assert_eq!(cbor::array_items(&list).expect("CBOR").map(Iterator::count), usize::try_from(count).ok());
        }
        let none = RowList::new(0).into_list(cbor::array_head(0).into()).expect("a list");
        assert_eq!(none.as_ref(), [0x80]);
    }

    #[test]
    fn rows_over_the_limit_and_heads_that_are_none_are_refused() {
        let mut rows = RowList::new(2);
        rows.append(&[1, 2]).expect("within the limit");
        assert!(rows.append(&[3]).is_err());
        assert!(rows.into_list(Bytes::from_static(&[0; HEAD_BYTES + 1])).is_none());
    }
}
