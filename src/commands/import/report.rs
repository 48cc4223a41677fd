//! What the user reads: problems, files, what to type next.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::process::output::{counted, eprint_line};
use crate::pypeline::{Conversion, Place, Problem, Problems};

/// Most places of one warning that are printed.
const MAX_PLACES: usize = 10;

/// Prints problems with their places.
pub(super) fn print_problems(severity: &str, problems: &[Problem], file: &Path) {
    for Problem { places, message, hint } in problems {
        let shown: Vec<String> =
            places.iter().take(MAX_PLACES).map(|Place { line, column }| format!("{line}:{column}")).collect();
        let more = if places.len() > MAX_PLACES { ", …" } else { "" };
        let place = match shown.is_empty() {
            true => String::new(),
            false => format!("  --> {}:{}{more}\n", file.display(), shown.join(", ")),
        };
        eprint_line(&format!("{severity}: {message}\n{place}  hint: {hint}\n"));
    }
}

/// Prints that nothing was written.
pub(super) fn print_refusal(errors: usize) {
    eprint_line(&format!("bue: {}; nothing was written", counted(errors, "error")));
}

/// Prints what was written, and what to type next.
pub(super) fn print_summary(conversion: &Conversion, paths: &[PathBuf], next: &[String]) {
    let Conversion { generation, because, .. } = conversion;
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    eprint_line(&format!("bue: this is a file of PypeLine on {}, because {because}", generation.name()));
    eprint_line(&format!("bue: wrote {}", paths.join(", ")));
    eprint_line(&format!("bue: next:\n    {}", next.join("\n    ")));
}

/// The commands that check, publish and schedule everything.
pub(super) fn next_commands(folder: &Path, conversion: &Conversion) -> Vec<String> {
    let scripts: Vec<String> = conversion
        .scripts
        .iter()
        .map(|script| shell_word(&folder.join(format!("{}.bue", script.name)).display().to_string()))
        .collect();
    let mut commands = vec![format!("bue check {}", scripts.join(" "))];
    commands.extend(scripts.iter().map(|script| format!("bue publish {script}")));
    if conversion.schedules.is_some() {
        let path = folder.join("schedules.toml").display().to_string();
        commands.push(format!("bue schedule apply {}", shell_word(&path)));
    }
    commands.push(format!("bue worker --scopes {}", shell_word(&conversion.scopes.join(","))));
    commands
}

/// A word of a command, in quotes if the shell would split it.
fn shell_word(word: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "/._-,:".contains(char);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// All of it as JSON; without a conversion, there are errors.
pub(super) fn report_json(written: Option<(&Conversion, &[PathBuf], &[String])>, problems: &Problems) -> Value {
    let problems_json = |problems: &[Problem]| -> Vec<Value> { problems.iter().flat_map(problem_json).collect() };
    let (generation, files, scopes, next) = match written {
        Some((conversion, files, next)) => {
            let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
            (Some(conversion.generation.name()), files, conversion.scopes.clone(), next.to_vec())
        }
        None => (None, Vec::new(), Vec::new(), Vec::new()),
    };
    json!({
        "generation": generation,
        "files": files,
        "scopes": scopes,
        "next": next,
        "errors": problems_json(&problems.errors),
        "warnings": problems_json(&problems.warnings),
    })
}

/// An object for each place.
fn problem_json(problem: &Problem) -> Vec<Value> {
    let Problem { places, message, hint } = problem;
    let object = |place: Option<&Place>| {
        let (line, column) = (place.map(|place| place.line), place.map(|place| place.column));
        json!({ "line": line, "column": column, "message": message, "hint": hint })
    };
    match places.is_empty() {
        true => vec![object(None)],
        false => places.iter().map(|place| object(Some(place))).collect(),
    }
}
