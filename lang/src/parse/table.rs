//! `sales(id int, day date)`: the table of a SQL step, with the columns that its input must have.

use std::collections::HashMap;

use bue_model::language::Engine;
use bue_model::sql_table::MAX_TABLE_BYTES;
use bue_model::{Language, SqlColumn, SqlTable, SqlType};

use super::parser::Parser;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::suggest;
use crate::source::Span;
use crate::syntax::tree::Name;
use crate::text::{backquoted, is_word_continue, is_word_start, strip_quotes, unquoted};

/// An example for hints.
const SHAPE: &str = "`sales(id int, day date)`";

impl<'a> Parser<'a, '_, '_> {
    /// The columns behind the name of a table; `span` is from the opening parenthesis to the end of the line or the closing
    /// parenthesis. The result is the table as a plan has it.
    pub(super) fn declared_table(&mut self, language: Language, name: &Name<'a>, span: Span) -> Option<Name<'a>> {
        match columns(self.text, span, language) {
            Ok(columns) => {
                let table = SqlTable { name: name.text.to_string(), columns: Some(columns) };
                Some(Name { text: table.to_string().into(), span: name.span.to(span) })
            }
            Err(mistakes) => {
                mistakes.into_iter().for_each(|diagnostic| self.report(diagnostic));
                None
            }
        }
    }
}

/// The text before the first parenthesis outside of quotes, and the text from it on.
pub(super) fn split_columns(text: &str, span: Span) -> Option<(Span, Span)> {
    let raw = span.of(text);
    let opening = span.start as usize + outside_quotes(raw).find(|(_, char)| *char == '(')?.0;
    let name_end = span.start as usize + raw.get(..opening - span.start as usize)?.trim_end().len();
    Some((Span::new(span.start as usize, name_end), Span::new(opening, span.end as usize)))
}

/// The columns between two parentheses, or every mistake in them.
fn columns(text: &str, span: Span, language: Language) -> Result<Vec<SqlColumn>, Vec<DiagnosticBuilder>> {
    let Some(inside) = span.of(text).strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return Err(vec![invalid(span, "the columns of a table end with `)`, on the same line")]);
    };
    let mut pieces = pieces(inside, span.start as usize + 1);
    // a comma may stand behind the last column
    if pieces.len() > 1 {
        pieces.pop_if(|last| last.of(text).is_empty());
    }
    let (mut columns, mut mistakes) = (Vec::new(), Vec::new());
    let mut seen: HashMap<String, Span> = HashMap::new();
    for piece in pieces {
        match column(text, piece) {
            Ok(column) => match seen.insert(folded(&column.name, language), piece) {
                Some(first) => mistakes.push(declared_twice(&column.name, first, piece)),
                None => columns.push(column),
            },
            Err(diagnostic) => mistakes.push(*diagnostic),
        }
    }
    mistakes.extend(too_large(&columns, span));
    if mistakes.is_empty() { Ok(columns) } else { Err(mistakes) }
}

/// SQLite compares names without regard to ASCII case.
fn folded(name: &str, language: Language) -> String {
    match language.engine() {
        Engine::Sqlite => name.to_ascii_lowercase(),
        _ => name.to_owned(),
    }
}

fn invalid(span: Span, message: impl Into<String>) -> DiagnosticBuilder {
    DiagnosticBuilder::new(codes::INVALID_COLUMNS, span, message).hint(SHAPE)
}

fn declared_twice(name: &str, first: Span, again: Span) -> DiagnosticBuilder {
    let message = format!("the column {} is declared twice", backquoted(name));
    DiagnosticBuilder::new(codes::COLUMN_DECLARED_TWICE, again, message)
        .label_at(first, "it is declared here")
        .hint("remove one of them, or rename it")
}

fn too_large(columns: &[SqlColumn], span: Span) -> Option<DiagnosticBuilder> {
    let bytes: usize = columns.iter().map(|column| column.name.len() + column.column_type.name().len() + 5).sum();
    let hint =
        "leave the columns out: then the input's rows decide, and an empty input has the columns that the SQL names";
    let message = "these columns take more bytes than a table may have";
    (bytes > MAX_TABLE_BYTES / 2).then(|| DiagnosticBuilder::new(codes::INVALID_COLUMNS, span, message).hint(hint))
}

/// `id int`
fn column(text: &str, span: Span) -> Result<SqlColumn, Box<DiagnosticBuilder>> {
    let raw = span.of(text);
    if raw.is_empty() {
        return Err(Box::new(invalid(span, "a column is missing here: a name and a type")));
    }
    let (name, rest) = raw.split_at(name_len(raw));
    if !is_column_name(name) {
        let problem = format!("{} cannot be the name of a column; put an unusual name in quotes", backquoted(name));
        return Err(Box::new(invalid(span, problem)));
    }
    let type_name = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    if type_name.is_empty() {
        return Err(Box::new(invalid(span, format!("the column {} has no type", backquoted(name)))));
    }
    let type_span = Span::new(span.end as usize - rest.trim_start().len(), span.end as usize);
    let column_type = SqlType::from_name(&type_name).ok_or_else(|| Box::new(unknown_type(&type_name, type_span)))?;
    Ok(SqlColumn { name: unquoted(name).to_owned(), column_type })
}

fn is_column_name(name: &str) -> bool {
    match strip_quotes(name) {
        Some(inside) => !inside.trim().is_empty(),
        None => name.chars().next().is_some_and(is_word_start) && name.chars().all(is_word_continue),
    }
}

/// Up to the closing quote, or up to the first space.
fn name_len(raw: &str) -> usize {
    match raw.chars().next() {
        Some(quote @ ('"' | '\'')) => raw.get(1..).and_then(|rest| rest.find(quote)).map_or(raw.len(), |end| end + 2),
        _ => raw.find(char::is_whitespace).unwrap_or(raw.len()),
    }
}

fn unknown_type(name: &str, span: Span) -> DiagnosticBuilder {
    let message = format!("there is no column type {}", backquoted(name));
    let hint = match instead(name) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("types are {}", SqlType::ALL.map(SqlType::name).join(", ")),
    };
    DiagnosticBuilder::new(codes::UNKNOWN_TYPE, span, message).hint(hint)
}

/// The type that was probably meant: `varchar(20)`, `timestamp with time zone`, `intger`.
fn instead(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let without_length = name.split('(').next().unwrap_or_default().trim();
    let known =
        || SqlType::ALL.into_iter().flat_map(|one| core::iter::once(one.name()).chain(one.aliases().iter().copied()));
    match without_length {
        "timestamp with time zone" => Some("timestamptz"),
        "timestamp without time zone" => Some("timestamp"),
        "smallint" | "int2" | "int4" | "int8" | "long" | "serial" => Some("int"),
        "float4" | "float8" | "number" => Some("float"),
        "char" | "character" | "clob" | "interval" => Some("text"),
        "list" | "dict" | "map" | "array" | "object" => Some("json"),
        other => suggest::nearest(other, known()),
    }
}

/// The parts between commas, without the spaces around them. Commas in quotes and in parentheses divide nothing.
fn pieces(text: &str, start: usize) -> Vec<Span> {
    let mut ends = Vec::new();
    let mut depth = 0_usize;
    for (at, char) in outside_quotes(text) {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => ends.push(at),
            _ => {}
        }
    }
    ends.push(text.len());
    let mut from = 0;
    let mut pieces = Vec::new();
    for end in ends {
        let piece = text.get(from..end).unwrap_or_default();
        let left = from + piece.len() - piece.trim_start().len();
        let trimmed = piece.trim();
        let left = if trimmed.is_empty() { from } else { left };
        pieces.push(Span::new(start + left, start + left + trimmed.len()));
        from = end + 1;
    }
    pieces
}

/// The characters that are not in quotes, each with its position. A quote that is never closed is a character.
fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut resume = 0;
    text.char_indices().filter(move |(at, char)| {
        if *at < resume {
            return false;
        }
        if matches!(char, '"' | '\'')
            && let Some(len) = text.get(at + 1..).and_then(|rest| rest.find(*char))
        {
            resume = at + len + 2;
        }
        true
    })
}
