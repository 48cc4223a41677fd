//! Which crate may use which. A new name on a line here is a change of the design.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Our crates, and what of ours each may use.
const EDGES: [(&str, &[&str]); 8] = [
    ("bue-model", &[]),
    ("bue-lang", &["bue-model"]),
    ("bue-sql", &["bue-model"]),
    ("bue-runtime", &["bue-model", "bue-sql"]),
    ("bue-client", &["bue-model"]),
    ("bue-hub", &["bue-model"]),
    ("bue-worker", &["bue-client", "bue-model", "bue-runtime"]),
    ("bue", &["bue-client", "bue-hub", "bue-lang", "bue-model", "bue-runtime", "bue-worker"]),
];

/// What a crate must not use, directly or indirectly, with the property that this protects.
const FORBIDDEN_CRATES: [(&str, &[&str]); 7] = [
    // plain data, builds for wasm32
    ("bue-model", &["tokio", "hyper", "rusqlite", "wasmtime", "anyhow"]),
    // does not access disk, network, clock or environment
    ("bue-lang", &["tokio", "hyper", "rusqlite", "wasmtime", "anyhow", "tempfile", "rustix"]),
    // part of a guest: builds for wasm32, and its rows come from and go to a host
    ("bue-sql", &["tokio", "hyper", "wasmtime", "anyhow", "tempfile", "rustix"]),
    // independent of jobs and the hub; it executes no SQL itself; it sends the HTTP requests of steps (`runtime/src/parent/egress`), but none to our servers
    ("bue-runtime", &["bue-client", "rusqlite", "anyhow"]),
    // stores no state and decodes no value
    ("bue-worker", &["rusqlite", "wasmtime", "hyper", "anyhow"]),
    // executes no steps
    ("bue-hub", &["wasmtime", "anyhow"]),
    // only builds and sends requests
    ("bue-client", &["rusqlite", "wasmtime", "anyhow"]),
];

/// For benchmarks and tests only; no crate depends on them outside tests.
const TEST_CRATES: [&str; 3] = ["bue-bench", "bue-test-support", "bue-web-tests"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata")
}

fn uses(package: &Package) -> BTreeSet<&str> {
    let in_the_crate = package.dependencies.iter().filter(|used| used.kind == DependencyKind::Normal);
    in_the_crate.map(|used| used.name.as_str()).collect()
}

#[test]
fn crate_dependencies_are_allowed() {
    let metadata = metadata();
    let found: BTreeMap<&str, BTreeSet<&str>> = metadata
        .packages
        .iter()
        .filter(|package| package.name.starts_with("bue"))
        .map(|package| (package.name.as_str(), uses(package)))
        .collect();
    for (name, allowed) in EDGES {
        let used = found.get(name).unwrap_or_else(|| panic!("no crate {name}"));
        let ours: Vec<&&str> = used.iter().filter(|used| used.starts_with("bue")).collect();
        assert!(ours.iter().all(|used| allowed.contains(used)), "{name} uses {ours:?}, allowed are {allowed:?}");
    }
    let known: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let unknown: Vec<&&str> =
        found.keys().filter(|name| !known.contains(*name) && !TEST_CRATES.contains(*name)).collect();
    assert!(unknown.is_empty(), "crates that are not listed here: {unknown:?}");
}

#[test]
fn banned_dependencies_are_absent() {
    for (name, banned) in FORBIDDEN_CRATES {
        let metadata = metadata();
        let package = metadata.packages.iter().find(|package| package.name.as_str() == name).expect("the crate");
        let used: Vec<&str> = uses(package).into_iter().filter(|used| banned.contains(used)).collect();
        assert!(used.is_empty(), "{name} must not use {used:?}");
    }
}

/// The SDK is given away: it takes the contract's file and the words, and no crate of a host.
#[test]
fn the_sdk_uses_the_model_and_nothing_else_of_ours() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/guest-sdk/rust/Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata");
    let used: BTreeSet<&str> = metadata.packages.iter().flat_map(uses).filter(|name| name.starts_with("bue")).collect();
    assert_eq!(used, BTreeSet::from(["bue-model", "bue-step-macros"]));
}

/// `bue-model` and `bue-sql` are the exceptions: the guests, a separate workspace, use them too.
#[test]
fn only_the_workspace_names_versions() {
    let metadata = metadata();
    let members =
        metadata.packages.iter().filter(|package| !["bue", "bue-model", "bue-sql"].contains(&package.name.as_str()));
    for package in members {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest");
        let own = manifest.lines().filter(|line| line.contains("version = \"") || line.contains("= \"^"));
        assert_eq!(own.collect::<Vec<_>>(), Vec::<&str>::new(), "{} specifies versions itself", package.name);
    }
}

/// Features of the engine that must be off, directly and through dependencies: those that are new, not guaranteed to be safe, or
/// not needed.
const FORBIDDEN_FEATURES: [(&str, &[&str]); 2] = [
    (
        "wasmtime",
        &[
            "gc",
            "gc-drc",
            "gc-null",
            "gc-copying",
            "threads",
            "stack-switching",
            "component-model-async",
            "winch",
            "pulley",
            "all-arch",
            "cache",
            "incremental-cache",
            "debug",
            "coredump",
            "profiling",
            "rr",
            "compile-time-builtins",
        ],
    ),
    ("wasmtime-wasi", &["p0", "p3"]),
];

#[test]
fn wasmtime_has_no_unstable_features() {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .other_options(["--offline", "--filter-platform=x86_64-unknown-linux-gnu"].map(str::to_owned))
        .exec()
        .expect("cargo metadata");
    let nodes = metadata.resolve.as_ref().expect("a resolved build").nodes.iter();
    let nodes: Vec<_> = nodes.map(|node| (metadata[&node.id].name.as_str(), &node.features)).collect();
    for (name, forbidden) in FORBIDDEN_FEATURES {
        let (_, features) = nodes.iter().find(|(crate_name, _)| *crate_name == name).expect("the engine");
        let found: Vec<_> = features.iter().filter(|feature| forbidden.contains(&feature.as_str())).collect();
        assert!(found.is_empty(), "{name} is built with {found:?}");
    }
}
