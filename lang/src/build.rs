//! A tree to a plan: names looked up, settings added up, calls turned into jobs.
//!
//! Definitions of a block are known in all of it, calls bind their results downwards. One walk does both the checking and
//! the building, because both need to know which job a name means; after an error it goes on, to find the others.

mod call;
mod define;
mod looping;
mod missing;

use std::collections::{HashMap, HashSet};

use bue_model::plan::{PLAN_VERSION, Plan};
use bue_model::{Node, NodeId};

use crate::code;
use crate::definition::{PipeEntry, StepEntry};
use crate::diagnostic::{DiagnosticBuilder, Diagnostics};
use crate::names::{Binding, Definition, Names};
use crate::parse::Tree;
use crate::source::Span;
use crate::suggest::Suggester;
use crate::tree::{Block, Statement};

/// Most jobs and loops a script may write down. A million elements are a loop's business.
pub const MAX_NODES: u32 = 1_000_000;

/// Most bytes of code, names and settings in a plan. A script of a megabyte can say the same code a hundred thousand times.
pub const MAX_PLAN_BYTES: usize = 64 * 1024 * 1024;

/// What became of a tree.
pub(crate) struct Built<'t> {
    /// Of use only if nothing was reported.
    pub(crate) plan: Plan,
    /// Every step of the script, used or not.
    pub(crate) steps: Vec<StepEntry<'t>>,
    /// Of each call of the plan, in its order.
    pub(crate) calls: Vec<Span>,
}

/// Walks a tree. `cut` says that code swallowed the end of the file, so that missing names prove nothing.
pub(crate) fn build<'t>(tree: &'t Tree<'_>, cut: bool, diagnostics: &mut Diagnostics<'_>) -> Built<'t> {
    let mut builder = Builder {
        diagnostics,
        steps: Vec::new(),
        pipes: Vec::new(),
        definitions: Names::new(),
        results: Names::new(),
        results_of_file: HashMap::new(),
        ended: HashMap::new(),
        ended_definitions: HashMap::new(),
        lost: &tree.lost,
        cut,
        suggester: Suggester::default(),
        plan: Plan { version: PLAN_VERSION, steps: Vec::new(), nodes: Vec::new(), calls: Vec::new() },
        calls: Vec::new(),
        nodes: 0,
        bytes_left: MAX_PLAN_BYTES,
        full: false,
        headless: 0,
        source_of: None,
    };
    builder.collect_results(&tree.block);
    let nodes = builder.block(&tree.block, &define::file_settings());
    builder.check_pipes();
    builder.warn_of_unused();
    builder.plan.nodes = nodes;
    Built { plan: builder.plan, steps: builder.steps, calls: builder.calls }
}

struct Builder<'t, 'c, 's> {
    diagnostics: &'c mut Diagnostics<'s>,
    steps: Vec<StepEntry<'t>>,
    pipes: Vec<PipeEntry<'t>>,
    definitions: Names<'t, Definition>,
    results: Names<'t, Binding>,
    /// Where each result of the file is bound first.
    results_of_file: HashMap<&'t str, Span>,
    /// Results of loop bodies that have ended, and where they were bound.
    ended: HashMap<&'t str, Span>,
    /// Steps and pipes of loop bodies that have ended.
    ended_definitions: HashMap<&'t str, Definition>,
    lost: &'t HashSet<&'t str>,
    cut: bool,
    suggester: Suggester,
    plan: Plan,
    /// Where the plan's calls stand.
    calls: Vec<Span>,
    /// Ids given.
    nodes: u32,
    bytes_left: usize,
    /// The plan is too large, and that has been said.
    full: bool,
    /// Loops around the current line whose variable could not be read.
    headless: u32,
    /// The variable of the loop whose source is being looked at.
    source_of: Option<&'t str>,
}

impl<'t> Builder<'t, '_, '_> {
    /// The nodes of a block's calls and loops.
    fn block(&mut self, block: &'t Block<'_>, settings: &define::Surroundings) -> Vec<Node> {
        self.definitions.enter();
        self.results.enter();
        let bodies = self.define(block, settings);
        let nodes = self.statements(block, bodies);
        self.ended_definitions.extend(self.definitions.leave());
        self.results.leave();
        nodes
    }

    fn statements(&mut self, block: &'t Block<'_>, bodies: Vec<define::Surroundings>) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut bodies = bodies.into_iter();
        for statement in &block.statements {
            if self.diagnostics.is_full() {
                break;
            }
            match statement {
                Statement::Call(call) => self.call_statement(call, &mut nodes),
                Statement::Gather(gather) => self.gather(gather, &mut nodes),
                Statement::Loop(body) => {
                    let settings = bodies.next().unwrap_or_default();
                    self.for_loop(body, &settings, &mut nodes);
                }
                Statement::Tab
                | Statement::Setting(_)
                | Statement::Step(_)
                | Statement::Import(_)
                | Statement::Pipe(_) => {}
            }
        }
        nodes
    }

    fn report(&mut self, diagnostic: DiagnosticBuilder) {
        self.diagnostics.add(diagnostic);
    }

    /// The next id, or `None` if the plan is full.
    fn new_node(&mut self, at: Span) -> Option<NodeId> {
        if self.nodes == MAX_NODES {
            self.too_large(at, format!("this script makes more than {MAX_NODES} jobs"));
            return None;
        }
        self.nodes += 1;
        Some(NodeId(self.nodes - 1))
    }

    /// Takes bytes from what a plan may hold.
    fn spend(&mut self, at: Span, bytes: usize) -> Option<()> {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.unwrap_or_default();
        if left.is_none() {
            self.too_large(at, format!("the steps of this script come to more than {MAX_PLAN_BYTES} bytes"));
        }
        left.map(drop)
    }

    fn too_large(&mut self, at: Span, message: String) {
        if !self.full {
            self.full = true;
            self.report(
                DiagnosticBuilder::new(code::PLAN_TOO_LARGE, at, message)
                    .hint("many jobs alike are a loop: `for x in list():`"),
            );
        }
    }
}
