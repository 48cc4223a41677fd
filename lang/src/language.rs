//! Names of languages, and what names of functions and files look like.

use bue_model::Language;

use crate::lexer::{begins_word, continues_word};
use crate::suggest::Suggester;

/// Every name of every language.
fn names() -> impl Iterator<Item = (&'static str, Language)> {
    Language::ALL.into_iter().flat_map(|language| {
        let names = [language.name()].into_iter().chain(language.aliases().iter().copied());
        names.map(move |name| (name, language))
    })
}

/// Returns the language that has this name.
pub(crate) fn find(text: &str) -> Option<Language> {
    names().find(|(name, _)| *name == text).map(|(_, language)| language)
}

/// Returns the name that was probably meant by `text`, which is not one: a similar one, or one in it (`language: python`).
pub(crate) fn meant(text: &str) -> Option<&'static str> {
    let names = || names().map(|(name, _)| name);
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
    !language.has_identifier_functions() || !function.contains([' ', '-'])
}

/// Does it look like a file rather than a function?
pub(crate) fn is_path(text: &str) -> bool {
    let mut endings = Language::ALL.into_iter().flat_map(Language::file_endings);
    text.contains('/') || endings.any(|ending| text.ends_with(ending))
}
