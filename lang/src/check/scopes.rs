//! Scopes of steps against the scopes that workers serve.

use std::collections::HashSet;

use crate::compile::Compiled;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::diagnostic::Diagnostic;
use crate::diagnostics::list::Diagnostics;
use crate::diagnostics::suggest::Suggester;
use crate::source::Script;

/// Warnings about scopes of used steps that are not in `served`: their jobs would wait forever. Each scope is reported
/// about once, at the first step that has it.
pub fn check_scopes(script: Script<'_>, compiled: &Compiled, served: &[String]) -> Vec<Diagnostic> {
    let (mut diagnostics, mut suggester) = (Diagnostics::new(script), Suggester::default());
    let Some(plan) = &compiled.plan else { return diagnostics.finish() };
    let mut seen: HashSet<&str> = served.iter().map(String::as_str).collect();
    for location in &compiled.source_map.steps {
        let Some(step) = location.index.and_then(|index| plan.steps.get(index.get())) else { continue };
        let scope = step.settings.scope.as_str();
        if !seen.insert(scope) {
            continue;
        }
        let message = format!("no worker serves the scope `{scope}` of step `{}`", location.name);
        let hint = match suggester.nearest(scope, served.iter().map(String::as_str)) {
            Some(nearest) => format!("did you mean `!scope {nearest}`?"),
            None => format!("start a worker that does, `bue worker -s {scope}`, or use one of {}", first_few(served)),
        };
        diagnostics.add(DiagnosticBuilder::new(codes::UNSERVED_SCOPE, location.name_span, message).hint(hint));
    }
    diagnostics.finish()
}

fn first_few(scopes: &[String]) -> String {
    const MOST: usize = 10;
    let shown: Vec<String> = scopes.iter().take(MOST).map(|scope| format!("`{scope}`")).collect();
    let more = if scopes.len() > MOST { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
