//! There are no import cycles between the files of a crate, so a file can be understood with only the files below it.
//!
//! The graph is read from the source: `use` declarations and qualified paths that begin with `crate`, `self`, `super` or the
//! name of a child module, macros' arguments included. A path through a facade (a `mod.rs` that only declares modules and
//! re-exports names) leads to the file that defines the name. Code under `#[cfg(test)]` does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, UseTree, Visibility};

/// The root file of every crate, from the project's root.
const CRATES: [&str; 14] = [
    "model/src/lib.rs",
    "lang/src/lib.rs",
    "sql/src/lib.rs",
    "client/src/lib.rs",
    "runtime/src/lib.rs",
    "hub/src/lib.rs",
    "worker/src/lib.rs",
    "src/main.rs",
    "guest-sdk/contract/src/lib.rs",
    "guest-sdk/python/src/lib.rs",
    "guest-sdk/python/sqlite3/src/lib.rs",
    "guest-sdk/rust/src/lib.rs",
    "guest-sdk/sqlite/src/lib.rs",
    "guest-sdk/sqlite3/src/lib.rs",
];

/// A module's path below its crate: `["jobs", "pick"]`.
type Module = Vec<String>;
/// Which module uses which, and a name it uses from there.
type Edges = BTreeMap<Module, BTreeMap<Module, String>>;

#[test]
fn no_files_of_a_crate_import_each_other_in_a_cycle() {
    let mut report = String::new();
    for root in CRATES {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let sources = Sources::read(&root);
        for cycle in cycles(&sources.edges()) {
            report.push_str(&format!("{}:\n{cycle}", root.display()));
        }
    }
    assert!(report.is_empty(), "import cycles; move what both sides need into a file below them\n{report}");
}

#[test]
fn a_cycle_is_found_through_a_facade_and_a_macro() {
    let sources = Sources::parse([
        (vec![], "mod a; mod b;"),
        (vec!["a"], "mod inner; pub use inner::Thing;"),
        (vec!["a", "inner"], "pub struct Thing; fn f() { assert!(crate::b::g()); }"),
        (vec!["b"], "use crate::a::Thing; #[cfg(test)] mod tests { use super::g; }"),
    ]);
    let cycles = cycles(&sources.edges());
    assert_eq!(cycles, ["  a::inner -> b (g)\n  b -> a::inner (Thing)\n"]);
}

/// A crate's files, parsed.
struct Sources {
    files: BTreeMap<Module, Imports>,
}

/// What one file names outside itself.
#[derive(Default)]
struct Imports {
    /// Paths that are used, as written, without the last `*`.
    paths: BTreeSet<Vec<String>>,
    /// Names that are re-exported, and the paths they come from.
    exports: BTreeMap<String, Vec<String>>,
    /// The file holds nothing but modules and re-exports.
    is_facade: bool,
    /// Modules with a body in this file around what is being read.
    inline_depth: usize,
}

impl Sources {
    fn read(root: &Path) -> Self {
        let folder = root.parent().expect("a root file is in a folder");
        let mut files = Vec::new();
        list(folder, &mut files);
        let texts: Vec<_> = files
            .iter()
            .map(|file| (module_of(folder, file), fs::read_to_string(file).expect("a source file")))
            .collect();
        Self::parse(texts.iter().map(|(module, text)| (module.iter().map(String::as_str).collect(), text.as_str())))
    }

    fn parse<'a>(texts: impl IntoIterator<Item = (Vec<&'a str>, &'a str)>) -> Self {
        let files = texts.into_iter().map(|(module, text)| {
            let module: Module = module.into_iter().map(str::to_owned).collect();
            let imports = Imports::parse(text).unwrap_or_else(|error| panic!("{}: {error}", module.join("::")));
            (module, imports)
        });
        Self { files: files.collect() }
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (module, imports) in &self.files {
            let exports = imports.exports.values().filter(|_| !imports.is_facade);
            for path in imports.paths.iter().chain(exports) {
                if let Some(target) = self.resolve(module, path, 0).filter(|target| target != module) {
                    let name = path.last().cloned().unwrap_or_default();
                    edges.entry(module.clone()).or_default().entry(target).or_insert(name);
                }
            }
        }
        edges
    }

    /// The file that defines what a path names, if that is in this crate.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut target = self.start(module, path)?;
        let mut remaining = path.iter().skip_while(|part| ["crate", "self", "super"].contains(&part.as_str()));
        for part in remaining.by_ref() {
            let child = [target.as_slice(), std::slice::from_ref(part)].concat();
            if self.files.contains_key(&child) {
                target = child;
                continue;
            }
            let exported = self.files.get(&target).and_then(|imports| imports.exports.get(part));
            return match exported {
                Some(path) if depth < 8 => self.resolve(&target, path, depth + 1).or(Some(target)),
                _ => Some(target),
            };
        }
        Some(target)
    }

    /// The module where a path begins; none for paths into other crates.
    fn start(&self, module: &Module, path: &[String]) -> Option<Module> {
        let first = path.first()?;
        let ups = path.iter().take_while(|part| *part == "super").count();
        match first.as_str() {
            "crate" => Some(Vec::new()),
            "self" => Some(module.clone()),
            "super" => module.get(..module.len().checked_sub(ups)?).map(<[String]>::to_vec),
            _ if self.files.contains_key(&[module.as_slice(), std::slice::from_ref(first)].concat()) => {
                Some(module.clone())
            }
            _ => None,
        }
    }
}

impl Imports {
    fn parse(text: &str) -> syn::Result<Self> {
        let file = syn::parse_file(text)?;
        let mut imports = Self { is_facade: file.items.iter().all(is_declaration), ..Self::default() };
        imports.visit_file(&file);
        Ok(imports)
    }

    fn add_tree(&mut self, prefix: &[String], tree: &UseTree, exported: bool) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree, exported),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(prefix, tree, exported)),
            UseTree::Glob(_) => self.add_path(prefix),
            UseTree::Name(name) => self.add_name(&name.ident.to_string(), with(&name.ident), exported),
            UseTree::Rename(rename) => self.add_name(&rename.rename.to_string(), with(&rename.ident), exported),
        }
    }

    fn add_name(&mut self, name: &str, path: Vec<String>, exported: bool) {
        let path = if path.last().is_some_and(|last| last == "self") { path[..path.len() - 1].to_vec() } else { path };
        match exported {
            true => drop(self.exports.insert(name.to_owned(), path)),
            false => self.add_path(&path),
        }
    }

    /// Paths in the arguments of a macro, which are tokens and not syntax yet.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => path.push(ident.to_string()),
                TokenTree::Ident(ident) => {
                    self.add_path(&std::mem::replace(&mut path, vec![ident.to_string()]));
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.add_path(&std::mem::take(&mut path));
                    self.add_tokens(group.stream());
                }
                _ => self.add_path(&std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.add_path(&path);
    }

    /// Inside a module with a body, `super` is this file or something in it.
    fn add_path(&mut self, path: &[String]) {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let path = path[ups.min(self.inline_depth)..].to_vec();
        if !path.is_empty() {
            self.paths.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_test_only) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.inline_depth += 1;
        visit::visit_item_mod(self, module);
        self.inline_depth -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&[], &item.tree, !matches!(item.vis, Visibility::Inherited));
    }

    /// `pub(crate)` holds a path that imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.add_path(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        self.add_tokens(invocation.tokens.clone());
        visit::visit_macro(self, invocation);
    }
}

fn is_declaration(item: &Item) -> bool {
    match item {
        Item::Mod(_) => true,
        Item::Use(item) => !matches!(item.vis, Visibility::Inherited),
        _ => attributes(item).iter().any(is_test_only),
    }
}

fn is_test_only(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => &[],
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => list(&path, files),
            false if path.extension().is_some_and(|end| end == "rs") => files.push(path),
            false => {}
        }
    }
}

/// `jobs/pick.rs` is `jobs::pick`; `jobs/mod.rs` is `jobs`; a crate's root file is the crate.
fn module_of(folder: &Path, file: &Path) -> Module {
    let path = file.strip_prefix(folder).expect("a file of the crate").with_extension("");
    let mut module: Module = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

/// A text for each set of modules that reach each other: its edges.
fn cycles(edges: &Edges) -> Vec<String> {
    let reach: BTreeMap<&Module, BTreeSet<&Module>> =
        edges.keys().map(|module| (module, reachable(edges, module))).collect();
    let mutual = |a: &Module, b: &Module| {
        reach.get(a).is_some_and(|reached| reached.contains(b))
            && reach.get(b).is_some_and(|reached| reached.contains(a))
    };
    let mut reported = BTreeSet::new();
    let mut cycles = Vec::new();
    for module in edges.keys() {
        let members: Vec<&Module> = edges.keys().filter(|other| mutual(module, other)).collect();
        if members.is_empty() || !reported.insert(members.clone()) {
            continue;
        }
        cycles.push(members.iter().map(|member| edges_within(edges, member, &members)).collect());
    }
    cycles
}

fn edges_within(edges: &Edges, module: &Module, members: &[&Module]) -> String {
    let inside = edges[module].iter().filter(|(target, _)| members.contains(target));
    inside.map(|(target, name)| format!("  {} -> {} ({name})\n", shown(module), shown(target))).collect()
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "the crate's root".to_owned() } else { module.join("::") }
}

fn reachable<'a>(edges: &'a Edges, from: &Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = edges.get(from).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(edges.get(module).into_iter().flat_map(BTreeMap::keys));
        }
    }
    reached
}
