//! [`Data`]: values of the file that become values of a script: the data of an event, defaults of settings.

use super::problem::{Problems, quoted};
use super::variables::{Variables, variable_of};
use super::yaml::{Content, Node, PlainValue, plain_value};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A finite number.
    Float(f64),
    /// A text; dates are texts, too.
    Text(String),
    /// A list.
    List(Vec<Data>),
    /// A map.
    Map(Vec<(String, Data)>),
    /// The value of a variable, by its name, with what it is unless somebody chooses another value.
    Variable(String, String),
}

/// Reads a value.
pub(super) fn data_of(node: &Node, variables: &mut Variables, problems: &mut Problems) -> Data {
    match &node.content {
        Content::List(nodes) => Data::List(nodes.iter().map(|node| data_of(node, variables, problems)).collect()),
        Content::Map(entries) => Data::Map(
            entries.iter().map(|entry| (entry.key.clone(), data_of(&entry.value, variables, problems))).collect(),
        ),
        Content::Scalar(scalar) => {
            if let Some(variable) = variable_of(scalar, node.place, problems) {
                let value = variables.value_of(&variable, node.place, problems).unwrap_or_default();
                return Data::Variable(variable.name.to_owned(), value);
            }
            let text = || Data::Text(scalar.text.clone());
            if !scalar.is_plain {
                return text();
            }
            match plain_value(&scalar.text) {
                PlainValue::Null => Data::Null,
                PlainValue::Bool(flag) => Data::Bool(flag),
                PlainValue::Int(number) => Data::Int(number),
                PlainValue::Float(number) if number.is_finite() => Data::Float(number),
                PlainValue::Float(_) => {
                    let message = format!("{} is a number that JSON cannot represent", quoted(&scalar.text));
                    problems.error(node.place, message, "write a finite number, or put the value in quotes");
                    Data::Null
                }
                PlainValue::Text => text(),
            }
        }
    }
}

impl Data {
    /// In the notation of a script, which is that of JSON. A variable is its value.
    pub(super) fn literal(&self) -> String {
        self.written(&Notation { null: "null", flags: ["false", "true"], variable: |_, value| json_text(value) })
    }

    /// As an expression of Python. A variable is its name.
    pub(super) fn python(&self) -> String {
        self.written(&Notation { null: "None", flags: ["False", "True"], variable: |name, _| name.to_owned() })
    }

    /// The variables in it, with their values, each once.
    pub(super) fn variables(&self) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        self.collect_variables(&mut found);
        found
    }

    /// Replaces the names of variables.
    pub(super) fn rename_variables(&mut self, name_of: &impl Fn(&str) -> String) {
        match self {
            Self::Variable(name, _) => *name = name_of(name),
            Self::List(values) => values.iter_mut().for_each(|value| value.rename_variables(name_of)),
            Self::Map(entries) => entries.iter_mut().for_each(|(_, value)| value.rename_variables(name_of)),
            _ => {}
        }
    }

    fn collect_variables<'d>(&'d self, found: &mut Vec<(&'d str, &'d str)>) {
        match self {
            Self::Variable(name, value) if !found.contains(&(name, value)) => found.push((name, value)),
            Self::List(values) => values.iter().for_each(|value| value.collect_variables(found)),
            Self::Map(entries) => entries.iter().for_each(|(_, value)| value.collect_variables(found)),
            _ => {}
        }
    }

    fn written(&self, notation: &Notation) -> String {
        match self {
            Self::Null => notation.null.to_owned(),
            Self::Bool(flag) => notation.flags[usize::from(*flag)].to_owned(),
            Self::Int(number) => number.to_string(),
            // the shortest notation that is read back as the same number, always with a point or an exponent
            Self::Float(number) => format!("{number:?}"),
            Self::Text(text) => json_text(text),
            Self::List(values) => {
                let values: Vec<String> = values.iter().map(|value| value.written(notation)).collect();
                format!("[{}]", values.join(", "))
            }
            Self::Map(entries) => {
                let entry = |(key, value): &(String, Self)| format!("{}: {}", json_text(key), value.written(notation));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            Self::Variable(name, value) => (notation.variable)(name, value),
        }
    }
}

struct Notation {
    null: &'static str,
    flags: [&'static str; 2],
    variable: fn(&str, &str) -> String,
}

/// A text in quotes, as JSON, Python and TOML read it: printable characters and escapes that all of them have.
pub(super) fn json_text(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            char if char.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(char))),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pypeline::yaml::compose;

    #[test]
    fn values_are_written_for_scripts_and_for_python() {
        let node =
            compose("{a: yes, b: ~, c: [1, 2.0, 'x\"y'], d: 2026-11-01, e: \"${V}\", n: 1.0e+300}").expect("YAML");
        let mut problems = Problems::default();
        let data = data_of(&node, &mut Variables::default(), &mut problems);
        let script = r#"{"a": true, "b": null, "c": [1, 2.0, "x\"y"], "d": "2026-11-01", "e": "${V}", "n": 1e300}"#;
        assert_eq!(data.literal(), script);
        assert_eq!(data.python(), script.replace("true", "True").replace("null", "None"));
        let node = compose("a: ${V:1}\nb:\n  - ${V:1}\n  - ${W:x}\n").expect("YAML");
        let data = data_of(&node, &mut Variables::default(), &mut problems);
        assert_eq!(data.variables(), [("V", "1"), ("W", "x")]);
        assert_eq!(data.python(), r#"{"a": V, "b": [V, W]}"#);
        assert_eq!(problems.errors, []);
        data_of(&compose(".inf").expect("YAML"), &mut Variables::default(), &mut problems);
        assert_eq!(problems.errors.len(), 1);
    }
}
