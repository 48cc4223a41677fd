//! The one interpreter: made by `bue_init`, part of the image from then on.

use core::cell::OnceCell;

use rustpython::InterpreterBuilderExt;
use rustpython_vm::{Interpreter, InterpreterBuilder, PyObjectRef, Settings, VirtualMachine};

/// What the exports share.
pub(crate) struct Guest {
    interpreter: Interpreter,
    /// The module of the step.
    pub(crate) module: OnceCell<PyObjectRef>,
}

thread_local! {
    static GUEST: OnceCell<Guest> = const { OnceCell::new() };
}

/// Start it and import what steps commonly use, so that no module image pays for that again.
pub(crate) fn start() {
    let mut settings = Settings::default();
    settings.install_signal_handlers = false;
    settings.import_site = false;
    settings.user_site_directory = false;
    settings.isolated = true;
    settings.ignore_environment = true;
    settings.write_bytecode = false;
    let interpreter = InterpreterBuilder::new().settings(settings).init_stdlib().interpreter();
    let guest = Guest { interpreter, module: OnceCell::new() };
    GUEST.with(|cell| cell.set(guest).is_ok());
    enter(|_, vm| prepare(vm));
}

/// Do something with the interpreter, or `None` before [`start`].
pub(crate) fn enter<R>(work: impl FnOnce(&Guest, &VirtualMachine) -> R) -> Option<R> {
    GUEST.with(|cell| cell.get().map(|guest| guest.interpreter.enter(|vm| work(guest, vm))))
}

fn prepare(vm: &VirtualMachine) {
    let scope = vm.new_scope_with_builtins();
    if let Err(error) = vm.run_string(scope, include_str!("../lib/bue_prelude.py"), "<bue prelude>") {
        vm.print_exception(&error);
        panic!("the prelude fails");
    }
}
