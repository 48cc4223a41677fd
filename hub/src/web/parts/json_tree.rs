//! Values as a tree that unfolds: objects and lists are closed until somebody opens them. A tree is bounded; the whole value is a download.

use maud::{Markup, html};
use serde_json::Value;

use crate::web::parts::texts::{bytes, grouped, visible};

/// Objects, lists and plain values of a tree.
const MAX_NODES: usize = 2_000;
/// Characters of a text in a tree.
const MAX_TEXT: usize = 2_000;
/// Levels of a tree: browsers do not like thousands.
const MAX_DEPTH: usize = 40;

/// A tree while it is made.
struct Tree {
    nodes_left: usize,
}

/// A value as a tree. Its first level is open.
pub(in crate::web) fn json_tree(value: &Value) -> Markup {
    let mut tree = Tree { nodes_left: MAX_NODES };
    html! { div.json { (tree.node(value, 0)) } }
}

impl Tree {
    fn node(&mut self, value: &Value, depth: usize) -> Markup {
        let Some(left) = self.nodes_left.checked_sub(1) else { return html! { span.more { "…" } } };
        self.nodes_left = left;
        match value {
            Value::Array(items) if items.is_empty() => html! { "[]" },
            Value::Object(entries) if entries.is_empty() => html! { "{}" },
            Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => html! { span.more { "…" } },
            Value::Array(items) => {
                let rows = items.iter().enumerate().map(|(index, item)| (index.to_string(), item));
                self.branch(&format!("list of {}", grouped(items.len() as u64)), rows, depth)
            }
            Value::Object(entries) => {
                let names: Vec<_> = entries.keys().take(4).map(String::as_str).collect();
                let label = visible(&names.join(", ")).chars().take(80).collect::<String>();
                let more = if entries.len() > names.len() { ", …" } else { "" };
                self.branch(
                    &format!("{{{label}{more}}}"),
                    entries.iter().map(|(name, value)| (name.clone(), value)),
                    depth,
                )
            }
            Value::String(text) => string(text),
            plain => html! { span.plain { (plain) } },
        }
    }

    fn branch<'v>(&mut self, label: &str, entries: impl Iterator<Item = (String, &'v Value)>, depth: usize) -> Markup {
        let mut rows = Vec::new();
        let mut left_out = 0_u64;
        for (name, value) in entries {
            match self.nodes_left {
                0 => left_out += 1,
                _ => rows.push((name, self.node(value, depth + 1))),
            }
        }
        html! {
            details open[depth == 0] {
                summary { (label) }
                dl {
                    @for (name, value) in &rows { dt { (visible(name)) } dd { (value) } }
                    @if left_out > 0 { dt { "…" } dd.more { (grouped(left_out)) " more; download the value to see them" } }
                }
            }
        }
    }
}

fn string(text: &str) -> Markup {
    let shown: String = text.chars().take(MAX_TEXT).collect();
    let rest = text.len() - shown.len();
    html! { span.string { "“" (visible(&shown)) "”" } @if rest > 0 { span.more { " and " (bytes(rest as u64)) " more" } } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_is_bounded_and_escaped() {
        let deep = (0..200).fold(json!(1), |value, _| json!([value]));
        let wide = json!((0..100_000).collect::<Vec<_>>());
        let long = json!({ "<b>": "<script>".repeat(100_000) });
        for value in [deep, wide, long] {
            let markup = json_tree(&value).into_string();
            assert!(
                markup.len() < 200_000 && !markup.contains("<script") && !markup.contains("<b>"),
                "{}",
                markup.len()
            );
        }
        let small = json_tree(&json!({ "a": [1, "x", null, {}] })).into_string();
        assert!(small.contains("list of 4") && small.contains("<dt>a</dt>") && small.contains("null"), "{small}");
    }
}
