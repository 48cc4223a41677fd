//! [`PlanGraph`]: the nodes and edges that are drawn. A plan of more than [`MAX_NODES`] is folded: a pipe is one node then.

use std::collections::{BTreeMap, BTreeSet};

use bue_model::plan::{ForEach, Input, Node, Plan};
use bue_model::{CallIndex, NodeId};

/// Nodes that are drawn.
pub(super) const MAX_NODES: usize = 500;
/// Names of steps in the label of a folded pipe.
const MAX_NAMES: usize = 4;

/// What a node stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) enum NodeKind {
    /// A step of a call.
    Step,
    /// The steps of a call.
    Pipe,
    /// A loop, by the line of its `for`.
    Loop { line: u32 },
    /// What runs when the run ends.
    Finally,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) struct GraphNode {
    pub(in crate::web) kind: NodeKind,
    pub(in crate::web) label: String,
    /// The names of the steps whose jobs belong to it.
    pub(in crate::web) steps: BTreeSet<String>,
}

/// Nodes in an order in which every edge leads to a later one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct PlanGraph {
    pub(in crate::web) nodes: Vec<GraphNode>,
    pub(in crate::web) edges: BTreeSet<(usize, usize)>,
    /// Nodes that are left out.
    pub(in crate::web) left_out: usize,
    /// Pipes are single nodes.
    pub(in crate::web) is_folded: bool,
}

/// A graph while it is made.
struct Builder<'p> {
    plan: &'p Plan,
    is_folded: bool,
    graph: PlanGraph,
    /// The place of each node of the plan that is drawn.
    places: BTreeMap<NodeId, usize>,
    calls: BTreeMap<CallIndex, usize>,
    /// The jobs whose results the gathering loops collect.
    gathered: BTreeMap<NodeId, NodeId>,
}

impl PlanGraph {
    pub(in crate::web) fn of(plan: &Plan) -> Self {
        let whole = Builder::build(plan, false);
        if whole.left_out == 0 { whole } else { Builder::build(plan, true) }
    }
}

impl<'p> Builder<'p> {
    fn build(plan: &'p Plan, is_folded: bool) -> PlanGraph {
        let graph = PlanGraph { is_folded, ..PlanGraph::default() };
        let (places, calls, gathered) = Default::default();
        let mut builder = Self { plan, is_folded, graph, places, calls, gathered };
        builder.block(&plan.nodes, None);
        builder.graph
    }

    /// Adds the nodes of a block. The recursion is as deep as loops are nested, which a plan bounds.
    fn block(&mut self, nodes: &[Node], around: Option<NodeId>) {
        for node in nodes {
            match node {
                Node::Job(job) => {
                    let step = self.plan.steps.get(job.step.get()).map(|step| step.name.clone()).unwrap_or_default();
                    self.job(job.id, job.call, step, around);
                    job.inputs.iter().for_each(|input| self.input(input, job.id));
                    if job.inputs.iter().all(|input| matches!(input, Input::Literal(_) | Input::Param(_))) {
                        self.edge(around, job.id);
                    }
                }
                Node::ForEach(each) => self.each(each),
                Node::Finally(last) => {
                    let steps = self.steps_of(&last.body);
                    self.add(last.id, GraphNode { kind: NodeKind::Finally, label: "finally".to_owned(), steps });
                    self.block(&last.body, Some(last.id));
                }
            }
        }
    }

    fn each(&mut self, each: &ForEach) {
        let label = format!("for {}", each.variable);
        let steps = self.steps_of(&each.body);
        self.add(each.id, GraphNode { kind: NodeKind::Loop { line: each.line }, label, steps });
        self.edge(Some(each.over), each.id);
        self.gathered.extend(each.gather.map(|gather| (each.id, gather)));
        self.block(&each.body, Some(each.id));
    }

    fn job(&mut self, id: NodeId, call: CallIndex, step: String, around: Option<NodeId>) {
        let place = if self.is_folded { self.calls.get(&call).copied() } else { None };
        let Some(place) = place else {
            let kind = if self.is_folded { NodeKind::Pipe } else { NodeKind::Step };
            self.add(id, GraphNode { kind, label: step.clone(), steps: BTreeSet::from([step]) });
            self.calls.extend(self.places.get(&id).map(|place| (call, *place)));
            if self.is_folded {
                self.edge(around, id);
            }
            return;
        };
        self.places.insert(id, place);
        if let Some(node) = self.graph.nodes.get_mut(place) {
            match node.label.matches(" | ").count() + 1 {
                names if names < MAX_NAMES => node.label.push_str(&format!(" | {step}")),
                _ if !node.label.ends_with('…') => node.label.push_str(" | …"),
                _ => {}
            }
            node.steps.insert(step);
        }
    }

    fn add(&mut self, id: NodeId, node: GraphNode) {
        if self.graph.nodes.len() == MAX_NODES {
            self.graph.left_out += 1;
            return;
        }
        self.places.insert(id, self.graph.nodes.len());
        self.graph.nodes.push(node);
    }

    fn input(&mut self, input: &Input, to: NodeId) {
        let from = match input {
            Input::Node(id) | Input::Loop(id) | Input::LoopPart(id, _) | Input::Failure(id) | Input::Run(id) => {
                Some(*id)
            }
            Input::Gather(id) => Some(self.gathered.get(id).copied().unwrap_or(*id)),
            Input::Literal(_) | Input::Param(_) => None,
        };
        self.edge(from, to);
    }

    /// Adds an edge between two nodes that are drawn. A folded pipe has none to itself.
    fn edge(&mut self, from: Option<NodeId>, to: NodeId) {
        let places = from.and_then(|from| Some((*self.places.get(&from)?, *self.places.get(&to)?)));
        self.graph.edges.extend(places.filter(|(from, to)| from < to));
    }

    fn steps_of(&self, nodes: &[Node]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for node in nodes {
            match node {
                Node::Job(job) => names.extend(self.plan.steps.get(job.step.get()).map(|step| step.name.clone())),
                Node::ForEach(ForEach { body, .. }) => names.extend(self.steps_of(body)),
                Node::Finally(last) => names.extend(self.steps_of(&last.body)),
            }
        }
        names
    }
}
