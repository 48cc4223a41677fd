//! Python's standard output and error.

use rustpython_vm::VirtualMachine;

/// Flush both streams, so that the host also gets a last line without a newline.
pub(crate) fn flush(vm: &VirtualMachine) {
    for name in ["stdout", "stderr"] {
        // a step may have closed or replaced them
        let _ = vm.sys_module.get_attr(name, vm).and_then(|stream| vm.call_method(&stream, "flush", ()));
    }
}
