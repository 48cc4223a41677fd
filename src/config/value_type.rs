//! The types that values in `bue.toml` may have. A value of another type is an error of every command that reads the
//! settings, even if it does not use that one: otherwise the mistake would stay hidden until a command does.

use toml::Value;

/// What a setting accepts in `bue.toml`. Text is accepted by all of them, because the environment has nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueType {
    /// Only text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Switch,
    /// A list of texts.
    List,
    /// A list of texts, or `false`.
    ListOrFalse,
}

impl ValueType {
    /// Returns whether a value has this type.
    pub(crate) fn accepts(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::String(_)) | (Self::Number, Value::Integer(_)) | (Self::Switch, Value::Boolean(_)) => true,
            (Self::List | Self::ListOrFalse, Value::Array(items)) => items.iter().all(Value::is_str),
            (Self::ListOrFalse, Value::Boolean(boolean)) => !boolean,
            _ => false,
        }
    }

    /// Describes the type in a message.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Text => "text, in quotes",
            Self::Number => "a number",
            Self::Switch => "true or false",
            Self::List => "a list of texts, or one text with commas",
            Self::ListOrFalse => "a list of texts, one text with commas, or false",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_accepts_its_values_and_text() {
        let all = [ValueType::Text, ValueType::Number, ValueType::Switch, ValueType::List, ValueType::ListOrFalse];
        let accepted = |value: Value| all.map(|value_type| value_type.accepts(&value));
        let list = |items: &[Value]| Value::Array(items.to_vec());
        assert_eq!(accepted("a".into()), [true; 5]);
        assert_eq!(accepted(7.into()), [false, true, false, false, false]);
        assert_eq!(accepted(true.into()), [false, false, true, false, false]);
        assert_eq!(accepted(false.into()), [false, false, true, false, true]);
        assert_eq!(accepted(list(&["a".into()])), [false, false, false, true, true]);
        assert_eq!(accepted(list(&[7.into()])), [false; 5]);
        assert_eq!(accepted(1.5.into()), [false; 5]);
    }
}
