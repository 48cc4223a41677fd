// Corrections of dependencies of the guests that none of their releases contains yet. `runtime/build.rs` applies them to a copy of
// the locked version.

/// Replaces a piece of text in a source file. The text must be there exactly once, so that an update of the package shows which
/// patches have to be looked at.
pub(crate) struct Patch {
    /// The package.
    pub(crate) package: &'static str,
    /// The file, relative to the package.
    pub(crate) file: &'static str,
    /// The text to replace.
    pub(crate) from: &'static str,
    /// What to replace it by.
    pub(crate) to: &'static str,
}

pub(crate) const PATCHES: &[Patch] = &[
    // The order of a class's bases was checked, but not kept: with `class A(C)`, `class D(A, B, C)` had the order A, C, B, and
    // SQLAlchemy could not be imported. CPython merges the list of bases as the last one. The algorithm is from the pull request
    // https://github.com/RustPython/RustPython/pull/1764.
    Patch {
        package: "rustpython-vm",
        file: "src/builtins/type.rs",
        from: "    let mut result = vec![];\n    while !bases.is_empty() {\n        let head = take_next_base",
        to: "    if !bases.is_empty() {\n        bases.push(bases.iter().map(|mro| mro[0].clone()).collect());\n    }\n    \
             let mut result = vec![];\n    while !bases.is_empty() {\n        let head = take_next_base",
    },
    // A copy is in no checkout of RustPython: the file that it waits for does not exist, so that it would be compiled again by every
    // build, and git would describe our own commit.
    Patch {
        package: "rustpython-vm",
        file: "build.rs",
        from: "cargo:rerun-if-changed=../../Lib/importlib/_bootstrap.py",
        to: "cargo:rerun-if-changed=build.rs",
    },
    Patch {
        package: "rustpython-vm",
        file: "build.rs",
        from: "    command(\"git\", args)\n",
        to: "    let _ = args;\n    Err(io::Error::other(\"not a checkout\"))\n",
    },
];
