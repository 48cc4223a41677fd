//! `bue_load`: imports a bundle as a module.

use bue_model::guest::{LoadReply, LoadRequest};
use bue_model::{Bundle, Failure, FailureKind};
use rustpython_vm::builtins::PyList;
use rustpython_vm::{PyResult, VirtualMachine};

use crate::failure::{from_exception, not_started};
use crate::guest::{Guest, LoadedModule};
use crate::image;
use crate::interpreter::enter;
use crate::stdio::flush;

/// Import the entry of a bundle. A guest can load one module.
pub(crate) fn load(request: &LoadRequest) -> LoadReply {
    let outcome = enter(|guest, vm| {
        image::specialize();
        let outcome = import(guest, &request.bundle, vm);
        flush(vm);
        image::prepare(vm);
        outcome
    });
    match outcome.unwrap_or_else(|| Err(not_started())) {
        Ok(()) => LoadReply::Loaded,
        Err(failure) => LoadReply::Failed(failure),
    }
}

fn import(guest: &Guest, bundle: &Bundle, vm: &VirtualMachine) -> Result<(), Failure> {
    if bundle.entry_content().is_none() {
        return Err(Failure::new(
            FailureKind::Internal,
            format!("the bundle does not contain its entry {}", bundle.entry),
        ));
    }
    let module = try_import(guest, bundle, vm).map_err(|error| {
        let failure = from_exception(guest, FailureKind::BadCode, &error, None, vm);
        Failure { message: format!("{} cannot be imported: {}", bundle.entry, failure.message), ..failure }
    })?;
    guest.module.set(module).map_err(|_| Failure::new(FailureKind::Internal, "a module is already loaded"))
}

fn try_import(guest: &Guest, bundle: &Bundle, vm: &VirtualMachine) -> PyResult<LoadedModule> {
    let files = vm.ctx.new_dict();
    for file in &bundle.files {
        crate::files::pack(&file.path, &file.content);
        if !file.path.ends_with(".py") && file.path != bundle.entry {
            continue;
        }
        files.set_item(file.path.as_str(), vm.ctx.new_bytes(file.content.to_vec()).into(), vm)?;
    }
    let has_packages = !bundle.packages.is_empty();
    let module = guest.helpers.load.call((bundle.entry.clone(), bundle.first_line, files, has_packages), vm)?;
    let unseeded = guest.helpers.reset_randomness.call((), vm)?;
    if vm.sys_module.get_attr("modules", vm)?.get_item("_sqlite3", vm).is_ok() {
        bue_python_sqlite3::reset_randomness();
    }
    let unseeded = unseeded.downcast_ref::<PyList>().map(|list| list.borrow_vec().to_vec());
    Ok(LoadedModule { module, unseeded })
}
