//! Finds the imports and calls of each function of a module, and which of them are certainly executed.

use core::ops::Range;
use std::collections::{BTreeSet, HashMap, HashSet};

use rustpython_ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use rustpython_ruff_python_ast::{
    Alias, ExceptHandler, Expr, ExprCall, Stmt, StmtClassDef, StmtFunctionDef, StmtImportFrom, StmtTry, StmtWith,
};

use super::scope::{Call, Import, Scope, ScopeName};

pub(super) fn scopes(suite: &[Stmt]) -> Vec<Scope> {
    let mut scanner = Scanner {
        scopes: vec![empty(ScopeName::Module)],
        current: 0,
        class: None,
        is_certain: true,
        aliases: HashMap::new(),
        bound: HashSet::new(),
    };
    scanner.visit_body(suite);
    scanner.finish()
}

struct Scanner {
    scopes: Vec<Scope>,
    /// Index of the scope whose code is visited.
    current: usize,
    /// The class around the code, if a function there is a method.
    class: Option<String>,
    is_certain: bool,
    /// What each imported name stands for: `sp` for `subprocess`.
    aliases: HashMap<String, String>,
    /// Names that the module binds in another way, so that they may stand for anything.
    bound: HashSet<String>,
}

fn empty(name: ScopeName) -> Scope {
    Scope { name, imports: Vec::new(), calls: Vec::new(), names: BTreeSet::new() }
}

impl Visitor<'_> for Scanner {
    fn visit_body(&mut self, body: &[Stmt]) {
        let before = self.is_certain;
        for statement in body {
            self.visit_stmt(statement);
            self.is_certain &= !may_leave(statement, false) && !matches!(statement, Stmt::Raise(_));
        }
        self.is_certain = before;
    }

    fn visit_stmt(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Import(import) => import.names.iter().for_each(|alias| self.import(alias)),
            Stmt::ImportFrom(import) => self.import_from(import),
            Stmt::FunctionDef(function) => self.function(function),
            Stmt::ClassDef(class) => self.class(class),
            Stmt::If(inner) => {
                self.visit_expr(&inner.test);
                self.perhaps(|scanner| {
                    scanner.visit_body(&inner.body);
                    inner.elif_else_clauses.iter().for_each(|clause| scanner.visit_body(&clause.body));
                });
            }
            Stmt::Match(inner) => {
                self.visit_expr(&inner.subject);
                self.perhaps(|scanner| inner.cases.iter().for_each(|case| scanner.visit_body(&case.body)));
            }
            Stmt::Try(inner) => self.try_statement(inner),
            Stmt::With(inner) => self.with_statement(inner),
            _ => walk_stmt(self, statement),
        }
    }

    fn visit_expr(&mut self, expression: &Expr) {
        match expression {
            Expr::Call(call) => self.call(call),
            Expr::Name(name) if name.ctx.is_load() => self.used(name.id.as_str()),
            Expr::Name(name) => drop(self.bound.insert(name.id.to_string())),
            Expr::Attribute(attribute) => self.used(attribute.attr.as_str()),
            _ => {}
        }
        match expression {
            Expr::Lambda(_) => self.perhaps(|scanner| walk_expr(scanner, expression)),
            Expr::If(inner) => {
                self.visit_expr(&inner.test);
                self.perhaps(|scanner| {
                    scanner.visit_expr(&inner.body);
                    scanner.visit_expr(&inner.orelse);
                });
            }
            Expr::BoolOp(inner) => {
                inner.values.iter().take(1).for_each(|value| self.visit_expr(value));
                self.perhaps(|scanner| inner.values.iter().skip(1).for_each(|value| scanner.visit_expr(value)));
            }
            _ => walk_expr(self, expression),
        }
    }
}

impl Scanner {
    /// Visits code that may not be executed, or whose failure is caught.
    fn perhaps(&mut self, visit: impl FnOnce(&mut Self)) {
        let before = core::mem::replace(&mut self.is_certain, false);
        visit(self);
        self.is_certain = before;
    }

    fn scope(&mut self) -> Option<&mut Scope> {
        self.scopes.get_mut(self.current)
    }

    fn used(&mut self, name: &str) {
        if self.is_certain
            && let Some(scope) = self.scope()
        {
            scope.names.insert(name.to_owned());
        }
    }

    fn function(&mut self, function: &StmtFunctionDef) {
        let name = function.name.to_string();
        self.bound.insert(name.clone());
        function.decorator_list.iter().for_each(|decorator| self.visit_expr(&decorator.expression));
        self.visit_parameters(&function.parameters);
        let names = function.parameters.iter().map(|parameter| parameter.name().to_string());
        self.bound.extend(names);
        let class = self.class.take();
        let scope = match &class {
            Some(class) => ScopeName::Method(class.clone(), name),
            None => ScopeName::Function(name),
        };
        self.scopes.push(empty(scope));
        let current = core::mem::replace(&mut self.current, self.scopes.len() - 1);
        let is_certain = core::mem::replace(&mut self.is_certain, true);
        self.visit_body(&function.body);
        (self.class, self.current, self.is_certain) = (class, current, is_certain);
    }

    /// The body of a class is executed where it stands.
    fn class(&mut self, class: &StmtClassDef) {
        self.bound.insert(class.name.to_string());
        class.decorator_list.iter().for_each(|decorator| self.visit_expr(&decorator.expression));
        class.arguments.iter().for_each(|arguments| self.visit_arguments(arguments));
        let outer = self.class.replace(class.name.to_string());
        self.visit_body(&class.body);
        self.class = outer;
    }

    fn try_statement(&mut self, statement: &StmtTry) {
        match statement.handlers.is_empty() {
            true => self.visit_body(&statement.body),
            false => self.perhaps(|scanner| scanner.visit_body(&statement.body)),
        }
        self.perhaps(|scanner| {
            for ExceptHandler::ExceptHandler(handler) in &statement.handlers {
                scanner.visit_body(&handler.body);
            }
            scanner.visit_body(&statement.orelse);
        });
        self.visit_body(&statement.finalbody);
    }

    fn with_statement(&mut self, statement: &StmtWith) {
        statement.items.iter().for_each(|item| self.visit_with_item(item));
        let suppresses = statement.items.iter().any(|item| match &item.context_expr {
            Expr::Call(call) => dotted(&call.func).is_some_and(|name| name.ends_with("suppress")),
            _ => false,
        });
        match suppresses {
            true => self.perhaps(|scanner| scanner.visit_body(&statement.body)),
            false => self.visit_body(&statement.body),
        }
    }

    fn import(&mut self, alias: &Alias) {
        let module = alias.name.to_string();
        match &alias.asname {
            Some(name) => self.alias(name.as_str(), &module),
            None => {
                let first = module.split('.').next().unwrap_or_default();
                self.alias(first, first);
            }
        }
        let range = alias.range.start().into()..alias.range.end().into();
        self.add_import(0, module, Vec::new(), range);
    }

    fn import_from(&mut self, import: &StmtImportFrom) {
        let module = import.module.as_ref().map(ToString::to_string).unwrap_or_default();
        for alias in &import.names {
            let name = alias.asname.as_ref().unwrap_or(&alias.name).as_str();
            match import.level {
                0 => self.alias(name, &format!("{module}.{}", alias.name)),
                _ => drop(self.bound.insert(name.to_owned())),
            }
        }
        let names = import.names.iter().map(|alias| alias.name.to_string()).collect();
        let range = import.range.start().into()..import.range.end().into();
        self.add_import(import.level, module, names, range);
    }

    fn add_import(&mut self, level: u32, module: String, names: Vec<String>, range: Range<u32>) {
        let is_certain = self.is_certain;
        if let Some(scope) = self.scope() {
            scope.imports.push(Import { level, module, names, range, is_certain });
        }
    }

    /// A name that is imported twice may stand for either.
    fn alias(&mut self, name: &str, target: &str) {
        let before = self.aliases.insert(name.to_owned(), target.to_owned());
        if before.is_some_and(|before| before != target) {
            self.bound.insert(name.to_owned());
        }
    }

    fn call(&mut self, call: &ExprCall) {
        let Some((function, arguments)) = callee(call) else { return };
        let text = |at: usize| match arguments.arguments.args.get(at) {
            Some(Expr::StringLiteral(literal)) => Some(literal.value.to_str().to_owned()),
            _ => None,
        };
        let range = call.range.start().into()..call.range.end().into();
        let call = Call { function, argument: text(0), mode: text(1), range, is_certain: self.is_certain };
        if let Some(scope) = self.scope() {
            scope.calls.push(call);
        }
    }

    /// Writes out imported names, now that all of them are known.
    fn finish(mut self) -> Vec<Scope> {
        for scope in &mut self.scopes {
            let imported = scope.names.iter().filter_map(|name| self.aliases.get(name));
            let parts: Vec<String> = imported.flat_map(|target| target.split('.')).map(str::to_owned).collect();
            scope.names.extend(parts);
            scope.calls.retain_mut(|call| {
                let end = call.function.find(['.', '(']).unwrap_or(call.function.len());
                let (first, rest) = call.function.split_at(end);
                if self.bound.contains(first) {
                    return false;
                }
                if let Some(target) = self.aliases.get(first) {
                    call.function = format!("{target}{rest}");
                }
                true
            });
        }
        self.scopes
    }
}

/// The name of a called function, and the call that has the arguments of interest: `open` and the call itself, or
/// `Path().open` and the call of `Path`.
fn callee(call: &ExprCall) -> Option<(String, &ExprCall)> {
    if let Some(name) = dotted(&call.func) {
        return Some((name, call));
    }
    let Expr::Attribute(attribute) = &*call.func else { return None };
    let Expr::Call(inner) = &*attribute.value else { return None };
    Some((format!("{}().{}", dotted(&inner.func)?, attribute.attr), inner))
}

/// `a.b.c`; `None` if it is not a name with attributes.
fn dotted(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Name(name) => Some(name.id.to_string()),
        Expr::Attribute(attribute) => Some(format!("{}.{}", dotted(&attribute.value)?, attribute.attr)),
        _ => None,
    }
}

/// Returns whether the statements behind this one may be skipped, because it can leave the function or the round of a loop.
fn may_leave(statement: &Stmt, in_loop: bool) -> bool {
    let any = |body: &[Stmt], in_loop: bool| body.iter().any(|inner| may_leave(inner, in_loop));
    match statement {
        Stmt::Return(_) => true,
        Stmt::Break(_) | Stmt::Continue(_) => !in_loop,
        Stmt::If(inner) => {
            any(&inner.body, in_loop) || inner.elif_else_clauses.iter().any(|clause| any(&clause.body, in_loop))
        }
        Stmt::For(inner) => any(&inner.body, true) || any(&inner.orelse, in_loop),
        Stmt::While(inner) => any(&inner.body, true) || any(&inner.orelse, in_loop),
        Stmt::With(inner) => any(&inner.body, in_loop),
        Stmt::Match(inner) => inner.cases.iter().any(|case| any(&case.body, in_loop)),
        Stmt::Try(inner) => {
            any(&inner.body, in_loop)
                || any(&inner.orelse, in_loop)
                || any(&inner.finalbody, in_loop)
                || inner.handlers.iter().any(|ExceptHandler::ExceptHandler(handler)| any(&handler.body, in_loop))
        }
        _ => false,
    }
}
