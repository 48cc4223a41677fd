//! Results as CSV (RFC 4180): lists of objects become tables.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Columns of a table at most; further fields are left out.
const MAX_COLUMNS: usize = 500;

/// A row of a table: the call that it belongs to, and its fields.
type Row = (String, Map<String, Value>);

/// Writes the results of calls, as the API returns them. Each element of a list is a row; the fields of objects are columns. The first
/// column names the call.
pub(in crate::web) fn csv(calls: &[Value]) -> String {
    let rows: Vec<Row> = calls.iter().flat_map(rows_of).collect();
    let names: BTreeSet<&String> = rows.iter().flat_map(|(_, fields)| fields.keys()).collect();
    let names: Vec<&String> = names.into_iter().take(MAX_COLUMNS).collect();
    let mut text = line(std::iter::once("call".to_owned()).chain(names.iter().map(|name| harmless(name))));
    for (call, fields) in &rows {
        let cells = names.iter().map(|name| fields.get(*name).map(cell).unwrap_or_default());
        text.push_str(&line(std::iter::once(call.clone()).chain(cells)));
    }
    text
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
}
