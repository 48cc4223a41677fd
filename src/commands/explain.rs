//! `bue explain CODE`.

use bue_lang::{CODES, explain};
use clap::Args;

use crate::stop::Stop;
use crate::talk::{print, say};

/// Explains a code of a complaint, with a wrong example and the right one.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// As complaints show it, E0012; without one, all codes are listed
    code: Option<String>,
}

impl Explain {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let Some(code) = self.code else {
            let titles: Vec<String> = CODES.iter().map(|(code, title)| format!("{code}  {title}")).collect();
            return print(&titles.join("\n"));
        };
        let Some(page) = explain(&code) else {
            say(&format!("error: there is no code `{}`; `bue explain` lists all", code.escape_debug()));
            return Err(Stop::Program);
        };
        print(page)
    }
}
