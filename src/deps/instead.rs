//! What to use in place of packages that are native code: data in `instead.toml`.

use std::collections::BTreeMap;

/// `name = "what to use instead"`.
const TABLE: &str = include_str!("instead.toml");

/// What to use in place of a package, if there is something to say.
pub(crate) fn instead(name: &str) -> Option<String> {
    // the file is ours, and a test reads all of it
    let table: BTreeMap<String, String> = toml::from_str(TABLE).ok()?;
    table.get(name).cloned()
}

/// The same as a hint, whatever the package.
pub(crate) fn hint(name: &str) -> String {
    match instead(name) {
        Some(text) => format!("instead: {text}"),
        None => {
            "look for a package in pure Python, `py3-none-any` among its files, or write the step in another language"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deps::needs::normal_name;

    #[test]
    fn the_table_is_read_and_its_names_are_normal() {
        let table: BTreeMap<String, String> = toml::from_str(TABLE).expect("a table");
        assert!(table.len() >= 30, "{}", table.len());
        for (name, text) in &table {
            assert_eq!(*name, normal_name(name));
            assert!(!text.is_empty() && !text.ends_with('.'), "{name}");
        }
        assert!(hint("numpy").starts_with("instead: "));
        assert!(hint("no-such").contains("py3-none-any"));
    }
}
