//! [`Fields`]: the entries of a map, each of which has to be read or named.

use std::collections::HashSet;

use bue_lang::nearest;

use super::context::Context;
use crate::pypeline::problem::{Place, quoted};
use crate::pypeline::variables::variable_of;
use crate::pypeline::yaml::{Content, Entry, Node, PlainValue, Scalar, plain_value};

/// The entries of a map that have not been read yet.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    /// What the map is, for messages.
    what: String,
    /// Where it begins.
    pub(super) place: Place,
    entries: &'n [Entry],
    asked: HashSet<&'static str>,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<'n> Fields<'n> {
    /// The entries of a map. Anything else is an error.
    pub(super) fn of(node: &'n Node, what: impl Into<String>, context: &mut Context) -> Option<Self> {
        let what = what.into();
        match &node.content {
            Content::Map(entries) => Some(Self { what, place: node.place, entries, asked: HashSet::new() }),
            _ => {
                context.error(
                    node.place,
                    format!("{what} is {}, not a map", describe(node)),
                    "write `key: value` lines",
                );
                None
            }
        }
    }

    /// The entry of a key.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.asked.insert(key);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The entry of a key that has to be there.
    pub(super) fn require(&mut self, key: &'static str, example: &str, context: &mut Context) -> Option<&'n Entry> {
        let entry = self.take(key);
        if entry.is_none() {
            context.error(self.place, format!("{} has no `{key}`", self.what), format!("add `{key}: {example}`"));
        }
        entry
    }

    /// The text of a key.
    pub(super) fn text(&mut self, key: &'static str, context: &mut Context) -> Option<Located<String>> {
        let entry = self.take(key)?;
        text_of(&entry.value, &format!("`{key}`"), context).map(|value| Located { value, place: entry.value.place })
    }

    /// The text of a key that has to be there.
    pub(super) fn required_text(
        &mut self,
        key: &'static str,
        example: &str,
        context: &mut Context,
    ) -> Option<Located<String>> {
        self.require(key, example, context)?;
        self.text(key, context)
    }

    /// The whole number of a key, from `least` to a billion.
    pub(super) fn whole(&mut self, key: &'static str, least: u64, context: &mut Context) -> Option<u64> {
        const MOST: u64 = 1_000_000_000;
        let Located { value: text, place } = self.text(key, context)?;
        let number = match plain_value(&text) {
            PlainValue::Int(number) => u64::try_from(number).ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=MOST).contains(number));
        if number.is_none() {
            let message = format!("`{key}` is {}, which is not a whole number from {least} to {MOST}", quoted(&text));
            context.error(place, message, format!("write a number, such as `{key}: {}`", least.max(3)));
        }
        number
    }

    /// The truth of a key.
    pub(super) fn flag(&mut self, key: &'static str, context: &mut Context) -> Option<Located<bool>> {
        let Located { value: text, place } = self.text(key, context)?;
        let value = match (plain_value(&text), text.to_lowercase().as_str()) {
            (PlainValue::Bool(flag), _) => Some(flag),
            (_, "1" | "t" | "y") => Some(true),
            (_, "0" | "f" | "n") => Some(false),
            _ => None,
        };
        if value.is_none() {
            let message = format!("`{key}` is {}, which is neither true nor false", quoted(&text));
            context.error(place, message, format!("write `{key}: true` or `{key}: false`"));
        }
        value.map(|value| Located { value, place })
    }

    /// Warns of a key that has no counterpart.
    pub(super) fn without_counterpart(&mut self, key: &'static str, instead: &str, context: &mut Context) {
        if let Some(entry) = self.take(key) {
            context.warning(entry.place, format!("`{key}` is not converted"), instead);
        }
    }

    /// Warns of all keys that nobody has asked for.
    pub(super) fn finish(self, context: &mut Context) {
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(entry.key.as_str())) {
            let message =
                format!("{} has the key {}, which is not known and not converted", self.what, quoted(&entry.key));
            let known = nearest(&entry.key, self.asked.iter().copied());
            let hint = known.map_or_else(
                || "PypeLine ignores or refuses it, too".to_owned(),
                |known| format!("did you mean `{known}`?"),
            );
            context.warning(entry.place, message, hint);
        }
    }
}

/// The text of a single value, with variables replaced: nothing in bue corresponds to a variable here.
pub(super) fn text_of(node: &Node, what: &str, context: &mut Context) -> Option<String> {
    let Content::Scalar(scalar) = &node.content else {
        context.error(node.place, format!("{what} is {}", describe(node)), "write a single value");
        return None;
    };
    if let Some(variable) = variable_of(scalar, node.place, &mut context.problems) {
        let value = context.variables.value_of(&variable, node.place, &mut context.problems)?;
        let message = format!("{what} is the variable {}, and is {} from now on", quoted(&scalar.text), quoted(&value));
        let hint = format!("give it another value with --var {}=VALUE, or edit what was written", variable.name);
        context.warning(node.place, message, hint);
        return Some(value);
    }
    if is_null(scalar) {
        context.error(node.place, format!("{what} has no value"), "write one, or remove the line");
        return None;
    }
    Some(scalar.text.clone())
}

/// What a node is, for messages.
pub(super) fn describe(node: &Node) -> &'static str {
    match &node.content {
        Content::Scalar(scalar) if is_null(scalar) => "empty",
        _ => node.kind(),
    }
}

fn is_null(scalar: &Scalar) -> bool {
    scalar.is_plain && plain_value(&scalar.text) == PlainValue::Null
}
