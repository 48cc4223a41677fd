//! The language that a text names, and the form of names of functions and files.

use bue_model::Language;

use crate::diagnostics::suggest::Suggester;
use crate::text::{is_word_continue, is_word_start};

/// Every name of a language that a script may use.
fn names() -> impl Iterator<Item = (&'static str, Language)> {
    let all_names = |language: Language| core::iter::once(language.name()).chain(language.aliases().iter().copied());
    Language::ALL.into_iter().flat_map(move |language| all_names(language).map(move |name| (name, language)))
}

/// The language of this name.
pub(crate) fn find(name: &str) -> Option<Language> {
    names().find(|(known, _)| *known == name).map(|(_, language)| language)
}

/// For a text that is not a language: the language that was probably intended, one with a similar name or one that the text
/// contains (`language: python`).
pub(crate) fn intended(text: &str) -> Option<&'static str> {
    let names = || names().map(|(name, _)| name);
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

/// Returns whether the language can have a function of this name. Tables and exports have fewer rules than identifiers.
pub(crate) fn may_name(language: Language, function: &str) -> bool {
    !language.has_identifier_functions() || !function.contains([' ', '-'])
}

/// Returns whether the text looks like a file rather than a function.
pub(crate) fn is_path(text: &str) -> bool {
    let mut endings = Language::ALL.into_iter().flat_map(Language::file_endings);
    text.contains('/') || endings.any(|ending| text.ends_with(ending))
}
