//! `${NAME:default}`: values that PypeLine takes from the environment.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Place, Problems, quoted};
use super::yaml::Scalar;

/// The values of variables that the user gives, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    given: BTreeMap<String, String>,
    /// Names that the file has.
    seen: BTreeSet<String>,
}

/// A variable in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable<'t> {
    /// Its name.
    pub(super) name: &'t str,
    /// What it is if the environment does not have it.
    pub(super) default: Option<&'t str>,
}

impl Variables {
    /// The values of these variables.
    pub(crate) fn new(given: BTreeMap<String, String>) -> Self {
        Self { given, seen: BTreeSet::new() }
    }

    /// Returns the value of a variable: the given one, else its default. Without both, it is an error.
    pub(super) fn value_of(
        &mut self,
        variable: &Variable<'_>,
        place: Place,
        problems: &mut Problems,
    ) -> Option<String> {
        let Variable { name, default } = *variable;
        self.seen.insert(name.to_owned());
        let value = self.given.get(name).cloned().or_else(|| default.map(str::to_owned));
        if value.is_none() {
            let message = format!("the variable {} has no default, so it would be the text `unset`", quoted(name));
            problems.error(place, message, format!("give it a value: --var {name}=VALUE"));
        }
        value
    }

    /// Reports given variables that the file does not have.
    pub(super) fn report_unseen(&self, problems: &mut Problems) {
        for name in self.given.keys().filter(|name| !self.seen.contains(*name)) {
            let known = match self.seen.is_empty() {
                true => "the file has no variables".to_owned(),
                false => format!("it has {}", self.seen.iter().cloned().collect::<Vec<_>>().join(", ")),
            };
            problems.error_of_file(format!("the file has no variable {}", quoted(name)), known);
        }
    }
}

/// Returns the variable that a value is. Only a plain value can be one, and only as a whole.
pub(super) fn variable_of<'t>(scalar: &'t Scalar, place: Place, problems: &mut Problems) -> Option<Variable<'t>> {
    let text = scalar.text.as_str();
    let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|_| scalar.is_plain);
    let Some(inside) = inside else {
        if text.contains("${") {
            let message = format!(
                "{} stays as it is: PypeLine replaces a variable only if it is a whole, unquoted value",
                quoted(text)
            );
            problems.warning(place, message, "write the value, if this was meant as a variable");
        }
        return None;
    };
    let (name, default) = match inside.split_once(':') {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_variable_name(name) {
        let message = format!("{} is not the name of a variable", quoted(name));
        problems.error(place, message, "write `${NAME:default}`, with letters, digits and `_` in the name");
        return None;
    }
    Some(Variable { name, default })
}

/// Returns whether a variable may have this name.
pub(crate) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { line: 3, column: 5 };

    #[test]
    fn only_whole_plain_values_are_variables() {
        for (text, is_plain, expected) in [
            ("${A}", true, Some(("A", None))),
            ("${A:}", true, Some(("A", Some("")))),
            ("${URL:http://a:1}", true, Some(("URL", Some("http://a:1")))),
            ("${A}", false, None),
            ("x-${A}", true, None),
            ("A", true, None),
        ] {
            let mut problems = Problems::default();
            let scalar = Scalar { text: text.to_owned(), is_plain };
            let found = variable_of(&scalar, PLACE, &mut problems);
            assert_eq!(found.map(|variable| (variable.name, variable.default)), expected, "{text}");
            assert_eq!(problems.warnings.len(), usize::from(expected.is_none() && text.contains('$')), "{text}");
        }
        let mut problems = Problems::default();
        let scalar = Scalar { text: "${A}-${B}".to_owned(), is_plain: true };
        assert_eq!(variable_of(&scalar, PLACE, &mut problems), None);
        assert_eq!(problems.errors.len(), 1);
    }

    #[test]
    fn a_given_value_comes_before_the_default() {
        let mut problems = Problems::default();
        let mut variables = Variables::new([("A".to_owned(), "given".to_owned())].into());
        let value = |variables: &mut Variables, problems: &mut Problems, name, default| {
            variables.value_of(&Variable { name, default }, PLACE, problems)
        };
        assert_eq!(value(&mut variables, &mut problems, "A", Some("b")), Some("given".to_owned()));
        assert_eq!(value(&mut variables, &mut problems, "C", Some("d")), Some("d".to_owned()));
        assert_eq!(value(&mut variables, &mut problems, "E", None), None);
        assert!(problems.errors[0].hint.contains("--var E=VALUE"), "{problems:?}");
        let unknown = Variables::new([("X".to_owned(), String::new())].into());
        unknown.report_unseen(&mut problems);
        assert!(problems.errors[1].message.contains("`X`"), "{problems:?}");
    }
}
