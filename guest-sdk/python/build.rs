//! Linker arguments of the guest, where they hold for everybody who builds it.

/// Bytes of the stack in linear memory. Python calls of Python do not use it; native recursion (a `__repr__` of nested
/// lists, `sorted` with a key that sorts) does, and the interpreter turns its end into a `RecursionError`.
/// Half of the native stack that the host gives (`WASM_STACK` of the runtime), which must not end first.
const STACK_BYTES: u32 = 256 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // below everything else: overflowing it leaves the memory and traps instead of writing over data
    println!("cargo::rustc-link-arg-cdylib=--stack-first");
    println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
}
