//! `bue_load`: a bundle becomes a module.

use bue_model::guest::{LoadReply, LoadRequest};
use bue_model::{Bundle, Failure, FailureKind};
use rustpython_vm::builtins::PyList;
use rustpython_vm::{PyResult, VirtualMachine};

use crate::call::flush;
use crate::failure::{not_started, raised};
use crate::interpreter::{Guest, Loaded, enter, settle};

/// Import the entry. Once for a guest.
pub(crate) fn load(request: &LoadRequest) -> LoadReply {
    let loaded = enter(|guest, vm| {
        let loaded = import(guest, &request.bundle, vm);
        flush(vm);
        settle(vm);
        loaded
    });
    match loaded.unwrap_or_else(|| Err(not_started())) {
        Ok(()) => LoadReply::Loaded,
        Err(failure) => LoadReply::Failed(failure),
    }
}

fn import(guest: &Guest, bundle: &Bundle, vm: &VirtualMachine) -> Result<(), Failure> {
    if bundle.entry_content().is_none() {
        return Err(Failure::new(
            FailureKind::Internal,
            format!("the bundle does not hold its entry {}", bundle.entry),
        ));
    }
    let loaded = try_import(guest, bundle, vm).map_err(|error| {
        let failure = raised(guest, FailureKind::BadCode, &error, None, vm);
        Failure { message: format!("{} cannot be imported: {}", bundle.entry, failure.message), ..failure }
    })?;
    guest.loaded.set(loaded).map_err(|_| Failure::new(FailureKind::Internal, "a module is loaded already"))
}

fn try_import(guest: &Guest, bundle: &Bundle, vm: &VirtualMachine) -> PyResult<Loaded> {
    let files = vm.ctx.new_dict();
    for file in &bundle.files {
        files.set_item(file.path.as_str(), vm.ctx.new_bytes(file.content.to_vec()).into(), vm)?;
    }
    let has_packages = !bundle.packages.is_empty();
    let module = guest.helpers.load.call((bundle.entry.clone(), bundle.first_line, files, has_packages), vm)?;
    let unseeded = guest.helpers.forget_chance.call((), vm)?;
    let unseeded = unseeded.downcast_ref::<PyList>().map(|list| list.borrow_vec().to_vec());
    Ok(Loaded { module, unseeded })
}
