//! Scopes of steps against those that workers serve.

use std::collections::HashSet;

use crate::Compiled;
use crate::code;
use crate::diagnostic::{Diagnostic, DiagnosticBuilder, Diagnostics};
use crate::source::Script;
use crate::suggest::Suggester;

/// Warnings about scopes of used steps that are none of `served`: their jobs would wait for ever. Each scope is reported
/// about once, at the first step that has it.
pub fn check_scopes(script: Script<'_>, compiled: &Compiled, served: &[String]) -> Vec<Diagnostic> {
    let (mut diagnostics, mut suggester) = (Diagnostics::new(script), Suggester::default());
    let Some(plan) = &compiled.plan else { return diagnostics.finish() };
    let mut known: HashSet<&str> = served.iter().map(String::as_str).collect();
    for origin in &compiled.origins.steps {
        let Some(step) = origin.index.and_then(|index| plan.steps.get(index.get())) else { continue };
        let scope = step.settings.scope.as_str();
        if !known.insert(scope) {
            continue;
        }
        let message = format!("no worker serves the scope `{scope}` of step `{}`", origin.name);
        let hint = match suggester.nearest(scope, served.iter().map(String::as_str)) {
            Some(nearest) => format!("did you mean `!scope {nearest}`?"),
            None => format!("start one that does, `bue worker -s {scope}`, or name one of {}", listed(served)),
        };
        diagnostics.add(DiagnosticBuilder::new(code::UNSERVED_SCOPE, origin.name_span, message).hint(hint));
    }
    diagnostics.finish()
}

/// The first few.
fn listed(scopes: &[String]) -> String {
    const MOST: usize = 10;
    let shown: Vec<String> = scopes.iter().take(MOST).map(|scope| format!("`{scope}`")).collect();
    let more = if scopes.len() > MOST { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
