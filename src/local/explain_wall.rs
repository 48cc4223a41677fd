//! `bue worker --explain-wall`.

use anyhow::{Context, anyhow};
use bue_model::WallPart;
use bue_runtime::{Wall, WallMode, try_wall};

use crate::process::command_error::CommandError;
use crate::process::event_loop::block_on;
use crate::process::output::print_line;
use crate::sandbox::sandbox_host_command;

/// Starts a sandbox host and prints which parts of its wall are up. Fails if a required part is missing.
pub(crate) fn explain_wall(mode: WallMode) -> Result<(), CommandError> {
    block_on(async {
        let wall = try_wall(&sandbox_host_command()?).await.context("failed to try the wall around sandboxes")?;
        for part in WallPart::ALL {
            print_line(&line(&wall, part))?;
        }
        match mode == WallMode::Require && !wall.missing.is_empty() {
            true => Err(CommandError::Environment(anyhow!("a required part of the wall is missing"))),
            false => Ok(()),
        }
    })
}

fn line(wall: &Wall, part: WallPart) -> String {
    let missing = wall.missing.iter().find(|missing| missing.part == part);
    match missing {
        Some(missing) => format!("{:<9} missing: {}. To get it, {}", part.name(), missing.reason, part.remedy()),
        None => format!("{:<9} up{}: {}", part.name(), detail(wall, part), part.effect()),
    }
}

fn detail(wall: &Wall, part: WallPart) -> String {
    match (part, wall.landlock, wall.uid) {
        (WallPart::Landlock, Some(version), _) => format!(" (version {version})"),
        (WallPart::OwnUser, _, Some(uid)) => format!(" (uid {uid})"),
        (WallPart::OwnUser, _, None) => " (not needed, because this user is not root)".to_owned(),
        _ => String::new(),
    }
}
