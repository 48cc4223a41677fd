//! Decodes CBOR into Python objects, without an intermediate tree.

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

use crate::error::CallError;
use crate::guest::Guest;
use crate::python::with_keyword;

/// Key objects cached for reuse: the rows of a table share their keys.
const MAX_CACHED_KEYS: usize = 256;

/// Decode one value, which must be all of `bytes`.
pub(crate) fn decode(guest: &Guest, bytes: &[u8], vm: &VirtualMachine) -> Result<PyObjectRef, CallError> {
    let mut reader = ValueReader { guest, vm, decoder: Decoder::new(bytes), keys: BTreeMap::new() };
    let value = reader.read(MAX_DEPTH, Hashable::No)?;
    match reader.decoder.position() == bytes.len() {
        true => Ok(value),
        false => Err(malformed("there are bytes after the value")),
    }
}

/// A position in an encoded list.
#[derive(Clone, Copy)]
pub(crate) struct ListReader {
    position: usize,
    /// The number of elements, if the list says it.
    count: Option<u64>,
    seen: usize,
}

impl ListReader {
    /// At the first element of a list, a tuple or a set; `None` for any other value.
    pub(crate) fn new(bytes: &[u8]) -> Result<Option<Self>, CallError> {
        let mut decoder = Decoder::new(bytes);
        while decoder.datatype()? == Type::Tag {
            if !matches!(decoder.tag()?.as_u64(), TAG_TUPLE | TAG_SET) {
                return Ok(None);
            }
        }
        if !matches!(decoder.datatype()?, Type::Array | Type::ArrayIndef) {
            return Ok(None);
        }
        let count = decoder.array()?;
        Ok(Some(Self { position: decoder.position(), count, seen: 0 }))
    }
}

/// Decode the next elements: at most so many, and none after so many bytes. None at the end.
pub(crate) fn decode_some(
    guest: &Guest,
    bytes: &[u8],
    reader: &mut ListReader,
    (max_items, max_bytes): (usize, usize),
    vm: &VirtualMachine,
) -> Result<Vec<PyObjectRef>, CallError> {
    let mut decoder = Decoder::new(bytes);
    decoder.set_position(reader.position);
    let mut values = ValueReader { guest, vm, decoder, keys: BTreeMap::new() };
    let mut items = Vec::new();
    while items.len() < max_items
        && values.decoder.position() - reader.position < max_bytes
        && values.has_more(reader.count, reader.seen)?
    {
        // as deep as an element of the list
        items.push(values.read(MAX_DEPTH - 1, Hashable::No)?);
        reader.seen += 1;
    }
    let position = values.decoder.position();
    if items.is_empty() && position != bytes.len() {
        return Err(malformed("there are bytes after the value"));
    }
    reader.position = position;
    Ok(items)
}

/// Whether the value must be hashable, to be a key or an element of a set. Then lists become tuples and sets frozen sets.
#[derive(Clone, Copy, PartialEq)]
enum Hashable {
    Yes,
    No,
}

struct ValueReader<'a> {
    guest: &'a Guest,
    vm: &'a VirtualMachine,
    decoder: Decoder<'a>,
    keys: BTreeMap<&'a str, PyObjectRef>,
}

const MAP_IN_SET: &str = "an element of a set is a map";

type DecodeResult<T = PyObjectRef> = Result<T, CallError>;

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        malformed(&format!("it is not well-formed CBOR: {error}"))
    }
}

fn malformed(message: &str) -> CallError {
    CallError::rejected(FailureKind::BadInput, message)
}

impl<'a> ValueReader<'a> {
    fn read(&mut self, depth: usize, hashable: Hashable) -> DecodeResult {
        let depth = depth.checked_sub(1).ok_or_else(|| malformed("it is nested too deeply"))?;
        let ctx = &self.vm.ctx;
        Ok(match self.decoder.datatype()? {
            Type::String | Type::StringIndef => ctx.new_str(self.text()?).into(),
            Type::U8 | Type::U16 | Type::U32 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
                ctx.new_int(self.decoder.i64()?).into()
            }
            Type::U64 | Type::Int => ctx.new_int(i128::from(self.decoder.int()?)).into(),
            Type::F16 => ctx.new_float(self.decoder.f16()?.into()).into(),
            Type::F32 => ctx.new_float(self.decoder.f32()?.into()).into(),
            Type::F64 => ctx.new_float(self.decoder.f64()?).into(),
            Type::Bool => ctx.new_bool(self.decoder.bool()?).into(),
            Type::Null | Type::Undefined => {
                self.decoder.skip()?;
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
            _ => return Err(malformed("it contains a simple value without a meaning here")),
        })
    }

    fn items(&mut self, depth: usize, hashable: Hashable) -> DecodeResult<Vec<PyObjectRef>> {
        // no capacity is reserved: the count is only what the sender claims
        let mut items = Vec::new();
        let count = self.decoder.array()?;
        while self.has_more(count, items.len())? {
            items.push(self.read(depth, hashable)?);
        }
        Ok(items)
    }

    fn map(&mut self, depth: usize) -> DecodeResult {
        let dict = self.vm.ctx.new_dict();
        let (count, mut seen) = (self.decoder.map()?, 0);
        while self.has_more(count, seen)? {
            seen += 1;
            let key = self.key(depth)?;
            let value = self.read(depth, Hashable::No)?;
            dict.set_item(key.as_object(), value, self.vm).map_err(|_| malformed("a key of a map is itself a map"))?;
        }
        Ok(dict.into())
    }

    fn key(&mut self, depth: usize) -> DecodeResult {
        if self.decoder.datatype()? != Type::String {
            return self.read(depth, Hashable::Yes);
        }
        let text: &'a str = self.decoder.str()?;
        if let Some(key) = self.keys.get(text) {
            return Ok(key.clone());
        }
        let key: PyObjectRef = self.vm.ctx.new_str(text).into();
        if self.keys.len() < MAX_CACHED_KEYS {
            self.keys.insert(text, key.clone());
        }
        Ok(key)
    }

    fn tagged(&mut self, depth: usize, hashable: Hashable) -> DecodeResult {
        let types = &self.guest.types;
        Ok(match self.decoder.tag()?.as_u64() {
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
            // an unknown tag does not change the type of its content
            _ => self.read(depth, hashable)?,
        })
    }

    fn set(&mut self, depth: usize, hashable: Hashable) -> DecodeResult {
        let items = self.items(depth, Hashable::Yes)?;
        if hashable == Hashable::Yes {
            let set = PyFrozenSet::from_iter(self.vm, items).map_err(|_| malformed(MAP_IN_SET))?;
            return Ok(set.into_pyobject(self.vm));
        }
        let set = PySet::default().into_ref(&self.vm.ctx);
        for item in items {
            set.add(item, self.vm).map_err(|_| malformed(MAP_IN_SET))?;
        }
        Ok(set.into())
    }

    fn decimal(&mut self) -> DecodeResult {
        if self.decoder.array()? != Some(2) {
            return Err(malformed("a decimal is not [exponent, mantissa]"));
        }
        let exponent = self.decoder.i64()?;
        let mantissa = match self.decoder.datatype()? {
            Type::Tag => match self.decoder.tag()?.as_u64() {
                TAG_POSITIVE => self.magnitude()?,
                TAG_NEGATIVE => -self.magnitude()? - BigInt::from(1),
                _ => return Err(malformed("a decimal's mantissa is not an integer")),
            },
            _ => BigInt::from(i128::from(self.decoder.int()?)),
        };
        let text = format!("{mantissa}E{exponent}");
        Ok(self.guest.types.decimal.as_object().call((text,), self.vm)?)
    }

    fn uuid(&mut self) -> DecodeResult {
        let bytes = <[u8; 16]>::try_from(self.bytes()?).map_err(|_| malformed("a uuid is not 16 bytes"))?;
        let number = self.vm.ctx.new_bigint(&BigInt::from(u128::from_be_bytes(bytes)));
        let class = self.guest.types.uuid.as_object();
        Ok(class.call_with_args(with_keyword(Vec::new(), "int", number.into()), self.vm)?)
    }

    fn parsed(&mut self, from_iso: &PyObjectRef) -> DecodeResult {
        let text = self.text()?;
        let parsed: PyResult = from_iso.call((text.clone(),), self.vm);
        parsed.map_err(|_| malformed(&format!("{text:?} is not a date or time that Python can represent")))
    }

    fn magnitude(&mut self) -> DecodeResult<BigInt> {
        Ok(BigInt::from_bytes_be(Sign::Plus, &self.bytes()?))
    }

    fn text(&mut self) -> DecodeResult<String> {
        if self.decoder.datatype()? == Type::String {
            return Ok(self.decoder.str()?.to_owned());
        }
        let mut text = String::new();
        for part in self.decoder.str_iter()? {
            text.push_str(part?);
        }
        Ok(text)
    }

    fn bytes(&mut self) -> DecodeResult<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in self.decoder.bytes_iter()? {
            bytes.extend_from_slice(part?);
        }
        Ok(bytes)
    }

    fn is_array(&self) -> DecodeResult<bool> {
        Ok(matches!(self.decoder.datatype()?, Type::Array | Type::ArrayIndef))
    }

    /// Is there another element? Consumes the break of a container of indefinite length.
    fn has_more(&mut self, count: Option<u64>, seen: usize) -> DecodeResult<bool> {
        let Some(count) = count else {
            let is_end = self.decoder.datatype()? == Type::Break;
            if is_end {
                self.decoder.skip()?;
            }
            return Ok(!is_end);
        };
        Ok((seen as u64) < count)
    }
}
