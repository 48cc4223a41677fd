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
    // A program for WebAssembly cannot be interrupted: it has no signals, and `eval_breaker_tripped` is constant there. `INTERRUPT` is
    // a flag that is set from outside. It is looked at only where CPython does, too: where a loop goes back and where a function
    // begins, so that it costs nothing between these.
    Patch {
        package: "rustpython-vm",
        file: "src/vm/mod.rs",
        from: "mod vm_ops;\n",
        to: "mod vm_ops;\n\n\
             /// Is set from outside while code runs, and cleared by the handler.\n\
             pub static INTERRUPT: AtomicBool = AtomicBool::new(false);\n\n\
             /// Is called while [`INTERRUPT`] is set, with the file of the code that runs.\n\
             pub type InterruptHandler = fn(&VirtualMachine, &str) -> PyResult<()>;\n\n\
             std::thread_local! {\n    \
                 /// The handler of interrupts.\n    \
                 pub static INTERRUPT_HANDLER: Cell<Option<InterruptHandler>> = const { Cell::new(None) };\n\
             }\n",
    },
    Patch {
        package: "rustpython-vm",
        file: "src/vm/mod.rs",
        from: "    #[inline]\n    /// Checks for triggered signals",
        to: "    #[inline(always)]\n    \
             pub(crate) fn check_interrupt(&self, code: &PyCode) -> PyResult<()> {\n        \
                 if INTERRUPT.load(Ordering::Relaxed) { self.handle_interrupt(code) } else { Ok(()) }\n    \
             }\n\n    \
             #[cold]\n    #[inline(never)]\n    \
             fn handle_interrupt(&self, code: &PyCode) -> PyResult<()> {\n        \
                 let handler = INTERRUPT_HANDLER.get();\n        \
                 handler.map_or(Ok(()), |handler| handler(self, code.source_path().as_str()))\n    \
             }\n\n    \
             #[inline]\n    /// Checks for triggered signals",
    },
    Patch {
        package: "rustpython-vm",
        file: "src/frame.rs",
        from: "            Instruction::JumpBackwardJit | Instruction::JumpBackwardNoJit => {\n",
        to: "            Instruction::JumpBackwardJit | Instruction::JumpBackwardNoJit => {\n                \
             vm.check_interrupt(self.code)?;\n",
    },
    Patch {
        package: "rustpython-vm",
        file: "src/frame.rs",
        from: "            Instruction::Resume { .. } | Instruction::ResumeCheck => {\n",
        to: "            Instruction::Resume { .. } | Instruction::ResumeCheck => {\n                \
             vm.check_interrupt(self.code)?;\n",
    },
];
