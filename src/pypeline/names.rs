//! Names of steps, parameters and files: those of the YAML, changed where bue or Python does not take them.

use std::collections::HashSet;

use bue_model::pipeline::{MAX_PIPELINE_NAME, is_pipeline_name};

/// Words that mean something else in a script or in Python, and names that the generated code uses.
const TAKEN: [&str; 48] = [
    "False",
    "None",
    "TAB",
    "True",
    "and",
    "args",
    "as",
    "assert",
    "async",
    "await",
    "bool",
    "break",
    "chain_payload",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "event",
    "except",
    "false",
    "finally",
    "for",
    "from",
    "global",
    "handlers",
    "if",
    "import",
    "in",
    "is",
    "kwargs",
    "lambda",
    "nonlocal",
    "not",
    "null",
    "or",
    "param",
    "pass",
    "raise",
    "return",
    "run",
    "true",
    "try",
    "while",
    "with",
    "yield",
    "settings_of",
];

/// Most bytes of a name in a script, less than bue permits.
const MAX_NAME: usize = 100;

/// Gives out names of one script, none of them twice.
#[derive(Debug)]
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Names beside these.
    pub(super) fn new<'n>(taken: impl IntoIterator<Item = &'n str>) -> Self {
        Self { taken: TAKEN.into_iter().chain(taken).map(str::to_owned).collect() }
    }

    /// Returns the name itself, or one like it that is free and valid in scripts and in Python.
    pub(super) fn name_for(&mut self, wanted: &str) -> String {
        let mut name: String =
            wanted.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).take(MAX_NAME).collect();
        if !name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_') {
            name.insert(0, '_');
        }
        let free = core::iter::once(name.clone())
            .chain((2..).map(|number: u32| format!("{name}_{number}")))
            .find(|name| !self.taken.contains(name))
            .unwrap_or(name);
        self.taken.insert(free.clone());
        free
    }
}

/// Returns the name of a pipeline or schedule: the name itself, or one like it.
pub(super) fn published_name(wanted: &str) -> String {
    if is_pipeline_name(wanted) {
        return wanted.to_owned();
    }
    let is_kept = |char: &char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    let name: String = wanted.chars().map(|char| if is_kept(&char) { char } else { '-' }).collect();
    let name: String =
        name.trim_start_matches(['-', '_', '.']).trim_end_matches('-').chars().take(MAX_PIPELINE_NAME).collect();
    if name.is_empty() { "pipeline".to_owned() } else { name }
}

/// Returns whether a text is the name of a module or function of Python.
pub(super) fn is_python_name(name: &str) -> bool {
    const WORDS: [&str; 35] = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
        "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
        "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
    ];
    name.starts_with(|char: char| char.is_alphabetic() || char == '_')
        && name.chars().all(|char| char.is_alphanumeric() || char == '_')
        && !WORDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_and_different() {
        let mut names = Names::new(["my_app"]);
        for (wanted, expected) in [
            ("load", "load"),
            ("node-a", "node_a"),
            ("node a", "node_a_2"),
            ("import", "import_2"),
            ("my_app", "my_app_2"),
            ("1st", "_1st"),
            ("", "_"),
            ("größe", "gr__e"),
        ] {
            assert_eq!(names.name_for(wanted), expected, "{wanted}");
        }
        for (wanted, expected) in
            [("nightly-load", "nightly-load"), ("My Pipeline!", "My-Pipeline"), ("../etc", "etc"), ("日本", "pipeline")]
        {
            assert_eq!(published_name(wanted), expected, "{wanted}");
            assert!(is_pipeline_name(expected));
        }
        assert!(is_pipeline_name(&published_name(&"x y".repeat(100))));
    }
}
