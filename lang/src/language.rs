//! Names of languages, and what names of functions and files look like.

use bue_model::plan::Language;

use crate::lexer::{begins_word, continues_word};
use crate::suggest::Suggester;

const NAMES: &[(&str, Language)] = &[
    ("python", Language::Python),
    ("python3", Language::Python),
    ("py", Language::Python),
    ("sqlite3", Language::Sqlite3),
    ("sqlite", Language::Sqlite3),
    ("postgres", Language::Postgres),
    ("postgresql", Language::Postgres),
    ("pg", Language::Postgres),
    ("rust", Language::Rust),
    ("go", Language::Go),
    ("c", Language::C),
    ("cpp", Language::Cpp),
    ("c++", Language::Cpp),
    ("wasm", Language::Wasm),
];

/// The language of a name.
pub(crate) fn find(name: &str) -> Option<Language> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, language)| *language)
}

/// The name that was meant by one which is none: a near one, or one that stands in it (`language: python`).
pub(crate) fn meant(text: &str) -> Option<&'static str> {
    let names = || NAMES.iter().map(|(name, _)| *name);
    let within = || text.split([':', ',', ' ']).find_map(|part| names().find(|name| *name == part));
    Suggester::default().nearest(text, names()).or_else(within)
}

/// `name`, `Class.method`, or words with single spaces.
pub(crate) fn is_dotted_name(text: &str) -> bool {
    text.split('.').all(|part| {
        let mut chars = part.chars();
        let inner = |char: char| char == ' ' || continues_word(char);
        chars.next().is_some_and(begins_word) && chars.all(inner) && !part.ends_with(' ')
    })
}

/// Can the language have a function of this name? Tables and exports of other languages have fewer rules.
pub(crate) fn may_name(language: Language, function: &str) -> bool {
    language != Language::Python || !function.contains([' ', '-'])
}

/// Does it look like a file rather than a function?
pub(crate) fn is_path(text: &str) -> bool {
    const ENDS: &[&str] = &[".py", ".sql", ".rs", ".go", ".c", ".cpp", ".cc", ".wasm"];
    text.contains('/') || ENDS.iter().any(|end| text.ends_with(end))
}
