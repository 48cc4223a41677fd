//! A row of the tables of mistakes.

use crate::project::{CommandOutput, Project};

/// A mistake, and what is printed.
pub(super) struct Mistake {
    /// What the user did.
    pub(super) what: &'static str,
    /// The files in the folder.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// The arguments of `bue`.
    pub(super) command: &'static str,
    /// The exit code.
    pub(super) code: i32,
    /// Parts of stderr, in this order.
    pub(super) message: &'static [&'static str],
}

impl Mistake {
    /// Makes the mistake in an empty folder, and checks what is printed.
    #[track_caller]
    pub(super) fn check(&self) {
        let project = Project::new(self.files);
        let arguments: Vec<&str> = self.command.split_whitespace().collect();
        self.check_output(&project.bue(&arguments), self.message);
    }

    /// The same, with the names of servers and folders in command and message replaced.
    #[track_caller]
    pub(super) fn check_at(&self, places: &[(&str, &str)]) {
        let placed = |text: &str| places.iter().fold(text.to_owned(), |text, (name, place)| text.replace(name, place));
        let (command, message) = (placed(self.command), self.message.iter().map(|part| placed(part)));
        let arguments: Vec<&str> = command.split_whitespace().collect();
        let message: Vec<String> = message.collect();
        let message: Vec<&str> = message.iter().map(String::as_str).collect();
        self.check_output(&Project::new(self.files).bue(&arguments), &message);
    }

    #[track_caller]
    fn check_output(&self, output: &CommandOutput, message: &[&str]) {
        let (what, command) = (self.what, self.command);
        assert_eq!(output.code, self.code, "{what}: bue {command}\n{}", output.stderr);
        expect_in_order(what, message, &output.stderr);
        assert!(!self.message.is_empty() || output.stderr.is_empty(), "{what}: bue {command}\n{}", output.stderr);
    }
}

/// Checks that a text contains all parts, each behind the one before.
#[track_caller]
pub(super) fn expect_in_order(what: &str, parts: &[&str], text: &str) {
    let mut remaining = text;
    for part in parts {
        let Some((_, after)) = remaining.split_once(part) else {
            panic!("{what}: no `{part}`, in this order, in\n{text}")
        };
        remaining = after;
    }
}
