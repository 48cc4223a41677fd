//! `bue plan FILE`.

use std::path::PathBuf;

use bue_lang::{plan_json, plan_mermaid, plan_text};
use clap::{Args, ValueEnum};

use crate::script::examine;
use crate::stop::Stop;
use crate::talk::{print, say};

/// Shows what a script will do: its jobs, their inputs, its loops.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The script
    file: PathBuf,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
    /// A flowchart for Markdown pages
    Mermaid,
}

impl Plan {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let examined = examine(&self.file, None, None).map_err(|message| {
            say(&format!("error: {message}"));
            Stop::Program
        })?;
        examined.say_complaints();
        let plan = examined.into_plan()?;
        let shown = match self.format {
            Format::Text => plan_text(&plan),
            Format::Json => plan_json(&plan).to_string(),
            Format::Mermaid => plan_mermaid(&plan),
        };
        print(shown.trim_end())
    }
}
