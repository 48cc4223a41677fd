//! Tables of data, and the links to their next pages.

use maud::{Markup, html};

/// A column: its heading, and whether it has numbers, which are aligned on the right.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Column {
    name: &'static str,
    is_number: bool,
    explanation: &'static str,
}

pub(in crate::web) const fn column(name: &'static str) -> Column {
    Column { name, is_number: false, explanation: "" }
}

pub(in crate::web) const fn number(name: &'static str, explanation: &'static str) -> Column {
    Column { name, is_number: true, explanation }
}

/// A table whose first cell of each row names it. `caption` is for screen readers.
pub(in crate::web) fn table(caption: &str, columns: &[Column], rows: &[Vec<Markup>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption.hidden { (caption) }
                thead { tr { @for column in columns { (heading(column)) } } }
                tbody { @for row in rows { (cells(columns, row)) } }
            }
        }
    }
}

fn heading(column: &Column) -> Markup {
    html! {
        th scope="col" class=[column.is_number.then_some("number")] {
            @if column.explanation.is_empty() { (column.name) } @else { abbr title=(column.explanation) { (column.name) } }
        }
    }
}

fn cells(columns: &[Column], row: &[Markup]) -> Markup {
    html! {
        tr {
            @for (index, (column, cell)) in columns.iter().zip(row).enumerate() {
                @if index == 0 { th scope="row" { (cell) } }
                @else { td class=[column.is_number.then_some("number")] { (cell) } }
            }
        }
    }
}

/// The meanings of the columns of a table, for those who have no mouse.
pub(in crate::web) fn column_help(columns: &[Column]) -> Markup {
    let explained = || columns.iter().filter(|column| !column.explanation.is_empty());
    html! {
        @if explained().next().is_some() {
            details.columns {
                summary { "What the columns mean" }
                dl { @for column in explained() { dt { (column.name) } dd { (column.explanation) } } }
            }
        }
    }
}

/// Links to the first and the next page. Empty addresses have no link.
pub(in crate::web) fn pager(first: &str, next: &str) -> Markup {
    html! {
        @if !first.is_empty() || !next.is_empty() {
            nav.pager aria-label="Pages" {
                @if !first.is_empty() { a href=(first) { "« first page" } }
                @if !next.is_empty() { a href=(next) rel="next" { "next page »" } }
            }
        }
    }
}
