//! A graph as SVG. A node leads to the jobs of its step, and has a bar of their states.

use bue_model::JobState;
use bue_model::wire::StepView;
use maud::{Markup, html};

use super::layered::{Place, places};
use super::plan_graph::{GraphNode, NodeKind, PlanGraph};
use crate::web::parts::badges::{StateCounts, shares, summary};
use crate::web::parts::texts::visible;

/// Sizes in pixels of a picture that is not scaled.
const NODE_WIDTH: f64 = 150.0;
const NODE_HEIGHT: f64 = 40.0;
const LAYER_WIDTH: f64 = 200.0;
const ROW_HEIGHT: f64 = 58.0;
const MARGIN: f64 = 8.0;
/// Characters of a label.
const MAX_LABEL: usize = 20;

/// Draws a plan. `steps` are the counts of the run, `link` the address of a step's jobs.
pub(in crate::web) fn plan_picture(graph: &PlanGraph, steps: &[StepView], link: impl Fn(&str) -> String) -> Markup {
    let places = places(graph.nodes.len(), &graph.edges);
    let extent = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let width = extent(&mut places.iter().map(|place| left(*place))) + NODE_WIDTH + MARGIN;
    let height = extent(&mut places.iter().map(|place| top(*place))) + NODE_HEIGHT + MARGIN;
    let ends = |from: &usize, to: &usize| Some((*places.get(*from)?, *places.get(*to)?));
    let edges: Vec<_> =
        graph.edges.iter().filter_map(|(from, to)| ends(from, to)).map(|(from, to)| edge(from, to)).collect();
    html! {
        div.scroll.picture tabindex="0" role="region" aria-label="The plan as a picture" {
            svg.plan width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="group" aria-label="Steps and loops" {
                path.edges d=(edges.join("")) aria-hidden="true" {}
                @for (node, place) in graph.nodes.iter().zip(&places) { (drawn(node, *place, steps, &link)) }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a picture has at most 500 layers")]
fn left(place: Place) -> f64 {
    MARGIN + place.layer as f64 * LAYER_WIDTH
}

fn top(place: Place) -> f64 {
    MARGIN + place.row * ROW_HEIGHT
}

/// A curve from the right side of a node to the left side of another one.
fn edge(from: Place, to: Place) -> String {
    let (x1, y1) = (left(from) + NODE_WIDTH, top(from) + NODE_HEIGHT / 2.0);
    let (x2, y2) = (left(to), top(to) + NODE_HEIGHT / 2.0);
    let middle = f64::midpoint(x1, x2);
    format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}")
}

fn drawn(node: &GraphNode, place: Place, steps: &[StepView], link: &impl Fn(&str) -> String) -> Markup {
    let counts = counts_of(node, steps);
    let (x, y) = (left(place), top(place));
    let title = format!("{}: {}", kind(node), summary(&counts));
    let shape = html! {
        title { (visible(&title)) }
        rect.box x=(x) y=(y) width=(NODE_WIDTH) height=(NODE_HEIGHT) rx="7" {}
        text x=(x + 10.0) y=(y + 18.0) { (visible(&short(&node.label))) }
        (state_bar(&counts, x + 10.0, y + 27.0))
    };
    let class = match node.kind {
        NodeKind::Step | NodeKind::Pipe => "node",
        NodeKind::Loop { .. } | NodeKind::Finally => "node block",
    };
    let target = node.steps.first().filter(|_| node.steps.len() == 1).map(|step| link(step));
    html! {
        @match target {
            Some(target) => { a class=(class) href=(target) aria-label=(visible(&title)) { (shape) } },
            None => { g class=(class) { (shape) } },
        }
    }
}

fn kind(node: &GraphNode) -> String {
    match node.kind {
        NodeKind::Step => format!("step {}", node.label),
        NodeKind::Pipe => format!("pipe {}", node.label),
        NodeKind::Loop { line } => format!("loop {} on line {line}, jobs of its steps", node.label),
        NodeKind::Finally => "finally, jobs of its steps".to_owned(),
    }
}

fn short(label: &str) -> String {
    let short: String = label.chars().take(MAX_LABEL).collect();
    if short.len() < label.len() { format!("{short}…") } else { short }
}

/// The jobs of a node's steps. A step that is called in several places has all its jobs at each.
fn counts_of(node: &GraphNode, steps: &[StepView]) -> StateCounts {
    let mut counts = StepView::default().by_state();
    for step in steps.iter().filter(|step| node.steps.contains(&step.name)) {
        for ((_, sum), (_, count)) in counts.iter_mut().zip(step.by_state()) {
            *sum += count;
        }
    }
    counts
}

fn state_bar(counts: &StateCounts, x: f64, y: f64) -> Markup {
    let (states, numbers): (Vec<JobState>, Vec<u64>) = counts.iter().copied().unzip();
    let numbers: [u64; 6] = numbers.try_into().unwrap_or_default();
    let scale = (NODE_WIDTH - 20.0) / 1_000.0;
    #[expect(clippy::cast_precision_loss, reason = "a bar is a thousand wide")]
    let scaled = |units: u64| units as f64 * scale;
    html! {
        @for ((start, width), state) in shares(numbers).into_iter().zip(states) {
            @if width > 0 { rect class={ "part " (state.name()) } x=(x + scaled(start)) y=(y) width=(scaled(width)) height="5" {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_in_a_picture_are_escaped_and_cut() {
        let label = "<script>alert(1)</script> and more".to_owned();
        let node = GraphNode { kind: NodeKind::Step, steps: BTreeSet::from([label.clone()]), label };
        let graph =
            PlanGraph { nodes: vec![node.clone(), node], edges: BTreeSet::from([(0, 1)]), ..PlanGraph::default() };
        let markup = plan_picture(&graph, &[], |step| format!("/x?{step}\"")).into_string();
        assert!(!markup.contains("<script") && markup.contains("…</text>"), "{markup}");
        assert_eq!(markup.matches("<a class").count(), 2, "{markup}");
    }
}
