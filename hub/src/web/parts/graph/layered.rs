//! Places for the nodes of a graph in layers, from left to right (Sugiyama's method, as far as plans need it): a node comes after all that
//! it depends on, nodes of a layer are ordered by where their neighbours are, and each is as high as the mean of its predecessors if
//! there is room.
//!
//! The nodes of a plan come in an order in which edges lead to later ones, so there are no cycles to break. Time and memory are linear in
//! nodes and edges, whatever the plan; nothing here can fail.

use std::collections::BTreeSet;

/// Passes over the layers, in which nodes move towards their neighbours.
const SWEEPS: usize = 4;

/// The layer of a node, counted from the left, and its height in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Place {
    pub(super) layer: usize,
    pub(super) row: f64,
}

/// Finds a place for each of `count` nodes. Every edge leads to a node with a larger number.
pub(super) fn places(count: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<Place> {
    let (mut before, mut after) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for (from, to) in edges {
        push(&mut before, *to, *from);
        push(&mut after, *from, *to);
    }
    let layers = layers(&before);
    let mut rows = first_rows(&layers);
    for sweep in 0..SWEEPS {
        let (neighbours, is_forward) = if sweep % 2 == 0 { (&before, true) } else { (&after, false) };
        reorder(&layers, neighbours, is_forward, &mut rows);
    }
    align(&layers, &before, &mut rows);
    layers.into_iter().zip(rows).map(|(layer, row)| Place { layer, row }).collect()
}

fn push(lists: &mut [Vec<usize>], index: usize, item: usize) {
    if let Some(list) = lists.get_mut(index) {
        list.push(item);
    }
}

/// One more than the last layer of what a node depends on.
fn layers(before: &[Vec<usize>]) -> Vec<usize> {
    let mut layers: Vec<usize> = Vec::with_capacity(before.len());
    for nodes in before {
        let last = nodes.iter().filter_map(|node| layers.get(*node)).max();
        layers.push(last.map_or(0, |layer| layer + 1));
    }
    layers
}

/// The nodes of each layer in their order.
fn columns(layers: &[usize], rows: &[f64]) -> Vec<Vec<usize>> {
    let mut columns = vec![Vec::new(); layers.iter().max().map_or(0, |last| last + 1)];
    for (node, layer) in layers.iter().enumerate() {
        push(&mut columns, *layer, node);
    }
    for column in &mut columns {
        column.sort_by(|one, other| row_of(rows, *one).total_cmp(&row_of(rows, *other)));
    }
    columns
}

fn row_of(rows: &[f64], node: usize) -> f64 {
    rows.get(node).copied().unwrap_or_default()
}

fn set_row(rows: &mut [f64], node: usize, row: f64) {
    if let Some(place) = rows.get_mut(node) {
        *place = row;
    }
}

/// In the order of the plan.
fn first_rows(layers: &[usize]) -> Vec<f64> {
    let mut rows = vec![0.0; layers.len()];
    for column in columns(layers, &[]) {
        number(&column, &mut rows);
    }
    rows
}

fn number(column: &[usize], rows: &mut [f64]) {
    let mut row = 0.0;
    for node in column {
        set_row(rows, *node, row);
        row += 1.0;
    }
}

/// Orders each layer by the means of the neighbours of its nodes.
fn reorder(layers: &[usize], neighbours: &[Vec<usize>], is_forward: bool, rows: &mut [f64]) {
    let mut columns = columns(layers, rows);
    if !is_forward {
        columns.reverse();
    }
    for mut column in columns {
        let wish = |node: usize| mean(neighbours.get(node), rows).unwrap_or(row_of(rows, node));
        let mut wishes: Vec<(f64, usize)> = column.iter().map(|node| (wish(*node), *node)).collect();
        wishes.sort_by(|one, other| one.0.total_cmp(&other.0));
        column = wishes.into_iter().map(|(_, node)| node).collect();
        number(&column, rows);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a node has far fewer neighbours than 2^52")]
fn mean(nodes: Option<&Vec<usize>>, rows: &[f64]) -> Option<f64> {
    let nodes = nodes.filter(|nodes| !nodes.is_empty())?;
    Some(nodes.iter().map(|node| row_of(rows, *node)).sum::<f64>() / nodes.len() as f64)
}

/// Moves nodes down to the means of their predecessors, in their order and at least one row apart.
fn align(layers: &[usize], before: &[Vec<usize>], rows: &mut [f64]) {
    for column in columns(layers, rows) {
        let mut free = 0.0;
        for node in column {
            let wish = mean(before.get(node), rows).unwrap_or(free);
            let row = f64::max(free, wish);
            set_row(rows, node, row);
            free = row + 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(count: usize, edges: &[(usize, usize)]) -> Vec<Place> {
        let edges: BTreeSet<_> = edges.iter().copied().collect();
        let places = places(count, &edges);
        for (from, to) in &edges {
            assert!(places[*from].layer < places[*to].layer, "{from} is left of {to}");
        }
        for (one, place) in places.iter().enumerate() {
            for other in &places[one + 1..] {
                let is_apart = place.layer != other.layer || (place.row - other.row).abs() >= 1.0;
                assert!(is_apart, "{place:?} {other:?} overlap");
            }
        }
        places
    }

    #[test]
    fn a_chain_is_a_line_and_a_diamond_has_two_rows() {
        let chain = check(3, &[(0, 1), (1, 2)]);
        assert!(chain.iter().all(|place| place.row == 0.0) && chain[2].layer == 2);
        let diamond = check(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        assert_eq!((diamond[3].layer, diamond[3].row), (2, 0.5));
        assert!(check(0, &[]).is_empty());
    }

    #[test]
    fn crossing_edges_are_untangled() {
        let places = check(4, &[(0, 3), (1, 2)]);
        assert!(places[3].row < places[2].row, "{places:?}");
    }

    #[test]
    fn large_graphs_have_places_too() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20 {
            let count = random.usize(1..500);
            let edges: Vec<_> =
                (1..count).flat_map(|to| [(random.usize(0..to), to), (random.usize(0..to), to)]).collect();
            check(count, &edges);
        }
    }
}
