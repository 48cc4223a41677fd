//! What to use in place of packages with native code. The data is in `instead.toml`.

use std::collections::BTreeMap;

/// Lines of the form `name = "what to use instead"`.
const TABLE: &str = include_str!("instead.toml");

/// Returns what to use in place of a package, if the table has it.
pub(crate) fn instead(name: &str) -> Option<String> {
    // the file is ours, and a test reads all of it
    let table: BTreeMap<String, String> = toml::from_str(TABLE).ok()?;
    table.get(name).cloned()
}

/// Returns a hint for any package: what the table has, or how to find a replacement.
pub(crate) fn hint(name: &str) -> String {
    match instead(name) {
        Some(text) => format!("instead: {text}"),
        None => {
            "look for a pure Python package (one with a `py3-none-any` file), or write the step in another language"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deps::requirements::normalized_name;

    #[test]
    fn the_table_is_valid_and_its_names_are_normalized() {
        let table: BTreeMap<String, String> = toml::from_str(TABLE).expect("a table");
        assert!(table.len() >= 30, "{}", table.len());
        for (name, text) in &table {
            assert_eq!(*name, normalized_name(name));
            assert!(!text.is_empty() && !text.ends_with('.'), "{name}");
        }
        assert!(hint("numpy").starts_with("instead: "));
        assert!(hint("no-such").contains("py3-none-any"));
    }
}
