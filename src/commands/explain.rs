//! `bue explain CODE`.

use bue_lang::{CODES, explain};
use clap::Args;

use crate::process::command_error::CommandError;
use crate::process::output::{print_line, program_failed};

/// Explains the code of a diagnostic, with a wrong and a right example.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The code, such as E0012 [default: list all codes]
    code: Option<String>,
}

impl Explain {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let Some(code) = self.code else {
            let titles: Vec<String> = CODES.iter().map(|(code, title)| format!("{code}  {title}")).collect();
            return print_line(&titles.join("\n"));
        };
        let Some(page) = explain(&code) else {
            let code = code.escape_debug();
            return Err(program_failed(&format!("there is no code `{code}`; `bue explain` lists all codes")));
        };
        print_line(page)
    }
}
