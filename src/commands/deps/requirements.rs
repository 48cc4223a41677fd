//! The requirements of a whole script.

use std::collections::BTreeSet;
use std::path::Path;

use crate::deps::requirements::{Requirements, requirements};
use crate::process::command_error::CommandError;
use crate::process::output::program_failed;
use crate::script::check::compile_script;

/// Returns each list of requirements that steps of a script have, once. Problems of the script are printed.
pub(super) fn script_requirements(script: &Path) -> Result<BTreeSet<Requirements>, CommandError> {
    let report = compile_script(script).map_err(|message| program_failed(&message))?;
    report.print_diagnostics();
    let plan = report.into_plan()?;
    let lists: Result<BTreeSet<Requirements>, String> =
        plan.steps.iter().map(|step| requirements(step, script)).collect();
    let lists = lists.map_err(|message| program_failed(&format!("{message} (E0062)")))?;
    Ok(lists.into_iter().filter(|list| !list.is_empty()).collect())
}
