//! [`Graph`]: a checked plan with its dependencies: which node waits for which, and where each one is in its block.
//!
//! Pure: a submission's plan in, a [`Graph`] or a [`PlanError`] out. Plans come from outside and are not trusted before
//! [`Graph::new`] has checked them; everything after it relies on its checks.
//!
//! ```text
//! block 0 (top)     job 0   loop 1   job 5          offsets 0 1 2
//!                             |
//! block 1 (body)    job 2   loop 3                  offsets 0 1
//!                             |
//! block 2 (body)    job 4                           offset  0
//! ```
//! A handler (`!on_failure`) is a node of the block of its job, and the `finally` block one of the top level. Both have ids like all
//! others; their rows exist once the job has failed or the run ends.
//!
//! An *instance* of a block takes as many consecutive ids as it has nodes. The id of a row is the instance's first id plus the
//! node's offset, so no table has to store which job is the child of which.

use std::collections::BTreeSet;

use bue_model::job::INLINE_LIMIT;
use bue_model::plan::{
    Call, Capability, Finally, ForEach, Input, MAX_WINDOW, Node, PLAN_VERSION, Plan, Settings, Source, Step,
};
use bue_model::sql_table::MAX_TABLE_BYTES;
use bue_model::{BlobRef, CallIndex, Language, ListOperation, NodeId, StepIndex};

use crate::plan_error::PlanError;

/// Nodes of a plan, bodies of loops included. A plan of this size takes some 20 MB of memory while it is in the cache.
const MAX_NODES: usize = 100_000;
/// Arguments of all jobs of a plan together.
const MAX_INPUTS: usize = 1_000_000;
/// Nested loops; `bue_model` decodes no more.
const MAX_DEPTH: usize = 32;
/// Bytes of the name of a step, a scope, a variable or a run.
pub(crate) const MAX_NAME: usize = 1024;

/// A block's position in [`Graph::blocks`]; the top level is 0.
pub(crate) type BlockIndex = usize;

/// A checked plan.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) steps: Vec<Step>,
    /// The bundle of each step.
    pub(crate) code: Vec<BlobRef>,
    pub(crate) calls: Vec<Call>,
    /// The jobs of each call, in order; each has the one before it as its only input.
    chains: Vec<Vec<NodeId>>,
    nodes: Vec<GraphNode>,
    pub(crate) blocks: Vec<Block>,
    /// The `finally` block, which is a loop over the ends of the run.
    pub(crate) finally: Option<NodeId>,
}

/// Nodes that are instantiated together: the top level, or the body of a loop.
#[derive(Debug)]
pub(crate) struct Block {
    /// The loop whose body it is; `None` for the top level.
    pub(crate) owner: Option<NodeId>,
    /// In order.
    pub(crate) nodes: Vec<NodeId>,
}

impl Block {
    /// Returns how many ids an instance of this block takes.
    pub(crate) fn stride(&self) -> i64 {
        i64::try_from(self.nodes.len()).unwrap_or(i64::MAX)
    }
}

/// A node and its neighbours.
#[derive(Debug)]
pub(crate) struct GraphNode {
    pub(crate) block: BlockIndex,
    /// Position in its block.
    pub(crate) offset: i64,
    /// The nodes that must complete before it, each once, of the same block or of those around it.
    pub(crate) parents: Vec<NodeId>,
    /// The nodes that wait for it, each once, of the same block or of those inside it.
    pub(crate) children: Vec<NodeId>,
    pub(crate) kind: NodeKind,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum NodeKind {
    Job(GraphJob),
    Loop(GraphLoop),
}

/// A node that runs a step.
#[derive(Debug)]
pub(crate) struct GraphJob {
    pub(crate) step: StepIndex,
    pub(crate) call: CallIndex,
    pub(crate) inputs: Vec<Input>,
    /// The first loop over its result.
    pub(crate) looped_by: Option<NodeId>,
    /// The first job that makes another list of the list that it returns.
    pub(crate) listed_by: Option<NodeId>,
    /// The job that is called if it fails finally.
    pub(crate) handler: Option<NodeId>,
    /// The job for whose failure it is called.
    pub(crate) handles: Option<NodeId>,
}

/// A node that fans out.
#[derive(Debug)]
pub(crate) struct GraphLoop {
    /// The job over whose list it runs. `None` for the `finally` block, which runs over the ends of the run.
    pub(crate) over: Option<NodeId>,
    pub(crate) body: BlockIndex,
    pub(crate) gather: Option<NodeId>,
    /// How many of its rounds may be unfinished.
    pub(crate) window: Option<u32>,
    /// The loop variable's name.
    pub(crate) variable: String,
    /// The line of the `for`.
    pub(crate) line: u32,
    /// For error messages: `for account in … (line 12)`.
    pub(crate) text: String,
}

impl Graph {
    /// Checks a plan, with the bundles of its steps, and links its nodes.
    pub(crate) fn new(mut plan: Plan, code: Vec<BlobRef>) -> Result<Self, PlanError> {
        check_header(&plan, &code)?;
        // the text of a step may have megabytes, and the workers get its code from the bucket
        plan.steps.iter_mut().for_each(|step| step.source = Source::File(String::new()));
        let mut tree = Flattener { calls: plan.calls.len(), steps: plan.steps.len(), ..Flattener::default() };
        tree.add_block(None, plan.nodes, 0)?;
        let nodes = tree.finish()?;
        let mut graph = Self {
            steps: plan.steps,
            code,
            calls: plan.calls,
            chains: Vec::new(),
            nodes,
            blocks: tree.blocks,
            finally: tree.finally,
        };
        graph.chains = graph.find_chains()?;
        graph.check_uses()?;
        graph.link_children();
        graph.link_handlers()?;
        Ok(graph)
    }

    /// Returns the number of nodes, bodies of loops included.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Returns about how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let steps: usize = self.steps.iter().map(step_bytes).sum();
        let nodes: usize = self.nodes.iter().map(node_bytes).sum();
        let names: usize = self.calls.iter().filter_map(|call| call.name.as_ref()).map(String::len).sum();
        steps + nodes + names
    }

    /// Returns a node; `None` only for an id that is not of this graph.
    pub(crate) fn node(&self, node: NodeId) -> Option<&GraphNode> {
        self.nodes.get(node.0 as usize)
    }

    /// Returns a node that is a job.
    pub(crate) fn job(&self, node: NodeId) -> Option<&GraphJob> {
        match &self.node(node)?.kind {
            NodeKind::Job(job) => Some(job),
            NodeKind::Loop(_) => None,
        }
    }

    /// Returns a node that is a loop.
    pub(crate) fn fan_out(&self, node: NodeId) -> Option<&GraphLoop> {
        match &self.node(node)?.kind {
            NodeKind::Job(_) => None,
            NodeKind::Loop(fan_out) => Some(fan_out),
        }
    }

    /// Returns whether a node's row is not made with the instance of its block, but later, by what it waits for.
    pub(crate) fn is_deferred(&self, node: NodeId) -> bool {
        self.finally == Some(node) || self.job(node).is_some_and(|job| job.handles.is_some())
    }

    /// Returns whether a block is the `finally` block or inside it.
    pub(crate) fn is_in_finally(&self, block: BlockIndex) -> bool {
        self.finally.is_some() && self.enclosing_loops(block).any(|owner| Some(owner) == self.finally)
    }

    /// Returns whether a job begins when others have ended or failed, so that no time before that counts.
    pub(crate) fn begins_late(&self, node: NodeId) -> bool {
        self.is_deferred(node) || self.node(node).is_some_and(|node| self.is_in_finally(node.block))
    }

    /// Returns the step that a job runs.
    pub(crate) fn step_of(&self, job: &GraphJob) -> Option<&Step> {
        self.steps.get(job.step.get())
    }

    /// Returns the scopes of the steps, each once.
    pub(crate) fn scopes(&self) -> BTreeSet<String> {
        self.steps.iter().map(|step| step.settings.scope.clone()).collect()
    }

    /// Returns the name of a node for users: its step's name, or the loop's text.
    pub(crate) fn name_of(&self, node: NodeId) -> &str {
        match self.node(node).map(|node| &node.kind) {
            Some(NodeKind::Job(job)) => self.step_of(job).map_or("", |step| &step.name),
            Some(NodeKind::Loop(fan_out)) => &fan_out.text,
            None => "",
        }
    }

    /// Returns what needs the result of a job as a list in pieces, for messages: a loop, or a job that makes another list of it.
    pub(crate) fn list_text(&self, job: &GraphJob) -> Option<String> {
        if let Some(fan_out) = job.looped_by.and_then(|fan_out| self.fan_out(fan_out)) {
            return Some(fan_out.text.clone());
        }
        let by = self.job(job.listed_by?)?;
        let line = self.calls.get(by.call.get()).map_or(0, |call| call.line);
        Some(format!("{} (line {line})", self.step_of(by)?.name))
    }

    /// Returns the loops that run over the list of a job.
    pub(crate) fn loops_over(&self, source: NodeId) -> impl Iterator<Item = (NodeId, &GraphLoop)> {
        let children = self.node(source).map_or(&[][..], |node| &node.children);
        let loops = children.iter().filter_map(|child| Some((*child, self.fan_out(*child)?)));
        loops.filter(move |(_, fan_out)| fan_out.over == Some(source))
    }

    /// Returns the nodes outside of a loop that nodes in its body, or in the loops in it, wait for.
    pub(crate) fn used_outside(&self, owner: NodeId) -> BTreeSet<NodeId> {
        let is_inside = |block: BlockIndex| self.enclosing_loops(block).any(|one| one == owner);
        let inside = self.nodes.iter().filter(|node| is_inside(node.block));
        let parents = inside.flat_map(|node| node.parents.iter().copied());
        parents.filter(|parent| self.node(*parent).is_some_and(|parent| !is_inside(parent.block))).collect()
    }

    /// Returns whether a job is an operation on lists.
    fn is_list_job(&self, job: &GraphJob) -> bool {
        self.step_of(job).is_some_and(|step| matches!(step.language, Language::Builtin))
    }

    /// Returns the jobs of a call, in order.
    pub(crate) fn chain(&self, call: CallIndex) -> &[NodeId] {
        self.chains.get(call.get()).map_or(&[], Vec::as_slice)
    }

    /// Returns whether something uses the value of a call's last job: a job, a loop, or a job that uses the list that a loop
    /// gathers of it.
    pub(crate) fn is_used(&self, last: NodeId) -> bool {
        let Some(node) = self.node(last) else { return false };
        let has_children = |node: &GraphNode| !node.children.is_empty();
        let owner = self.enclosing_loops(node.block).next();
        let gathered = owner.filter(|owner| self.fan_out(*owner).is_some_and(|owner| owner.gather == Some(last)));
        has_children(node) || gathered.and_then(|owner| self.node(owner)).is_some_and(has_children)
    }

    /// Returns the loops around a block, outermost first.
    pub(crate) fn loops_around(&self, block: BlockIndex) -> Vec<NodeId> {
        let mut loops: Vec<_> = self.enclosing_loops(block).collect();
        loops.reverse();
        loops
    }

    /// Returns the loops around a block, innermost first.
    fn enclosing_loops(&self, block: BlockIndex) -> impl Iterator<Item = NodeId> {
        let owner = |block: BlockIndex| self.blocks.get(block).and_then(|block| block.owner);
        std::iter::successors(owner(block), move |inner| self.node(*inner).and_then(|node| owner(node.block)))
    }

    /// Collects the jobs of each call, in order, and checks that each but the first has the one before it as its only input.
    fn find_chains(&self) -> Result<Vec<Vec<NodeId>>, PlanError> {
        let mut chains = vec![Vec::new(); self.calls.len()];
        for block in &self.blocks {
            for id in &block.nodes {
                let Some(job) = self.job(*id) else { continue };
                if let Some(chain) = chains.get_mut(job.call.get()) {
                    self.extend_chain(chain, *id, job)?;
                }
            }
        }
        for (index, (call, chain)) in self.calls.iter().zip(&chains).enumerate() {
            if chain.first() != Some(&call.first) || chain.last() != Some(&call.last) {
                return Err(PlanError::CallEnds { call: index });
            }
        }
        Ok(chains)
    }

    fn extend_chain(&self, chain: &mut Vec<NodeId>, id: NodeId, job: &GraphJob) -> Result<(), PlanError> {
        if let Some(before) = chain.last() {
            let same_block = self.node(*before).map(|node| node.block) == self.node(id).map(|node| node.block);
            if job.inputs != [Input::Node(*before)] || !same_block {
                return Err(PlanError::BrokenChain { node: id });
            }
        }
        chain.push(id);
        Ok(())
    }

    /// Checks that every use of another node is one that a script can express.
    fn check_uses(&self) -> Result<(), PlanError> {
        for (index, node) in self.nodes.iter().enumerate() {
            let id = NodeId(u32::try_from(index).unwrap_or(u32::MAX));
            match &node.kind {
                NodeKind::Job(job) => {
                    job.inputs.iter().try_for_each(|input| self.check_input(id, node, job, input))?;
                    let is_list = |input: &Input| matches!(input, Input::Node(_));
                    if self.is_list_job(job) && (job.inputs.is_empty() || !job.inputs.iter().all(is_list)) {
                        return Err(PlanError::BadInput { node: id });
                    }
                }
                NodeKind::Loop(fan_out) => self.check_loop(id, node, fan_out)?,
            }
        }
        Ok(())
    }

    fn check_input(&self, id: NodeId, node: &GraphNode, job: &GraphJob, input: &Input) -> Result<(), PlanError> {
        let fits = match *input {
            Input::Node(used) => {
                !self.is_handler(used)
                    && self.job(used).is_some_and(|other| other.call == job.call || self.is_last(used, other))
                    && self.precedes(used, id, node)
            }
            Input::Loop(used) | Input::LoopPart(used, _) => {
                self.finally != Some(used) && self.enclosing_loops(node.block).any(|owner| owner == used)
            }
            Input::Gather(used) => {
                self.fan_out(used).is_some_and(|used| used.gather.is_some()) && self.precedes(used, id, node)
            }
            Input::Literal(ref value) => value.len() <= INLINE_LIMIT,
            // the plan of a run has values in their places
            Input::Param(_) => false,
            Input::Failure(used) => {
                let is_near = self.node(used).is_some_and(|used| used.block == node.block);
                job.inputs.len() == 1 && is_near && self.precedes(used, id, node)
            }
            Input::Run(used) => self.finally == Some(used) && self.is_in_finally(node.block),
        };
        if fits { Ok(()) } else { Err(PlanError::BadInput { node: id }) }
    }

    /// Returns whether `used` comes before the node in its own block, or before the loop around the node in an outer block. Ids
    /// grow within a block, so this rules out dependency cycles.
    fn precedes(&self, used: NodeId, id: NodeId, node: &GraphNode) -> bool {
        let Some(block) = self.node(used).map(|used| used.block) else { return false };
        // the results of a run may not exist when it ends
        if self.is_in_finally(node.block) && !self.is_in_finally(block) {
            return false;
        }
        let mut ancestors = std::iter::once(id).chain(self.enclosing_loops(node.block));
        ancestors
            .find(|ancestor| self.node(*ancestor).is_some_and(|ancestor| ancestor.block == block))
            .is_some_and(|ancestor| used < ancestor)
    }

    fn check_loop(&self, id: NodeId, node: &GraphNode, fan_out: &GraphLoop) -> Result<(), PlanError> {
        let Some(over) = fan_out.over else { return Ok(()) };
        let is_source = self.job(over).is_some_and(|source| self.is_last(over, source)) && !self.is_handler(over);
        let is_before = self.node(over).is_some_and(|over| over.block == node.block) && over < id;
        let gathers = fan_out.gather.is_none_or(|gather| {
            self.job(gather).is_some()
                && !self.is_handler(gather)
                && self.node(gather).is_some_and(|node| node.block == fan_out.body)
        });
        if is_source && is_before && gathers { Ok(()) } else { Err(PlanError::BadLoop { node: id }) }
    }

    /// Returns whether a job is called when another one fails.
    fn is_handler(&self, node: NodeId) -> bool {
        self.job(node).is_some_and(|job| handled_by(&job.inputs).is_some())
    }

    /// Links handlers with the jobs for whose failures they are called: one each, for a job that is no handler itself. Nothing waits
    /// for a handler, and it waits for nothing else.
    fn link_handlers(&mut self) -> Result<(), PlanError> {
        for index in 0..self.nodes.len() {
            let handler = NodeId(u32::try_from(index).unwrap_or(u32::MAX));
            let Some(failed) = self.job(handler).and_then(|job| handled_by(&job.inputs)) else { continue };
            let is_alone = self.job(handler).is_some_and(|job| self.chain(job.call).len() == 1);
            if !is_alone || self.is_handler(failed) {
                return Err(PlanError::BadHandler { node: handler });
            }
            if self.job_mut(failed).is_none_or(|job| job.handler.replace(handler).is_some()) {
                return Err(PlanError::BadHandler { node: handler });
            }
            if let Some(job) = self.job_mut(handler) {
                job.handles = Some(failed);
            }
        }
        Ok(())
    }

    fn job_mut(&mut self, node: NodeId) -> Option<&mut GraphJob> {
        match &mut self.nodes.get_mut(node.0 as usize)?.kind {
            NodeKind::Job(job) => Some(job),
            NodeKind::Loop(_) => None,
        }
    }

    /// Returns whether a job is the last of its call, whose result is the call's value.
    fn is_last(&self, id: NodeId, job: &GraphJob) -> bool {
        self.calls.get(job.call.get()).is_some_and(|call| call.last == id)
    }

    fn link_children(&mut self) {
        for index in 0..self.nodes.len() {
            let child = NodeId(u32::try_from(index).unwrap_or(u32::MAX));
            let parents = self.nodes.get(index).map(|node| node.parents.clone()).unwrap_or_default();
            for parent in parents {
                if let Some(parent) = self.nodes.get_mut(parent.0 as usize) {
                    parent.children.push(child);
                }
            }
            self.mark_source(child);
            self.mark_lists(child);
        }
    }

    /// Marks the jobs whose lists an operation on lists uses.
    fn mark_lists(&mut self, operation: NodeId) {
        let job = self.job(operation).filter(|job| self.is_list_job(job));
        let inputs = job.map(|job| job.inputs.clone()).unwrap_or_default();
        for input in inputs {
            if let Input::Node(source) = input
                && let Some(source) = self.job_mut(source)
            {
                source.listed_by.get_or_insert(operation);
            }
        }
    }

    fn mark_source(&mut self, fan_out: NodeId) {
        let over = self.fan_out(fan_out).and_then(|fan_out| fan_out.over);
        if let Some(source) = over.and_then(|over| self.job_mut(over)) {
            source.looped_by.get_or_insert(fan_out);
        }
    }
}

/// Bytes of a step in memory, most of them in texts. Its code is elsewhere.
fn step_bytes(step: &Step) -> usize {
    let Settings { scope, allow, requires, files, keywords, .. } = &step.settings;
    let texts = [&step.name, &step.function, scope].into_iter().chain(requires).chain(files).map(String::len);
    let allowed = allow.iter().map(|capability| {
        let (Capability::Net(text)
        | Capability::Tcp(text)
        | Capability::Bucket(text)
        | Capability::Secret(text)
        | Capability::Postgres(text)
        | Capability::Env(text)) = capability;
        size_of_val(capability) + text.len()
    });
    let keywords = keywords.as_ref().map_or(0, bytes::Bytes::len);
    size_of_val(step) + texts.chain(allowed).sum::<usize>() + keywords
}

/// Bytes of a node in memory.
fn node_bytes(node: &GraphNode) -> usize {
    let links = (node.parents.len() + node.children.len()) * size_of::<NodeId>();
    let content = match &node.kind {
        NodeKind::Loop(node) => node.variable.len() + node.text.len(),
        NodeKind::Job(job) => job.inputs.iter().map(input_bytes).sum(),
    };
    size_of_val(node) + links + content
}

fn input_bytes(input: &Input) -> usize {
    let literal = if let Input::Literal(bytes) = input { bytes.len() } else { 0 };
    size_of_val(input) + literal
}

/// Checks everything but the nodes.
fn check_header(plan: &Plan, code: &[BlobRef]) -> Result<(), PlanError> {
    if plan.version != PLAN_VERSION {
        return Err(PlanError::Version { version: plan.version });
    }
    if plan.steps.len() != code.len() {
        return Err(PlanError::Code { steps: plan.steps.len(), bundles: code.len() });
    }
    if plan.calls.len() > MAX_NODES || plan.steps.len() > MAX_NODES {
        return Err(PlanError::TooManyNodes { limit: MAX_NODES });
    }
    if !plan.params.is_empty() {
        return Err(PlanError::Params);
    }
    plan.steps.iter().try_for_each(check_step)
}

fn check_step(step: &Step) -> Result<(), PlanError> {
    let refuse = |problem| Err(PlanError::Step { step: step.name.clone(), problem });
    if step.name.len() > MAX_NAME {
        return Err(PlanError::LongName { limit: MAX_NAME });
    }
    let max_function = if step.language.has_table() { MAX_TABLE_BYTES } else { MAX_NAME };
    if step.function.len() > max_function {
        return Err(PlanError::LongName { limit: max_function });
    }
    if step.settings.scope.is_empty() || step.settings.scope.len() > MAX_NAME {
        return refuse("its scope is empty or too long");
    }
    if !(step.settings.timeout_s > 0.0 && step.settings.timeout_s.is_finite()) {
        return refuse("its `!timeout` is not a positive number of seconds");
    }
    if step.settings.keywords.as_ref().is_some_and(|keywords| keywords.len() > INLINE_LIMIT) {
        return refuse("its `!with` is too long");
    }
    if matches!(step.language, Language::Builtin) && step.function.parse::<ListOperation>().is_err() {
        return refuse("its operation on lists is unknown");
    }
    check_limits(&step.settings).map_or(Ok(()), refuse)
}

/// Returns what is wrong with the `!rate` and `!at_most` of a step.
fn check_limits(settings: &Settings) -> Option<&'static str> {
    let (rate, at_most) = (settings.rate.as_ref(), settings.at_most.as_ref());
    if settings.counted_by().is_some_and(|field| field.is_empty() || field.len() > MAX_NAME) {
        return Some("the field its `!rate` or `!at_most` counts by is empty or too long");
    }
    if rate.is_some_and(|rate| rate.count == 0 || rate.per_ms == 0) {
        return Some("its `!rate` lets nothing start");
    }
    if at_most.is_some_and(|at_most| at_most.count == 0) {
        return Some("its `!at_most` lets nothing run");
    }
    let counted_apart = rate.zip(at_most).is_some_and(|(rate, at_most)| rate.by != at_most.by);
    counted_apart.then_some("its `!rate` and `!at_most` count by different fields")
}

/// Flattens the tree of nodes, one block after the other.
#[derive(Default)]
struct Flattener {
    steps: usize,
    calls: usize,
    inputs: usize,
    nodes: Vec<Option<GraphNode>>,
    blocks: Vec<Block>,
    finally: Option<NodeId>,
}

impl Flattener {
    fn add_block(
        &mut self,
        owner: Option<NodeId>,
        mut nodes: Vec<Node>,
        depth: usize,
    ) -> Result<BlockIndex, PlanError> {
        if depth > MAX_DEPTH {
            return Err(PlanError::TooDeep { limit: MAX_DEPTH });
        }
        nodes.sort_by_key(Node::id);
        let block = self.blocks.len();
        self.blocks.push(Block { owner, nodes: nodes.iter().map(Node::id).collect() });
        for (offset, node) in (0..).zip(nodes) {
            let id = node.id();
            let (kind, parents) = match node {
                Node::Job(job) => {
                    let parents = parents_of(&job.inputs);
                    self.check_job(job.id, job.step, job.call, job.inputs.len())?;
                    let (step, call, inputs) = (job.step, job.call, job.inputs);
                    (
                        NodeKind::Job(GraphJob {
                            step,
                            call,
                            inputs,
                            looped_by: None,
                            listed_by: None,
                            handler: None,
                            handles: None,
                        }),
                        parents,
                    )
                }
                Node::ForEach(fan_out) => (self.add_loop(fan_out, depth)?, Vec::new()),
                Node::Finally(finally) => (self.add_finally(finally, depth)?, Vec::new()),
            };
            let parents = match &kind {
                NodeKind::Loop(fan_out) => fan_out.over.into_iter().collect(),
                NodeKind::Job(_) => parents,
            };
            self.insert(id, GraphNode { block, offset, parents, children: Vec::new(), kind })?;
        }
        Ok(block)
    }

    fn add_loop(&mut self, fan_out: ForEach, depth: usize) -> Result<NodeKind, PlanError> {
        if fan_out.variable.len() > MAX_NAME {
            return Err(PlanError::LongName { limit: MAX_NAME });
        }
        if fan_out.window.is_some_and(|window| !(1..=MAX_WINDOW).contains(&window)) {
            return Err(PlanError::BadWindow { node: fan_out.id, limit: MAX_WINDOW });
        }
        let body = self.add_block(Some(fan_out.id), fan_out.body, depth + 1)?;
        let text = format!("for {} in … (line {})", fan_out.variable, fan_out.line);
        let ForEach { over, gather, window, variable, line, .. } = fan_out;
        Ok(NodeKind::Loop(GraphLoop { over: Some(over), body, gather, window, variable, line, text }))
    }

    /// There is one at most, at the top level. A body without jobs would have no end of its own.
    fn add_finally(&mut self, finally: Finally, depth: usize) -> Result<NodeKind, PlanError> {
        let Finally { id, line, body } = finally;
        if depth > 0 || self.finally.is_some() || body.is_empty() {
            return Err(PlanError::BadFinally { node: id });
        }
        self.finally = Some(id);
        let body = self.add_block(Some(id), body, depth + 1)?;
        let text = format!("finally (line {line})");
        let variable = "run".to_owned();
        Ok(NodeKind::Loop(GraphLoop { over: None, body, gather: None, window: None, variable, line, text }))
    }

    fn check_job(&mut self, id: NodeId, step: StepIndex, call: CallIndex, inputs: usize) -> Result<(), PlanError> {
        self.inputs = self.inputs.saturating_add(inputs);
        if self.inputs > MAX_INPUTS {
            return Err(PlanError::TooManyInputs { limit: MAX_INPUTS });
        }
        match step.get() < self.steps && call.get() < self.calls {
            true => Ok(()),
            false => Err(PlanError::NoSuchStep { node: id }),
        }
    }

    fn insert(&mut self, id: NodeId, node: GraphNode) -> Result<(), PlanError> {
        let index = id.0 as usize;
        if index >= MAX_NODES {
            return Err(PlanError::TooManyNodes { limit: MAX_NODES });
        }
        if index >= self.nodes.len() {
            self.nodes.resize_with(index + 1, || None);
        }
        match self.nodes.get_mut(index) {
            Some(free @ None) => *free = Some(node),
            _ => return Err(PlanError::DuplicateId { node: id }),
        }
        Ok(())
    }

    /// Returns all nodes, if their ids have no gap.
    fn finish(&mut self) -> Result<Vec<GraphNode>, PlanError> {
        let nodes: Option<Vec<_>> = std::mem::take(&mut self.nodes).into_iter().collect();
        nodes.ok_or(PlanError::IdGap)
    }
}

/// Returns the nodes that a job with these inputs waits for. The element of a round exists when the round does.
fn parents_of(inputs: &[Input]) -> Vec<NodeId> {
    let parents: BTreeSet<_> = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Node(node) | Input::Gather(node) => Some(*node),
            Input::Loop(_)
            | Input::LoopPart(..)
            | Input::Literal(_)
            | Input::Param(_)
            | Input::Failure(_)
            | Input::Run(_) => None,
        })
        .collect();
    parents.into_iter().collect()
}

/// Returns the job for whose failure a job with these inputs is called.
fn handled_by(inputs: &[Input]) -> Option<NodeId> {
    match inputs {
        [Input::Failure(job)] => Some(*job),
        _ => None,
    }
}
