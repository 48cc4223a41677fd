//! Packs the code of a step: its own source and the neighbouring modules that it imports, found by following the imports in
//! the source rather than by packing folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bue_lang::python::scopes;
use bue_model::plan::{Source, Step};
use bue_model::{Bundle, Language, SourceFile};
use bytes::Bytes;

use crate::script::neighbours::{Neighbours, folder};
use crate::script::packed_files::{PackedFilesError, packed_files};

/// The most files in one bundle.
const MAX_FILES: usize = 1_000;

/// The most bytes in one bundle. Code and small tables fit; larger data belongs in the results of steps.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Why a step cannot be packed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    /// A file could not be read.
    #[error("failed to read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Files of `!files` are missing or outside.
    #[error(transparent)]
    Files(#[from] PackedFilesError),
    /// The bundle would exceed a limit.
    #[error(
        "step `{step}`, its imports and its `!files` have more than {} MiB or {MAX_FILES} files; \
         pack less, or pass data as results of steps",
        MAX_BYTES / 1024 / 1024
    )]
    TooLarge { step: String },
}

/// Packs a step of a script. `stages` are those of a fused step, which are packed together.
///
/// # Errors
/// See [`PackError`].
pub(crate) fn pack(step: &Step, stages: &[&Step], script: &Path) -> Result<Bundle, PackError> {
    if matches!(step.language, Language::Builtin) {
        return Ok(Bundle::default());
    }
    let mut packer = match &step.source {
        Source::Fused(_) => fused(step, stages, script)?,
        Source::Inline { text, line } => {
            let mut packer = Packer::new(step, Neighbours::for_inline_code(script), *line);
            packer.add(packer.neighbours.entry.clone(), Bytes::copy_from_slice(text.as_bytes()))?;
            packer
        }
        Source::File(path) => {
            let mut packer = Packer::new(step, Neighbours::for_file(script, path), 1);
            let content = packer.read(&packer.neighbours.entry)?;
            packer.add(packer.neighbours.entry.clone(), content)?;
            packer
        }
    };
    if step.language.has_imports() {
        packer.follow_imports()?;
        packer.add_files(script)?;
    }
    Ok(packer.into_bundle())
}

/// Returns the files of a packed step that are outside of the script's folder, where its user may not expect code to be taken from: by
/// their paths, or by links.
pub(crate) fn files_outside(step: &Step, stages: &[&Step], bundle: &Bundle, script: &Path) -> Vec<PathBuf> {
    // the folder of a script without a path is empty, which is no path
    let Ok(folder) = Path::new(".").join(folder(script)).canonicalize() else { return Vec::new() };
    if step.language.is_compiled() {
        return Vec::new();
    }
    // all stages are in one folder
    let root = neighbours(stages.first().copied().unwrap_or(step), script).root;
    let generated = matches!(step.source, Source::Fused(_)).then_some(&bundle.entry);
    let files = bundle.files.iter().filter(|file| Some(&file.path) != generated);
    let files = files.filter_map(|file| root.join(&file.path).canonicalize().ok());
    files.filter(|file| !file.starts_with(&folder)).collect()
}

fn neighbours(step: &Step, script: &Path) -> Neighbours {
    match &step.source {
        Source::File(path) => Neighbours::for_file(script, path),
        Source::Inline { .. } | Source::Fused(_) => Neighbours::for_inline_code(script),
    }
}

/// A stage of a fused step as `bue._fused.fuse` in the guest takes it: its name, its file, the first and the last line of inline code
/// in the file or zeros, and its function.
type Stage<'a> = (&'a str, String, u32, u32, &'a str);

/// Begins the bundle of a fused step: the files of its stages, and a generated entry that imports them. Inline code is in a file with
/// the lines of the script, so that tracebacks name the line that the user sees.
fn fused<'a>(step: &'a Step, stages: &[&Step], script: &Path) -> Result<Packer<'a>, PackError> {
    let mut beside =
        stages.first().map_or_else(|| Neighbours::for_inline_code(script), |first| neighbours(first, script));
    let folder = beside.entry.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"));
    beside.entry = format!("{folder}{}", step.name);
    let mut packer = Packer::new(step, beside, 1);
    let (mut parts, mut lines) = (Vec::<Stage<'_>>::new(), Vec::new());
    for stage in stages {
        let Neighbours { entry, .. } = neighbours(stage, script);
        let (first, last) = match &stage.source {
            Source::Inline { text, line } => place(text, *line, &mut lines),
            Source::File(_) | Source::Fused(_) => (0, 0),
        };
        if first == 0 && !packer.files.contains_key(&entry) {
            let content = packer.read(&entry)?;
            packer.add(entry.clone(), content)?;
        }
        parts.push((&stage.name, entry, first, last, &stage.function));
    }
    if !lines.is_empty() {
        packer.add(Neighbours::for_inline_code(script).entry, lines.join("\n").into())?;
    }
    let (name, parts) = (serde_json::json!(step.name), serde_json::json!(parts));
    let entry = format!("from bue._fused import fuse\n\nglobals()[{name}] = fuse({name}, {parts})\n");
    packer.add(packer.neighbours.entry.clone(), entry.into())?;
    Ok(packer)
}

/// Puts code into the lines that it has in the script. Returns the first and the last of them, from 1.
fn place<'a>(text: &'a str, line: u32, lines: &mut Vec<&'a str>) -> (u32, u32) {
    let (mut at, mut last) = (line as usize - 1, line);
    for content in text.lines() {
        if lines.len() <= at {
            lines.resize(at + 1, "");
        }
        if let Some(place) = lines.get_mut(at) {
            *place = content;
        }
        at += 1;
        last = u32::try_from(at).unwrap_or(u32::MAX);
    }
    (line, last)
}

struct Packer<'a> {
    step: &'a Step,
    neighbours: Neighbours,
    first_line: u32,
    files: BTreeMap<String, Bytes>,
    bytes: usize,
    /// Files whose imports have not been followed yet.
    pending: Vec<String>,
}

impl<'a> Packer<'a> {
    fn new(step: &'a Step, neighbours: Neighbours, first_line: u32) -> Self {
        Self { step, neighbours, first_line, files: BTreeMap::new(), bytes: 0, pending: Vec::new() }
    }

    fn into_bundle(self) -> Bundle {
        let files = self.files.into_iter().map(|(path, content)| SourceFile { path, content }).collect();
        Bundle { entry: self.neighbours.entry, first_line: self.first_line, files, packages: Vec::new() }
    }

    /// Adds the files of `!files`. A file that the step imports as well is there once.
    fn add_files(&mut self, script: &Path) -> Result<(), PackError> {
        for file in packed_files(self.step, script)? {
            if !self.files.contains_key(&file.name) {
                let content = read_file(&file.path)?;
                self.add(file.name, content)?;
            }
        }
        Ok(())
    }

    fn read(&self, path: &str) -> Result<Bytes, PackError> {
        read_file(&self.neighbours.root.join(path))
    }

    fn add(&mut self, path: String, content: Bytes) -> Result<(), PackError> {
        self.bytes += content.len();
        if self.bytes > MAX_BYTES || self.files.len() >= MAX_FILES {
            return Err(PackError::TooLarge { step: self.step.name.clone() });
        }
        self.pending.push(path.clone());
        self.files.insert(path, content);
        Ok(())
    }

    fn follow_imports(&mut self) -> Result<(), PackError> {
        while let Some(path) = self.pending.pop() {
            let imported: BTreeSet<String> = match self.files.get(&path) {
                Some(content) => self.imported_files(content, &path),
                None => BTreeSet::new(),
            };
            for path in imported {
                if !self.files.contains_key(&path) {
                    let content = self.read(&path)?;
                    self.add(path, content)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the neighbours that a source imports. One with a syntax error imports nothing: the check of the script reports it.
    fn imported_files(&self, source: &[u8], path: &str) -> BTreeSet<String> {
        let scopes = scopes(&String::from_utf8_lossy(source)).unwrap_or_default();
        let imports = scopes.iter().flat_map(|scope| &scope.imports);
        imports.flat_map(|import| self.neighbours.imported_files(import, path)).collect()
    }
}

/// Reads a file, of which a byte more than a bundle may have is enough.
fn read_file(path: &Path) -> Result<Bytes, PackError> {
    let read = || {
        // opening a pipe would wait for somebody who writes
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        // a file of the largest size and a byte is too large already
        File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Bytes::from(bytes))
    };
    read().map_err(|source| PackError::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
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
        let bundle = pack(&step(Source::File(entry.into())), &[], &folder.path().join("x.bue")).expect("packed");
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
    fn imports_are_resolved_beside_the_step_and_then_beside_the_script() {
        let files = [("steps/a.py", "import near, far, both"), ("steps/near.py", ""), ("far.py", "")];
        let both = [("both.py", ""), ("steps/both.py", "")];
        let packed = packed("./steps/a.py", &[&files[..], &both[..]].concat());
        assert_eq!(packed, ["far.py", "steps/a.py", "steps/both.py", "steps/near.py"]);
    }

    #[test]
    fn a_file_outside_the_scripts_folder_has_its_own_folder_as_root() {
        let files = [("elsewhere/a.py", "import b"), ("elsewhere/b.py", ""), ("here/x.bue", "")];
        let folder = TempDir::new().expect("a folder");
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            fs::write(path, text).expect("a file");
        }
        let script = folder.path().join("here/x.bue");
        let bundle = pack(&step(Source::File("../elsewhere/a.py".into())), &[], &script).expect("packed");
        assert_eq!(bundle.entry, "a.py");
        assert_eq!(bundle.files.len(), 2);
        let outside = files_outside(&step(Source::File("../elsewhere/a.py".into())), &[], &bundle, &script);
        assert_eq!(outside.len(), 2, "{outside:?}");
    }

    #[test]
    fn a_link_to_a_file_outside_the_scripts_folder_is_found() {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("here")).expect("a folder");
        fs::write(folder.path().join("private.py"), "").expect("a file");
        std::os::unix::fs::symlink("../private.py", folder.path().join("here/b.py")).expect("a link");
        fs::write(folder.path().join("here/x.bue"), "").expect("a script");
        let step = step(Source::Inline { text: "import b\n".into(), line: 7 });
        let script = folder.path().join("here/x.bue");
        let outside = files_outside(&step, &[], &pack(&step, &[], &script).expect("packed"), &script);
        assert_eq!(outside, [folder.path().join("private.py").canonicalize().expect("a path")]);
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let script = Path::new("/nowhere/x.bue");
        let refused = pack(&step(Source::File("/dev/zero".into())), &[], script);
        assert!(
            matches!(refused, Err(PackError::Unreadable { source, .. }) if source.to_string().contains("regular file"))
        );
    }

    #[test]
    fn inline_code_keeps_its_line_and_imports_neighbours() {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("b.py"), "").expect("a file");
        let source = Source::Inline { text: "import b\n".into(), line: 7 };
        let bundle = pack(&step(source), &[], &folder.path().join("x.bue")).expect("packed");
        assert_eq!((bundle.entry.as_str(), bundle.first_line, bundle.files.len()), ("x.bue", 7, 2));
    }

    #[test]
    fn a_bundle_that_is_too_large_is_refused_with_the_steps_name() {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("a.py"), vec![b'#'; MAX_BYTES + 1]).expect("a file");
        let error = pack(&step(Source::File("a.py".into())), &[], &folder.path().join("x.bue")).expect_err("too large");
        assert!(error.to_string().contains("step `s`"), "{error}");
    }

    #[test]
    fn stages_are_packed_together_with_what_each_imports() {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("steps")).expect("a folder");
        for (path, text) in
            [("steps/a.py", "import near"), ("steps/b.py", "import far"), ("steps/near.py", ""), ("far.py", "")]
        {
            fs::write(folder.path().join(path), text).expect("a file");
        }
        let stage = |name: &str, path: &str| Step { name: name.into(), ..step(Source::File(path.into())) };
        let (a, b) = (stage("a", "steps/a.py"), stage("b", "./steps/b.py"));
        let fused = Step { name: "a|b|a".into(), ..step(Source::Fused(Vec::new())) };
        let bundle = pack(&fused, &[&a, &b, &a], &folder.path().join("x.bue")).expect("packed");
        let paths: Vec<&str> = bundle.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["far.py", "steps/a.py", "steps/a|b|a", "steps/b.py", "steps/near.py"]);
        assert_eq!((bundle.entry.as_str(), bundle.first_line), ("steps/a|b|a", 1));
        let expected = "from bue._fused import fuse\n\nglobals()[\"a|b|a\"] = fuse(\"a|b|a\", [[\"a\",\"steps/a.py\",0,0,\"f\"],\
                        [\"b\",\"steps/b.py\",0,0,\"f\"],[\"a\",\"steps/a.py\",0,0,\"f\"]])\n";
        assert_eq!(bundle.entry_content().map(AsRef::as_ref), Some(expected.as_bytes()));
        assert!(files_outside(&fused, &[&a], &bundle, &folder.path().join("x.bue")).is_empty());
    }

    #[test]
    fn inline_code_of_stages_keeps_its_lines() {
        let script = Path::new("/nowhere/x.bue");
        let stage = |text: &str, line| step(Source::Inline { text: text.into(), line });
        let (a, b) = (stage("one\ntwo\n", 3), stage("six", 6));
        let bundle = pack(&step(Source::Fused(Vec::new())), &[&a, &b], script).expect("packed");
        let file = bundle.files.iter().find(|file| file.path == "x.bue").expect("the script's lines");
        assert_eq!(file.content, "\n\none\ntwo\n\nsix");
        let entry = bundle.entry_content().expect("an entry");
        assert!(entry.ends_with(
            br#"[["s","x.bue",3,4,"f"],["s","x.bue",6,6,"f"]])
"#
        ));
    }
}
