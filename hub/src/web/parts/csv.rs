//! Results as CSV (RFC 4180): lists of objects become tables.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Columns of a table at most; further fields are left out.
const MAX_COLUMNS: usize = 500;

/// A row of a table: the call that it belongs to, and its fields.
type Row = (String, Map<String, Value>);

/// The columns of a table: the call, and the first fields by name of all that were added.
#[derive(Debug, Default)]
pub(in crate::web) struct CsvColumns(BTreeSet<String>);

impl CsvColumns {
    /// Adds the fields of results of calls, as the API returns them.
    pub(in crate::web) fn add(&mut self, calls: &[Value]) {
        for (_, fields) in calls.iter().flat_map(rows_of) {
            for name in fields.into_iter().map(|(name, _)| name) {
                self.0.insert(name);
                if self.0.len() > MAX_COLUMNS {
                    self.0.pop_last();
                }
            }
        }
    }

    /// The first line.
    pub(in crate::web) fn header(&self) -> String {
        line(std::iter::once("call".to_owned()).chain(self.0.iter().map(|name| harmless(name))))
    }

    /// Writes results: each element of a list is a row, and the fields of objects are columns.
    ///
    /// # Errors
    /// The name of a field that is no column, although there is room for it.
    pub(in crate::web) fn rows(&self, calls: &[Value]) -> Result<String, String> {
        let mut text = String::new();
        for (call, fields) in calls.iter().flat_map(rows_of) {
            let is_full = self.0.len() == MAX_COLUMNS;
            if let Some(name) = fields.keys().find(|name| !is_full && !self.0.contains(*name)) {
                return Err(name.clone());
            }
            let cells = self.0.iter().map(|name| fields.get(name).map(cell).unwrap_or_default());
            text.push_str(&line(std::iter::once(call).chain(cells)));
        }
        Ok(text)
    }
}

/// The rows of one call. A value that is no object has the column `value`.
fn rows_of(call: &Value) -> Vec<Row> {
    let name =
        call.get("name").filter(|name| !name.is_null()).or_else(|| call.get("line")).map(cell).unwrap_or_default();
    let items = match call.get("value").cloned().unwrap_or_default() {
        Value::Array(items) => items,
        value => vec![value],
    };
    let fields = |item: Value| match item {
        Value::Object(fields) => fields,
        value => Map::from_iter([("value".to_owned(), value)]),
    };
    items.into_iter().map(|item| (name.clone(), fields(item))).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// A spreadsheet takes a text that begins like a formula for one, so such a text gets an apostrophe.
fn harmless(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = |text: String| match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    };
    let cells: Vec<_> = cells.map(quoted).collect();
    format!("{}\r\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn csv(calls: &[Value]) -> String {
        let mut columns = CsvColumns::default();
        columns.add(calls);
        columns.header() + &columns.rows(calls).expect("all columns")
    }

    #[test]
    fn lists_of_objects_are_tables_and_formulas_are_texts() {
        let calls = [
            json!({ "name": "rows", "line": 3, "value": [{ "city": "a,\"b\"", "n": 1 }, { "n": null, "x": [1] }] }),
            json!({ "name": null, "line": 9, "value": "=HYPERLINK(1)" }),
        ];
        let formula = [json!({ "name": "a", "value": { "=HYPERLINK(1)": 2 } })];
        assert_eq!(csv(&formula), "call,'=HYPERLINK(1)\r\na,2\r\n", "the name of a field is a text, too");
        let expected = "call,city,n,value,x\r\nrows,\"a,\"\"b\"\"\",1,,\r\nrows,,,,[1]\r\n9,,,'=HYPERLINK(1),\r\n";
        assert_eq!(csv(&calls), expected);
        assert_eq!(csv(&[]), "call\r\n");
    }

    #[test]
    fn columns_are_bounded_and_a_new_one_is_noticed() {
        let mut columns = CsvColumns::default();
        let one = |name: String| json!({ "name": "a", "value": { (name): 1 } });
        columns.add(&[one("b".to_owned())]);
        assert_eq!(columns.rows(&[one("c".to_owned())]), Err("c".to_owned()), "nothing is left out silently");
        for number in 0..2 * MAX_COLUMNS {
            columns.add(&[one(format!("{number:04}"))]);
        }
        assert_eq!(columns.header().split(',').count(), 1 + MAX_COLUMNS);
        assert!(columns.rows(&[one("zzz".to_owned())]).is_ok_and(|row| row.starts_with("a,,")), "the documented limit");
    }
}
