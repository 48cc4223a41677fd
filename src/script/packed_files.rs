//! The files that `!files` packs with a step.

use std::path::{Path, PathBuf};

use bue_model::plan::Step;
use glob::{MatchOptions, Pattern, glob_with};

use crate::script::neighbours::folder;

/// The most files that the patterns of one step may match.
const MAX_MATCHES: usize = 1_000;

/// A file that is packed with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackedFile {
    /// Its path from the script's folder, as the step opens it.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
}

/// Why the files of a step cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackedFilesError {
    /// A pattern stands for no file.
    #[error(
        "step `{step}` has `!files {pattern}`, and there is no such file in {}; correct the path, which begins at the script's \
         folder",
        folder.display()
    )]
    NoMatch { step: String, pattern: String, folder: PathBuf },
    /// A link that leads out of the script's folder.
    #[error(
        "step `{step}` has `!files {pattern}`, and {} leads out of the script's folder; copy the file to beside the script",
        path.display()
    )]
    Outside { step: String, pattern: String, path: PathBuf },
    /// The patterns match too many files.
    #[error(
        "the `!files` of step `{step}` are more than {MAX_MATCHES} files; pack them as one archive, or fetch them in the step"
    )]
    TooMany { step: String },
}

/// Returns the files that the patterns of a step match, each once, in the order of their names.
///
/// # Errors
/// See [`PackedFilesError`].
pub(crate) fn packed_files(step: &Step, script: &Path) -> Result<Vec<PackedFile>, PackedFilesError> {
    let mut files: Vec<PackedFile> = Vec::new();
    if !step.language.has_imports() {
        return Ok(files);
    }
    // The folder of a script without a path is empty, which is no path. One that does not exist has no files.
    let folder = Path::new(".").join(folder(script));
    let folder = folder.canonicalize().unwrap_or(folder);
    for pattern in &step.settings.files {
        let matches = matches(&folder, pattern);
        if matches.is_empty() {
            let (step, pattern) = (step.name.clone(), pattern.clone());
            return Err(PackedFilesError::NoMatch { step, pattern, folder });
        }
        for path in matches {
            if !is_inside(&path, &folder) {
                let (step, pattern) = (step.name.clone(), pattern.clone());
                return Err(PackedFilesError::Outside { step, pattern, path });
            }
            let Some(name) = path.strip_prefix(&folder).ok().and_then(Path::to_str) else { continue };
            files.push(PackedFile { name: name.to_owned(), path });
        }
        if files.len() > MAX_MATCHES {
            return Err(PackedFilesError::TooMany { step: step.name.clone() });
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files.dedup();
    Ok(files)
}

/// Returns the files that a pattern matches, one more than are allowed at most.
fn matches(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let options =
        MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let whole = format!("{}/{pattern}", Pattern::escape(&folder.to_string_lossy()));
    // patterns were checked when the script was compiled, and a folder that cannot be read matches nothing
    let found = glob_with(&whole, options).into_iter().flatten().flatten();
    found.filter(|path| path.is_file()).take(MAX_MATCHES + 1).collect()
}

fn is_inside(path: &Path, folder: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use bue_model::Language;
    use bue_model::plan::{Settings, Source};
    use tempfile::TempDir;

    use super::*;

    fn step(files: &[&str]) -> Step {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        Step {
            name: "s".into(),
            language: Language::Python,
            function: "f".into(),
            source: Source::File("s.py".into()),
            line: 1,
            settings: Settings { files, ..Settings::default() },
        }
    }

    #[test]
    fn patterns_match_files_below_the_scripts_folder() {
        let folder = TempDir::new().expect("a folder");
        let outside = TempDir::new().expect("a folder");
        fs::write(outside.path().join("secret"), "s").expect("a file");
        for name in ["a.csv", "b.csv", "c.json", ".hidden.csv", "data/x.csv", "data/deep/y.csv", "[1].csv"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, name).expect("a file");
        }
        symlink(outside.path().join("secret"), folder.path().join("link")).expect("a link");
        symlink(folder.path().join("a.csv"), folder.path().join("inner")).expect("a link");
        let script = folder.path().join("x.bue");
        let names = |patterns: &[&str]| -> Result<Vec<String>, String> {
            let files = packed_files(&step(patterns), &script).map_err(|error| error.to_string())?;
            Ok(files.into_iter().map(|file| file.name).collect())
        };
        for (patterns, expected) in [
            (&["*.csv"][..], &["[1].csv", "a.csv", "b.csv"][..]),
            (&["a.csv", "?.csv"], &["a.csv", "b.csv"]),
            (&["data/*.csv", "*/*/y.csv"], &["data/deep/y.csv", "data/x.csv"]),
            (&["inner"], &["inner"]),
            (&[".hidden.csv"], &[".hidden.csv"]),
            (&[], &[]),
        ] {
            assert_eq!(
                names(patterns).as_deref(),
                Ok(&expected.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()[..])
            );
        }
        for (pattern, problem) in
            [("*.txt", "there is no such file"), ("data", "no such file"), ("link", "leads out of")]
        {
            let error = names(&[pattern]).expect_err(pattern);
            assert!(error.contains(problem) && error.contains(&format!("`!files {pattern}`")), "{error}");
        }
    }
}
