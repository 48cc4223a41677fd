//! `bue.lock`: for every list of needs the wheels that satisfy it. Written to be read and compared by people.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::needs::Needs;
use super::resolve::PYTHON;
use super::wheel::FileName;

/// The layout this code writes and reads.
const VERSION: i64 = 1;
/// Bytes of a lock. A thousand packages make 200 KiB.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
const HEAD: &str = "\
# The Python packages that steps of this folder's scripts get. Made by `bue deps lock`; commit it.
";

/// Everything that is locked in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    /// Sorted by their needs.
    pub(crate) sets: Vec<LockedSet>,
}

/// What one list of needs comes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LockedSet {
    pub(crate) needs: Needs,
    /// Sorted by their file names.
    pub(crate) wheels: Vec<LockedWheel>,
}

/// A wheel by its contents.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockedWheel {
    /// As the index compares names.
    pub(crate) name: String,
    pub(crate) version: String,
    /// `requests-2.34.2-py3-none-any.whl`.
    pub(crate) file: String,
    /// SHA-256 in hexadecimal digits.
    pub(crate) sha256: String,
}

/// The file as it is written.
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
    requires: Needs,
    files: Vec<String>,
}

/// Where the lock of a script is.
pub(crate) fn path_of(script: &Path) -> PathBuf {
    script.with_file_name("bue.lock")
}

impl Lock {
    /// The lock of a script; `None` if there is none. The error says what is wrong with the one that is there.
    pub(crate) fn read(script: &Path) -> Result<Option<Self>, String> {
        let path = path_of(script);
        let named = |what: &str| format!("{} {what}", path.display());
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(meta) if meta.len() > MAX_BYTES => return Err(named("is too long to be a lock")),
            _ => {}
        }
        let text = fs::read_to_string(&path).map_err(|error| named(&format!("cannot be read: {error}")))?;
        Self::parse(&text).map(Some).map_err(|what| named(&what))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let file: LockFile = toml::from_str(text).map_err(|error| format!("is not understood: {}", error.message()))?;
        if file.version != VERSION || file.python != PYTHON {
            return Err(format!(
                "was made for another version of bue (layout {}, Python {})",
                file.version, file.python
            ));
        }
        if let Some(wheel) = file.package.iter().find(|wheel| !wheel.is_sound()) {
            return Err(format!("names a wheel that is none: {}", wheel.file.escape_debug()));
        }
        let set = |entry: SetEntry| {
            let wheel = |file_name: &String| {
                let found = file.package.iter().find(|wheel| wheel.file == *file_name).cloned();
                found.ok_or_else(|| format!("has no entry for {}", file_name.escape_debug()))
            };
            let wheels = entry.files.iter().map(wheel).collect::<Result<_, String>>()?;
            Ok(LockedSet { needs: entry.requires, wheels })
        };
        Ok(Self { sets: file.set.into_iter().map(set).collect::<Result<_, String>>()? })
    }

    /// The set that was made for just these needs.
    pub(crate) fn set(&self, needs: &Needs) -> Option<&LockedSet> {
        self.sets.iter().find(|set| set.needs == *needs)
    }

    /// As text: the same for the same sets, whoever writes it.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{HEAD}version = {VERSION}\npython = {}\n", quoted(PYTHON));
        let mut sets: Vec<&LockedSet> = self.sets.iter().collect();
        sets.sort();
        for set in &sets {
            let files = set.wheels.iter().map(|wheel| wheel.file.as_str());
            let needs = list(set.needs.iter().map(String::as_str));
            text.push_str(&format!("\n[[set]]\nrequires = {needs}\nfiles = {}\n", list(files)));
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
    /// Its name is that of a wheel, and its hash one: both become paths and arguments.
    fn is_sound(&self) -> bool {
        let hex = self.sha256.len() == 64 && self.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let named =
            FileName::parse(&self.file).is_some_and(|file| file.name == self.name && file.version == self.version);
        hex && named
    }
}

/// One to a line, where there are several.
fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<String> = items.map(quoted).collect();
    match lines.as_slice() {
        [] => "[]".to_owned(),
        [one] => format!("[{one}]"),
        _ => format!("[\n    {},\n]", lines.join(",\n    ")),
    }
}

/// JSON's way of writing a text is one of TOML's.
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
        let set = |needs: &[&str], wheels: &[LockedWheel]| LockedSet {
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            wheels: wheels.to_vec(),
        };
        let (old, new) = (wheel("six", "1.16.0"), wheel("six", "1.17.0"));
        Lock { sets: vec![set(&["idna", "six"], &[wheel("idna", "3.20"), new]), set(&["six<1.17 ; \"'\""], &[old])] }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = lock().text();
        assert_eq!(Lock::parse(&text).expect("a lock"), lock());
        assert_eq!(Lock::parse(&text).expect("a lock").text(), text, "stable");
        assert!(text.contains("\n[[package]]\nname = \"six\"\nversion = \"1.16.0\"\n"), "{text}");
        assert_eq!(Lock::parse(&Lock::default().text()).expect("a lock"), Lock::default());
    }

    #[test]
    fn locks_that_lie_are_refused() {
        let text = lock().text();
        for (from, to, words) in [
            ("six-1.16.0-py3", "../six-1.16.0-py3", "none"),
            ("name = \"idna\"", "name = \"other\"", "none"),
            ("abab", "zzzz", "none"),
            ("version = 1\n", "version = 2\n", "another version"),
            ("python = \"3", "python = \"2", "another version"),
            ("[[package]]", "[[packages]]", "not understood"),
            ("files = [\"six-1.16", "files = [\"sixx-1.16", "no entry"),
        ] {
            let changed = text.replacen(from, to, if from == "abab" { 1 } else { 9 });
            assert_ne!(changed, text, "{from}");
            let error = Lock::parse(&changed).expect_err(from);
            assert!(error.contains(words), "{from}: {error}");
        }
    }
}
