//! What to say about a module that a step imports and does not have. The data is in `modules.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::guest_modules::{buelon_modules, importable};
use super::instead::instead;
use super::requirements::normalized_name;

const TABLE: &str = include_str!("modules.toml");

/// The tables of `modules.toml`.
#[derive(Default, Deserialize)]
struct Tables {
    known: Vec<String>,
    packages: BTreeMap<String, String>,
    library: BTreeMap<String, String>,
}

impl Tables {
    fn is_known(&self, package: &str) -> bool {
        self.known.iter().any(|known| normalized_name(known) == normalized_name(package))
    }
}

/// What is wrong with an import, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingModule {
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Describes a module that is neither beside the step nor in the standard library nor in its packages. `neighbours` are the
/// modules beside the step.
pub(crate) fn missing_module(module: &str, neighbours: &[String], script: &Path) -> MissingModule {
    let top = module.split('.').next().unwrap_or(module);
    let package = tables().packages.get(top).cloned().unwrap_or_else(|| top.to_owned());
    if let Some(instead) = instead(&normalized_name(&package)) {
        let message = format!("the package `{package}` cannot work in a step");
        return MissingModule { message, hint: format!("instead: {instead}") };
    }
    let declare = format!("write `!requires {package}` above the step and type `bue deps lock {}`", script.display());
    if tables().is_known(&package) {
        let message = format!("`{module}` is in the package `{package}`, which the step does not require");
        return MissingModule { message, hint: declare };
    }
    let mut names: Vec<&str> = neighbours.iter().map(String::as_str).collect();
    for name in importable().filter(|name| !name.starts_with('_')) {
        names.push(name);
    }
    let meant = bue_lang::nearest(top, names).map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    let hint = format!("{meant}if it is a package, {declare}; if it is your own, put `{top}.py` beside the step");
    let message =
        format!("there is no module `{module}` beside the step, in Python's library or in the packages of the step");
    MissingModule { message, hint }
}

/// Describes a module of Python's standard library that the sandbox does not have.
pub(crate) fn missing_in_library(module: &str) -> MissingModule {
    let tables = tables();
    let instead = with_parents(module).find_map(|name| tables.library.get(name));
    let hint = instead.map_or_else(
        || "it needs an operating system, which a sandbox does not have; write the step without it".to_owned(),
        |instead| format!("instead: {instead}"),
    );
    MissingModule { message: format!("a step cannot import `{module}`: the sandbox's Python does not have it"), hint }
}

/// Describes a module or name that the sandbox's modules of Buelon do not have.
pub(crate) fn missing_in_buelon(module: &str) -> MissingModule {
    let meant = bue_lang::nearest(module, buelon_modules());
    let hint = meant.map_or_else(
        || "docs/buelon.md lists the modules of Buelon that a step can import; remove the import".to_owned(),
        |name| format!("did you mean `{name}`? Otherwise remove the import"),
    );
    MissingModule { message: format!("a step cannot import `{module}`: the sandbox's Buelon does not have it"), hint }
}

/// The name, then its packages from the innermost to the outermost.
fn with_parents(module: &str) -> impl Iterator<Item = &str> {
    core::iter::successors(Some(module), |name| name.rsplit_once('.').map(|(parent, _)| parent))
}

/// The file is ours, and a test reads all of it.
fn tables() -> Tables {
    toml::from_str(TABLE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deps::guest_modules::{LibraryModule, library_module};

    #[test]
    fn the_tables_are_valid() {
        let tables: Tables = toml::from_str(TABLE).expect("tables");
        assert!(tables.packages.len() > 10);
        for (module, text) in &tables.library {
            assert_eq!(library_module(module), Some(LibraryModule::CannotWork), "{module}");
            assert!(!text.is_empty() && !text.ends_with('.'), "{module}");
        }
    }

    #[test]
    fn a_hint_says_what_to_type_or_to_use() {
        let hint = |module: &str| missing_module(module, &["customers".to_owned()], Path::new("x.bue")).hint;
        assert!(hint("numpy").starts_with("instead: lists"), "{}", hint("numpy"));
        assert!(hint("yaml").contains("`!requires pyyaml`"), "{}", hint("yaml"));
        assert!(hint("requests").contains("`!requires requests`"), "{}", hint("requests"));
        assert!(hint("dateutil.parser").contains("`!requires python-dateutil`"), "{}", hint("dateutil.parser"));
        assert!(hint("requests").contains("`bue deps lock x.bue`"), "{}", hint("requests"));
        assert!(hint("httpx").starts_with("write `!requires httpx`"), "{}", hint("httpx"));
        assert!(hint("custmers").starts_with("did you mean `customers`? "), "{}", hint("custmers"));
        assert!(hint("statistic").starts_with("did you mean `statistics`? "), "{}", hint("statistic"));
        assert_eq!(missing_in_library("curses.panel").hint, "instead: print");
        assert!(missing_in_buelon("buelon.hubb").hint.contains("`buelon.hub`"));
        assert!(missing_in_buelon("buelon.jokes").hint.contains("remove the import"));
    }
}
