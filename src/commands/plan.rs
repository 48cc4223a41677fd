//! `bue plan FILE`.

use std::path::PathBuf;

use bue_lang::{plan_json, plan_mermaid, plan_text};
use clap::{Args, ValueEnum};

use crate::process::command_error::CommandError;
use crate::process::output::{json_text, print_line, program_failed};
use crate::script::check::compile_script;

/// Prints what a script will do: its jobs, their inputs, its loops.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The script
    file: PathBuf,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
    /// A flowchart for Markdown
    Mermaid,
}

impl Plan {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let report = compile_script(&self.file).map_err(|message| program_failed(&message))?;
        report.print_diagnostics();
        let plan = report.into_plan()?;
        let text = match self.format {
            Format::Text => plan_text(&plan),
            Format::Json => json_text(&plan_json(&plan))?,
            Format::Mermaid => plan_mermaid(&plan),
        };
        print_line(text.trim_end())
    }
}
