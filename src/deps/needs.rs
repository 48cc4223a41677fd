//! What a step needs of Python packages.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bue_model::Step;
use bue_model::plan::Source;

/// Bytes of a requirements.txt, and files that may follow each other by `-r`.
const MAX_BYTES: u64 = 256 * 1024;
const MAX_DEPTH: u32 = 5;
const NAME: &str = "requirements.txt";

/// A sorted list of requirements, each as pip writes it. Empty: none.
pub(crate) type Needs = Vec<String>;

/// What a step needs: its `!requires`, and the `requirements.txt` beside its file, or where there is none, the one beside the
/// script. The error says which file and line are not understood.
pub(crate) fn needs(step: &Step, script: &Path) -> Result<Needs, String> {
    if !step.language.has_imports() {
        return Ok(Needs::new());
    }
    let mut found: BTreeSet<String> = step.settings.requires.iter().map(|text| plain(text)).collect();
    let beside = script.parent().unwrap_or(Path::new(""));
    let beside_step = match &step.source {
        Source::File(path) => beside.join(path).with_file_name(NAME),
        Source::Inline { .. } => beside.join(NAME),
    };
    let files = [beside_step, beside.join(NAME)];
    if let Some(file) = files.iter().find(|file| file.is_file()) {
        collect(file, MAX_DEPTH, &mut found)?;
    }
    Ok(found.into_iter().collect())
}

/// The name a requirement begins with, as the Python package index compares names.
pub(crate) fn name_of(requirement: &str) -> String {
    let end = requirement.find(|char: char| !(char.is_ascii_alphanumeric() || "._-".contains(char)));
    normal_name(requirement.get(..end.unwrap_or(requirement.len())).unwrap_or_default())
}

/// Small letters, and one `-` for every run of `-`, `_` and `.`.
pub(crate) fn normal_name(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

fn collect(path: &Path, depth: u32, found: &mut BTreeSet<String>) -> Result<(), String> {
    let text = read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    for (number, line) in lines(&text) {
        let bad = |what: &str| format!("{}:{number}: {what}", path.display());
        if let Some(other) = line.strip_prefix("-r").or_else(|| line.strip_prefix("--requirement")) {
            if depth == 0 {
                return Err(bad("one file leads to another for ever"));
            }
            let other = path.with_file_name(other.trim_start_matches(['=', ' ', '\t']));
            collect(&other, depth - 1, found)?;
        } else {
            found.insert(requirement(&line).map_err(|what| bad(&what))?);
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other(format!("it is longer than {} KiB", MAX_BYTES / 1024))),
        false => Ok(text),
    }
}

/// Lines with something on them, without comments; one that ends in `\` goes on in the next.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = if line.trim_start().starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() };
        let (line, more) = line.trim_end().strip_suffix('\\').map_or((line, false), |line| (line, true));
        match found.last_mut() {
            Some((_, last)) if goes_on => last.push_str(&format!(" {}", line.trim())),
            _ => found.push((index + 1, line.trim().to_owned())),
        }
        goes_on = more;
    }
    found.retain(|(_, line)| !line.is_empty());
    found
}

/// A line as a requirement, or what is wrong with it.
fn requirement(line: &str) -> Result<String, String> {
    let shown: String = line.chars().take(60).collect();
    if line.starts_with('-') {
        return Err(format!("`{shown}` is an option; what pip should use belongs into its own configuration"));
    }
    let is_named = line.starts_with(|char: char| char.is_ascii_alphanumeric()) && !line.contains(['@', '\0']);
    let is_place = name_end(line).starts_with(['/', ':', '\\', '+']) || line.ends_with(".whl");
    match is_named && !is_place {
        true => Ok(plain(line)),
        false => Err(format!("`{shown}` is no name and version of a package")),
    }
}

/// What stands behind the name.
fn name_end(line: &str) -> &str {
    line.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || "._-".contains(char)).trim_start()
}

/// Spaces mean nothing but between words of a marker: runs of them are one.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bue_model::Language;
    use bue_model::plan::Settings;
    use tempfile::TempDir;

    use super::*;

    fn step(source: &str, requires: &[&str]) -> Step {
        let requires = requires.iter().map(|text| (*text).to_owned()).collect();
        let settings = Settings { requires, ..Settings::default() };
        let source = Source::File(source.to_owned());
        Step { name: "s".into(), language: Language::Python, function: "f".into(), source, line: 1, settings }
    }

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = TempDir::new().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, text).expect("a file");
        }
        folder
    }

    #[test]
    fn the_nearest_list_and_the_setting_count() {
        let folder = folder(&[("requirements.txt", "six\n"), ("near/requirements.txt", "idna>=3\n")]);
        let script = folder.path().join("x.bue");
        assert_eq!(needs(&step("near/a.py", &["b", "a  >= 1"]), &script).expect("needs"), ["a >= 1", "b", "idna>=3"]);
        assert_eq!(needs(&step("far/a.py", &[]), &script).expect("needs"), ["six"]);
        let sql = Step { language: Language::Sqlite3, ..step("far/a.sql", &["x"]) };
        assert_eq!(needs(&sql, &script).expect("needs"), [] as [&str; 0]);
    }

    #[test]
    fn lists_are_read_as_pip_reads_them() {
        let text = "\u{feff}# all of them\nsix==1.17 # pinned\n\n-r more.txt\nidna \\\n  >=3, \\\n  <4\n";
        let folder = folder(&[("requirements.txt", text), ("more.txt", "attrs[x] ; python_version > \"3\"\n")]);
        let found = needs(&step("a.py", &[]), &folder.path().join("x.bue")).expect("needs");
        assert_eq!(found, ["attrs[x] ; python_version > \"3\"", "idna >=3, <4", "six==1.17"]);
    }

    #[test]
    fn what_is_no_name_and_version_is_named_with_its_line() {
        for line in
            ["-e .", "--index-url x", "./a", "a @ b", "git+https://a", "/a/b.whl", "a.whl", "-r requirements.txt"]
        {
            let folder = folder(&[("requirements.txt", &format!("six\n{line}\n"))]);
            let error = needs(&step("a.py", &[]), &folder.path().join("x.bue")).expect_err(line);
            assert!(error.contains("requirements.txt:2: "), "{error}");
        }
    }

    #[test]
    fn names_are_compared_as_the_index_does() {
        assert_eq!(name_of("Charset_Normalizer[x]>=2"), "charset-normalizer");
        assert_eq!(name_of("zope.interface ; x"), "zope-interface");
    }
}
