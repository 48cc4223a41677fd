//! [`summarize_arguments`]: the arguments of a failed attempt, in short: they tell the rounds of a loop apart.

use std::sync::Arc;

use bue_model::language::Engine;
use bue_model::location::{MAX_ARGUMENTS, MAX_SUMMARY_BYTES};
use bue_model::wire::{Lease, LeasedStep};
use bue_model::{ArgumentSummary, Bundle, SqlTable};

use crate::fetch::Fetch;
use crate::input_budget::{check_code_size, fetched_bytes};
use crate::parameters::parameter_names;
use crate::value_summary::{Secrets, summarize};

/// The bytes of the brackets and quotes that may follow what fits into the limit of a value.
const CLOSING_BYTES: usize = 8;

/// Bytes that are fetched a second time for the summary of all arguments.
const MAX_SUMMARIZED_BYTES: u64 = 16 * 1024 * 1024;

/// Summarizes the arguments of an attempt, without the worker's secrets. They are fetched once more, so that no step that runs
/// keeps them in memory; what cannot be fetched is left out.
pub(crate) async fn summarize_arguments(
    lease: &Lease,
    step: &LeasedStep,
    fetch: &Fetch,
    secrets: &Secrets,
) -> Vec<ArgumentSummary> {
    let inputs = lease.inputs.get(..MAX_ARGUMENTS).unwrap_or(&lease.inputs);
    let mut names = names(step, fetch).await.into_iter();
    let limit = MAX_SUMMARY_BYTES / inputs.len().max(1);
    let mut arguments = Vec::with_capacity(inputs.len());
    let mut left = MAX_SUMMARIZED_BYTES;
    for input in inputs {
        let name = names.next();
        let used = name.as_ref().map_or(0, String::len) + CLOSING_BYTES;
        let value = match left.checked_sub(fetched_bytes(input)) {
            None => None,
            Some(rest) => {
                left = rest;
                fetch.input(input).await.ok().map(|value| summarize(&value, limit.saturating_sub(used), secrets))
            }
        };
        arguments.push(ArgumentSummary { name, value: value.unwrap_or_else(|| "…".to_owned()) });
    }
    ArgumentSummary::bounded(arguments)
}

async fn small_bundle(step: &LeasedStep, fetch: &Fetch) -> Option<Arc<Bundle>> {
    check_code_size(&step.code).ok()?;
    fetch.bundle(&step.code).await.ok()
}

/// Returns the names of a step's parameters as far as its code has them.
async fn names(step: &LeasedStep, fetch: &Fetch) -> Vec<String> {
    match step.language.engine() {
        Engine::Python => {
            let Some(bundle) = small_bundle(step, fetch).await else { return Vec::new() };
            let source = bundle.entry_content().map_or(&[][..], |content| content);
            let source = String::from_utf8_lossy(source);
            parameter_names(&source, &step.function).into_iter().map(str::to_owned).collect()
        }
        // the table that the first input becomes
        Engine::Sqlite | Engine::Postgres if !step.function.is_empty() => {
            vec![SqlTable::from_text(&step.function).name]
        }
        Engine::Sqlite | Engine::Postgres | Engine::WebAssembly | Engine::Lists => Vec::new(),
    }
}
