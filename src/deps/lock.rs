//! `bue.lock`: for each list of requirements the wheels that satisfy it. Written so that people can read and compare it.

use std::io;
use std::path::{Path, PathBuf};

use bue_hub::read_regular_file;
use serde::Deserialize;

use super::guest_python::PYTHON;
use super::requirements::Requirements;
use super::wheel::WheelName;

/// The version of the file format.
const VERSION: i64 = 1;
/// Longest lock file, in bytes. A thousand packages take 200 KiB.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
const HEADER: &str = "\
# The Python packages that steps of this folder's scripts get. Made by `bue deps lock`; commit it.
";

/// Everything that is locked for the scripts of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    /// Sorted by requirements when written.
    pub(crate) sets: Vec<LockedSet>,
}

/// The wheels for one list of requirements.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LockedSet {
    pub(crate) requirements: Requirements,
    /// Sorted by file name.
    pub(crate) wheels: Vec<LockedWheel>,
}

/// A wheel, identified by its hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockedWheel {
    /// The normalized name.
    pub(crate) name: String,
    pub(crate) version: String,
    /// `requests-2.34.2-py3-none-any.whl`.
    pub(crate) file: String,
    /// SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
}

/// The file, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    version: i64,
    python: String,
    #[serde(default)]
    set: Vec<SetEntry>,
    #[serde(default)]
    package: Vec<LockedWheel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetEntry {
    requires: Requirements,
    files: Vec<String>,
}

/// Returns the path of a script's lock.
pub(crate) fn lock_path(script: &Path) -> PathBuf {
    script.with_file_name("bue.lock")
}

impl Lock {
    /// Reads the lock of a script; `None` if there is none. The error is a message that names the file.
    pub(crate) fn read(script: &Path) -> Result<Option<Self>, String> {
        let path = lock_path(script);
        let with_path = |problem: &str| format!("{} {problem}", path.display());
        let content = match read_regular_file(&path, MAX_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(with_path("is too long to be a lock"));
            }
            content => content.map_err(|error| with_path(&format!("cannot be read: {error}")))?,
        };
        let text = String::from_utf8(content).map_err(|_| with_path("cannot be read: it is not UTF-8 text"))?;
        Self::parse(&text).map(Some).map_err(|problem| with_path(&problem))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: LockFile = toml::from_str(text).map_err(|error| format!("cannot be parsed: {}", error.message()))?;
        if file.version != VERSION || file.python != PYTHON {
            return Err(format!(
                "was made for another version of bue (layout {}, Python {})",
                file.version, file.python
            ));
        }
        if let Some(wheel) = file.package.iter().find(|wheel| !wheel.is_valid()) {
            return Err(format!("has an invalid wheel: {}", wheel.file.escape_debug()));
        }
        let set = |entry: SetEntry| {
            let wheel = |file_name: &String| {
                let wheel = file.package.iter().find(|wheel| wheel.file == *file_name).cloned();
                wheel.ok_or_else(|| format!("has no entry for {}", file_name.escape_debug()))
            };
            let wheels = entry.files.iter().map(wheel).collect::<Result<_, String>>()?;
            Ok(LockedSet { requirements: entry.requires, wheels })
        };
        Ok(Self { sets: file.set.into_iter().map(set).collect::<Result<_, String>>()? })
    }

    /// Returns the set for exactly these requirements.
    pub(crate) fn set(&self, requirements: &Requirements) -> Option<&LockedSet> {
        self.sets.iter().find(|set| set.requirements == *requirements)
    }

    /// Formats the file. Equal sets give equal text, in whatever order they are.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEADER}version = {VERSION}\npython = {}\n", quoted(PYTHON));
        let mut sets: Vec<&LockedSet> = self.sets.iter().collect();
        sets.sort();
        for set in &sets {
            let files = set.wheels.iter().map(|wheel| wheel.file.as_str());
            let requirements = list(set.requirements.iter().map(String::as_str));
            text.push_str(&format!("\n[[set]]\nrequires = {requirements}\nfiles = {}\n", list(files)));
        }
        let mut wheels: Vec<&LockedWheel> = sets.iter().flat_map(|set| &set.wheels).collect();
        wheels.sort();
        wheels.dedup();
        for LockedWheel { name, version, file, sha256 } in wheels {
            let [name, version, file, sha256] = [name, version, file, sha256].map(|value| quoted(value));
            let entry = format!("name = {name}\nversion = {version}\nfile = {file}\nsha256 = {sha256}\n");
            text.push_str(&format!("\n[[package]]\n{entry}"));
        }
        text
    }
}

impl LockedWheel {
    /// Returns whether file name and hash are well-formed: both become paths and arguments of pip.
    fn is_valid(&self) -> bool {
        let is_hash = self.sha256.len() == 64 && self.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_named =
            WheelName::parse(&self.file).is_some_and(|file| file.name == self.name && file.version == self.version);
        is_hash && is_named
    }
}

/// Formats a list with one item per line if there are several.
fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<String> = items.map(quoted).collect();
    match lines.as_slice() {
        [] => "[]".to_owned(),
        [one] => format!("[{one}]"),
        _ => format!("[\n    {},\n]", lines.join(",\n    ")),
    }
}

/// Quotes text as JSON does, which TOML understands.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(name: &str, version: &str) -> LockedWheel {
        let file = format!("{name}-{version}-py3-none-any.whl");
        LockedWheel { name: name.to_owned(), version: version.to_owned(), file, sha256: "ab".repeat(32) }
    }

    fn lock() -> Lock {
        let set = |requirements: &[&str], wheels: &[LockedWheel]| LockedSet {
            requirements: requirements.iter().map(|requirement| (*requirement).to_owned()).collect(),
            wheels: wheels.to_vec(),
        };
        let (old, new) = (wheel("six", "1.16.0"), wheel("six", "1.17.0"));
        Lock { sets: vec![set(&["idna", "six"], &[wheel("idna", "3.20"), new]), set(&["six<1.17 ; \"'\""], &[old])] }
    }

    #[test]
    fn a_written_lock_is_read_back_unchanged() {
        let text = lock().to_text();
        assert_eq!(Lock::parse(&text).expect("a lock"), lock());
        assert_eq!(Lock::parse(&text).expect("a lock").to_text(), text, "stable");
        assert!(text.contains("\n[[package]]\nname = \"six\"\nversion = \"1.16.0\"\n"), "{text}");
        assert_eq!(Lock::parse(&Lock::default().to_text()).expect("a lock"), Lock::default());
    }

    #[test]
    fn an_invalid_lock_is_refused() {
        let text = lock().to_text();
        for (from, to, words) in [
            ("six-1.16.0-py3", "../six-1.16.0-py3", "invalid wheel"),
            ("name = \"idna\"", "name = \"other\"", "invalid wheel"),
            ("abab", "zzzz", "invalid wheel"),
            ("version = 1\n", "version = 2\n", "another version"),
            ("python = \"3", "python = \"2", "another version"),
            ("[[package]]", "[[packages]]", "cannot be parsed"),
            ("files = [\"six-1.16", "files = [\"sixx-1.16", "no entry"),
        ] {
            let changed = text.replacen(from, to, if from == "abab" { 1 } else { 9 });
            assert_ne!(changed, text, "{from}");
            let error = Lock::parse(&changed).expect_err(from);
            assert!(error.contains(words), "{from}: {error}");
        }
    }
}
