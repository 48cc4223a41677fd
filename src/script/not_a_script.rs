//! What to type instead, if a user names something that is not a script.

use std::fs;
use std::path::Path;

use crate::script::text_file::read_text;

/// Returns what the path is and what to type instead, or `None` if it may be a script.
pub(super) fn explain(path: &Path) -> Option<String> {
    if path == Path::new("-") {
        return Some(
            "a script is read from a file, not from stdin, because the paths in it are relative to the file; write it \
             to a file and type `bue run FILE`, or submit it with `bue upload -f -`"
                .to_owned(),
        );
    }
    if path.is_dir() {
        return Some(explain_folder(path));
    }
    let is_python = path.extension().is_some_and(|extension| extension == "py");
    let text = is_python.then(|| read_text(path).ok()).flatten()?;
    Some(explain_python(path, &text))
}

fn explain_folder(path: &Path) -> String {
    let entries = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let first = entries.filter(|entry| entry.extension().is_some_and(|extension| extension == "bue")).min();
    let hint =
        first.map_or_else(|| "name a script".to_owned(), |script| format!("name a script in it: {}", script.display()));
    format!("failed to read {}: it is a folder; {hint}", path.display())
}

fn explain_python(path: &Path, text: &str) -> String {
    let function = text.lines().find_map(function_name).unwrap_or("FUNCTION");
    let script = path.with_file_name("pipeline.bue");
    let (shown, script) = (path.display(), script.display());
    let name = path.file_name().unwrap_or_default().display();
    format!(
        "{shown} is a Python file, and bue runs scripts that name its functions; write into {script}\n    \
         import python ({function}) {name}\n    {function}()\nand type `bue run {script}`"
    )
}

/// Returns the name of the function that a line begins to define.
fn function_name(line: &str) -> Option<&str> {
    let definition = line.strip_prefix("async ").unwrap_or(line).strip_prefix("def ")?;
    definition.split_once('(').map(|(name, _)| name.trim())
}
