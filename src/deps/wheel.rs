//! The file name of a wheel, and its content.

use std::collections::BTreeSet;

use bue_runtime::{PackageProblem, Wheel, is_native};

use super::requirements::normalized_name;

/// Longest `top_level.txt`, in bytes.
const MAX_TOP_LEVEL: u64 = 64 * 1024;
/// Top-level folders and modules that a wheel may contain but that are not imported.
const NOT_IMPORTED: [&str; 8] = ["test", "tests", "docs", "doc", "examples", "example", "benchmarks", "scripts"];
/// How deep a namespace package is searched for packages: `google.api_core` has depth 2.
const MAX_NAMESPACE_DEPTH: usize = 4;

/// The parts of a file name such as `requests-2.34.2-py3-none-any.whl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WheelName {
    /// The normalized name.
    pub(crate) name: String,
    pub(crate) version: String,
    /// The Python, ABI and platform tags.
    pub(crate) tags: [String; 3],
}

impl WheelName {
    /// Parses a file name; `None` if it is not the name of a wheel.
    pub(crate) fn parse(file: &str) -> Option<Self> {
        let stem = file.strip_suffix(".whl")?;
        let is_allowed = |char: char| char.is_ascii_alphanumeric() || "._+!-".contains(char);
        let parts: Vec<&str> = stem.split('-').collect();
        let ([name, version, python, abi, platform] | [name, version, _, python, abi, platform]) = parts.as_slice()
        else {
            return None;
        };
        let is_valid = stem.chars().all(is_allowed) && !parts.contains(&"") && !stem.starts_with('.');
        let tags = [python, abi, platform].map(|tag| (*tag).to_owned());
        is_valid.then(|| Self { name: normalized_name(name), version: (*version).to_owned(), tags })
    }

    /// Returns whether the wheel is pure Python 3 for any platform.
    pub(crate) fn is_pure(&self) -> bool {
        let [python, abi, platform] = &self.tags;
        python.split('.').any(|tag| tag.starts_with("py3")) && abi == "none" && platform == "any"
    }
}

/// What a wheel contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Files with native code.
    pub(crate) native: Vec<String>,
    /// Modules to import: `requests`, `google.api_core`.
    pub(crate) modules: Vec<String>,
}

/// Reads what a wheel contains.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Contents, PackageProblem> {
    let mut wheel = Wheel::open(bytes)?;
    let paths = wheel.paths()?;
    let top_level = paths.iter().find(|path| path.ends_with(".dist-info/top_level.txt"));
    let top_level = top_level.and_then(|path| wheel.text(path, MAX_TOP_LEVEL).transpose()).transpose()?;
    let native = paths.iter().filter(|path| is_native(path)).cloned().collect();
    Ok(Contents { native, modules: modules(&paths, top_level.as_deref()) })
}

/// Returns the names of the files, without `.py`, and of the folders that unpacking a wheel puts where modules are imported from.
pub(crate) fn top_level_names(bytes: &[u8]) -> Result<BTreeSet<String>, PackageProblem> {
    let paths = Wheel::open(bytes)?.paths()?;
    Ok(paths.iter().filter_map(|path| top_level_name(path)).map(str::to_owned).collect())
}

fn top_level_name(path: &str) -> Option<&str> {
    let path = match path.split_once(".data/") {
        Some((_, inner)) => inner.strip_prefix("purelib/").or_else(|| inner.strip_prefix("platlib/"))?,
        None => path,
    };
    let first = path.split('/').next()?;
    Some(first.strip_suffix(".py").unwrap_or(first))
}

/// Returns the modules of the wheel's own list, or of its files if it has no list.
fn modules(paths: &[String], top_level: Option<&str>) -> Vec<String> {
    let listed = top_level.unwrap_or_default().lines().map(str::trim).filter(|name| !name.is_empty());
    let mut roots: BTreeSet<&str> = listed.collect();
    if roots.is_empty() {
        roots = paths.iter().filter_map(|path| root(path)).collect();
    }
    let is_module = |root: &&str| is_identifier(root) && !NOT_IMPORTED.contains(root);
    let public: Vec<&str> = roots.iter().copied().filter(is_module).filter(|root| !root.starts_with('_')).collect();
    let roots = if public.is_empty() { roots.into_iter().filter(is_module).collect() } else { public };
    roots.into_iter().flat_map(|root| packages_below(root, paths, 1)).collect()
}

/// Returns the first part of a module's path.
fn root(path: &str) -> Option<&str> {
    match path.split_once('/') {
        Some((folder, file)) => file.ends_with(".py").then_some(folder).filter(|folder| !folder.contains('.')),
        None => path.strip_suffix(".py"),
    }
}

/// Returns a package or module itself; for a namespace package (a folder without `__init__.py`, which several wheels may
/// share) the packages inside it.
fn packages_below(folder: &str, paths: &[String], depth: usize) -> Vec<String> {
    let (init, module) = (format!("{folder}/__init__.py"), format!("{folder}.py"));
    let dotted = folder.replace('/', ".");
    if depth >= MAX_NAMESPACE_DEPTH || paths.iter().any(|path| *path == init || *path == module) {
        return vec![dotted];
    }
    let children: BTreeSet<&str> = paths
        .iter()
        .filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'))
        .filter_map(root)
        .filter(|part| is_identifier(part) && !part.starts_with('_'))
        .collect();
    let packages: Vec<String> =
        children.into_iter().flat_map(|part| packages_below(&format!("{folder}/{part}"), paths, depth + 1)).collect();
    if packages.is_empty() { vec![dotted] } else { packages }
}

fn is_identifier(name: &str) -> bool {
    let is_letter = |char: char| char.is_alphanumeric() || char == '_';
    name.chars().all(is_letter) && name.chars().next().is_some_and(|first| !first.is_numeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_of_a_file_name_say_whether_a_wheel_is_pure() {
        let parsed = WheelName::parse("Charset_Normalizer-3.5.2-py3-none-any.whl").expect("a wheel");
        assert_eq!((parsed.name.as_str(), parsed.version.as_str()), ("charset-normalizer", "3.5.2"));
        assert!(parsed.is_pure());
        for file in ["six-1.17.0-py2.py3-none-any.whl", "a-1-2-py3-none-any.whl", "a-1-py314-none-any.whl"] {
            assert!(WheelName::parse(file).is_some_and(|file| file.is_pure()), "{file}");
        }
        for file in
            ["a-1-cp314-cp314-manylinux_2_17_x86_64.whl", "a-1-py3-none-macosx_11_0_arm64.whl", "a-1-py2-none-any.whl"]
        {
            assert!(WheelName::parse(file).is_some_and(|file| !file.is_pure()), "{file}");
        }
        for file in [
            "a-1-py3-none-any.zip",
            "a-1.whl",
            "../a-1-py3-none-any.whl",
            "a/b-1-py3-none-any.whl",
            "a--py3-none-any.whl",
        ] {
            assert_eq!(WheelName::parse(file), None, "{file}");
        }
    }

    fn modules_of(paths: &[&str], top_level: Option<&str>) -> Vec<String> {
        modules(&paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>(), top_level)
    }

    #[test]
    fn modules_come_from_the_wheels_list_or_from_its_files() {
        let info = "x-1.dist-info/METADATA";
        assert_eq!(modules_of(&["six.py", info], None), ["six"]);
        assert_eq!(modules_of(&["a/__init__.py", "a/b.py", "tests/__init__.py", "_a/__init__.py", info], None), ["a"]);
        assert_eq!(modules_of(&["_a/__init__.py", info], None), ["_a"]);
        assert_eq!(
            modules_of(&["google/api/__init__.py", "google/api/x.py", "google/rpc/code/a.py"], None),
            ["google.api", "google.rpc.code.a"]
        );
        assert_eq!(modules_of(&["b/__init__.py", "c/__init__.py"], Some("b\n")), ["b"]);
        assert_eq!(modules_of(&[info, "x-1.data/scripts/x.py"], None), [] as [&str; 0]);
    }
}
