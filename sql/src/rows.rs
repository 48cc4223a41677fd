//! The rows of an input, read in place: once for their columns and once for their values, never held all at once.

use std::collections::HashMap;

use bue_model::Value;
use bue_model::cbor::{self, Item, Kind, Reader, Remaining};

use super::rows_error::{RowsError, at_cell};
use super::table::{Shape, key_text};

/// The rows of an input: a list of maps, or a single map.
#[derive(Debug)]
pub struct Rows<'a> {
    /// Positioned before the first row.
    first: Reader<'a>,
    left: Remaining,
    is_one_map: bool,
}

impl<'a> Rows<'a> {
    /// The rows of an encoded value.
    ///
    /// # Errors
    /// It is neither a list nor a map.
    pub fn new(input: &'a [u8]) -> Result<Self, RowsError> {
        let mut inside = Reader::new(input);
        match inside.enter()? {
            Kind::List(left) => Ok(Self { first: inside, left, is_one_map: false }),
            Kind::Map(_) => Ok(Self { first: Reader::new(input), left: Remaining::exactly(1), is_one_map: true }),
            Kind::Other => Err(RowsError::NotRows(inside.item()?.kind().to_owned())),
        }
    }

    /// Calls `take` with the cells of each row, one per column found so far. Returns the number of rows.
    ///
    /// # Errors
    /// Those of `take`, an element that is not a map, and bytes that are not a value.
    pub fn each<E: From<RowsError>>(
        &self,
        columns: &mut Columns,
        mut take: impl FnMut(&[Item<'a>]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut cells = vec![Item::Null; columns.names.len()];
        let mut count = 0;
        self.each_row(|reader, index| {
            read_cells(reader, index, columns, &mut cells)?;
            count += 1;
            take(&cells)
        })?;
        Ok(count)
    }

    /// Returns what the input was.
    #[must_use]
    pub fn shape(&self, columns: &Columns, count: u64) -> Shape {
        shape(self.is_one_map, columns, count)
    }

    fn each_row<E: From<RowsError>>(
        &self,
        mut read: impl FnMut(&mut Reader<'a>, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut reader, mut left, mut index) = (self.first.clone(), self.left, 0);
        while reader.has_more(&mut left).map_err(RowsError::from)? {
            read(&mut reader, index)?;
            index += 1;
        }
        Ok(reader.end().map_err(RowsError::from)?)
    }
}

/// What an input was.
pub(crate) fn shape(is_one_map: bool, columns: &Columns, count: u64) -> Shape {
    match (is_one_map, count) {
        (true, _) => Shape::OneMap(columns.names.clone()),
        (false, 0) => Shape::Empty,
        (false, _) => Shape::Rows,
    }
}

/// Reads a row into cells, one per column found so far.
pub(crate) fn read_cells<'a>(
    reader: &mut Reader<'a>,
    index: u64,
    columns: &mut Columns,
    cells: &mut Vec<Item<'a>>,
) -> Result<(), RowsError> {
    // while the columns come in their order, the cells of the previous row are overwritten
    let mut in_order = 0;
    read_row(reader, index, columns, |position, reader| {
        if position != in_order {
            clear_from(cells, in_order);
            in_order = usize::MAX;
        } else {
            in_order += 1;
        }
        if position >= cells.len() {
            cells.resize(position + 1, Item::Null);
        }
        if let Some(cell) = cells.get_mut(position) {
            *cell = reader.item()?;
        }
        Ok(())
    })?;
    clear_from(cells, in_order);
    Ok(())
}

/// Clears the cells from this one on.
fn clear_from(cells: &mut [Item<'_>], from: usize) {
    cells.iter_mut().skip(from).for_each(|cell| *cell = Item::Null);
}

/// Reads a row: the key of each entry here, its value in `entry`.
pub(crate) fn read_row<'a>(
    reader: &mut Reader<'a>,
    index: u64,
    columns: &mut Columns,
    mut entry: impl FnMut(usize, &mut Reader<'a>) -> Result<(), RowsError>,
) -> Result<(), RowsError> {
    let not_a_map = |kind: &str| RowsError::NotRows(format!("a list whose element {index} is {kind}"));
    let mut left = match reader.enter()? {
        Kind::Map(left) => left,
        Kind::List(_) => return Err(not_a_map(Value::List(Vec::new()).kind())),
        Kind::Other => return Err(not_a_map(reader.item()?.kind())),
    };
    let mut at = 0;
    columns.begin_row(index);
    while reader.has_more(&mut left)? {
        let position = columns.position(reader, at)?;
        columns.mark(position)?;
        entry(position, reader)?;
        at += 1;
    }
    columns.end_row(at)
}

/// A database's rules for names.
#[derive(Clone, Copy, Debug)]
pub struct Naming {
    /// Refuses names that the database does not allow.
    pub check: fn(&str) -> Result<(), String>,
    /// Maps names that the database considers equal to the same text.
    pub fold: fn(&str) -> String,
}

/// The union of the rows' keys, in order of first appearance.
#[derive(Debug)]
pub struct Columns {
    naming: Naming,
    names: Vec<String>,
    by_name: HashMap<String, usize>,
    /// Encoded keys, each with the position of its column. Several keys may have one column: `7` and `"7"`.
    keys: Vec<(Box<[u8]>, usize)>,
    by_key: HashMap<Box<[u8]>, usize>,
    /// The numbers of the last row's keys. Most rows have the keys of the previous row in the same order, so comparing bytes
    /// is enough.
    expected: Vec<usize>,
    /// The script declares the columns, so each row has exactly these.
    is_declared: bool,
    /// The row that is read: how many were read before, so that it is read only once, and its index in the input.
    row: (u64, u64),
    /// For each column, the last row that had it, counted like the first part of `row`.
    last_row: Vec<u64>,
}

impl Columns {
    /// No columns yet; [`Rows::each`] adds them.
    #[must_use]
    pub fn new(naming: Naming) -> Self {
        let (names, keys, expected, last_row) = Default::default();
        let (by_name, by_key, is_declared, row) = Default::default();
        Self { naming, names, by_name, keys, by_key, expected, is_declared, row, last_row }
    }

    /// The columns that the script declares.
    ///
    /// # Errors
    /// The database does not allow a name.
    pub fn declared<'n>(naming: Naming, names: impl IntoIterator<Item = &'n str>) -> Result<Self, RowsError> {
        let mut columns = Self::new(naming);
        for name in names {
            columns.add_name(name.to_owned(), (naming.fold)(name))?;
        }
        columns.is_declared = true;
        Ok(columns)
    }

    /// Their names, in their order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads the key at index `at` of a row and returns the position of its column.
    fn position(&mut self, reader: &mut Reader<'_>, at: usize) -> Result<usize, RowsError> {
        let expected = self.expected.get(at).and_then(|number| self.keys.get(*number));
        if let Some((key, position)) = expected
            && reader.skip_if_next(key)
        {
            return Ok(*position);
        }
        let key = reader.raw()?;
        let number = match self.by_key.get(key) {
            Some(number) => *number,
            None => self.add(key)?,
        };
        self.expected.truncate(at);
        self.expected.push(number);
        Ok(self.keys.get(number).map_or(0, |(_, position)| *position))
    }

    /// Adds a key and returns its number.
    fn add(&mut self, key: &[u8]) -> Result<usize, RowsError> {
        let name = key_text(&cbor::decode(key)?);
        let folded = (self.naming.fold)(&name);
        let position = match self.by_name.get(&folded) {
            Some(position) => *position,
            None if self.is_declared => {
                return Err(self.unfit(&name, "the script does not declare this column; declare it, or remove the key"));
            }
            None => self.add_name(name, folded)?,
        };
        self.keys.push((key.into(), position));
        self.by_key.insert(key.into(), self.keys.len() - 1);
        Ok(self.keys.len() - 1)
    }

    /// Adds a column and returns its position.
    fn add_name(&mut self, name: String, folded: String) -> Result<usize, RowsError> {
        (self.naming.check)(&name).map_err(RowsError::Unfit)?;
        self.names.push(name);
        self.by_name.insert(folded, self.names.len() - 1);
        Ok(self.names.len() - 1)
    }

    fn begin_row(&mut self, index: u64) {
        self.row = (self.row.0 + 1, index);
    }

    /// Notes that the row has this column.
    fn mark(&mut self, position: usize) -> Result<(), RowsError> {
        if self.last_row.len() <= position {
            self.last_row.resize(self.names.len(), 0);
        }
        let Some(last) = self.last_row.get_mut(position) else { return Ok(()) };
        if core::mem::replace(last, self.row.0) != self.row.0 {
            return Ok(());
        }
        let name = self.names.get(position).cloned().unwrap_or_default();
        Err(self.unfit(
            &name,
            "the row has several keys for this column, such as `a` and `A`, or 7 and \"7\"; rename all but one",
        ))
    }

    /// Checks that the row, which has `count` columns, has all that are declared.
    fn end_row(&self, count: usize) -> Result<(), RowsError> {
        if !self.is_declared || count == self.names.len() {
            return Ok(());
        }
        let is_missing = |position: usize| self.last_row.get(position).is_none_or(|row| *row != self.row.0);
        let missing = self.names.iter().enumerate().find(|(position, _)| is_missing(*position));
        missing.map_or(Ok(()), |(_, name)| {
            Err(self.unfit(name, "the script declares this column, but the row does not have it; null is None"))
        })
    }

    fn unfit(&self, column: &str, reason: &str) -> RowsError {
        RowsError::Unfit(at_cell(column, self.row.1 + 1, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMING: Naming = Naming { check: |_| Ok(()), fold: str::to_ascii_lowercase };

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn rows(rows: &[&[(&str, i64)]]) -> Vec<u8> {
        let row = |row: &&[(&str, i64)]| {
            Value::Map(row.iter().map(|(key, number)| (text(key), Value::Int(*number))).collect())
        };
        cbor::encode(&Value::List(rows.iter().map(row).collect()))
    }

    fn table(input: &[u8]) -> Result<(Vec<String>, Vec<String>), RowsError> {
        let rows = Rows::new(input)?;
        let mut columns = Columns::new(NAMING);
        rows.each(&mut columns, |_| Ok::<_, RowsError>(()))?;
        let mut lines = Vec::new();
        rows.each(&mut columns, |cells| {
            lines.push(format!("{cells:?}"));
            Ok::<_, RowsError>(())
        })?;
        Ok((columns.names, lines))
    }

    #[test]
    fn rows_whose_keys_come_and_go_and_change_places() {
        let input = rows(&[
            &[("a", 1), ("b", 2)],
            &[("b", 3)],
            &[],
            &[("B", 4), ("c", 5), ("a", 6)],
            &[("a", 7), ("b", 8), ("c", 9)],
        ]);
        let (names, lines) = table(&input).expect("rows");
        assert_eq!(names, ["a", "b", "c"]);
        let expected = [
            "[Int(1), Int(2), Null]",
            "[Null, Int(3), Null]",
            "[Null, Null, Null]",
            "[Int(6), Int(4), Int(5)]",
            "[Int(7), Int(8), Int(9)]",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn columns_are_found_while_the_cells_are_read() {
        let input = rows(&[&[("a", 1)], &[("b", 2)]]);
        let rows = Rows::new(&input).expect("rows");
        let mut widths = Vec::new();
        let mut columns = Columns::new(NAMING);
        let count = rows.each(&mut columns, |cells| {
            widths.push(cells.len());
            Ok::<_, RowsError>(())
        });
        assert_eq!((count.expect("rows"), widths), (2, vec![1, 2]));
        assert_eq!(columns.names(), ["a", "b"]);
    }

    #[test]
    fn an_input_without_rows_is_named() {
        for (value, expected) in [
            (Value::Int(1), "an int"),
            (text("x"), "a text"),
            (Value::List(vec![Value::Map(vec![]), Value::Null]), "a list whose element 1 is null"),
            (Value::List(vec![Value::List(vec![])]), "a list whose element 0 is a list"),
        ] {
            let refused = table(&cbor::encode(&value));
            assert!(matches!(&refused, Err(RowsError::NotRows(got)) if got == expected), "{refused:?}");
        }
        assert!(matches!(table(&[0x82, 0xa0]), Err(RowsError::Unreadable(_))), "a row is missing");
        assert!(matches!(table(&[0x81, 0xa0, 0]), Err(RowsError::Unreadable(_))), "more than a value");
    }

    /// The value of one of the keys would be lost.
    #[test]
    fn a_row_with_two_keys_for_a_column_is_refused() {
        let both = Value::Map(vec![(Value::Int(7), Value::Int(1)), (text("7"), Value::Int(2))]);
        for input in [
            rows(&[&[("b", 1)], &[("a", 1), ("A", 2)]]),
            rows(&[&[("a", 1)], &[("A", 1), ("b", 2), ("a", 3)]]),
            cbor::encode(&Value::List(vec![Value::Map(vec![]), both])),
        ] {
            let refused = table(&input);
            let Err(RowsError::Unfit(reason)) = &refused else { panic!("{refused:?}") };
            assert!(reason.contains("row 2 (the first is row 1): the row has several keys"), "{reason}");
        }
    }

    #[test]
    fn rows_have_exactly_the_declared_columns() {
        let read = |input: &[u8]| {
            let mut columns = Columns::declared(NAMING, ["a", "b"])?;
            let mut lines = Vec::new();
            Rows::new(input)?.each(&mut columns, |cells| {
                lines.push(format!("{cells:?}"));
                Ok::<_, RowsError>(())
            })?;
            Ok::<_, RowsError>(lines)
        };
        let lines = read(&rows(&[&[("b", 1), ("A", 2)], &[("a", 3), ("b", 4)]])).expect("rows");
        assert_eq!(lines, ["[Int(2), Int(1)]", "[Int(3), Int(4)]"]);
        assert!(read(&rows(&[])).expect("no rows").is_empty());
        for (input, expected) in [
            (
                rows(&[&[("a", 1), ("b", 2)], &[("b", 1)]]),
                "column `a`, row 2 (the first is row 1): the script declares",
            ),
            (rows(&[&[]]), "column `a`, row 1"),
            (
                rows(&[&[("a", 1), ("c", 3), ("b", 2)]]),
                "column `c`, row 1 (the first is row 1): the script does not declare",
            ),
        ] {
            let refused = read(&input);
            assert!(matches!(&refused, Err(RowsError::Unfit(reason)) if reason.contains(expected)), "{refused:?}");
        }
    }

    #[test]
    fn one_map_is_one_row_and_a_tuple_a_list() {
        let map = cbor::encode(&Value::Map(vec![(Value::Int(7), Value::Int(2))]));
        assert_eq!(table(&map).expect("a row"), (vec!["7".to_owned()], vec!["[Int(2)]".to_owned()]));
        let mut tuple = vec![0xda, 0, 0x62, 0x75, 0x65, 0x81];
        tuple.extend_from_slice(&map);
        assert_eq!(table(&tuple).expect("a row").1, ["[Int(2)]"]);
    }
}
