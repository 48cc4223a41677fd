//! `--wall`, for the verbs that start sandboxes.

use bue_runtime::WallMode;
use clap::{Args, ValueEnum};

use crate::config::setting::WALL;
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;

/// The wall around sandboxes.
#[derive(Debug, Default, Args)]
pub(crate) struct WallFlag {
    /// What to do if this machine lacks a part of the wall around sandboxes (seccomp, Landlock, no dumps, a user of their
    /// own): run without it and warn, or refuse to start [default: BUE_WALL, else best]
    #[arg(long, value_enum, value_name = "MODE")]
    wall: Option<Wall>,
}

/// The values of the flag.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wall {
    /// Raise what this machine offers, and warn about the rest
    Best,
    /// Refuse to start if a part is missing
    Require,
}

impl WallFlag {
    /// Returns the mode of the flag, or else of the setting.
    pub(crate) fn mode(&self, settings: &Settings) -> Result<WallMode, CommandError> {
        let wall = match (self.wall, settings.text(WALL)) {
            (Some(wall), _) => wall,
            (None, None) => Wall::Best,
            (None, Some(text)) => Wall::from_str(&text, true).map_err(|_| {
                CommandError::Usage(format!("`{text}` is not a wall; set {} to best or require", WALL.name()))
            })?,
        };
        Ok(match wall {
            Wall::Best => WallMode::Best,
            Wall::Require => WallMode::Require,
        })
    }
}
