//! The files of a step that travel with it: its own source and the neighbours it imports, found by following the imports
//! in the source rather than by packing folders.
//!
//! Imports are looked up as Python does with the step's folder and the script's folder in front of its path. What is
//! found in neither is the standard library's or a package's business.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bue_model::plan::{Source, Step};
use bue_model::{Bundle, SourceFile};
use bytes::Bytes;

use crate::imports::{Import, imports};

/// Files one step may take along.
const MAX_FILES: usize = 1_000;

/// Bytes one step may take along. Code is small; data belongs in the results of steps.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Name of the entry where the code stands in the script.
fn inline_entry(script: &Path) -> String {
    script.file_name().map_or_else(|| "script".into(), |name| name.to_string_lossy().into_owned())
}

/// Why a step cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    /// A file could not be read.
    #[error("failed to read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// Too much to take along.
    #[error(
        "step `{step}` and what it imports are more than {} MiB or {MAX_FILES} files; \
         import less, or hand data over as results of steps",
        MAX_BYTES / 1024 / 1024
    )]
    TooLarge { step: String },
}

/// Packs a step of a script in `folder`.
///
/// # Errors
/// See [`PackError`].
pub(crate) fn pack(step: &Step, script: &Path) -> Result<Bundle, PackError> {
    let folder = script.parent().unwrap_or(Path::new(""));
    let mut packing = match &step.source {
        Source::Inline { text, line } => {
            let mut packing = Packing::new(step, folder.to_owned(), inline_entry(script), *line);
            packing.add(packing.entry.clone(), Bytes::copy_from_slice(text.as_bytes()))?;
            packing
        }
        Source::File(path) => {
            let (root, entry) = root_and_entry(folder, path);
            let mut packing = Packing::new(step, root, entry, 1);
            let content = packing.read(&packing.entry)?;
            packing.add(packing.entry.clone(), content)?;
            packing
        }
    };
    if step.language.has_imports() {
        packing.follow_imports()?;
    }
    Ok(packing.into_bundle())
}

/// A file below the script's folder keeps its path; for one elsewhere its own folder is the root, since a bundle knows
/// no `..`.
fn root_and_entry(folder: &Path, path: &str) -> (PathBuf, String) {
    let parts: Option<Vec<&str>> = Path::new(path)
        .components()
        .filter(|part| !matches!(part, std::path::Component::CurDir))
        .map(|part| match part {
            std::path::Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    if let Some(parts) = parts {
        return (folder.to_owned(), parts.join("/"));
    }
    let whole = folder.join(path);
    let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    (whole.parent().unwrap_or(folder).to_owned(), name)
}

struct Packing<'a> {
    step: &'a Step,
    root: PathBuf,
    entry: String,
    first_line: u32,
    files: BTreeMap<String, Bytes>,
    bytes: usize,
    /// Python files whose imports have not been followed yet.
    open: Vec<String>,
}

impl<'a> Packing<'a> {
    fn new(step: &'a Step, root: PathBuf, entry: String, first_line: u32) -> Self {
        Self { step, root, entry, first_line, files: BTreeMap::new(), bytes: 0, open: Vec::new() }
    }

    fn into_bundle(self) -> Bundle {
        let files = self.files.into_iter().map(|(path, content)| SourceFile { path, content }).collect();
        Bundle { entry: self.entry, first_line: self.first_line, files, packages: Vec::new() }
    }

    fn read(&self, path: &str) -> Result<Bytes, PackError> {
        let path = self.root.join(path);
        std::fs::read(&path).map(Bytes::from).map_err(|source| PackError::Unreadable { path, source })
    }

    fn add(&mut self, path: String, content: Bytes) -> Result<(), PackError> {
        self.bytes += content.len();
        if self.bytes > MAX_BYTES || self.files.len() >= MAX_FILES {
            return Err(PackError::TooLarge { step: self.step.name.clone() });
        }
        self.open.push(path.clone());
        self.files.insert(path, content);
        Ok(())
    }

    fn follow_imports(&mut self) -> Result<(), PackError> {
        while let Some(path) = self.open.pop() {
            let found: BTreeSet<String> = match self.files.get(&path) {
                Some(content) => {
                    let wanted = imports(&String::from_utf8_lossy(content));
                    wanted.iter().flat_map(|import| self.files_of(import, &path)).collect()
                }
                None => BTreeSet::new(),
            };
            for path in found {
                if !self.files.contains_key(&path) {
                    let content = self.read(&path)?;
                    self.add(path, content)?;
                }
            }
        }
        Ok(())
    }

    /// The neighbours that an import in `importer` loads.
    fn files_of(&self, import: &Import, importer: &str) -> Vec<String> {
        let mut found = Vec::new();
        for folder in self.search_folders(import, importer) {
            self.collect(&folder, import, &mut found);
            if !found.is_empty() {
                break;
            }
        }
        found
    }

    /// Where an import is looked up: a relative one in its own package, any other next to the entry and in the root.
    fn search_folders(&self, import: &Import, importer: &str) -> Vec<String> {
        if import.level == 0 {
            let beside = parent(&self.entry).to_owned();
            return if beside.is_empty() { vec![beside] } else { vec![beside, String::new()] };
        }
        let up = |folder: String, _| parent(&folder).to_owned();
        vec![(1..import.level).fold(parent(importer).to_owned(), up)]
    }

    fn collect(&self, folder: &str, import: &Import, found: &mut Vec<String>) {
        let mut folder = folder.to_owned();
        for part in import.module.split('.').filter(|part| !part.is_empty()) {
            let here = joined(&folder, part);
            self.collect_module(&here, found);
            folder = here;
        }
        for name in &import.names {
            match name.as_str() {
                "*" => self.collect_folder(&folder, found),
                name => self.collect_module(&joined(&folder, name), found),
            }
        }
    }

    /// `path.py`, or what makes a package of the folder `path`.
    fn collect_module(&self, path: &str, found: &mut Vec<String>) {
        let candidates = [joined(path, "__init__.py"), format!("{path}.py")];
        found.extend(candidates.into_iter().find(|candidate| self.root.join(candidate).is_file()));
    }

    /// Every module of a package, for `from package import *`: its `__all__` may name any of them.
    fn collect_folder(&self, folder: &str, found: &mut Vec<String>) {
        if !self.root.join(folder).join("__init__.py").is_file() {
            return;
        }
        let Ok(entries) = std::fs::read_dir(self.root.join(folder)) else { return };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        found.extend(names.filter(|name| name.ends_with(".py")).map(|name| joined(folder, &name)));
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bue_model::Language;
    use bue_model::plan::Settings;
    use tempfile::TempDir;

    use super::*;

    fn step(source: Source) -> Step {
        let settings = Settings::default();
        Step { name: "s".into(), language: Language::Python, function: "f".into(), source, line: 1, settings }
    }

    fn packed(entry: &str, files: &[(&str, &str)]) -> Vec<String> {
        let folder = TempDir::new().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, text).expect("a file");
        }
        let bundle = pack(&step(Source::File(entry.into())), &folder.path().join("x.bue")).expect("packed");
        assert!(bundle.entry_content().is_some());
        bundle.files.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn imports_are_followed_and_nothing_else_is_packed() {
        let files = [
            ("a.py", "import os, b\nfrom pkg.deep import thing"),
            ("b.py", "def f():\n    import c"),
            ("c.py", "import b"),
            ("unused.py", ""),
            ("pkg/__init__.py", "from . import near\nfrom .deep import *"),
            ("pkg/near.py", ""),
            ("pkg/deep/__init__.py", ""),
            ("pkg/deep/thing.py", "from ..other import x"),
            ("pkg/other.py", ""),
            ("pkg/unused.py", ""),
        ];
        let expected = ["a.py", "b.py", "c.py", "pkg/__init__.py", "pkg/deep/__init__.py", "pkg/deep/thing.py"];
        assert_eq!(packed("a.py", &files), [&expected[..], &["pkg/near.py", "pkg/other.py"]].concat());
    }

    #[test]
    fn neighbours_stand_beside_the_step_or_beside_the_script() {
        let files = [("steps/a.py", "import near, far, both"), ("steps/near.py", ""), ("far.py", "")];
        let both = [("both.py", ""), ("steps/both.py", "")];
        let packed = packed("./steps/a.py", &[&files[..], &both[..]].concat());
        assert_eq!(packed, ["far.py", "steps/a.py", "steps/both.py", "steps/near.py"]);
    }

    #[test]
    fn a_step_outside_of_the_folder_is_its_own_root() {
        let files = [("elsewhere/a.py", "import b"), ("elsewhere/b.py", ""), ("here/x.bue", "")];
        let folder = TempDir::new().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, text).expect("a file");
        }
        let script = folder.path().join("here/x.bue");
        let bundle = pack(&step(Source::File("../elsewhere/a.py".into())), &script).expect("packed");
        assert_eq!(bundle.entry, "a.py");
        assert_eq!(bundle.files.len(), 2);
    }

    #[test]
    fn inline_code_keeps_its_line_and_imports_neighbours() {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("b.py"), "").expect("a file");
        let source = Source::Inline { text: "import b\n".into(), line: 7 };
        let bundle = pack(&step(source), &folder.path().join("x.bue")).expect("packed");
        assert_eq!((bundle.entry.as_str(), bundle.first_line, bundle.files.len()), ("x.bue", 7, 2));
    }

    #[test]
    fn too_much_is_refused_with_the_steps_name() {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("a.py"), vec![b'#'; MAX_BYTES + 1]).expect("a file");
        let error = pack(&step(Source::File("a.py".into())), &folder.path().join("x.bue")).expect_err("too large");
        assert!(error.to_string().contains("step `s`"), "{error}");
    }
}
