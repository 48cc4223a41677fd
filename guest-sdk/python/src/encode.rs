//! Python objects to CBOR, with no tree between.

use bue_model::{Failure, FailureKind};
use minicbor::encode::Encoder;
use rustpython_vm::builtins::{PyDict, PyFloat, PyInt, PyList, PyStr};
use rustpython_vm::{AsObject, PyObject, VirtualMachine};

pub(crate) fn encode(value: &PyObject, _max: u64, vm: &VirtualMachine) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes), value, vm)
        .ok_or_else(|| Failure::new(FailureKind::BadResult, "the result cannot travel"))?;
    Ok(bytes)
}

fn write(to: &mut Encoder<&mut Vec<u8>>, value: &PyObject, vm: &VirtualMachine) -> Option<()> {
    if vm.is_none(value) {
        to.null().ok()?;
    } else if value.is(&vm.ctx.true_value) {
        to.bool(true).ok()?;
    } else if value.is(&vm.ctx.false_value) {
        to.bool(false).ok()?;
    } else if let Some(number) = value.downcast_ref::<PyInt>() {
        to.i64(number.as_bigint().try_into().ok()?).ok()?;
    } else if let Some(number) = value.downcast_ref::<PyFloat>() {
        to.f64(number.to_f64()).ok()?;
    } else if let Some(text) = value.downcast_ref::<PyStr>() {
        to.str(text.to_str()?).ok()?;
    } else if let Some(list) = value.downcast_ref::<PyList>() {
        let items = list.borrow_vec().to_vec();
        to.array(items.len() as u64).ok()?;
        items.iter().try_for_each(|item| write(to, item, vm))?;
    } else if let Some(dict) = value.downcast_ref::<PyDict>() {
        let items = dict.items_vec();
        to.map(items.len() as u64).ok()?;
        items.iter().try_for_each(|(key, value)| {
            write(to, key, vm)?;
            write(to, value, vm)
        })?;
    } else {
        return None;
    }
    Some(())
}
