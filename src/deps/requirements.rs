//! The Python packages that a step requires.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bue_model::Step;
use bue_model::plan::Source;

/// Longest requirements.txt, in bytes.
const MAX_BYTES: u64 = 256 * 1024;
/// How many files may include each other with `-r`.
const MAX_DEPTH: u32 = 5;
const FILE_NAME: &str = "requirements.txt";

/// A sorted list of requirements, each as pip writes it.
pub(crate) type Requirements = Vec<String>;

/// Returns the requirements of a step: its `!requires`, and the `requirements.txt` beside its file, or else the one beside the
/// script. The error is a message that names the file and line with a problem.
pub(crate) fn requirements(step: &Step, script: &Path) -> Result<Requirements, String> {
    // those of a fused step are those of its stages
    if !step.language.has_imports() || matches!(step.source, Source::Fused(_)) {
        return Ok(Requirements::new());
    }
    let mut requirements: BTreeSet<String> = step.settings.requires.iter().map(|text| normalize_spaces(text)).collect();
    let folder = script.parent().unwrap_or(Path::new(""));
    let beside_step = match &step.source {
        Source::File(path) => folder.join(path).with_file_name(FILE_NAME),
        Source::Inline { .. } | Source::Fused(_) => folder.join(FILE_NAME),
    };
    let files = [beside_step, folder.join(FILE_NAME)];
    if let Some(file) = files.iter().find(|file| file.is_file()) {
        let folders = [folder, file.parent().unwrap_or(folder)].map(resolved);
        collect(file, &folders, MAX_DEPTH, &mut requirements)?;
    }
    Ok(requirements.into_iter().collect())
}

/// Returns the normalized name of a requirement's package.
pub(crate) fn package_name(requirement: &str) -> String {
    let end = requirement.find(|char: char| !(char.is_ascii_alphanumeric() || "._-".contains(char)));
    normalized_name(requirement.get(..end.unwrap_or(requirement.len())).unwrap_or_default())
}

/// Normalizes a name as the Python package index does: lower case, and `-` for every run of `-`, `_` and `.`.
pub(crate) fn normalized_name(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

/// Returns the path of a folder without links, of which nothing is in another place than it seems.
fn resolved(folder: &Path) -> Option<PathBuf> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    folder.canonicalize().ok()
}

/// Reads a file and those that it includes, which are in one of the folders: a script of somebody else must not make you upload
/// or print lines of your other files.
fn collect(
    path: &Path,
    folders: &[Option<PathBuf>],
    depth: u32,
    requirements: &mut BTreeSet<String>,
) -> Result<(), String> {
    let text = read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    for (number, line) in lines(&text) {
        let with_line = |problem: &str| format!("{}:{number}: {problem}", path.display());
        if let Some(other) = line.strip_prefix("-r").or_else(|| line.strip_prefix("--requirement")) {
            if depth == 0 {
                return Err(with_line("the files include each other too deeply"));
            }
            let name = other.trim_start_matches(['=', ' ', '\t']);
            let other = path.with_file_name(name);
            let is_outside = |file: PathBuf| !folders.iter().flatten().any(|folder| file.starts_with(folder));
            if other.canonicalize().is_ok_and(is_outside) {
                return Err(with_line(&format!("`{name}` is outside the folder of the script; copy its lines")));
            }
            collect(&other, folders, depth - 1, requirements)?;
        } else {
            requirements.insert(parse_requirement(&line).map_err(|problem| with_line(&problem))?);
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

/// Returns the lines that are not empty, with their numbers and without comments; a line that ends in `\` is joined with the
/// next one.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut is_continued = false;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = if line.trim_start().starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() };
        let (line, continues) = line.trim_end().strip_suffix('\\').map_or((line, false), |line| (line, true));
        match lines.last_mut() {
            Some((_, last)) if is_continued => last.push_str(&format!(" {}", line.trim())),
            _ => lines.push((index + 1, line.trim().to_owned())),
        }
        is_continued = continues;
    }
    lines.retain(|(_, line)| !line.is_empty());
    lines
}

/// Parses a line as a requirement. The error is the problem, without the place.
fn parse_requirement(line: &str) -> Result<String, String> {
    let excerpt: String = line.chars().take(60).collect();
    if line.starts_with('-') {
        return Err(format!("`{excerpt}` is an option; put options into pip's own configuration"));
    }
    if line.split_whitespace().any(|word| word.starts_with('-')) {
        return Err(format!("`{excerpt}` has an option; put options into pip's own configuration"));
    }
    let is_named = line.starts_with(|char: char| char.is_ascii_alphanumeric()) && !line.contains(['@', '\0']);
    let rest = after_name(line);
    let is_version = rest.is_empty() || rest.starts_with(['[', '(', '<', '>', '=', '~', '!', ';']);
    match is_named && is_version && !line.ends_with(".whl") {
        true => Ok(normalize_spaces(line)),
        false => Err(format!("`{excerpt}` is not the name and version of a package")),
    }
}

/// Returns the part of a requirement after the name.
fn after_name(line: &str) -> &str {
    line.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || "._-".contains(char)).trim_start()
}

/// Replaces each run of spaces by one space: their number never matters.
fn normalize_spaces(text: &str) -> String {
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
    fn the_nearest_file_and_the_setting_are_combined() {
        let folder = folder(&[("requirements.txt", "six\n"), ("near/requirements.txt", "idna>=3\n")]);
        let script = folder.path().join("x.bue");
        assert_eq!(
            requirements(&step("near/a.py", &["b", "a  >= 1"]), &script).expect("requirements"),
            ["a >= 1", "b", "idna>=3"]
        );
        assert_eq!(requirements(&step("far/a.py", &[]), &script).expect("requirements"), ["six"]);
        let sql = Step { language: Language::Sqlite3, ..step("far/a.sql", &["x"]) };
        assert_eq!(requirements(&sql, &script).expect("requirements"), [] as [&str; 0]);
    }

    #[test]
    fn files_are_read_as_pip_reads_them() {
        let text = "\u{feff}# all of them\nsix==1.17 # pinned\n\n-r more.txt\nidna \\\n  >=3, \\\n  <4\n";
        let folder = folder(&[("requirements.txt", text), ("more.txt", "attrs[x] ; python_version > \"3\"\n")]);
        let requirements = requirements(&step("a.py", &[]), &folder.path().join("x.bue")).expect("requirements");
        assert_eq!(requirements, ["attrs[x] ; python_version > \"3\"", "idna >=3, <4", "six==1.17"]);
    }

    #[test]
    fn an_invalid_requirement_is_reported_with_its_line() {
        for line in [
            "-e .",
            "--index-url x",
            "./a",
            "a @ b",
            "git+https://a",
            "/a/b.whl",
            "a.whl",
            "-r requirements.txt",
            "six --index-url x",
            "six >=1 -r other",
            "root:x:0:0",
            "machine example",
        ] {
            let folder = folder(&[("requirements.txt", &format!("six\n{line}\n"))]);
            let error = requirements(&step("a.py", &[]), &folder.path().join("x.bue")).expect_err(line);
            assert!(error.contains("requirements.txt:2: "), "{error}");
        }
    }

    #[test]
    fn included_files_are_in_the_folder_of_the_script() {
        let files = [("x/near/requirements.txt", "-r ../base.txt\n"), ("x/base.txt", "six\n"), ("secret", "hunter\n")];
        let folder = folder(&files);
        let script = folder.path().join("x/x.bue");
        assert_eq!(requirements(&step("near/a.py", &[]), &script).expect("requirements"), ["six"]);
        let absolute = folder.path().join("secret").display().to_string();
        std::os::unix::fs::symlink(&absolute, folder.path().join("x/link")).expect("a link");
        for included in ["../../secret", "../link", &absolute] {
            fs::write(folder.path().join("x/near/requirements.txt"), format!("-r {included}\n")).expect("a file");
            let error = requirements(&step("near/a.py", &[]), &script).expect_err(included);
            assert!(error.contains("outside the folder") && !error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn names_are_compared_as_the_index_does() {
        assert_eq!(package_name("Charset_Normalizer[x]>=2"), "charset-normalizer");
        assert_eq!(package_name("zope.interface ; x"), "zope-interface");
    }
}
