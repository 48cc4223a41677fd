//! Linker arguments of the guest. They are here so that they apply however the guest is built.

/// Size in bytes of the stack in linear memory. SQLite's parser and its expression trees nest within its own limits, and need
/// less than half of it.
const STACK_BYTES: u32 = 1024 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // the stack is placed below everything else, so that overflowing it leaves the memory and traps instead of overwriting data
    println!("cargo::rustc-link-arg-cdylib=--stack-first");
    // the host reads it to tell a stack overflow from other accesses out of bounds
    println!("cargo::rustc-link-arg-cdylib=--export=__stack_pointer");
    println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
}
