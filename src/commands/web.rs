//! `bue web`.

use std::process::{Command, Stdio};

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_line};

/// The programs that open an address in the user's browser: of Linux, of Debian, and of macOS.
const OPENERS: [&str; 3] = ["xdg-open", "sensible-browser", "open"];

/// Prints the address of the dashboard, with a code that logs you in.
///
/// The code is for the token that you use on the command line. It works once, within a minute; then type this again. A hub
/// without tokens needs no code.
#[derive(Debug, Args)]
pub(crate) struct Web {
    /// Also open it in the browser
    #[arg(short, long)]
    open: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Web {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let link = async { Ok(hub.web_link().await.context("failed to get a link to the dashboard")?) };
        let link = block_on(interruptible(link))?;
        print_line(&link)?;
        if self.open && !open_in_browser(&link) {
            eprint_line("bue: there is no program that opens a browser here; open the address yourself");
        }
        Ok(())
    }
}

/// Opens an address in the user's browser. Returns whether a program for that could be started.
fn open_in_browser(link: &str) -> bool {
    let start = |program: &&str| {
        let mut command = Command::new(program);
        command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().is_ok()
    };
    OPENERS.iter().any(start)
}
