//! Linker arguments of the guest. They are here so that they apply however the guest is built.

/// Size in bytes of the stack in linear memory. Calls between Python functions do not use it; native recursion (a `__repr__`
/// of nested lists, `sorted` with a key that sorts) does, and the interpreter raises `RecursionError` at its end. Threads run
/// on top of each other (lib/_scheduler.py), so it has room for a few dozen of them, each in the middle of a request.
/// It is a third of the native stack that the host provides (`GUEST_STACK` in the runtime), which must not end first.
const STACK_BYTES: u32 = 1024 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // the stack is placed below everything else, so that overflowing it leaves the memory and traps instead of overwriting data
    println!("cargo::rustc-link-arg-cdylib=--stack-first");
    // the host reads it to tell a stack overflow from other accesses out of bounds
    println!("cargo::rustc-link-arg-cdylib=--export=__stack_pointer");
    println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
}
