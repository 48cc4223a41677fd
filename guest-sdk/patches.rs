// Corrections of dependencies of the guests that none of their releases contains yet, and files of theirs that the guests leave out.
// `runtime/build.rs` applies both to a copy of the locked version.

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

/// Folders and files of packages that the guests leave out: a package, and a path relative to it. They are parts of Python's library
/// that need a screen, create environments on a disk, or belong to other operating systems; Debian's Python leaves most of them out
/// as well. They are a quarter of the library.
pub(crate) const OMITTED: &[(&str, &str)] = &[
    ("rustpython-pylib", "Lib/_aix_support.py"),
    ("rustpython-pylib", "Lib/_android_support.py"),
    ("rustpython-pylib", "Lib/_apple_support.py"),
    ("rustpython-pylib", "Lib/_ios_support.py"),
    ("rustpython-pylib", "Lib/_osx_support.py"),
    ("rustpython-pylib", "Lib/ensurepip"),
    ("rustpython-pylib", "Lib/idlelib"),
    ("rustpython-pylib", "Lib/pydoc_data"),
    ("rustpython-pylib", "Lib/tkinter"),
    ("rustpython-pylib", "Lib/turtle.py"),
    ("rustpython-pylib", "Lib/turtledemo"),
    ("rustpython-pylib", "Lib/venv"),
];

pub(crate) const PATCHES: &[Patch] = &[
    // The library's modules are compressed one by one, which keeps the compression of the whole guest from finding what they have in
    // common. With plain modules, and without what is omitted, the compressed guest is a fifth smaller. A step that imports one does
    // not decompress it first.
    Patch {
        package: "rustpython-compiler-core",
        file: "src/frozen.rs",
        from: "        let decompressed = lz4_flex::decompress_size_prepended(data)\n            \
               .expect(\"deserialize frozen CodeObject failed\");\n        \
               marshal::deserialize_code(&mut &decompressed[..], bag)\n",
        to: "        marshal::deserialize_code(&mut &data[..], bag)\n",
    },
    Patch {
        package: "rustpython-compiler-core",
        file: "src/frozen.rs",
        from: "        let bytes = lz4_flex::compress_prepend_size(&data);\n        Self { bytes }\n",
        to: "        Self { bytes: data }\n",
    },
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
    // A step runs in a copy-on-write image of the interpreter's memory. Each page it writes to is copied, also if it writes the same
    // bytes, so that objects that are only read should not be written to: that is two thirds of the pages of a short step. Two
    // things wrote to them, the state of their locks and the counters of specialization.
    //
    // The state of locks: which locks are held is kept in a table, and in the lock itself only if the table is full or the lock is
    // held exclusively, that is, to change what it protects.
    Patch {
        package: "rustpython-common",
        file: "src/lock/cell_lock.rs",
        from: "pub struct RawCellMutex {\n",
        to: concat!(include_str!("patches/held_locks.rs"), "pub struct RawCellMutex {\n"),
    },
    Patch {
        package: "rustpython-common",
        file: "src/lock/cell_lock.rs",
        from: "            deadlock(\"\", \"Mutex\")\n        }\n        self.locked.set(true)\n",
        to: "            deadlock(\"\", \"Mutex\")\n        }\n        self.hold()\n",
    },
    Patch {
        package: "rustpython-common",
        file: "src/lock/cell_lock.rs",
        from: "            self.locked.set(true);\n",
        to: "            self.hold();\n",
    },
    Patch {
        package: "rustpython-common",
        file: "src/lock/cell_lock.rs",
        from: "        self.locked.set(false)\n",
        to: "        if !held::remove(self) {\n            self.locked.set(false)\n        }\n",
    },
    Patch {
        package: "rustpython-common",
        file: "src/lock/cell_lock.rs",
        from: "        self.locked.get()\n",
        to: "        self.locked.get() || held::contains(self)\n",
    },
    Patch {
        package: "rustpython-common",
        file: "src/lock/cell_lock.rs",
        from: "        self.state.update(|x| x - ONE_READER)\n",
        to: "        if !held::remove(self) {\n            self.state.update(|x| x - ONE_READER)\n        }\n",
    },
    Patch {
        package: "rustpython-common",
        file: "src/lock/cell_lock.rs",
        from: "        self.state.get() != 0\n",
        to: "        self.state.get() != 0 || held::contains(self)\n",
    },
    Patch {
        package: "rustpython-common",
        file: "src/lock/cell_lock.rs",
        from: "        if self.state.get() == ONE_READER {\n            self.state.set(WRITER_BIT);\n            true\n        } else {\n            false\n",
        to: "        // the one reader is in its state or in the table\n        \
             let is_in_table = held::remove(self);\n        \
             let own = if is_in_table { 0 } else { ONE_READER };\n        \
             if self.state.get() == own && !held::contains(self) {\n            \
             self.state.set(WRITER_BIT);\n            true\n        } else {\n            \
             if is_in_table {\n                held::add(self);\n            }\n            false\n",
    },
    Patch {
        package: "rustpython-common",
        file: "src/lock/cell_lock.rs",
        from: "            false\n        } else if let Some(new) = self.state.get().checked_add(ONE_READER) {\n",
        to: "            false\n        } else if held::add(self) {\n            true\n        \
             } else if let Some(new) = self.state.get().checked_add(ONE_READER) {\n",
    },
    // The counters of specialization: an instruction counts how often it was executed until it is replaced by one for the types it
    // sees. A call begins to count only after a number of instructions: before that, it executes what the image has.
    Patch {
        package: "rustpython-vm",
        file: "src/frame.rs",
        from: "thread_local! {\n    /// Free list of dead frame objects for reuse.",
        to: "/// The number of instructions of a general form to execute before counters of specialization are written.\n\
             static UNCOUNTED_INSTRUCTIONS: atomic::AtomicU32 = atomic::AtomicU32::new(0);\n\n\
             /// Do not specialize bytecode until this many instructions have been executed in their general form.\n\
             pub fn delay_specialization(instructions: u32) {\n    UNCOUNTED_INSTRUCTIONS.store(instructions, Relaxed);\n}\n\n\
             #[inline(always)]\nfn is_specialization_delayed() -> bool {\n    let left = UNCOUNTED_INSTRUCTIONS.load(Relaxed);\n    \
             if left == 0 {\n        return false;\n    }\n    UNCOUNTED_INSTRUCTIONS.store(left - 1, Relaxed);\n    true\n}\n\n\
             thread_local! {\n    /// Free list of dead frame objects for reuse.",
    },
    Patch {
        package: "rustpython-vm",
        file: "src/frame.rs",
        from: "    fn adaptive(&mut self, specialize: impl FnOnce(&mut Self, usize, usize)) {\n",
        to: "    fn adaptive(&mut self, specialize: impl FnOnce(&mut Self, usize, usize)) {\n        \
             if !is_specialization_delayed() {\n            self.adaptive_now(specialize);\n        }\n    }\n\n    \
             /// Does this call run bytecode? In its general form that takes native stack, of which there is less than frames need.\n    \
             #[inline]\n    fn runs_bytecode(callable: &PyObject) -> bool {\n        \
             callable.downcastable::<PyFunction>()\n            || callable.downcastable::<PyBoundMethod>()\n            \
             || callable.downcast_ref::<PyType>().is_some_and(|class| class.heaptype_ext.is_some())\n    }\n\n    \
             #[inline]\n    fn adaptive_now(&mut self, specialize: impl FnOnce(&mut Self, usize, usize)) {\n",
    },
    // What runs other bytecode without native stack in its specialized form is specialized at once.
    Patch {
        package: "rustpython-vm",
        file: "src/frame.rs",
        from: "                self.adaptive(|s, ii, cb| s.specialize_call(vm, nargs_val, ii, cb));\n",
        to: "                match Self::runs_bytecode(self.nth_value(nargs_val + 1)) {\n                    \
             true => self.adaptive_now(|s, ii, cb| s.specialize_call(vm, nargs_val, ii, cb)),\n                    \
             false => self.adaptive(|s, ii, cb| s.specialize_call(vm, nargs_val, ii, cb)),\n                }\n",
    },
    Patch {
        package: "rustpython-vm",
        file: "src/frame.rs",
        from: "                self.adaptive(|s, ii, cb| s.specialize_call_kw(vm, nargs, ii, cb));\n",
        to: "                match Self::runs_bytecode(self.nth_value(nargs + 2)) {\n                    \
             true => self.adaptive_now(|s, ii, cb| s.specialize_call_kw(vm, nargs, ii, cb)),\n                    \
             false => self.adaptive(|s, ii, cb| s.specialize_call_kw(vm, nargs, ii, cb)),\n                }\n",
    },
    Patch {
        package: "rustpython-vm",
        file: "src/frame.rs",
        from: "                self.adaptive(|s, ii, cb| s.specialize_send(vm, ii, cb));\n",
        to: "                self.adaptive_now(|s, ii, cb| s.specialize_send(vm, ii, cb));\n",
    },
    // This instruction does the same as the one that replaces it. Like that one, it looks whether there is an interrupt; see below.
    Patch {
        package: "rustpython-vm",
        file: "src/frame.rs",
        from: "                // CPython rewrites JUMP_BACKWARD to JUMP_BACKWARD_NO_JIT\n                // when JIT is unavailable.\n                \
               let instr_idx = self.lasti() as usize - 1;\n                unsafe {\n                    self.code\n                        \
               .instructions\n                        .replace_op(instr_idx, Instruction::JumpBackwardNoJit);\n                }\n",
        to: "                vm.check_interrupt(self.code)?;\n",
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
