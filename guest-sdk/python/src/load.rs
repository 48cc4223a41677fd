//! `bue_load`: a bundle becomes a module.

use bue_model::guest::{LoadReply, LoadRequest};
use bue_model::{Failure, FailureKind};
use rustpython_vm::import::import_file;

use crate::failure::raised;
use crate::interpreter::enter;

pub(crate) fn load(request: &LoadRequest) -> LoadReply {
    let bundle = &request.bundle;
    let Some(content) = bundle.entry_content() else {
        return LoadReply::Failed(Failure::new(FailureKind::Internal, "the bundle does not hold its entry"));
    };
    let source = String::from_utf8_lossy(content);
    let loaded = enter(|guest, vm| match import_file(vm, "step", &bundle.entry, &source) {
        Ok(module) => {
            let _ = guest.module.set(module);
            LoadReply::Loaded
        }
        Err(error) => LoadReply::Failed(raised(FailureKind::BadCode, &error, vm)),
    });
    loaded.unwrap_or_else(|| LoadReply::Failed(Failure::new(FailureKind::Internal, "the guest is not started")))
}
