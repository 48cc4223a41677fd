//! [`SqlTable`]: the table that the first input of a SQL step becomes, with the columns that the script declares.
//!
//! A plan holds it as the step's `function`: the bare name, or, with columns, `"sales"("id" int, "day" date)`.

use core::fmt;

/// The size in bytes of the longest text of a table with its columns. Every lease of the step carries it.
pub const MAX_TABLE_BYTES: usize = 16 * 1024;

/// A table of a SQL step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlTable {
    /// The name, without quotes.
    pub name: String,
    /// The declared columns, at least one; `None` if the script declares none.
    pub columns: Option<Vec<SqlColumn>>,
}

/// A declared column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlColumn {
    /// The name, without quotes.
    pub name: String,
    /// The type of its values. Every column may hold null.
    pub column_type: SqlType,
}

/// The type of a declared column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// A boolean.
    Bool,
    /// A 64-bit integer.
    Int,
    /// A float, or an integer that a float represents exactly.
    Float,
    /// A decimal, or an integer of any size.
    Decimal,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A date.
    Date,
    /// A time without an offset.
    Time,
    /// A datetime without an offset.
    Timestamp,
    /// A datetime with an offset.
    Timestamptz,
    /// A UUID.
    Uuid,
    /// A list, a map, or any other value that JSON has.
    Json,
}

impl SqlType {
    /// All types, in the order in which messages list them.
    pub const ALL: [Self; 12] = [
        Self::Bool,
        Self::Int,
        Self::Float,
        Self::Decimal,
        Self::Text,
        Self::Bytes,
        Self::Date,
        Self::Time,
        Self::Timestamp,
        Self::Timestamptz,
        Self::Uuid,
        Self::Json,
    ];

    /// The name used in plans and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Decimal => "decimal",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Uuid => "uuid",
            Self::Json => "json",
        }
    }

    /// Further names that scripts may use: those of SQL and of Python.
    #[must_use]
    pub const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Bool => &["boolean"],
            Self::Int => &["integer", "bigint"],
            Self::Float => &["real", "double", "double precision"],
            Self::Decimal => &["numeric"],
            Self::Text => &["str", "string", "varchar"],
            Self::Bytes => &["blob", "bytea"],
            Self::Timestamp => &["datetime"],
            Self::Json => &["jsonb"],
            Self::Date | Self::Time | Self::Timestamptz | Self::Uuid => &[],
        }
    }

    /// Returns the type of a name, in any case; `None` if there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Self::ALL.into_iter().find(|one| one.name() == name || one.aliases().contains(&name.as_str()))
    }
}

impl SqlTable {
    /// Reads what [`Display`](fmt::Display) wrote. Any other text is the name of a table without declared columns.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        declaration(text).unwrap_or_else(|| Self { name: text.to_owned(), columns: None })
    }
}

impl fmt::Display for SqlTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(columns) = &self.columns else { return f.write_str(&self.name) };
        write!(f, "{}(", quoted(&self.name))?;
        for (index, SqlColumn { name, column_type }) in columns.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", quoted(name), column_type.name())?;
        }
        f.write_str(")")
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn declaration(text: &str) -> Option<SqlTable> {
    let (name, rest) = quoted_name(text)?;
    let mut rest = rest.strip_prefix('(')?;
    let mut columns = Vec::new();
    loop {
        let (column, after) = quoted_name(rest)?;
        let after = after.strip_prefix(' ')?;
        let (column_type, after) = after.split_at_checked(after.find([',', ')'])?)?;
        columns.push(SqlColumn { name: column, column_type: SqlType::from_name(column_type)? });
        match after.strip_prefix(", ") {
            Some(next) => rest = next,
            None => return (after == ")").then_some(SqlTable { name, columns: Some(columns) }),
        }
    }
}

/// A name in double quotes, and the text after it.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text.strip_prefix('"')?;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return Some((name, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, column_type: SqlType) -> SqlColumn {
        SqlColumn { name: name.to_owned(), column_type }
    }

    #[test]
    fn a_declaration_is_read_as_it_was_written() {
        let columns = SqlType::ALL.map(|one| column(&format!("a \"{}\", (x)", one.name()), one)).to_vec();
        for table in [
            SqlTable { name: "sales".into(), columns: Some(vec![column("id", SqlType::Int)]) },
            SqlTable { name: "a \"b\" (c)".into(), columns: Some(columns) },
            SqlTable { name: "sales (2024)".into(), columns: None },
        ] {
            assert_eq!(SqlTable::from_text(&table.to_string()), table);
        }
        let table = SqlTable {
            name: "sales".into(),
            columns: Some(vec![column("id", SqlType::Int), column("day", SqlType::Date)]),
        };
        assert_eq!(table.to_string(), r#""sales"("id" int, "day" date)"#);
    }

    #[test]
    fn every_other_text_is_a_name() {
        for text in [
            "",
            "sales",
            "sales(id int)",
            "\"sales\"",
            "\"sales\"()",
            "\"a\"(\"b\" thing)",
            "\"a\"(\"b\"",
            "\"a\"(\"b\" int",
        ] {
            assert_eq!(SqlTable::from_text(text), SqlTable { name: text.into(), columns: None }, "{text}");
        }
    }

    #[test]
    fn names_of_types_are_found_in_any_case() {
        assert_eq!(SqlType::from_name("Double Precision"), Some(SqlType::Float));
        for one in SqlType::ALL {
            assert_eq!(SqlType::from_name(one.name()), Some(one));
        }
        assert_eq!(SqlType::from_name("interval"), None);
    }
}
