//! [`Column`]: the cells of a row, the order of rows, and which columns fit into a width.

use std::cmp::Ordering;

use bue_model::RunId;
use bue_model::text::printable;

use crate::process::output::bytes_text;
use crate::runs::times::duration_text;
use crate::top::rows::StepRow;

/// Blanks between two columns.
pub(crate) const GAP: usize = 2;

/// The characters of a step's name that stay when columns are left out for it.
const MIN_NAME: usize = 16;

/// The digits of a run's id.
const RUN_DIGITS: usize = 8;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Run,
    Step,
    Done,
    Rate,
    P50,
    P95,
    Cpu,
    Memory,
    Pending,
    Retries,
    Failed,
}

impl Column {
    /// All, from left to right.
    pub(crate) const ALL: [Self; 11] = [
        Self::Run,
        Self::Step,
        Self::Done,
        Self::Rate,
        Self::P50,
        Self::P95,
        Self::Cpu,
        Self::Memory,
        Self::Pending,
        Self::Retries,
        Self::Failed,
    ];

    /// Returns its header.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Step => "step",
            Self::Done => "done",
            Self::Rate => "rate",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pending => "pending",
            Self::Retries => "retries",
            Self::Failed => "failed",
        }
    }

    /// Returns its place in the order in which columns are left out: the largest number first, 0 never.
    const fn rank(self) -> u8 {
        match self {
            Self::Step | Self::Done | Self::Failed => 0,
            Self::Rate => 1,
            Self::P95 => 2,
            Self::Retries => 3,
            Self::Run => 4,
            Self::Memory => 5,
            Self::P50 => 6,
            Self::Cpu => 7,
            Self::Pending => 8,
        }
    }

    /// Returns whether its cells are aligned on the right, and the largest value comes first when it is sorted.
    pub(crate) const fn is_number(self) -> bool {
        !matches!(self, Self::Run | Self::Step)
    }

    /// Formats a cell. It has only printable characters.
    pub(crate) fn cell(self, row: &StepRow) -> String {
        let step = &row.step;
        match self {
            Self::Run => short_id(row.run),
            Self::Step => printable(&step.name),
            Self::Done => format!("{}/{}", row.done, row.jobs()),
            Self::Rate => or_dash(row.rate, |rate| format!("{rate:.1}/s")),
            Self::P50 => or_dash(step.usage.p50_ms, time_text),
            Self::P95 => or_dash(step.usage.p95_ms, time_text),
            Self::Cpu => time_text(step.usage.cpu_ms),
            Self::Memory => or_dash(step.usage.peak_memory, bytes_text),
            Self::Pending => step.pendings.to_string(),
            Self::Retries => step.retries.to_string(),
            Self::Failed => step.failed.to_string(),
        }
    }

    /// Compares two rows, the smaller value first. What is not known is smaller than everything.
    pub(crate) fn compare(self, left: &StepRow, right: &StepRow) -> Ordering {
        let usage = |row: &StepRow| row.step.usage;
        match self {
            Self::Run => left.run.to_string().cmp(&right.run.to_string()),
            Self::Step => left.step.name.cmp(&right.step.name),
            Self::Done => left.done.cmp(&right.done),
            Self::Rate => left.rate.unwrap_or(-1.0).total_cmp(&right.rate.unwrap_or(-1.0)),
            Self::P50 => usage(left).p50_ms.cmp(&usage(right).p50_ms),
            Self::P95 => usage(left).p95_ms.cmp(&usage(right).p95_ms),
            Self::Cpu => usage(left).cpu_ms.cmp(&usage(right).cpu_ms),
            Self::Memory => usage(left).peak_memory.cmp(&usage(right).peak_memory),
            Self::Pending => left.step.pendings.cmp(&right.step.pendings),
            Self::Retries => left.step.retries.cmp(&right.step.retries),
            Self::Failed => left.step.failed.cmp(&right.step.failed),
        }
    }
}

/// The first digits of a run's id.
pub(crate) fn short_id(run: RunId) -> String {
    run.to_string().chars().take(RUN_DIGITS).collect()
}

fn or_dash<T>(value: Option<T>, format: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), format)
}

/// `850 ms`, `1.2 s`, `3 m 5 s`
fn time_text(ms: u64) -> String {
    match ms {
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => duration_text(ms),
    }
}

/// The columns that fit into a width, and the characters of each.
///
/// Columns are left out until the name of the longest step, or its first [`MIN_NAME`] characters, fits; the name then gets what
/// remains.
pub(crate) fn fitting(columns: &[Column], rows: &[&StepRow], width: usize) -> Vec<(Column, usize)> {
    let mut fitting: Vec<(Column, usize)> =
        columns.iter().map(|column| (*column, content_width(*column, rows))).collect();
    while total(&fitting, MIN_NAME) > width {
        let last = fitting.iter().enumerate().max_by_key(|(_, (column, _))| column.rank());
        match last {
            Some((position, (column, _))) if column.rank() > 0 => drop(fitting.remove(position)),
            _ => break,
        }
    }
    let excess = total(&fitting, usize::MAX).saturating_sub(width);
    for (column, content) in &mut fitting {
        if *column == Column::Step {
            *content = content.saturating_sub(excess).max(1);
        }
    }
    fitting
}

fn content_width(column: Column, rows: &[&StepRow]) -> usize {
    let cells = rows.iter().map(|row| column.cell(row).chars().count());
    // the mark of the order needs a place
    cells.max().unwrap_or(0).max(column.name().len() + 1)
}

/// Returns the width of a table whose names are cut after `max_name` characters.
fn total(columns: &[(Column, usize)], max_name: usize) -> usize {
    let width =
        |(column, width): &(Column, usize)| if *column == Column::Step { (*width).min(max_name) } else { *width };
    columns.iter().map(|column| width(column) + GAP).sum::<usize>().saturating_sub(GAP)
}

#[cfg(test)]
mod tests {
    use bue_model::attempt::StepUsage;

    use super::*;
    use crate::top::rows::step_rows;
    use crate::top::rows::tests::{run, snapshot, step};

    fn rows() -> Vec<StepRow> {
        let mut slow = step("read|parse|chunk64", 1_000);
        slow.usage = StepUsage {
            attempts: 3,
            p50_ms: Some(850),
            p95_ms: Some(1_234),
            cpu_ms: 185_000,
            peak_memory: Some(3 << 20),
        };
        (slow.pendings, slow.retries, slow.failed) = (4, 5, 6);
        step_rows(&snapshot(vec![run(1, 0, vec![slow, step("x\u{1b}[2J\u{202e}y", 2)])]), None)
    }

    fn names(width: usize) -> Vec<&'static str> {
        let rows = rows();
        let rows: Vec<&StepRow> = rows.iter().collect();
        let columns = fitting(&Column::ALL, &rows, width);
        let used: usize = columns.iter().map(|(_, width)| width + GAP).sum();
        assert!(used - GAP <= width.max(38), "{columns:?} do not fit into {width}");
        columns.iter().map(|(column, _)| column.name()).collect()
    }

    #[test]
    fn cells_have_units_and_no_control_characters() {
        let cells = |row: usize| Column::ALL.map(|column| column.cell(&rows()[row]));
        let first = [
            "00000001",
            "read|parse|chunk64",
            "1006/2006",
            "-",
            "850 ms",
            "1.2 s",
            "3 m 5 s",
            "3.0 MiB",
            "4",
            "5",
            "6",
        ];
        assert_eq!(cells(0), first);
        assert_eq!(cells(1)[1..6], ["x[2Jy", "2/4", "-", "-", "-"]);
    }

    #[test]
    fn narrow_terminals_leave_columns_out() {
        assert_eq!(names(200).len(), Column::ALL.len());
        assert_eq!(names(80), ["run", "step", "done", "rate", "p95", "memory", "retries", "failed"]);
        assert_eq!(names(50), ["step", "done", "rate", "p95", "failed"]);
        assert_eq!(names(20), ["step", "done", "failed"]);
    }

    #[test]
    fn rows_are_compared_by_their_values_and_not_by_their_texts() {
        let rows = rows();
        for column in [Column::Done, Column::P50, Column::P95, Column::Cpu, Column::Memory, Column::Failed] {
            assert_eq!(column.compare(&rows[0], &rows[1]), Ordering::Greater, "{column:?}");
        }
        assert_eq!(Column::Step.compare(&rows[0], &rows[1]), Ordering::Less);
        assert_eq!(Column::Rate.compare(&rows[0], &rows[1]), Ordering::Equal);
    }
}
