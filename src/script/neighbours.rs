//! Finds the modules beside a step that an import loads.
//!
//! An import is resolved as Python does with the step's folder and the script's folder at the front of `sys.path`. A module
//! found in neither belongs to the standard library or to a package.

use std::path::{Component, Path, PathBuf};

use bue_lang::python::Import;

/// The files that a step may import.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    /// The folder that paths are relative to.
    pub(crate) root: PathBuf,
    /// The path of the step's own code.
    pub(crate) entry: String,
}

impl Neighbours {
    /// The neighbours of code inside a script. Tracebacks show the file name of the script.
    pub(crate) fn for_inline_code(script: &Path) -> Self {
        let entry = script.file_name().map_or_else(|| "script".into(), |name| name.to_string_lossy().into_owned());
        Self { root: folder(script).to_owned(), entry }
    }

    /// The neighbours of a step's file. A file below the script's folder keeps its path; for one elsewhere its own folder is the
    /// root, because a bundle has no `..`.
    pub(crate) fn for_file(script: &Path, path: &str) -> Self {
        let folder = folder(script);
        let parts: Option<Vec<&str>> = Path::new(path)
            .components()
            .filter(|part| !matches!(part, Component::CurDir))
            .map(|part| match part {
                Component::Normal(name) => name.to_str(),
                _ => None,
            })
            .collect();
        if let Some(parts) = parts {
            return Self { root: folder.to_owned(), entry: parts.join("/") };
        }
        let whole = folder.join(path);
        let entry = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { root: whole.parent().unwrap_or(folder).to_owned(), entry }
    }

    /// Returns the files that an import in `importer` loads.
    pub(crate) fn imported_files(&self, import: &Import, importer: &str) -> Vec<String> {
        let mut files = Vec::new();
        for folder in self.search_folders(import, importer) {
            self.collect(&folder, import, &mut files);
            if !files.is_empty() {
                break;
            }
        }
        files
    }

    /// Returns whether there is a file or folder for the module of an import, without the names that are imported from it.
    pub(crate) fn has_module(&self, import: &Import, importer: &str) -> bool {
        let path = import.module.replace('.', "/");
        self.search_folders(import, importer).iter().any(|folder| {
            let path = join(folder, &path);
            self.module_file(&path).is_some() || self.root.join(path).is_dir()
        })
    }

    /// Returns the names of the modules that an import without dots could load.
    pub(crate) fn module_names(&self) -> Vec<String> {
        let entries =
            self.absolute_folders().into_iter().filter_map(|folder| std::fs::read_dir(self.root.join(folder)).ok());
        let names = entries.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.strip_suffix(".py").map(str::to_owned)).collect()
    }

    /// Returns the folders in which to look up an import: for a relative one its package, for any other the entry's folder and
    /// then the root.
    fn search_folders(&self, import: &Import, importer: &str) -> Vec<String> {
        if import.level == 0 {
            return self.absolute_folders();
        }
        let up = |folder: String, _| parent(&folder).to_owned();
        vec![(1..import.level).fold(parent(importer).to_owned(), up)]
    }

    fn absolute_folders(&self) -> Vec<String> {
        let folder = parent(&self.entry).to_owned();
        if folder.is_empty() { vec![folder] } else { vec![folder, String::new()] }
    }

    fn collect(&self, folder: &str, import: &Import, files: &mut Vec<String>) {
        let mut folder = folder.to_owned();
        for part in import.module.split('.').filter(|part| !part.is_empty()) {
            folder = join(&folder, part);
            files.extend(self.module_file(&folder));
        }
        for name in &import.names {
            match name.as_str() {
                "*" => self.collect_folder(&folder, files),
                name => files.extend(self.module_file(&join(&folder, name))),
            }
        }
    }

    /// Returns `path.py`, or the `__init__.py` of the package `path`.
    fn module_file(&self, path: &str) -> Option<String> {
        let candidates = [join(path, "__init__.py"), format!("{path}.py")];
        candidates.into_iter().find(|candidate| self.root.join(candidate).is_file())
    }

    /// Adds every module of a package, for `from package import *`: its `__all__` may name any of them.
    fn collect_folder(&self, folder: &str, files: &mut Vec<String>) {
        if !self.root.join(folder).join("__init__.py").is_file() {
            return;
        }
        let Ok(entries) = std::fs::read_dir(self.root.join(folder)) else { return };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        files.extend(names.filter(|name| name.ends_with(".py")).map(|name| join(folder, &name)));
    }
}

/// Returns the folder that paths in a script are relative to.
pub(crate) fn folder(script: &Path) -> &Path {
    script.parent().unwrap_or(Path::new(""))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
