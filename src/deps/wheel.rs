//! What a wheel says of itself: by its name, and by the files in it.

use std::collections::BTreeSet;

use bue_runtime::{PackageProblem, Wheel, is_native};

use super::needs::normal_name;

/// Bytes of a `top_level.txt`.
const MAX_TEXT: u64 = 64 * 1024;
/// Folders and modules beside a package that are no part of it.
const ASIDE: [&str; 8] = ["test", "tests", "docs", "doc", "examples", "example", "benchmarks", "scripts"];
/// How deep a namespace is looked into for its first package: `google.api_core` is 2.
const MAX_NAMESPACE: usize = 4;

/// The parts of `requests-2.34.2-py3-none-any.whl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileName {
    /// As the index compares names.
    pub(crate) name: String,
    pub(crate) version: String,
    /// Interpreters, their binary interfaces, and machines it is for.
    pub(crate) tags: [String; 3],
}

impl FileName {
    /// `None` for what is no file name of a wheel.
    pub(crate) fn parse(file: &str) -> Option<Self> {
        let stem = file.strip_suffix(".whl")?;
        let plain = |char: char| char.is_ascii_alphanumeric() || "._+!-".contains(char);
        let parts: Vec<&str> = stem.split('-').collect();
        let ([name, version, python, abi, platform] | [name, version, _, python, abi, platform]) = parts.as_slice()
        else {
            return None;
        };
        let sound = stem.chars().all(plain) && !parts.contains(&"") && !stem.starts_with('.');
        let tags = [python, abi, platform].map(|tag| (*tag).to_owned());
        sound.then(|| Self { name: normal_name(name), version: (*version).to_owned(), tags })
    }

    /// May it run on a machine that is none?
    pub(crate) fn is_pure(&self) -> bool {
        let [python, abi, platform] = &self.tags;
        python.split('.').any(|tag| tag.starts_with("py3")) && abi == "none" && platform == "any"
    }
}

/// What is in a wheel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Files of native code.
    pub(crate) native: Vec<String>,
    /// Modules that one imports: `requests`, `google.api_core`.
    pub(crate) modules: Vec<String>,
}

/// Looks into a wheel.
pub(crate) fn look(bytes: &[u8]) -> Result<Contents, PackageProblem> {
    let mut wheel = Wheel::open(bytes)?;
    let paths = wheel.paths()?;
    let top = paths.iter().find(|path| path.ends_with(".dist-info/top_level.txt"));
    let top = top.and_then(|path| wheel.text(path, MAX_TEXT).transpose()).transpose()?;
    let native = paths.iter().filter(|path| is_native(path)).cloned().collect();
    Ok(Contents { native, modules: modules(&paths, top.as_deref()) })
}

/// Modules by the wheel's own list, and by its files where it has none.
fn modules(paths: &[String], top_level: Option<&str>) -> Vec<String> {
    let listed = top_level.unwrap_or_default().lines().map(str::trim).filter(|name| !name.is_empty());
    let mut roots: BTreeSet<&str> = listed.collect();
    if roots.is_empty() {
        roots = paths.iter().filter_map(|path| root(path)).collect();
    }
    let named = |root: &&str| is_identifier(root) && !ASIDE.contains(root);
    let public: Vec<&str> = roots.iter().copied().filter(named).filter(|root| !root.starts_with('_')).collect();
    let roots = if public.is_empty() { roots.into_iter().filter(named).collect() } else { public };
    roots.into_iter().flat_map(|root| packages_below(root, paths, 1)).collect()
}

/// The first part of a module's path.
fn root(path: &str) -> Option<&str> {
    match path.split_once('/') {
        Some((folder, rest)) => rest.ends_with(".py").then_some(folder).filter(|folder| !folder.contains('.')),
        None => path.strip_suffix(".py"),
    }
}

/// A package or module itself; of a folder without `__init__.py`, which many wheels may share, those in it.
fn packages_below(folder: &str, paths: &[String], depth: usize) -> Vec<String> {
    let (init, module) = (format!("{folder}/__init__.py"), format!("{folder}.py"));
    let dotted = folder.replace('/', ".");
    if depth >= MAX_NAMESPACE || paths.iter().any(|path| *path == init || *path == module) {
        return vec![dotted];
    }
    let inside: BTreeSet<&str> = paths
        .iter()
        .filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'))
        .filter_map(root)
        .filter(|part| is_identifier(part) && !part.starts_with('_'))
        .collect();
    let below: Vec<String> =
        inside.into_iter().flat_map(|part| packages_below(&format!("{folder}/{part}"), paths, depth + 1)).collect();
    if below.is_empty() { vec![dotted] } else { below }
}

fn is_identifier(name: &str) -> bool {
    let letter = |char: char| char.is_alphanumeric() || char == '_';
    name.chars().all(letter) && name.chars().next().is_some_and(|first| !first.is_numeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_wheels_say_what_they_are_for() {
        let parsed = FileName::parse("Charset_Normalizer-3.5.2-py3-none-any.whl").expect("a wheel");
        assert_eq!((parsed.name.as_str(), parsed.version.as_str()), ("charset-normalizer", "3.5.2"));
        assert!(parsed.is_pure());
        for file in ["six-1.17.0-py2.py3-none-any.whl", "a-1-2-py3-none-any.whl", "a-1-py314-none-any.whl"] {
            assert!(FileName::parse(file).is_some_and(|file| file.is_pure()), "{file}");
        }
        for file in
            ["a-1-cp314-cp314-manylinux_2_17_x86_64.whl", "a-1-py3-none-macosx_11_0_arm64.whl", "a-1-py2-none-any.whl"]
        {
            assert!(FileName::parse(file).is_some_and(|file| !file.is_pure()), "{file}");
        }
        for file in [
            "a-1-py3-none-any.zip",
            "a-1.whl",
            "../a-1-py3-none-any.whl",
            "a/b-1-py3-none-any.whl",
            "a--py3-none-any.whl",
        ] {
            assert_eq!(FileName::parse(file), None, "{file}");
        }
    }

    fn found(paths: &[&str], top: Option<&str>) -> Vec<String> {
        modules(&paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>(), top)
    }

    #[test]
    fn modules_are_those_one_imports() {
        let info = "x-1.dist-info/METADATA";
        assert_eq!(found(&["six.py", info], None), ["six"]);
        assert_eq!(found(&["a/__init__.py", "a/b.py", "tests/__init__.py", "_a/__init__.py", info], None), ["a"]);
        assert_eq!(found(&["_a/__init__.py", info], None), ["_a"]);
        assert_eq!(
            found(&["google/api/__init__.py", "google/api/x.py", "google/rpc/code/a.py"], None),
            ["google.api", "google.rpc.code.a"]
        );
        assert_eq!(found(&["b/__init__.py", "c/__init__.py"], Some("b\n")), ["b"]);
        assert_eq!(found(&[info, "x-1.data/scripts/x.py"], None), [] as [&str; 0]);
    }
}
