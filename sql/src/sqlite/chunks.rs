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
        let more = kept.clamp(CHUNK_BYTES, MAX_CHUNK_BYTES);
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
        let mut window = Window { host, input, bytes: Vec::new(), offset: 0, used: 0 };
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
