//! Names of languages, and the form of names of functions and files.

use bue_model::plan::Language;

use crate::diagnostics::suggest::Suggester;
use crate::text::{is_word_continue, is_word_start};

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

/// The language of this name.
pub(crate) fn find(name: &str) -> Option<Language> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, language)| *language)
}

/// For a text that is not a language: the language that was probably intended, one with a similar name or one that the text
/// contains (`language: python`).
pub(crate) fn intended(text: &str) -> Option<&'static str> {
    let names = || NAMES.iter().map(|(name, _)| *name);
    let within = || text.split([':', ',', ' ']).find_map(|part| names().find(|name| *name == part));
    Suggester::default().nearest(text, names()).or_else(within)
}

/// `name`, `Class.method`, or words with single spaces.
pub(crate) fn is_dotted_name(text: &str) -> bool {
    text.split('.').all(|part| {
        let mut chars = part.chars();
        let inner = |char: char| char == ' ' || is_word_continue(char);
        chars.next().is_some_and(is_word_start) && chars.all(inner) && !part.ends_with(' ')
    })
}

/// Returns whether the language can have a function of this name. Tables and exports of other languages have fewer rules.
pub(crate) fn may_name(language: Language, function: &str) -> bool {
    language != Language::Python || !function.contains([' ', '-'])
}

/// Returns whether the text looks like a file rather than a function.
pub(crate) fn is_path(text: &str) -> bool {
    const EXTENSIONS: &[&str] = &[".py", ".sql", ".rs", ".go", ".c", ".cpp", ".cc", ".wasm"];
    text.contains('/') || EXTENSIONS.iter().any(|extension| text.ends_with(extension))
}

/// Returns whether steps in the language are compiled before they are uploaded.
pub(crate) const fn is_compiled(language: Language) -> bool {
    match language {
        Language::Python | Language::Sqlite3 | Language::Postgres => false,
        Language::Rust | Language::Go | Language::C | Language::Cpp | Language::Wasm => true,
    }
}
