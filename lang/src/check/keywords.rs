//! Whether the function of a step takes the keyword arguments that `!with` sets.

use bue_model::{Step, Value, cbor};

use super::inputs::CheckedStep;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::suggest::Suggester;
use crate::python::{Function, Parameter};

/// Names that a hint lists at most.
const MAX_LISTED: usize = 8;

/// Returns the names of a step's keyword arguments.
pub(super) fn names(step: &Step) -> Vec<String> {
    let entries = match step.settings.keywords.as_ref().map(|keywords| cbor::decode(keywords)) {
        Some(Ok(Value::Map(entries))) => entries,
        _ => Vec::new(),
    };
    entries.into_iter().filter_map(|(name, _)| if let Value::Text(name) = name { Some(name) } else { None }).collect()
}

/// Returns a diagnostic for each keyword argument that the function does not take.
pub(super) fn unknown<'s>(step: &'s CheckedStep<'_>) -> impl Iterator<Item = DiagnosticBuilder> + 's {
    let parameters = step.function.parameters.as_deref();
    let takes = |parameters: &[Parameter], name: &String| parameters.iter().any(|one| one.by_name && one.name == *name);
    let unknown = step.keywords.iter().filter(move |name| parameters.is_some_and(|known| !takes(known, name)));
    unknown.map(move |name| {
        let message =
            format!("step `{}` passes `{name}`, which `{}` does not take", step.location.name, step.location.function);
        let diagnostic = DiagnosticBuilder::new(codes::INVALID_KEYWORDS, step.location.function_span, message);
        diagnostic.hint(hint(name, parameters.unwrap_or_default()))
    })
}

fn hint(name: &str, parameters: &[Parameter]) -> String {
    let names = || parameters.iter().filter(|one| one.by_name).map(|one| one.name.as_str());
    if let Some(nearest) = Suggester::default().nearest(name, names()) {
        return format!("did you mean `{nearest}`?");
    }
    let listed: Vec<String> = names().map(|name| format!("`{name}`")).take(MAX_LISTED).collect();
    match listed.is_empty() {
        true => "it has no parameter: remove the `!with`".into(),
        false => format!("its parameters are {}", listed.join(", ")),
    }
}

/// Returns the first keyword argument that is an input, too, if the function gets this many.
pub(super) fn given_twice<'s>(function: &Function, keywords: &'s [String], given: u32) -> Option<&'s String> {
    let parameters = function.parameters.as_deref().unwrap_or_default();
    keywords.iter().find(|name| {
        parameters.iter().any(|one| one.name == **name && one.by_name && one.position.is_some_and(|at| at < given))
    })
}

/// Returns whether every input that the function needs is given, or is a keyword argument.
pub(super) fn has_all(function: &Function, keywords: &[String], given: u32) -> bool {
    match &function.parameters {
        _ if keywords.is_empty() => given >= function.min_inputs,
        Some(parameters) => parameters
            .iter()
            .filter(|one| one.is_required && one.position.is_some_and(|at| at >= given))
            .all(|one| one.by_name && keywords.contains(&one.name)),
        None => true,
    }
}
