//! What is wrong with a file, or has no counterpart in bue.

/// Most different errors, and most different warnings. A file with more is not one of PypeLine.
const MAX_PROBLEMS: usize = 1_000;

/// A position in the YAML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
}

/// One error, or one warning about some places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where; empty if it is about the file as a whole.
    pub(crate) places: Vec<Place>,
    /// What.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: String,
}

/// The errors and warnings of a file. Equal warnings are one warning with several places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems {
    /// With one of these, nothing is converted.
    pub(crate) errors: Vec<Problem>,
    /// What is not converted, or not exactly.
    pub(crate) warnings: Vec<Problem>,
}

impl Problems {
    /// Adds an error.
    pub(crate) fn error(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        add(&mut self.errors, Some(place), message.into(), hint.into());
    }

    /// Adds an error about the file as a whole.
    pub(crate) fn error_of_file(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        add(&mut self.errors, None, message.into(), hint.into());
    }

    /// Adds a warning.
    pub(crate) fn warning(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.add_warning(Some(place), message.into(), hint.into());
    }

    /// Adds a warning about the file as a whole.
    pub(crate) fn warning_of_file(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.add_warning(None, message.into(), hint.into());
    }

    fn add_warning(&mut self, place: Option<Place>, message: String, hint: String) {
        add(&mut self.warnings, place, message, hint);
        if self.warnings.len() > MAX_PROBLEMS {
            let message = format!("there are more than {MAX_PROBLEMS} different warnings");
            add(&mut self.errors, None, message, "name a `sermos.yaml` or `pypeline.yaml` of PypeLine".to_owned());
        }
    }

    /// Puts them in the order of the file.
    pub(crate) fn sort(&mut self) {
        for problems in [&mut self.errors, &mut self.warnings] {
            problems.iter_mut().for_each(|problem| problem.places.sort_unstable());
            problems.sort_by_key(|problem| problem.places.first().copied());
        }
    }
}

fn add(problems: &mut Vec<Problem>, place: Option<Place>, message: String, hint: String) {
    let is_full = problems.len() > MAX_PROBLEMS;
    match problems.iter_mut().find(|problem| problem.message == message && problem.hint == hint) {
        Some(problem) => problem.places.extend(place),
        None if is_full => {}
        None => problems.push(Problem { places: place.into_iter().collect(), message, hint }),
    }
}

/// Returns a text in backquotes, shortened, on one line.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let shown: String = text.chars().take(MOST).map(|char| if char.is_control() { ' ' } else { char }).collect();
    let rest = if text.chars().count() > MOST { "…" } else { "" };
    format!("`{shown}{rest}`")
}
