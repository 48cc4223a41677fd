//! The events of the parser to a tree. Nothing here recurses, and aliases are counted by what they stand for.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use super::node::{Content, Entry, Node, Scalar};
use crate::pypeline::problem::{Place, Problem, quoted};

/// Most lists and maps inside each other.
const MAX_DEPTH: usize = 64;
/// Most bytes of a tree in which aliases are replaced by what they stand for, each node counted as [`NODE_WEIGHT`] more: a file of
/// the largest size without aliases has less.
const MAX_WEIGHT: usize = 16 * 1024 * 1024;
/// A node's own weight, about what it takes in memory.
const NODE_WEIGHT: usize = 8;
/// The key that adds the entries of another map.
const MERGE: &str = "<<";

/// Parses a file with one document.
///
/// # Errors
/// The first syntax error; a key twice in a map, a tag, a key that is no text, and what exceeds the limits.
pub(in crate::pypeline) fn compose(text: &str) -> Result<Node, Problem> {
    let mut composer = Composer::default();
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let message = format!("this is not valid YAML: {}", error.info());
            problem(
                place_of(*error.marker()),
                message,
                "correct the file; indentation, colons and quotes are usual suspects",
            )
        })?;
        composer.accept(event, place_of(span.start))?;
    }
    composer.root.ok_or_else(|| problem(START, "the file is empty", "it needs `pipelines` or `scheduledTasks`"))
}

const START: Place = Place { line: 1, column: 1 };

fn place_of(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

fn problem(place: Place, message: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem { places: vec![place], message: message.into(), hint: hint.into() }
}

#[derive(Default)]
struct Composer {
    root: Option<Node>,
    open: Vec<Open>,
    /// Complete nodes that have an anchor, with their weights.
    anchors: HashMap<usize, (Node, usize)>,
    /// Of everything that was added.
    weight: usize,
}

/// A list or map whose end has not been seen.
struct Open {
    place: Place,
    anchor: usize,
    /// The weight of everything before it.
    weight_before: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, keys: HashSet<String>, key: Option<(String, Place)>, merged: Vec<Node> },
}

impl Composer {
    fn accept(&mut self, event: Event<'_>, place: Place) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(problem(
                place,
                "the file has a second document",
                "remove it; PypeLine reads files with one document",
            )),
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain && !is_text_tag(tag, place)?;
                let before = self.weight;
                self.charge(NODE_WEIGHT + text.len(), place)?;
                let content = Content::Scalar(Scalar { text: text.into_owned(), is_plain });
                self.complete(Node { place, content }, anchor, before)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(tag, place, "seq")?;
                self.begin(place, anchor, Parts::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(tag, place, "map")?;
                let parts = Parts::Map { entries: Vec::new(), keys: HashSet::new(), key: None, merged: Vec::new() };
                self.begin(place, anchor, parts)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, parts: Parts) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("lists and maps are nested more than {MAX_DEPTH} levels deep");
            return Err(problem(place, message, "PypeLine's files have about six levels"));
        }
        let weight_before = self.weight;
        self.charge(NODE_WEIGHT, place)?;
        self.open.push(Open { place, anchor, weight_before, parts });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(Open { place, anchor, weight_before, parts }) = self.open.pop() else { return Ok(()) };
        let content = match parts {
            Parts::List(nodes) => Content::List(nodes),
            Parts::Map { mut entries, mut keys, merged, .. } => {
                for node in merged {
                    merge(node, &mut entries, &mut keys)?;
                }
                Content::Map(entries)
            }
        };
        self.complete(Node { place, content }, anchor, weight_before)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Problem> {
        let Some((_, weight)) = self.anchors.get(&anchor) else {
            return Err(problem(place, "this alias stands for a value that contains the alias", "write the value out"));
        };
        self.charge(*weight, place)?;
        match self.anchors.get(&anchor).map(|(node, _)| node.clone()) {
            Some(node) => self.add(node),
            None => Ok(()),
        }
    }

    fn complete(&mut self, node: Node, anchor: usize, weight_before: usize) -> Result<(), Problem> {
        if anchor > 0 {
            // the copy is kept, too
            let weight = self.weight - weight_before;
            self.charge(weight, node.place)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        self.add(node)
    }

    /// Adds a complete node to the list or map that is open, as an element, a key or a value.
    fn add(&mut self, node: Node) -> Result<(), Problem> {
        match self.open.last_mut().map(|open| &mut open.parts) {
            None => self.root = Some(node),
            Some(Parts::List(nodes)) => nodes.push(node),
            Some(Parts::Map { entries, keys, key, merged }) => match key.take() {
                None => *key = Some(new_key(node, keys)?),
                Some((name, _)) if name == MERGE => merged.push(node),
                Some((key, place)) => entries.push(Entry { key, place, value: node }),
            },
        }
        Ok(())
    }

    fn charge(&mut self, weight: usize, place: Place) -> Result<(), Problem> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= MAX_WEIGHT {
            return Ok(());
        }
        let message = format!("with its aliases written out, the file has more than {} MiB", MAX_WEIGHT / 1024 / 1024);
        Err(problem(place, message, "use fewer aliases (`*name`), or split the file"))
    }
}

fn new_key(node: Node, keys: &mut HashSet<String>) -> Result<(String, Place), Problem> {
    let place = node.place;
    let Content::Scalar(Scalar { text, is_plain }) = node.content else {
        return Err(problem(place, format!("a key of a map is {}", node.kind()), "write a text, such as `node_a`"));
    };
    if is_plain && text.starts_with("${") {
        return Err(problem(place, format!("the key {} is a variable", quoted(&text)), "write the name of the key"));
    }
    if is_plain && text == MERGE {
        return Ok((text, place));
    }
    match keys.insert(text.clone()) {
        true => Ok((text, place)),
        false => Err(problem(
            place,
            format!("the key {} is there twice", quoted(&text)),
            "remove one of them; PypeLine ignores the first one",
        )),
    }
}

/// Adds the entries of merged maps whose keys are not there yet. `node` is a map, or a list of maps of which the first is the strongest.
fn merge(node: Node, entries: &mut Vec<Entry>, keys: &mut HashSet<String>) -> Result<(), Problem> {
    let maps = match node.content {
        Content::List(nodes) => nodes,
        _ => vec![node],
    };
    for map in maps {
        let Content::Map(merged) = map.content else {
            return Err(problem(
                map.place,
                format!("`<<` merges maps, and this is {}", map.kind()),
                "write `<<: *name`",
            ));
        };
        for entry in merged {
            if keys.insert(entry.key.clone()) {
                entries.push(entry);
            }
        }
    }
    Ok(())
}

/// Returns whether a tag makes a plain value a text. Tags of the other kinds of plain values say what such a value is anyway.
fn is_text_tag(tag: Option<Cow<'_, Tag>>, place: Place) -> Result<bool, Problem> {
    match tag.as_deref().map(|tag| (tag.is_yaml_core_schema(), tag.suffix.as_str())) {
        None => Ok(false),
        Some((true, "str")) => Ok(true),
        Some((true, "int" | "float" | "bool" | "null" | "timestamp")) | Some((false, "env_var")) => Ok(false),
        Some(_) => Err(unknown_tag(tag, place)),
    }
}

fn refuse_tag(tag: Option<Cow<'_, Tag>>, place: Place, usual: &str) -> Result<(), Problem> {
    match &tag {
        None => Ok(()),
        Some(known) if known.is_yaml_core_schema() && known.suffix == usual => Ok(()),
        Some(_) => Err(unknown_tag(tag, place)),
    }
}

fn unknown_tag(tag: Option<Cow<'_, Tag>>, place: Place) -> Problem {
    let tag = tag.map(|tag| tag.to_string()).unwrap_or_default();
    problem(place, format!("the tag {} is not known", quoted(&tag)), "remove the tag")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(text: &str) -> String {
        let problem = compose(text).expect_err(text);
        let Place { line, column } = problem.places[0];
        format!("{line}:{column} {}", problem.message)
    }

    #[test]
    fn mistakes_have_a_line_and_a_column() {
        for (text, expected) in [
            ("", "1:1 the file is empty"),
            ("a: 1\nb: 2\na: 3\n", "3:1 the key `a` is there twice"),
            ("a:\n  - b\n c: d\n", "3:2 this is not valid YAML"),
            ("a: *b\n", "1:4 this is not valid YAML"),
            ("a: &a\n  b: *a\n", "2:6 this alias stands for a value that contains the alias"),
            ("a: 1\n---\nb: 2\n", "2:1 the file has a second document"),
            ("a: !secret b\n", "1:4 the tag `!secret` is not known"),
            ("? [a]\n: b\n", "1:3 a key of a map is a list"),
            ("${A}: b\n", "1:1 the key `${A}` is a variable"),
            ("a: &x 1\nb:\n  <<: *x\n", "1:4 `<<` merges maps"),
            ("a: \"b\n", "this is not valid YAML"),
        ] {
            let message = message(text);
            assert!(message.contains(expected), "{text}: {message}");
        }
        assert!(message(&"[".repeat(10_000)).contains("nested") || message(&"[".repeat(10_000)).contains("YAML"));
        assert!(message(&"- ".repeat(10_000)).contains("nested more than 64"));
    }

    #[test]
    fn aliases_and_merges_are_written_out() {
        let node = compose("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nuse:\n  <<: [*b, *m]\n  x: 9\nsame: *b\n");
        let node = node.expect("a file");
        let keys = |key: &str| -> Vec<String> {
            let entries = node.get(key).expect("a map").entries();
            entries
                .iter()
                .map(|entry| match &entry.value.content {
                    Content::Scalar(scalar) => format!("{}={}", entry.key, scalar.text),
                    _ => entry.key.clone(),
                })
                .collect()
        };
        assert_eq!(keys("use"), ["x=9", "y=2", "z=4"]);
        assert_eq!(keys("same"), ["x=1", "y=2"]);
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for level in 1..20 {
            let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(message(&text).contains("more than 16 MiB"), "{}", message(&text));
        let long = format!("a: &a {}\nb:\n{}", "x".repeat(500_000), "  - *a\n".repeat(100));
        assert!(message(&long).contains("more than 16 MiB"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_tree_or_a_problem(text in "[-a-c:*&!<>|{}\\[\\], \n\"'#?$%@`~0-9\t]{0,80}") {
            if let Err(problem) = compose(&text) {
                prop_assert!(!problem.places.is_empty());
            }
        }
    }
}
