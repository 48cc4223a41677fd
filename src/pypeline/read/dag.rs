//! `dagAdjacency`: the parents of each task.

use std::collections::{BTreeMap, HashMap};

use bue_lang::nearest;

use super::context::Context;
use super::fields::{Fields, text_of};
use super::service::list;
use crate::pypeline::graph::{self, Edge};
use crate::pypeline::problem::{Place, quoted};
use crate::pypeline::yaml::{Entry, Node};

/// The part of the tasks that is in the graph.
#[derive(Debug, Default)]
pub(super) struct Dag {
    /// Positions of tasks, parents before children.
    pub(super) order: Vec<usize>,
    /// The positions of each task's parents, in the order of the tasks.
    pub(super) parents: HashMap<usize, Vec<usize>>,
}

/// Reads the graph of these tasks.
pub(super) fn read_dag(node: &Node, tasks: &[Entry], context: &mut Context) -> Dag {
    let mut places: BTreeMap<Edge, Place> = BTreeMap::new();
    let mut is_node = vec![false; tasks.len()];
    if Fields::of(node, "`dagAdjacency`", context).is_none() {
        return Dag::default();
    }
    let tasks_by_key: HashMap<&str, usize> =
        tasks.iter().enumerate().map(|(at, task)| (task.key.as_str(), at)).collect();
    let position = |name: &str, place: Place, context: &mut Context| {
        let found = tasks_by_key.get(name).copied();
        if found.is_none() {
            report_unknown(name, place, tasks, context);
        }
        found
    };
    for entry in node.entries() {
        let from = position(&entry.key, entry.place, context);
        let what = format!("the list of nodes after {}", quoted(&entry.key));
        for child in list(&entry.value, &what, "[node_b, node_c]", context) {
            let Some(name) = text_of(child, "a node", context) else { continue };
            let to = position(&name, child.place, context);
            to.into_iter().for_each(|to| is_node[to] = true);
            if let (Some(from), Some(to)) = (from, to) {
                places.entry((from, to)).or_insert(child.place);
            }
        }
        from.into_iter().for_each(|from| is_node[from] = true);
    }
    if node.entries().is_empty() {
        context.error(
            node.place,
            "`dagAdjacency` has no nodes",
            "list each node with the nodes after it: `node_a: [node_b]`",
        );
    }
    for (task, _) in tasks.iter().zip(&is_node).filter(|(_, is_node)| !**is_node) {
        let message =
            format!("the task {} is not in `dagAdjacency`, so it never runs, and is not converted", quoted(&task.key));
        context.warning(task.place, message, format!("add `{}: []` to `dagAdjacency` if it should run", task.key));
    }
    let edges: Vec<Edge> = places.keys().copied().collect();
    match graph::order(tasks.len(), &edges) {
        Ok(order) => {
            let mut parents: HashMap<usize, Vec<usize>> = HashMap::new();
            edges.iter().for_each(|(from, to)| parents.entry(*to).or_default().push(*from));
            Dag { order: order.into_iter().filter(|at| is_node[*at]).collect(), parents }
        }
        Err(cycle) => {
            report_cycle(&cycle, tasks, &places, context);
            Dag::default()
        }
    }
}

fn report_unknown(name: &str, place: Place, tasks: &[Entry], context: &mut Context) {
    /// After so many errors, looking for similar names takes longer than it helps.
    const MOST_SUGGESTIONS: usize = 100;
    let is_early = context.problems.errors.len() < MOST_SUGGESTIONS;
    let keys = tasks.iter().map(|task| task.key.as_str()).filter(|_| is_early);
    let hint = match nearest(name, keys) {
        Some(task) => format!("did you mean `{task}`?"),
        None => "add it to `taskDefinitions`, or remove the node".to_owned(),
    };
    context.error(place, format!("the node {} has no task in `taskDefinitions`", quoted(name)), hint);
}

fn report_cycle(cycle: &[usize], tasks: &[Entry], places: &BTreeMap<Edge, Place>, context: &mut Context) {
    let names: Vec<&str> =
        cycle.iter().chain(cycle.first()).filter_map(|at| tasks.get(*at)).map(|task| task.key.as_str()).collect();
    let last = cycle.last().zip(cycle.first()).and_then(|(last, first)| places.get(&(*last, *first)));
    if let Some(place) = last {
        let message = format!("the nodes form a cycle: {}", names.join(" → "));
        context.error(*place, message, "remove one of these edges, such as this one");
    }
}
