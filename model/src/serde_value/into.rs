//! Any type as a value.

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{NotThatType, PASSED, WHOLE};
use crate::value::Value;

/// A type as a value.
///
/// # Errors
/// What the type says of itself.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, NotThatType> {
    value.serialize(Into)
}

type Made = Result<Value, NotThatType>;

struct Into;

/// A list that grows, of a variant perhaps.
struct List {
    variant: Option<&'static str>,
    items: Vec<Value>,
}

/// A map that grows, of a variant perhaps.
struct Map {
    variant: Option<&'static str>,
    entries: Vec<(Value, Value)>,
    key: Option<Value>,
}

impl Serializer for Into {
    type Ok = Value;
    type Error = NotThatType;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Map;
    type SerializeStruct = Map;
    type SerializeStructVariant = Map;

    fn serialize_bool(self, truth: bool) -> Made {
        Ok(Value::Bool(truth))
    }

    fn serialize_i8(self, number: i8) -> Made {
        Ok(Value::Int(number.into()))
    }

    fn serialize_i16(self, number: i16) -> Made {
        Ok(Value::Int(number.into()))
    }

    fn serialize_i32(self, number: i32) -> Made {
        Ok(Value::Int(number.into()))
    }

    fn serialize_i64(self, number: i64) -> Made {
        Ok(Value::Int(number))
    }

    fn serialize_i128(self, number: i128) -> Made {
        Ok(Value::integer(number.into()))
    }

    fn serialize_u8(self, number: u8) -> Made {
        Ok(Value::Int(number.into()))
    }

    fn serialize_u16(self, number: u16) -> Made {
        Ok(Value::Int(number.into()))
    }

    fn serialize_u32(self, number: u32) -> Made {
        Ok(Value::Int(number.into()))
    }

    fn serialize_u64(self, number: u64) -> Made {
        Ok(Value::integer(number.into()))
    }

    fn serialize_u128(self, number: u128) -> Made {
        Ok(Value::integer(number.into()))
    }

    fn serialize_f32(self, number: f32) -> Made {
        Ok(Value::Float(number.into()))
    }

    fn serialize_f64(self, number: f64) -> Made {
        Ok(Value::Float(number))
    }

    fn serialize_char(self, char: char) -> Made {
        Ok(Value::Text(char.into()))
    }

    fn serialize_str(self, text: &str) -> Made {
        Ok(Value::Text(text.to_owned()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Made {
        Ok(Value::Bytes(bytes.to_vec()))
    }

    fn serialize_none(self) -> Made {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Made {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Made {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Made {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Made {
        Ok(Value::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Made {
        match PASSED.take().filter(|_| name == WHOLE) {
            Some(whole) => Ok(whole),
            None => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Made {
        Ok(of_variant(Some(variant), to_value(value)?))
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List, NotThatType> {
        Ok(List { variant: None, items: Vec::new() })
    }

    fn serialize_tuple(self, _len: usize) -> Result<List, NotThatType> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<List, NotThatType> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List, NotThatType> {
        Ok(List { variant: Some(variant), items: Vec::new() })
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Map, NotThatType> {
        Ok(Map { variant: None, entries: Vec::new(), key: None })
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Map, NotThatType> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Map, NotThatType> {
        Ok(Map { variant: Some(variant), entries: Vec::new(), key: None })
    }
}

fn of_variant(variant: Option<&'static str>, content: Value) -> Value {
    match variant {
        Some(name) => Value::Map(vec![(Value::Text(name.to_owned()), content)]),
        None => content,
    }
}

impl List {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotThatType> {
        self.items.push(to_value(value)?);
        Ok(())
    }

    fn made(self) -> Made {
        Ok(of_variant(self.variant, Value::List(self.items)))
    }
}

impl Map {
    fn add<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), NotThatType> {
        self.entries.push((Value::Text(key.to_owned()), to_value(value)?));
        Ok(())
    }

    fn made(self) -> Made {
        Ok(of_variant(self.variant, Value::Map(self.entries)))
    }
}

impl SerializeSeq for List {
    type Ok = Value;
    type Error = NotThatType;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotThatType> {
        self.add(value)
    }

    fn end(self) -> Made {
        self.made()
    }
}

impl SerializeTuple for List {
    type Ok = Value;
    type Error = NotThatType;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotThatType> {
        self.add(value)
    }

    fn end(self) -> Made {
        self.made()
    }
}

impl SerializeTupleStruct for List {
    type Ok = Value;
    type Error = NotThatType;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotThatType> {
        self.add(value)
    }

    fn end(self) -> Made {
        self.made()
    }
}

impl SerializeTupleVariant for List {
    type Ok = Value;
    type Error = NotThatType;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotThatType> {
        self.add(value)
    }

    fn end(self) -> Made {
        self.made()
    }
}

impl SerializeMap for Map {
    type Ok = Value;
    type Error = NotThatType;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotThatType> {
        self.key = Some(to_value(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotThatType> {
        let key = self.key.take().ok_or_else(|| NotThatType::custom("a map's value came before its key"))?;
        self.entries.push((key, to_value(value)?));
        Ok(())
    }

    fn end(self) -> Made {
        self.made()
    }
}

impl SerializeStruct for Map {
    type Ok = Value;
    type Error = NotThatType;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), NotThatType> {
        self.add(key, value)
    }

    fn end(self) -> Made {
        self.made()
    }
}

impl SerializeStructVariant for Map {
    type Ok = Value;
    type Error = NotThatType;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), NotThatType> {
        self.add(key, value)
    }

    fn end(self) -> Made {
        self.made()
    }
}
