//! The walk over the tree of a script, with what it collects.
//!
//! Definitions are visible in their whole block, results from their call downwards. One walk both checks and builds, because
//! both need to know which job a name means; it continues after an error, to find the others.

use std::collections::{HashMap, HashSet};

use bue_model::plan::{PLAN_VERSION, Plan};
use bue_model::{Node, NodeId, ParamIndex};

use super::definition::{FusionEntry, PipeEntry, StepEntry};
use super::inherited::InheritedSettings;
use super::symbol_table::{BoundResult, Definition, SymbolTable};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::list::Diagnostics;
use crate::diagnostics::suggest::Suggester;
use crate::source::Span;
use crate::syntax::tree::{Block, Statement, Tree};

/// Most jobs and loops that a script may write down. To run a step on a million elements, use a loop.
pub const MAX_NODES: u32 = 1_000_000;

/// Most bytes of code, names and settings in a plan. A script of a megabyte can repeat the same code a hundred thousand times.
pub const MAX_PLAN_BYTES: usize = 64 * 1024 * 1024;

/// The result of building a tree.
pub(crate) struct Built<'t> {
    /// Meaningful only if there was no error.
    pub(crate) plan: Plan,
    /// Every step of the script, used or not.
    pub(crate) steps: Vec<StepEntry<'t>>,
    /// The span of each call of the plan, in its order.
    pub(crate) calls: Vec<Span>,
    /// The span of the name of each parameter.
    pub(crate) param_spans: Vec<Span>,
}

/// Builds the plan of a tree. If the script is `truncated`, because unclosed code extends to its end, names that it seems not
/// to define are not reported.
pub(crate) fn build<'t>(tree: &'t Tree<'_>, truncated: bool, diagnostics: &mut Diagnostics<'_>) -> Built<'t> {
    let mut builder = Builder {
        diagnostics,
        steps: Vec::new(),
        pipes: Vec::new(),
        fusions: Vec::new(),
        fusion_positions: HashMap::new(),
        definitions: SymbolTable::new(),
        results: SymbolTable::new(),
        first_bindings: HashMap::new(),
        ended_results: HashMap::new(),
        ended_definitions: HashMap::new(),
        unparsed_words: &tree.unparsed_words,
        truncated,
        suggester: Suggester::default(),
        plan: Plan {
            version: PLAN_VERSION,
            steps: Vec::new(),
            nodes: Vec::new(),
            calls: Vec::new(),
            params: Vec::new(),
        },
        calls: Vec::new(),
        param_spans: Vec::new(),
        used_params: HashSet::new(),
        nodes: 0,
        bytes_left: MAX_PLAN_BYTES,
        plan_is_full: false,
        loops_without_variable: 0,
        loop_source_variables: Vec::new(),
        finally: None,
        is_in_finally: false,
        outside_finally: HashSet::new(),
    };
    builder.collect_first_bindings(&tree.block);
    let nodes = builder.block(&tree.block, &InheritedSettings::default());
    builder.check_pipes();
    builder.warn_about_unused();
    builder.plan.nodes = nodes;
    let Builder { plan, steps, calls, param_spans, .. } = builder;
    Built { plan, steps, calls, param_spans }
}

pub(super) struct Builder<'t, 'c, 's> {
    pub(super) diagnostics: &'c mut Diagnostics<'s>,
    pub(super) steps: Vec<StepEntry<'t>>,
    pub(super) pipes: Vec<PipeEntry<'t>>,
    pub(super) fusions: Vec<FusionEntry>,
    /// The position of each fusion, by its stages.
    pub(super) fusion_positions: HashMap<Vec<usize>, usize>,
    pub(super) definitions: SymbolTable<'t, Definition>,
    pub(super) results: SymbolTable<'t, BoundResult>,
    /// Where each result of the file is bound first.
    pub(super) first_bindings: HashMap<&'t str, Span>,
    /// Results of loop bodies that have ended, and where they were bound.
    pub(super) ended_results: HashMap<&'t str, Span>,
    /// Steps and pipes of loop bodies that have ended.
    pub(super) ended_definitions: HashMap<&'t str, Definition>,
    pub(super) unparsed_words: &'t HashSet<&'t str>,
    pub(super) truncated: bool,
    pub(super) suggester: Suggester,
    pub(super) plan: Plan,
    /// The spans of the plan's calls.
    pub(super) calls: Vec<Span>,
    /// The span of the name of each parameter.
    pub(super) param_spans: Vec<Span>,
    pub(super) used_params: HashSet<ParamIndex>,
    /// Number of ids assigned.
    pub(super) nodes: u32,
    pub(super) bytes_left: usize,
    /// Whether it was reported that the plan is too large.
    pub(super) plan_is_full: bool,
    /// Number of loops around the current line whose variable could not be parsed.
    pub(super) loops_without_variable: u32,
    /// The variables of the loop whose source is being built.
    pub(super) loop_source_variables: Vec<&'t str>,
    /// The word that begins the `finally` block.
    pub(super) finally: Option<Span>,
    pub(super) is_in_finally: bool,
    /// Results that are visible around the `finally` block, but not in it.
    pub(super) outside_finally: HashSet<&'t str>,
}

impl<'t> Builder<'t, '_, '_> {
    /// The nodes of a block's calls and inner blocks.
    pub(super) fn block(&mut self, block: &'t Block<'_>, settings: &InheritedSettings) -> Vec<Node> {
        self.definitions.enter();
        self.results.enter();
        let bodies = self.define(block, settings);
        let nodes = self.statements(block, bodies);
        self.ended_definitions.extend(self.definitions.leave());
        self.results.leave();
        nodes
    }

    fn statements(&mut self, block: &'t Block<'_>, bodies: Vec<InheritedSettings>) -> Vec<Node> {
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
                Statement::Finally(finally) => {
                    let settings = bodies.next().unwrap_or_default();
                    self.finally_block(finally, &settings, &mut nodes);
                }
                Statement::Param(param) => self.declare_param(param),
                Statement::Tab
                | Statement::Setting(_)
                | Statement::Step(_)
                | Statement::Import(_)
                | Statement::Pipe(_) => {}
            }
        }
        nodes
    }

    pub(super) fn report(&mut self, diagnostic: DiagnosticBuilder) {
        self.diagnostics.add(diagnostic);
    }

    /// The next id, or `None` if the plan is full.
    pub(super) fn new_node(&mut self, at: Span) -> Option<NodeId> {
        if self.nodes == MAX_NODES {
            self.too_large(at, format!("this script makes more than {MAX_NODES} jobs"));
            return None;
        }
        self.nodes += 1;
        Some(NodeId(self.nodes - 1))
    }

    /// Counts bytes against [`MAX_PLAN_BYTES`]; `None` if they do not fit.
    pub(super) fn charge_budget(&mut self, at: Span, bytes: usize) -> Option<()> {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.unwrap_or_default();
        if left.is_none() {
            self.too_large(at, format!("the steps of this script take more than {MAX_PLAN_BYTES} bytes"));
        }
        left.map(drop)
    }

    fn too_large(&mut self, at: Span, message: String) {
        if !self.plan_is_full {
            self.plan_is_full = true;
            self.report(
                DiagnosticBuilder::new(codes::PLAN_TOO_LARGE, at, message)
                    .hint("write many similar jobs as a loop: `for x in list():`"),
            );
        }
    }
}
