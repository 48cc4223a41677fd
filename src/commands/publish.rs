//! `bue publish FILE`.

use std::path::PathBuf;

use bue_model::pipeline::Published;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::{ClientFlags, Clients};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{print_json, print_line};
use crate::runs::publish::{pipeline_name, publish};
use crate::script::check::load_pipeline;

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
        let name = pipeline_name(&self.file, self.name.as_deref())?;
        let script = load_pipeline(&self.file, &settings)?;
        let published = block_on(interruptible(async {
            let Clients { hub, bucket } = self.servers.connect(&settings).await?;
            publish(&name, script, &hub, &bucket).await
        }))?;
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
