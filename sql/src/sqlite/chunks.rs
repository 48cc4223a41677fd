//! The rows of an input, read in chunks: an input is never in memory as a whole.

use bue_model::cbor::{Item, Kind, Reader, Remaining};

use super::host::Host;
use crate::rows::{Columns, Naming, read_cells, read_row, shape};
use crate::rows_error::RowsError;
use crate::table::Shape;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// Bytes that are read at once for a value that is longer than a chunk, at most.
const MAX_CHUNK_BYTES: usize = 16 << 20;

/// An input of a step.
#[derive(Clone, Copy)]
pub(super) struct Input {
    /// Its number, from 0.
    pub(super) index: u32,
    /// Its length in bytes.
    pub(super) len: u64,
}

/// The rows of an input: a list of maps, or a single map.
pub(super) struct ChunkedRows<'h> {
    window: Window<'h>,
    /// The position of the first row.
    first: u64,
    left: Remaining,
    is_one_map: bool,
}

/// The part of an input that is in memory.
struct Window<'h> {
    host: &'h mut dyn Host,
    input: Input,
    bytes: Vec<u8>,
    /// The position of its first byte.
    offset: u64,
    /// The number of its bytes that were used.
    used: usize,
    /// Bytes that are read at once, if no value is longer.
    chunk: usize,
}

impl Window<'_> {
    fn unused(&self) -> &[u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }

    /// Whether the input ends with it.
    const fn is_last(&self) -> bool {
        self.offset + self.bytes.len() as u64 >= self.input.len
    }

    /// Continues at a position, with the bytes that are in memory if it is among them.
    fn seek(&mut self, position: u64) {
        let inside = position.checked_sub(self.offset).and_then(|used| usize::try_from(used).ok());
        match inside.filter(|used| *used <= self.bytes.len()) {
            Some(used) => self.used = used,
            None => {
                self.bytes.clear();
                (self.offset, self.used) = (position, 0);
            }
        }
    }

    /// Drops what was used, and reads more behind the rest.
    fn advance(&mut self) {
        self.bytes.drain(..self.used);
        self.offset += self.used as u64;
        self.used = 0;
        let kept = self.bytes.len();
        let position = self.offset + kept as u64;
        // a value that is longer than the window is read again from its beginning, so the window grows by large steps
        let more = kept.clamp(self.chunk, MAX_CHUNK_BYTES);
        let more = usize::try_from(self.input.len.saturating_sub(position)).map_or(more, |left| more.min(left));
        self.bytes.reserve_exact(more);
        self.bytes.resize(kept + more, 0);
        let read = self.host.read_input(self.input.index, position, self.bytes.get_mut(kept..).unwrap_or_default());
        if read < more {
            // the input is shorter than it was said to be
            self.input.len = position + read as u64;
        }
        self.bytes.truncate(kept + read);
    }

    /// Reads something that begins here, with as many bytes as it needs.
    fn read<T>(&mut self, read: impl Fn(&mut Reader<'_>) -> Result<T, RowsError>) -> Result<T, RowsError> {
        loop {
            match read(&mut Reader::new(self.unused())) {
                Err(error) if !self.is_last() && error.is_end_of_input() => self.advance(),
                read => return read,
            }
        }
    }
}

/// What the first bytes of an input say.
struct Head {
    /// The position of the first row.
    first: u64,
    left: Remaining,
    is_one_map: bool,
}

impl Head {
    fn read(reader: &mut Reader<'_>) -> Result<Self, RowsError> {
        match reader.enter()? {
            Kind::List(left) => Ok(Self { first: reader.position() as u64, left, is_one_map: false }),
            Kind::Map(_) => Ok(Self { first: 0, left: Remaining::exactly(1), is_one_map: true }),
            Kind::Other => Err(RowsError::NotRows(reader.item()?.kind().to_owned())),
        }
    }
}

impl<'h> ChunkedRows<'h> {
    pub(super) fn new(host: &'h mut dyn Host, input: Input) -> Result<Self, RowsError> {
        Self::with_chunk(host, input, CHUNK_BYTES)
    }

    fn with_chunk(host: &'h mut dyn Host, input: Input, chunk: usize) -> Result<Self, RowsError> {
        let mut window = Window { host, input, bytes: Vec::new(), offset: 0, used: 0, chunk };
        let Head { first, left, is_one_map } = window.read(Head::read)?;
        Ok(Self { window, first, left, is_one_map })
    }

    /// Returns the columns of the first row.
    pub(super) fn first_columns(&mut self, naming: Naming) -> Result<Columns, RowsError> {
        let left = self.left;
        self.window.seek(self.first);
        self.window.read(|reader| {
            let (mut columns, mut left) = (Columns::new(naming), left);
            if reader.has_more(&mut left)? {
                read_row(reader, 0, &mut columns, |_, reader| Ok(reader.raw().map(drop)?))?;
            }
            Ok(columns)
        })
    }

    /// Calls `take` with the cells of each row, one per column found so far. Returns the number of rows.
    pub(super) fn each<E: From<RowsError>>(
        &mut self,
        columns: &mut Columns,
        mut take: impl FnMut(&[Item<'_>]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut progress = Progress { left: self.left, count: 0 };
        self.window.seek(self.first);
        loop {
            match progress.read_rows(&self.window, columns, &mut take)? {
                Step::End => return Ok(progress.count),
                Step::Used(used) => self.window.used += used,
            }
            self.window.advance();
        }
    }

    /// Returns what the input was.
    pub(super) fn shape(&self, columns: &Columns, count: u64) -> Shape {
        shape(self.is_one_map, columns, count)
    }
}

/// How many rows were read.
struct Progress {
    left: Remaining,
    count: u64,
}

enum Step {
    /// All rows were read.
    End,
    /// So many bytes of the window were read. The next row is not complete.
    Used(usize),
}

impl Progress {
    /// Reads the rows that are complete in a window.
    fn read_rows<E: From<RowsError>>(
        &mut self,
        window: &Window<'_>,
        columns: &mut Columns,
        take: &mut impl FnMut(&[Item<'_>]) -> Result<(), E>,
    ) -> Result<Step, E> {
        let mut reader = Reader::new(window.unused());
        let mut cells = vec![Item::Null; columns.names().len()];
        loop {
            let (used, left) = (reader.position(), self.left);
            match self.read_row(&mut reader, columns, &mut cells) {
                Ok(true) => {
                    self.count += 1;
                    take(&cells)?;
                }
                Ok(false) if window.is_last() => {
                    reader.end().map_err(RowsError::from)?;
                    return Ok(Step::End);
                }
                Err(error) if window.is_last() || !error.is_end_of_input() => return Err(error.into()),
                // the row, or what follows the last one, is not complete
                Ok(false) | Err(_) => {
                    self.left = left;
                    return Ok(Step::Used(used));
                }
            }
        }
    }

    /// Reads the next row, if there is one.
    fn read_row<'b>(
        &mut self,
        reader: &mut Reader<'b>,
        columns: &mut Columns,
        cells: &mut Vec<Item<'b>>,
    ) -> Result<bool, RowsError> {
        let has_more = reader.has_more(&mut self.left)?;
        if has_more {
            read_cells(reader, self.count, columns, cells)?;
        }
        Ok(has_more)
    }
}

#[cfg(test)]
mod tests {
    use bue_model::cbor;
    use bue_model::{Decimal, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::result::RowBatch;
    use crate::rows::Rows;

    const NAMING: Naming = Naming { check: |_| Ok(()), fold: str::to_ascii_lowercase };

    struct Whole<'b>(&'b [u8]);

    impl Host for Whole<'_> {
        fn read_input(&mut self, _: u32, offset: u64, buffer: &mut [u8]) -> usize {
            let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            buffer[..len].copy_from_slice(&rest[..len]);
            len
        }

        fn emit(&mut self, _: RowBatch) {}

        fn append_rows(&mut self, _: &[u8]) {}
    }

    /// Columns, rows, and what the input was; or why it has none.
    type Seen = Result<(Vec<String>, Vec<String>, Shape), String>;

    fn at_once(bytes: &[u8]) -> Seen {
        let read = || {
            let rows = Rows::new(bytes)?;
            let (mut columns, mut lines) = (Columns::new(NAMING), Vec::new());
            let count = rows.each(&mut columns, |cells| {
                lines.push(format!("{cells:?}"));
                Ok::<_, RowsError>(())
            })?;
            let shape = rows.shape(&columns, count);
            Ok::<_, RowsError>((columns.names().to_vec(), lines, shape))
        };
        read().map_err(|error| format!("{error:?}"))
    }

    fn in_chunks(bytes: &[u8], chunk: usize) -> Seen {
        let read = || {
            let mut host = Whole(bytes);
            let mut rows = ChunkedRows::with_chunk(&mut host, Input { index: 0, len: bytes.len() as u64 }, chunk)?;
            rows.first_columns(NAMING)?;
            let (mut columns, mut lines) = (Columns::new(NAMING), Vec::new());
            for _ in 0..2 {
                lines.clear();
                let count = rows.each(&mut columns, |cells| {
                    lines.push(format!("{cells:?}"));
                    Ok::<_, RowsError>(())
                })?;
                assert_eq!(count, lines.len() as u64);
            }
            let shape = rows.shape(&columns, lines.len() as u64);
            Ok::<_, RowsError>((columns.names().to_vec(), lines, shape))
        };
        read().map_err(|error| format!("{error:?}"))
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn rows() -> Value {
        let row = |entries: &[(&str, Value)]| {
            Value::Map(entries.iter().map(|(key, value)| (text(key), value.clone())).collect())
        };
        let decimal = Value::Decimal(Decimal { mantissa: (-150).into(), exponent: -2 });
        Value::List(vec![
            row(&[("a", Value::Int(1)), ("b", text("some text that is longer than a chunk"))]),
            row(&[("b", Value::Bytes(vec![7; 90])), ("a", decimal)]),
            row(&[("a", Value::List(vec![Value::Null, text("é")])), ("b", Value::Float(0.5))]),
            row(&[("b", Value::DateTime("2026-09-30T12:00:00+02:00".into())), ("a", Value::Bool(true))]),
        ])
    }

    #[test]
    fn rows_are_the_same_however_they_are_cut() {
        let list = cbor::encode(&rows());
        let Value::List(items) = rows() else { panic!("a list") };
        let map = cbor::encode(&items[0]);
        let indefinite = [&[0x9f][..], list.get(1..).expect("a head"), &[0xff]].concat();
        for bytes in [list, map, indefinite, cbor::encode(&Value::List(vec![])), vec![0x9f, 0xff]] {
            let expected = at_once(&bytes);
            assert!(expected.is_ok(), "{expected:?}");
            for chunk in 1..bytes.len() + 2 {
                assert_eq!(in_chunks(&bytes, chunk), expected, "{chunk}");
            }
        }
    }

    #[test]
    fn what_is_no_table_is_refused_however_it_is_cut() {
        let list = cbor::encode(&rows());
        let cut = list.get(..list.len() - 1).expect("shorter").to_vec();
        let longer = [list.as_slice(), &[0]].concat();
        let mixed = cbor::encode(&Value::List(vec![Value::Map(vec![]), text("a text of some length")]));
        for bytes in [cut, longer, mixed, vec![], vec![0x9f], cbor::encode(&text("a text of some length")), vec![0x1c]]
        {
            assert!(at_once(&bytes).is_err(), "{bytes:x?}");
            for chunk in 1..bytes.len() + 2 {
                assert!(in_chunks(&bytes, chunk).is_err(), "{chunk} of {bytes:x?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_at_once(bytes in proptest::collection::vec(any::<u8>(), 0..200), chunk in 1_usize..64) {
            let bytes = [&[0x82, 0xa1][..], bytes.as_slice()].concat();
            match (at_once(&bytes), in_chunks(&bytes, chunk)) {
                (Ok(expected), Ok(seen)) => prop_assert_eq!(seen.0, expected.0),
                (expected, seen) => prop_assert!(expected.is_err() && seen.is_err(), "{:?} {:?}", expected, seen),
            }
        }
    }
}
