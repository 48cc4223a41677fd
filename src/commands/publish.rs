//! `bue publish FILE`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bue_model::pipeline::{Publication, Published, is_pipeline_name};
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::{ClientFlags, Clients};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{print_json, print_line};
use crate::runs::submit::upload_code;
use crate::script::check::{CheckedScript, load_pipeline};

/// Publishes a script, so that it runs by name: with `bue invoke`, or with a web request.
///
/// The hub keeps the script as a new version; the same script with the same code is the same version. Runs keep the version
/// that they started with.
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The script
    file: PathBuf,
    /// The name of the pipeline [default: the name of the file, without `.bue`]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// Print JSON: {"pipeline": NAME, "version": N, "created": BOOL}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ClientFlags,
}

impl Publish {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let name = self.name.clone().unwrap_or_else(|| name_of(&self.file));
        if !is_pipeline_name(&name) {
            return Err(CommandError::Usage(format!(
                "`{name}` cannot be the name of a pipeline; type --as NAME, with letters, digits, `-`, `_` and `.`"
            )));
        }
        let script = load_pipeline(&self.file, &settings)?;
        let published =
            block_on(interruptible(async { publish(&name, script, &self.servers.connect(&settings).await?).await }))?;
        self.print(&name, published)
    }

    fn print(&self, name: &str, published: Published) -> Result<(), CommandError> {
        let Published { version, created } = published;
        if self.json {
            return print_json(&serde_json::json!({ "pipeline": name, "version": version, "created": created }));
        }
        let news = if created { "" } else { " (unchanged)" };
        print_line(&format!("{name} version {version}{news}"))
    }
}

fn name_of(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

async fn publish(name: &str, script: CheckedScript, clients: &Clients) -> Result<Published, CommandError> {
    let (upload, code) = upload_code(&script, &clients.bucket).await?;
    let publication = Publication { upload, script: script.name, plan: script.plan, code };
    Ok(clients.hub.publish(name, &publication).await.context("failed to publish the script")?)
}
