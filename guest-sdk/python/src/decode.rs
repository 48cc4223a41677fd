//! CBOR to Python objects, with no tree between.

use std::collections::BTreeMap;

use bue_model::FailureKind;
use bue_model::cbor::{
    MAX_DEPTH, TAG_DATE, TAG_DATETIME, TAG_DECIMAL, TAG_LOCAL_DATETIME, TAG_NEGATIVE, TAG_POSITIVE, TAG_SET, TAG_TIME,
    TAG_TUPLE, TAG_UUID,
};
use malachite_bigint::{BigInt, Sign};
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};
use rustpython_vm::builtins::{PyFrozenSet, PySet};
use rustpython_vm::{AsObject, PyObjectRef, PyPayload, PyResult, VirtualMachine};

use crate::failure::Stop;
use crate::interpreter::Guest;

/// Keys kept to be used again. Rows of a table have the same ones.
const MOST_KEYS: usize = 256;

/// The value of some bytes.
pub(crate) fn decode(guest: &Guest, bytes: &[u8], vm: &VirtualMachine) -> Result<PyObjectRef, Stop> {
    let mut reader = Reader { guest, vm, from: Decoder::new(bytes), keys: BTreeMap::new() };
    let value = reader.read(MAX_DEPTH, Hashable::No)?;
    match reader.from.position() == bytes.len() {
        true => Ok(value),
        false => Err(bad("there are bytes behind the value")),
    }
}

/// Must the value be one that a dict takes as a key? Then lists are tuples and sets are frozen.
#[derive(Clone, Copy, PartialEq)]
enum Hashable {
    Yes,
    No,
}

struct Reader<'a> {
    guest: &'a Guest,
    vm: &'a VirtualMachine,
    from: Decoder<'a>,
    keys: BTreeMap<&'a str, PyObjectRef>,
}

const SET_OF_MAPS: &str = "an element of a set is a map";

type Read<T = PyObjectRef> = Result<T, Stop>;

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        bad(&format!("it is not well-formed CBOR: {error}"))
    }
}

fn bad(message: &str) -> Stop {
    Stop::refused(FailureKind::BadInput, message)
}

impl<'a> Reader<'a> {
    fn read(&mut self, depth: usize, hashable: Hashable) -> Read {
        let depth = depth.checked_sub(1).ok_or_else(|| bad("it is nested too deeply"))?;
        let ctx = &self.vm.ctx;
        Ok(match self.from.datatype()? {
            Type::String | Type::StringIndef => ctx.new_str(self.text()?).into(),
            Type::U8 | Type::U16 | Type::U32 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
                ctx.new_int(self.from.i64()?).into()
            }
            Type::U64 | Type::Int => ctx.new_int(i128::from(self.from.int()?)).into(),
            Type::F16 => ctx.new_float(self.from.f16()?.into()).into(),
            Type::F32 => ctx.new_float(self.from.f32()?.into()).into(),
            Type::F64 => ctx.new_float(self.from.f64()?).into(),
            Type::Bool => ctx.new_bool(self.from.bool()?).into(),
            Type::Null | Type::Undefined => {
                self.from.skip()?;
                ctx.none()
            }
            Type::Bytes | Type::BytesIndef => ctx.new_bytes(self.bytes()?).into(),
            Type::Array | Type::ArrayIndef => {
                let items = self.items(depth, hashable)?;
                match hashable {
                    Hashable::Yes => ctx.new_tuple(items).into(),
                    Hashable::No => ctx.new_list(items).into(),
                }
            }
            Type::Map | Type::MapIndef => self.map(depth)?,
            Type::Tag => self.tagged(depth, hashable)?,
            _ => return Err(bad("it holds a simple value that means nothing here")),
        })
    }

    fn items(&mut self, depth: usize, hashable: Hashable) -> Read<Vec<PyObjectRef>> {
        // not reserved ahead: the count is the sender's claim
        let mut items = Vec::new();
        let count = self.from.array()?;
        while self.more(count, items.len())? {
            items.push(self.read(depth, hashable)?);
        }
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> Read {
        let dict = self.vm.ctx.new_dict();
        let (count, mut seen) = (self.from.map()?, 0);
        while self.more(count, seen)? {
            seen += 1;
            let key = self.key(depth)?;
            let value = self.read(depth, Hashable::No)?;
            dict.set_item(key.as_object(), value, self.vm).map_err(|_| bad("a key of a map is itself a map"))?;
        }
        Ok(dict.into())
    }

    fn key(&mut self, depth: usize) -> Read {
        if self.from.datatype()? != Type::String {
            return self.read(depth, Hashable::Yes);
        }
        let text: &'a str = self.from.str()?;
        if let Some(key) = self.keys.get(text) {
            return Ok(key.clone());
        }
        let key: PyObjectRef = self.vm.ctx.new_str(text).into();
        if self.keys.len() < MOST_KEYS {
            self.keys.insert(text, key.clone());
        }
        Ok(key)
    }

    fn tagged(&mut self, depth: usize, hashable: Hashable) -> Read {
        let types = &self.guest.types;
        Ok(match self.from.tag()?.as_u64() {
            TAG_TUPLE => match self.is_array()? {
                true => self.vm.ctx.new_tuple(self.items(depth.saturating_sub(1), hashable)?).into(),
                false => self.read(depth, hashable)?,
            },
            TAG_SET => match self.is_array()? {
                true => self.set(depth.saturating_sub(1), hashable)?,
                false => self.read(depth, hashable)?,
            },
            TAG_POSITIVE => self.vm.ctx.new_bigint(&self.magnitude()?).into(),
            TAG_NEGATIVE => self.vm.ctx.new_bigint(&(-self.magnitude()? - BigInt::from(1))).into(),
            TAG_DECIMAL => self.decimal()?,
            TAG_UUID => self.uuid()?,
            TAG_DATE => self.parsed(&types.date.from_iso)?,
            TAG_TIME => self.parsed(&types.time.from_iso)?,
            TAG_DATETIME | TAG_LOCAL_DATETIME => self.parsed(&types.datetime.from_iso)?,
            // an unknown tag says nothing about its content's type
            _ => self.read(depth, hashable)?,
        })
    }

    fn set(&mut self, depth: usize, hashable: Hashable) -> Read {
        let items = self.items(depth, Hashable::Yes)?;
        if hashable == Hashable::Yes {
            let set = PyFrozenSet::from_iter(self.vm, items).map_err(|_| bad(SET_OF_MAPS))?;
            return Ok(set.into_pyobject(self.vm));
        }
        let set = PySet::default().into_ref(&self.vm.ctx);
        for item in items {
            set.add(item, self.vm).map_err(|_| bad(SET_OF_MAPS))?;
        }
        Ok(set.into())
    }

    fn decimal(&mut self) -> Read {
        if self.from.array()? != Some(2) {
            return Err(bad("a decimal is not [exponent, mantissa]"));
        }
        let exponent = self.from.i64()?;
        let mantissa = match self.from.datatype()? {
            Type::Tag => match self.from.tag()?.as_u64() {
                TAG_POSITIVE => self.magnitude()?,
                TAG_NEGATIVE => -self.magnitude()? - BigInt::from(1),
                _ => return Err(bad("a decimal's mantissa is no number")),
            },
            _ => BigInt::from(i128::from(self.from.int()?)),
        };
        let text = format!("{mantissa}E{exponent}");
        Ok(self.guest.types.decimal.as_object().call((text,), self.vm)?)
    }

    fn uuid(&mut self) -> Read {
        let bytes = <[u8; 16]>::try_from(self.bytes()?).map_err(|_| bad("a uuid is not 16 bytes"))?;
        let number = self.vm.ctx.new_bigint(&BigInt::from(u128::from_be_bytes(bytes)));
        let class = self.guest.types.uuid.as_object();
        Ok(class.call_with_args(crate::python::with_keyword(Vec::new(), "int", number.into()), self.vm)?)
    }

    fn parsed(&mut self, from_iso: &PyObjectRef) -> Read {
        let text = self.text()?;
        let parsed: PyResult = from_iso.call((text.clone(),), self.vm);
        parsed.map_err(|_| bad(&format!("{text:?} is no date or time that Python can hold")))
    }

    fn magnitude(&mut self) -> Read<BigInt> {
        Ok(BigInt::from_bytes_be(Sign::Plus, &self.bytes()?))
    }

    fn text(&mut self) -> Read<String> {
        if self.from.datatype()? == Type::String {
            return Ok(self.from.str()?.to_owned());
        }
        let mut text = String::new();
        for part in self.from.str_iter()? {
            text.push_str(part?);
        }
        Ok(text)
    }

    fn bytes(&mut self) -> Read<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in self.from.bytes_iter()? {
            bytes.extend_from_slice(part?);
        }
        Ok(bytes)
    }

    fn is_array(&self) -> Read<bool> {
        Ok(matches!(self.from.datatype()?, Type::Array | Type::ArrayIndef))
    }

    /// Is there another element? Of an indefinite container the end mark is taken.
    fn more(&mut self, count: Option<u64>, seen: usize) -> Read<bool> {
        let Some(count) = count else {
            let end = self.from.datatype()? == Type::Break;
            if end {
                self.from.skip()?;
            }
            return Ok(!end);
        };
        Ok((seen as u64) < count)
    }
}
