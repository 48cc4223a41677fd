//! The names that statements bind.

use std::collections::HashMap;

use rustpython_ruff_python_ast::{ExceptHandler, Expr, Parameters, Stmt, StmtClassDef, StmtFunctionDef};

use super::module::{Function, Module, Parameter};

/// The parameter that gets the dict of the job instead of an input.
const JOB_DICT: &str = "mut";

pub(super) fn module(suite: &[Stmt]) -> Module {
    let mut collector = Collector::default();
    collector.suite(suite, "");
    collector.module
}

#[derive(Default)]
struct Collector {
    module: Module,
    indexes: HashMap<String, usize>,
}

impl Collector {
    /// `prefix` is empty, or a class and a dot. Blocks in the same namespace (`if`, `try`, `with`, loops) are included.
    fn suite(&mut self, suite: &[Stmt], prefix: &str) {
        for statement in suite {
            self.statement(statement, prefix);
        }
    }

    fn statement(&mut self, statement: &Stmt, prefix: &str) {
        match statement {
            Stmt::FunctionDef(function) => self.function(function, prefix),
            Stmt::ClassDef(class) => self.class(class, prefix),
            Stmt::Assign(assign) => assign.targets.iter().for_each(|target| self.target(target, prefix)),
            Stmt::AnnAssign(assign) if assign.value.is_some() => self.target(&assign.target, prefix),
            Stmt::Import(import) => {
                for alias in &import.names {
                    let first = alias.name.split('.').next().unwrap_or_default();
                    self.unknown(alias.asname.as_ref().map_or(first, |name| name.as_str()), prefix);
                }
            }
            Stmt::ImportFrom(import) => {
                for alias in &import.names {
                    self.module.open |= alias.name.as_str() == "*";
                    self.unknown(alias.asname.as_ref().unwrap_or(&alias.name).as_str(), prefix);
                }
            }
            Stmt::Expr(expression) => self.module.open |= changes_names(&expression.value),
            other => self.inner_blocks(other, prefix),
        }
    }

    fn inner_blocks(&mut self, statement: &Stmt, prefix: &str) {
        match statement {
            Stmt::If(inner) => {
                self.suite(&inner.body, prefix);
                inner.elif_else_clauses.iter().for_each(|clause| self.suite(&clause.body, prefix));
            }
            Stmt::For(inner) => {
                self.target(&inner.target, prefix);
                self.suite(&inner.body, prefix);
                self.suite(&inner.orelse, prefix);
            }
            Stmt::While(inner) => {
                self.suite(&inner.body, prefix);
                self.suite(&inner.orelse, prefix);
            }
            Stmt::With(inner) => {
                inner
                    .items
                    .iter()
                    .filter_map(|item| item.optional_vars.as_deref())
                    .for_each(|target| self.target(target, prefix));
                self.suite(&inner.body, prefix);
            }
            Stmt::Try(inner) => {
                self.suite(&inner.body, prefix);
                for ExceptHandler::ExceptHandler(handler) in &inner.handlers {
                    self.suite(&handler.body, prefix);
                }
                self.suite(&inner.orelse, prefix);
                self.suite(&inner.finalbody, prefix);
            }
            Stmt::Match(inner) => {
                // patterns bind names too, but not names of steps, so they are not collected
                self.module.open = true;
                inner.cases.iter().for_each(|case| self.suite(&case.body, prefix));
            }
            _ => {}
        }
    }

    fn function(&mut self, function: &StmtFunctionDef, prefix: &str) {
        self.module.open |= prefix.is_empty() && function.name.as_str() == "__getattr__";
        self.module.open |= function.body.iter().any(|statement| matches!(statement, Stmt::Global(_)));
        let ((min_inputs, max_inputs), parameters) = match function.decorator_list.is_empty() {
            true => (inputs(&function.parameters), parameters(&function.parameters)),
            false => ((0, None), None),
        };
        let at = function.name.range.start().into();
        self.add(Function { name: format!("{prefix}{}", function.name), min_inputs, max_inputs, parameters, at });
    }

    fn class(&mut self, class: &StmtClassDef, prefix: &str) {
        let name = format!("{prefix}{}", class.name);
        let at = class.name.range.start().into();
        self.add(Function { name: name.clone(), min_inputs: 0, max_inputs: None, parameters: None, at });
        if class.arguments.is_some() || !class.decorator_list.is_empty() {
            self.module.opaque.push(name.clone());
        }
        self.suite(&class.body, &format!("{name}."));
    }

    fn target(&mut self, target: &Expr, prefix: &str) {
        match target {
            Expr::Name(name) => self.unknown(name.id.as_str(), prefix),
            Expr::Tuple(tuple) => tuple.elts.iter().for_each(|inner| self.target(inner, prefix)),
            Expr::List(list) => list.elts.iter().for_each(|inner| self.target(inner, prefix)),
            Expr::Starred(starred) => self.target(&starred.value, prefix),
            Expr::Attribute(attribute) => self.opaque_owner(&attribute.value),
            // `globals()["name"] = …`
            Expr::Subscript(subscript) => self.module.open |= changes_names(&subscript.value),
            _ => {}
        }
    }

    /// `Class.later = …`: the attributes of the class are no longer known.
    fn opaque_owner(&mut self, owner: &Expr) {
        if let Expr::Name(name) = owner {
            self.module.opaque.push(name.id.to_string());
        }
    }

    /// A name that may refer to anything.
    fn unknown(&mut self, name: &str, prefix: &str) {
        let name = format!("{prefix}{name}");
        self.add(Function { name: name.clone(), min_inputs: 0, max_inputs: None, parameters: None, at: 0 });
        self.module.opaque.push(name);
    }

    /// A function defined twice takes the inputs of either definition: which one counts may depend on an `if`.
    fn add(&mut self, function: Function) {
        let known = self.indexes.get(&function.name).and_then(|index| self.module.functions.get_mut(*index));
        if let Some(known) = known {
            known.min_inputs = known.min_inputs.min(function.min_inputs);
            known.max_inputs = known.max_inputs.zip(function.max_inputs).map(|(one, other)| one.max(other));
            known.parameters = known.parameters.take().filter(|known| Some(known) == function.parameters.as_ref());
            return;
        }
        self.indexes.insert(function.name.clone(), self.module.functions.len());
        self.module.functions.push(function);
    }
}

/// Fewest and most inputs. A keyword-only parameter without a default cannot be passed: calling such a function fails, and
/// Python's own error message is better.
fn inputs(parameters: &Parameters) -> (u32, Option<u32>) {
    let positional = parameters.posonlyargs.iter().chain(&parameters.args);
    let inputs: Vec<_> = positional.filter(|one| one.parameter.name.as_str() != JOB_DICT).collect();
    let needed = inputs.iter().filter(|one| one.default.is_none()).count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let most = parameters.vararg.is_none().then(|| count(inputs.len()));
    (count(needed), most)
}

/// The parameters, without the one for the dict of the job; `None` if there is `**kwargs`.
fn parameters(parameters: &Parameters) -> Option<Vec<Parameter>> {
    let positional = parameters.posonlyargs.iter().map(|one| (one, false));
    let positional = positional.chain(parameters.args.iter().map(|one| (one, true)));
    let positional = positional.filter(|(one, _)| one.parameter.name.as_str() != JOB_DICT);
    let positional = (0..).zip(positional).map(|(at, (one, by_name))| (one, Some(at), by_name));
    let by_name = parameters.kwonlyargs.iter().map(|one| (one, None, true));
    let by_name = by_name.filter(|(one, ..)| one.parameter.name.as_str() != JOB_DICT);
    let all = positional.chain(by_name).map(|(one, position, by_name)| Parameter {
        name: one.parameter.name.to_string(),
        position,
        by_name,
        is_required: one.default.is_none(),
    });
    parameters.kwarg.is_none().then(|| all.collect())
}

/// Returns whether the expression is a call that can bind any name.
fn changes_names(expression: &Expr) -> bool {
    let Expr::Call(call) = expression else { return false };
    match &*call.func {
        Expr::Name(name) => ["exec", "setattr", "globals", "vars", "locals"].contains(&name.id.as_str()),
        Expr::Attribute(attribute) => changes_names(&attribute.value),
        _ => false,
    }
}
