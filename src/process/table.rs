//! [`TextTable`]: a table that fits into the width of a terminal by leaving out columns, never by wrapping.

use bue_model::text::shortened;

/// Blanks between two columns.
const GAP: usize = 2;

/// The fewest characters of a cell that is cut.
const MIN_CUT: usize = 8;

/// A column.
pub(crate) struct Column {
    name: &'static str,
    /// Columns with larger numbers are left out first; those with 0 stay.
    rank: u8,
    is_number: bool,
}

impl Column {
    /// A column of texts.
    pub(crate) const fn text(name: &'static str, rank: u8) -> Self {
        Self { name, rank, is_number: false }
    }

    /// A column of numbers, which are aligned on the right.
    pub(crate) const fn number(name: &'static str, rank: u8) -> Self {
        Self { name, rank, is_number: true }
    }
}

/// A table.
pub(crate) struct TextTable<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> TextTable<N> {
    /// A table without rows.
    pub(crate) const fn new(columns: [Column; N]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn add_row(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// Formats the table in at most `width` characters, without a newline at the end; `None` for any width. If it does not fit
    /// without the columns that may be left out, cuts the longest column of texts.
    pub(crate) fn format(&self, width: Option<usize>) -> String {
        let limit = width.unwrap_or(usize::MAX);
        let mut widths: Vec<(usize, usize)> = (0..N).map(|column| (column, self.width(column))).collect();
        while total(&widths) > limit {
            let rank = |(column, _): &(usize, usize)| self.columns.get(*column).map_or(0, |column| column.rank);
            let Some(position) = (0..widths.len()).rev().max_by_key(|at| widths.get(*at).map_or(0, rank)) else {
                break;
            };
            match widths.get(position).map_or(0, rank) {
                0 => break,
                _ => drop(widths.remove(position)),
            }
        }
        let excess = total(&widths).saturating_sub(limit);
        let texts =
            widths.iter_mut().filter(|(column, _)| self.columns.get(*column).is_some_and(|column| !column.is_number));
        if let Some((_, longest)) = texts.max_by_key(|(_, width)| *width) {
            *longest = (*longest).saturating_sub(excess).max(MIN_CUT.min(*longest));
        }
        let header: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(String::as_str).collect::<Vec<_>>());
        let lines = std::iter::once(header).chain(rows).map(|cells| self.line(&cells, &widths));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let header = self.columns.get(column).map_or(0, |column| column.name.chars().count());
        cells.max().unwrap_or(0).max(header)
    }

    fn line(&self, cells: &[&str], widths: &[(usize, usize)]) -> String {
        let cell = |(column, width): &(usize, usize)| {
            let text = shortened(cells.get(*column).copied().unwrap_or_default(), *width);
            match self.columns.get(*column).is_some_and(|column| column.is_number) {
                true => format!("{text:>width$}"),
                false => format!("{text:width$}"),
            }
        };
        widths.iter().map(cell).collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
    }
}

fn total(widths: &[(usize, usize)]) -> usize {
    widths.iter().map(|(_, width)| width + GAP).sum::<usize>().saturating_sub(GAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> TextTable<4> {
        let columns =
            [Column::text("step", 0), Column::number("failed", 0), Column::number("ms", 2), Column::text("host", 1)];
        let mut table = TextTable::new(columns);
        table.add_row(["download everything".into(), "3".into(), "12345".into(), "a".into()]);
        table.add_row(["load".into(), "12".into(), "9".into(), "machine".into()]);
        table
    }

    #[test]
    fn columns_are_left_out_and_then_a_text_is_cut() {
        let whole = "step                 failed     ms  host\n\
                     download everything       3  12345  a\n\
                     load                     12      9  machine";
        assert_eq!(table().format(None), whole);
        assert_eq!(table().format(Some(43)), whole);
        let lines = |width| table().format(Some(width)).lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(42)[1], "download everything       3  a");
        assert_eq!(lines(30)[1], "download everything       3");
        assert_eq!(lines(20)[1], "download ev…       3");
        assert_eq!(lines(5)[0], "step      failed", "no less than eight characters");
    }

    #[test]
    fn every_line_fits() {
        for width in 16..60 {
            assert!(table().format(Some(width)).lines().all(|line| line.chars().count() <= width), "{width}");
        }
    }
}
