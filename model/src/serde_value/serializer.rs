//! [`to_value`]: a Rust type as a value.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::embedded::{HANDOVER, VALUE_NEWTYPE};
use super::error::ConvertError;
use crate::value::Value;

/// Converts a type to a value.
///
/// # Errors
/// Those that the type's own `Serialize` returns.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, ConvertError> {
    value.serialize(ValueSerializer)
}

type ValueResult = Result<Value, ConvertError>;

/// Serializes into a [`Value`].
struct ValueSerializer;

/// A list under construction, perhaps the content of a variant.
struct ListSerializer {
    variant: Option<&'static str>,
    items: Vec<Value>,
}

/// A map under construction, perhaps the content of a variant.
struct MapSerializer {
    variant: Option<&'static str>,
    entries: Vec<(Value, Value)>,
    key: Option<Value>,
}

impl Serializer for ValueSerializer {
    type Ok = Value;
    type Error = ConvertError;
    type SerializeSeq = ListSerializer;
    type SerializeTuple = ListSerializer;
    type SerializeTupleStruct = ListSerializer;
    type SerializeTupleVariant = ListSerializer;
    type SerializeMap = MapSerializer;
    type SerializeStruct = MapSerializer;
    type SerializeStructVariant = MapSerializer;

    fn serialize_bool(self, truth: bool) -> ValueResult {
        Ok(Value::Bool(truth))
    }

    fn serialize_i8(self, number: i8) -> ValueResult {
        Ok(Value::Int(number.into()))
    }

    fn serialize_i16(self, number: i16) -> ValueResult {
        Ok(Value::Int(number.into()))
    }

    fn serialize_i32(self, number: i32) -> ValueResult {
        Ok(Value::Int(number.into()))
    }

    fn serialize_i64(self, number: i64) -> ValueResult {
        Ok(Value::Int(number))
    }

    fn serialize_i128(self, number: i128) -> ValueResult {
        Ok(Value::integer(number.into()))
    }

    fn serialize_u8(self, number: u8) -> ValueResult {
        Ok(Value::Int(number.into()))
    }

    fn serialize_u16(self, number: u16) -> ValueResult {
        Ok(Value::Int(number.into()))
    }

    fn serialize_u32(self, number: u32) -> ValueResult {
        Ok(Value::Int(number.into()))
    }

    fn serialize_u64(self, number: u64) -> ValueResult {
        Ok(Value::integer(number.into()))
    }

    fn serialize_u128(self, number: u128) -> ValueResult {
        Ok(Value::integer(number.into()))
    }

    fn serialize_f32(self, number: f32) -> ValueResult {
        Ok(Value::Float(number.into()))
    }

    fn serialize_f64(self, number: f64) -> ValueResult {
        Ok(Value::Float(number))
    }

    fn serialize_char(self, char: char) -> ValueResult {
        Ok(Value::Text(char.into()))
    }

    fn serialize_str(self, text: &str) -> ValueResult {
        Ok(Value::Text(text.to_owned()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> ValueResult {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn serialize_none(self) -> ValueResult {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> ValueResult {
        value.serialize(self)
    }

    fn serialize_unit(self) -> ValueResult {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> ValueResult {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> ValueResult {
        Ok(Value::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> ValueResult {
        match HANDOVER.take().filter(|_| name == VALUE_NEWTYPE) {
            Some(value) => Ok(value),
            None => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> ValueResult {
        Ok(tagged(Some(variant), to_value(value)?))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<ListSerializer, ConvertError> {
        Ok(ListSerializer { variant: None, items: Vec::new() })
    }

    fn serialize_tuple(self, _len: usize) -> Result<ListSerializer, ConvertError> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<ListSerializer, ConvertError> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<ListSerializer, ConvertError> {
        Ok(ListSerializer { variant: Some(variant), items: Vec::new() })
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<MapSerializer, ConvertError> {
        Ok(MapSerializer { variant: None, entries: Vec::new(), key: None })
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<MapSerializer, ConvertError> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<MapSerializer, ConvertError> {
        Ok(MapSerializer { variant: Some(variant), entries: Vec::new(), key: None })
    }
}

/// Wraps the content of a variant into a map from its name.
fn tagged(variant: Option<&'static str>, content: Value) -> Value {
    match variant {
        Some(name) => Value::Map(vec![(Value::Text(name.to_owned()), content)]),
        None => content,
    }
}

impl ListSerializer {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ConvertError> {
        self.items.push(to_value(value)?);
        Ok(())
    }

    fn finish(self) -> ValueResult {
        Ok(tagged(self.variant, Value::List(self.items)))
    }
}

impl MapSerializer {
    fn push<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), ConvertError> {
        self.entries.push((Value::Text(key.to_owned()), to_value(value)?));
        Ok(())
    }

    fn finish(self) -> ValueResult {
        Ok(tagged(self.variant, Value::Map(self.entries)))
    }
}

/// Implements serde's traits of lists, which differ in the name of one method.
macro_rules! serialize_lists {
    ($($trait:ident::$method:ident),+) => {$(
        impl $trait for ListSerializer {
            type Ok = Value;
            type Error = ConvertError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ConvertError> {
                self.push(value)
            }

            fn end(self) -> ValueResult {
                self.finish()
            }
        }
    )+};
}

serialize_lists!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

impl SerializeMap for MapSerializer {
    type Ok = Value;
    type Error = ConvertError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ConvertError> {
        self.key = Some(to_value(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ConvertError> {
        let key = self.key.take().ok_or_else(|| ConvertError::custom("a map's value came before its key"))?;
        self.entries.push((key, to_value(value)?));
        Ok(())
    }

    fn end(self) -> ValueResult {
        self.finish()
    }
}

/// Implements serde's traits of structs, which differ in nothing but their names.
macro_rules! serialize_structs {
    ($($trait:ident),+) => {$(
        impl $trait for MapSerializer {
            type Ok = Value;
            type Error = ConvertError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), ConvertError> {
                self.push(key, value)
            }

            fn end(self) -> ValueResult {
                self.finish()
            }
        }
    )+};
}

serialize_structs!(SerializeStruct, SerializeStructVariant);
