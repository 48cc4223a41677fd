//! CBOR to Python objects, with no tree between.

use bue_model::{Failure, FailureKind};
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};
use rustpython_vm::{AsObject, PyObjectRef, VirtualMachine};

pub(crate) fn decode(bytes: &[u8], vm: &VirtualMachine) -> Result<PyObjectRef, Failure> {
    read(&mut Decoder::new(bytes), vm)
        .map_err(|error| Failure::new(FailureKind::BadInput, format!("an input cannot be read: {error}")))
}

fn read(from: &mut Decoder<'_>, vm: &VirtualMachine) -> Result<PyObjectRef, Error> {
    Ok(match from.datatype()? {
        Type::Null | Type::Undefined => {
            from.skip()?;
            vm.ctx.none()
        }
        Type::Bool => vm.ctx.new_bool(from.bool()?).into(),
        Type::F16 | Type::F32 | Type::F64 => vm.ctx.new_float(from.f64()?).into(),
        Type::String => vm.ctx.new_str(from.str()?).into(),
        Type::Array => {
            let count = from.array()?.unwrap_or(0);
            let items: Result<Vec<PyObjectRef>, Error> = (0..count).map(|_| read(from, vm)).collect();
            vm.ctx.new_list(items?).into()
        }
        Type::Map => {
            let dict = vm.ctx.new_dict();
            for _ in 0..from.map()?.unwrap_or(0) {
                let (key, value) = (read(from, vm)?, read(from, vm)?);
                dict.set_item(key.as_object(), value, vm).map_err(|_| Error::message("a key"))?;
            }
            dict.into()
        }
        _ => vm.ctx.new_int(i128::from(from.int()?)).into(),
    })
}
