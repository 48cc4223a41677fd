//! [`from_value`]: a value as a Rust type.

use serde::de::value::{MapDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, Deserializer, EnumAccess, IntoDeserializer, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::embedded::{HANDOVER, VALUE_NEWTYPE};
use super::error::ConvertError;
use crate::value::Value;

/// Converts a value to a type.
///
/// # Errors
/// The value has other fields or kinds than the type, or a number is out of range.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ConvertError> {
    T::deserialize(ValueDeserializer(value))
}

/// A value as a source of serde's data model.
struct ValueDeserializer(Value);

impl IntoDeserializer<'_, ConvertError> for ValueDeserializer {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer {
    type Error = ConvertError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConvertError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(truth),
            Value::Int(number) => visitor.visit_i64(number),
            Value::BigInt(number) => match (u64::try_from(&number), i128::try_from(&number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i128(number),
                _ => visitor.visit_string(number.to_string()),
            },
            Value::Float(number) => visitor.visit_f64(number),
            Value::Text(text) | Value::Date(text) | Value::Time(text) | Value::DateTime(text) => {
                visitor.visit_string(text)
            }
            Value::Bytes(bytes) => visitor.visit_byte_buf(bytes),
            Value::Uuid(uuid) => visitor.visit_string(uuid.to_string()),
            Value::Decimal(decimal) => visitor.visit_string(decimal.to_string()),
            Value::List(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(ValueDeserializer));
                let visited = visitor.visit_seq(&mut items)?;
                items.end().map(|()| visited)
            }
            Value::Map(entries) => {
                let entries =
                    entries.into_iter().map(|(key, value)| (ValueDeserializer(key), ValueDeserializer(value)));
                let mut entries = MapDeserializer::new(entries);
                let visited = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| visited)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConvertError> {
        if self.0 == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConvertError> {
        if name == VALUE_NEWTYPE {
            HANDOVER.set(Some(self.0));
            return visitor.visit_unit();
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConvertError> {
        let single = |entries: Vec<(Value, Value)>| <[(Value, Value); 1]>::try_from(entries).ok();
        match self.0 {
            Value::Text(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Map(entries) => match single(entries) {
                Some([(Value::Text(name), content)]) => visitor.visit_enum(Variant { name, content: Some(content) }),
                _ => Err(not_a_variant("a map")),
            },
            other => Err(not_a_variant(other.kind())),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

fn not_a_variant(kind: &str) -> ConvertError {
    ConvertError(format!("invalid type: {kind}, expected the name of a variant, or a map of one to its content"))
}

/// A variant of an enum, by its name.
struct Variant {
    name: String,
    content: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = ConvertError;
    type Variant = Content;

    fn variant_seed<S: serde::de::DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content), ConvertError> {
        let name: StringDeserializer<ConvertError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

/// What a variant contains, if anything.
struct Content(Option<Value>);

impl Content {
    fn into_deserializer(self) -> ValueDeserializer {
        ValueDeserializer(self.0.unwrap_or(Value::Null))
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = ConvertError;

    fn unit_variant(self) -> Result<(), ConvertError> {
        match self.0 {
            None | Some(Value::Null) => Ok(()),
            Some(content) => Err(ConvertError(format!("invalid type: {}, expected a variant alone", content.kind()))),
        }
    }

    fn newtype_variant_seed<S: serde::de::DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ConvertError> {
        seed.deserialize(self.into_deserializer())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ConvertError> {
        self.into_deserializer().deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConvertError> {
        self.into_deserializer().deserialize_any(visitor)
    }
}
