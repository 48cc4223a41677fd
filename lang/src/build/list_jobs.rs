//! What loops run over: the result of a call, or a list that a job makes of several: `a() + b()`, `zip(a(), b())`,
//! `flatten(a())`, `a() !chunk 64`.

use std::collections::HashMap;

use bue_model::plan::{Call as PlanCall, Settings, Source, Step};
use bue_model::{CallIndex, Input, JobNode, Language, ListOperation, Node, NodeId, StepIndex};

use super::builder::Builder;
use super::call::CallRole;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::tree::{Argument, Call, LoopHead, LoopSource, Name};

/// Longest name of a job that makes a list, in bytes. Names appear in tables.
const MAX_NAME: usize = 200;

/// Most bytes of the names of the variables of one loop. Hubs refuse more.
const MAX_VARIABLES: usize = 1000;

/// A list that a loop can run over.
struct List {
    /// The job whose result it is.
    job: NodeId,
    /// For messages and tables: `a`, `zip(a, b)`.
    name: String,
    /// How many parts its elements have, if they are lists of a known length.
    parts: Option<usize>,
}

impl<'t> Builder<'t, '_, '_> {
    /// Adds the jobs that make the list of a loop. Returns the last one.
    pub(super) fn loop_source(&mut self, head: &'t LoopHead<'_>, nodes: &mut Vec<Node>) -> Option<NodeId> {
        let list = self.list_of_source(&head.source, nodes)?;
        if let Some(diagnostic) = bad_variables(&head.variables) {
            self.report(diagnostic);
            return None;
        }
        let variables = head.variables.len();
        if variables == 1 || list.parts == Some(variables) {
            return Some(list.job);
        }
        let span = head.variables.first()?.span.to(head.variables.last()?.span);
        let message = match list.parts {
            Some(parts) => format!("`{}` has elements of {parts} parts, for {variables} names", list.name),
            None => format!("an element of `{}` has one value, for {variables} names", list.name),
        };
        let diagnostic = DiagnosticBuilder::new(codes::INVALID_SOURCE, span, message);
        self.report(diagnostic.hint("write a name for each list: `for x, y in zip(a(), b()):`"));
        None
    }

    fn list_of_source(&mut self, source: &'t LoopSource<'_>, nodes: &mut Vec<Node>) -> Option<List> {
        let lists = self.lists(source.calls.iter(), nodes)?;
        let mut list = match source.calls.len() {
            1 => lists.into_iter().next()?,
            _ => {
                let name = joined(&lists, " + ");
                self.list_job(ListOperation::Merge, &lists, name, source.span, nodes)?
            }
        };
        if let Some(size) = source.chunk {
            let name = format!("{} !chunk {size}", list.name);
            list = self.list_job(ListOperation::Chunk(size), &[list], name, source.span, nodes)?;
        }
        Some(list)
    }

    /// All of them, even if there is a mistake in one.
    fn lists(&mut self, calls: impl Iterator<Item = &'t Call<'t>>, nodes: &mut Vec<Node>) -> Option<Vec<List>> {
        let lists: Vec<Option<List>> = calls.map(|call| self.list_of_call(call, nodes)).collect();
        lists.into_iter().collect()
    }

    /// A call of a step or pipe, or `zip(…)` or `flatten(…)` if the script defines no such name.
    fn list_of_call(&mut self, call: &'t Call<'_>, nodes: &mut Vec<Node>) -> Option<List> {
        let operation = list_function(&call.target.text).filter(|_| self.definitions.get(&call.target.text).is_none());
        let Some(operation) = operation else {
            let job = self.call(call, CallRole::Statement(None), nodes)?;
            return Some(List { job, name: call.target.text.to_string(), parts: None });
        };
        let takes_one = operation == ListOperation::Flatten;
        let fits = if takes_one { call.arguments.len() == 1 } else { call.arguments.len() > 1 };
        if !fits {
            let takes = if takes_one { "one list" } else { "two lists or more" };
            let message = format!("`{}` takes {takes}, and gets {}", call.target.text, call.arguments.len());
            self.report(DiagnosticBuilder::new(codes::INVALID_SOURCE, call.span, message).hint(example(operation)));
            return None;
        }
        let mut calls = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            calls.push(self.call_argument(argument, operation)?);
        }
        let lists = self.lists(calls.into_iter(), nodes)?;
        let parts = (!takes_one).then_some(lists.len());
        let name = format!("{}({})", call.target.text, joined(&lists, ", "));
        Some(List { parts, ..self.list_job(operation, &lists, name, call.span, nodes)? })
    }

    fn call_argument(&mut self, argument: &'t Argument<'_>, operation: ListOperation) -> Option<&'t Call<'t>> {
        let span = match argument {
            Argument::Call(call) => return Some(call),
            Argument::Name(name) => name.span,
            Argument::Literal(literal) => literal.span,
        };
        let diagnostic = DiagnosticBuilder::new(codes::INVALID_SOURCE, span, "this is not a call");
        self.report(diagnostic.hint(example(operation)));
        None
    }

    /// Adds the job that makes a list of others. It runs where the first of them comes from.
    fn list_job(
        &mut self,
        operation: ListOperation,
        sources: &[List],
        name: String,
        at: Span,
        nodes: &mut Vec<Node>,
    ) -> Option<List> {
        let name = shortened(name);
        let id = self.new_node(at)?;
        self.charge_budget(at, size_of::<Step>() + name.len())?;
        let line = self.diagnostics.lines.line(at.start);
        let settings = sources.first().and_then(|source| self.place_of(source.job, nodes)).unwrap_or_default();
        let step = StepIndex(u32::try_from(self.plan.steps.len()).ok()?);
        self.plan.steps.push(Step {
            name: name.clone(),
            language: Language::Builtin,
            function: operation.to_string(),
            source: Source::Inline { text: String::new(), line },
            line,
            settings,
        });
        let call = CallIndex(u32::try_from(self.plan.calls.len()).ok()?);
        let inputs = sources.iter().map(|source| Input::Node(source.job)).collect();
        nodes.push(Node::Job(JobNode { id, step, call, inputs }));
        self.calls.push(at);
        self.plan.calls.push(PlanCall { line, name: None, first: id, last: id, nested: true });
        Some(List { job: id, name, parts: None })
    }

    /// The scope and the priority of a job, which was added to these nodes, and the defaults of all other settings.
    fn place_of(&self, job: NodeId, nodes: &[Node]) -> Option<Settings> {
        let node = nodes.iter().rev().find_map(|node| match node {
            Node::Job(node) if node.id == job => Some(node),
            _ => None,
        })?;
        let Settings { scope, priority, .. } = &self.plan.steps.get(node.step.get())?.settings;
        Some(Settings { scope: scope.clone(), priority: *priority, ..Settings::default() })
    }
}

/// What is wrong with the names of the variables of one loop.
fn bad_variables(variables: &[Name<'_>]) -> Option<DiagnosticBuilder> {
    let mut first: HashMap<&str, Span> = HashMap::new();
    for Name { text, span } in variables {
        if let Some(before) = first.insert(text, *span) {
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_SOURCE, *span, format!("`{text}` is there twice"));
            return Some(diagnostic.label_at(before, "it is this part already").hint("rename one of them"));
        }
    }
    let bytes: usize = first.keys().map(|text| text.len() + 2).sum();
    let span = variables.first()?.span.to(variables.last()?.span);
    let message = format!("these names have more than {MAX_VARIABLES} bytes together");
    let too_long = || DiagnosticBuilder::new(codes::INVALID_SOURCE, span, message);
    (bytes > MAX_VARIABLES).then(too_long)
}

/// The operation that a name means in the head of a loop, unless the script defines it.
pub(super) fn list_function(name: &str) -> Option<ListOperation> {
    match name {
        "zip" => Some(ListOperation::Zip),
        "zip longest" => Some(ListOperation::ZipLongest),
        "flatten" => Some(ListOperation::Flatten),
        _ => None,
    }
}

/// How an operation is written.
pub(super) const fn example(operation: ListOperation) -> &'static str {
    match operation {
        ListOperation::Zip => "`for x, y in zip(a(), b()):`",
        ListOperation::ZipLongest => "`for x, y in zip longest(a(), b()):`",
        ListOperation::Flatten => "`for x in flatten(pages()):`",
        ListOperation::Merge => "`for x in a() + b():`",
        ListOperation::Chunk(_) => "`for batch in a() !chunk 64:`",
    }
}

fn joined(lists: &[List], separator: &str) -> String {
    let names: Vec<&str> = lists.iter().map(|list| list.name.as_str()).collect();
    names.join(separator)
}

fn shortened(mut name: String) -> String {
    if name.len() > MAX_NAME {
        bue_model::text::truncate_bytes(&mut name, MAX_NAME);
        name.push('…');
    }
    name
}
