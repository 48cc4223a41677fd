//! `dagAdjacency` as a graph: the parents of each node, an order in which parents come first, cycles.

use std::collections::{BTreeSet, HashMap};

/// An edge, with its place in the list of nodes and whatever the caller knows it by.
pub(super) type Edge = (usize, usize);

/// Returns the nodes with parents before children, otherwise in their order, or a cycle: nodes of which each has an edge to the
/// next one, and the last one to the first.
///
/// # Errors
/// The cycle.
pub(super) fn order(nodes: usize, edges: &[Edge]) -> Result<Vec<usize>, Vec<usize>> {
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut open_parents = vec![0_usize; nodes];
    for (from, to) in edges {
        children.entry(*from).or_default().push(*to);
        open_parents[*to] += 1;
    }
    let mut ready: BTreeSet<usize> = (0..nodes).filter(|node| open_parents[*node] == 0).collect();
    let mut ordered = Vec::new();
    while let Some(node) = ready.pop_first() {
        ordered.push(node);
        for child in children.get(&node).into_iter().flatten() {
            open_parents[*child] -= 1;
            if open_parents[*child] == 0 {
                ready.insert(*child);
            }
        }
    }
    match (0..nodes).find(|node| open_parents[*node] > 0) {
        None => Ok(ordered),
        Some(start) => Err(cycle(start, edges, &open_parents)),
    }
}

/// Finds a cycle. Each node that is left has a parent that is left, so going from parent to parent comes back to a node.
fn cycle(start: usize, edges: &[Edge], open_parents: &[usize]) -> Vec<usize> {
    let parent: HashMap<usize, usize> =
        edges.iter().filter(|(from, _)| open_parents[*from] > 0).map(|(from, to)| (*to, *from)).collect();
    let (mut path, mut position, mut node) = (Vec::new(), HashMap::new(), start);
    let first = loop {
        if let Some(first) = position.get(&node) {
            break *first;
        }
        position.insert(node, path.len());
        path.push(node);
        match parent.get(&node) {
            Some(next) => node = *next,
            None => break 0,
        }
    };
    let mut cycle: Vec<usize> = path.split_off(first);
    cycle.reverse();
    // the node that comes first in the file is named first
    let least = cycle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(at, _)| at);
    cycle.rotate_left(least);
    cycle
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parents_come_first_and_cycles_are_named() {
        assert_eq!(order(4, &[(0, 2), (1, 2), (2, 3)]), Ok(vec![0, 1, 2, 3]));
        assert_eq!(order(3, &[(2, 0), (2, 1)]), Ok(vec![2, 0, 1]));
        assert_eq!(order(1, &[(0, 0)]), Err(vec![0]));
        assert_eq!(order(5, &[(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)]), Err(vec![1, 2, 3]));
    }

    proptest! {
        #[test]
        fn an_order_has_all_nodes_and_a_cycle_is_one(edges in proptest::collection::vec((0_usize..8, 0_usize..8), 0..20)) {
            match order(8, &edges) {
                Ok(ordered) => {
                    prop_assert_eq!(ordered.len(), 8);
                    let at = |node: usize| ordered.iter().position(|other| *other == node);
                    for (from, to) in &edges {
                        prop_assert!(at(*from) < at(*to));
                    }
                }
                Err(cycle) => {
                    for (at, node) in cycle.iter().enumerate() {
                        prop_assert!(edges.contains(&(*node, cycle[(at + 1) % cycle.len()])));
                    }
                }
            }
        }
    }
}
