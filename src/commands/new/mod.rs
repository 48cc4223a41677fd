//! `bue new step` and `bue new sdk`.

mod sdk;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

use crate::process::command_error::CommandError;
use crate::process::output::{eprint_line, print_line};

/// Writes a template to start from.
#[derive(Debug, Args)]
pub(crate) struct New {
    #[command(subcommand)]
    template: TemplateKind,
}

#[derive(Debug, Subcommand)]
enum TemplateKind {
    Step(NewStep),
    /// Writes the SDK for steps in Rust into the folder `bue-sdk`, unless that exists.
    ///
    /// `bue new step --lang rust` does so too. Use this in a copy of a project whose steps name the SDK.
    Sdk,
}

/// Where the SDK is written, and where the template for Rust names it.
const SDK_FOLDER: &str = "bue-sdk";

/// Writes a step that filters rows, and prints the lines that a script needs for it.
///
/// Rust and Go get a folder with the step's name, the other languages a file. For Rust the SDK is written beside it, once,
/// into `bue-sdk`. Existing files are not overwritten.
#[derive(Debug, Args)]
struct NewStep {
    /// The language of the step
    #[arg(long = "lang", value_name = "LANGUAGE")]
    language: Language,
    /// The name of the step: letters, digits and `_`
    name: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    Rust,
    Python,
    Sqlite3,
    Go,
    C,
    #[value(name = "c++", alias = "cpp")]
    Cpp,
}

/// The files of a step.
struct Template {
    /// The path to write into a script.
    path: String,
    /// Paths and contents.
    files: Vec<(String, String)>,
}

impl New {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        match self.template {
            TemplateKind::Step(step) => step.execute(),
            TemplateKind::Sdk => sdk::write_sdk(Path::new(SDK_FOLDER)),
        }
    }
}

impl NewStep {
    fn execute(self) -> Result<(), CommandError> {
        if !is_valid_name(&self.name) {
            let name = self.name.escape_debug();
            return Err(CommandError::Usage(format!(
                "`{name}` is not a valid name of a step; use letters, digits and `_`, with a letter first"
            )));
        }
        let template = self.template();
        expect_no_files(&template)?;
        for (path, text) in &template.files {
            write(Path::new(path), text)?;
        }
        if matches!(self.language, Language::Rust) {
            sdk::write_sdk(Path::new(SDK_FOLDER))?;
        }
        eprint_line(&format!("wrote {}; copy the lines below into a script", template.path));
        let (name, language) = (&self.name, self.language.name());
        print_line(&format!("{name}:\n    {language}\n    {name}\n    {}", template.path))
    }

    fn template(&self) -> Template {
        let name = &self.name;
        let fill_in = |text: &str| text.replace("NAME", name);
        let (path, files): (String, Vec<(String, String)>) = match self.language {
            Language::Rust => {
                let manifest = fill_in(include_str!("rust.toml"));
                let source = fill_in(include_str!("rust.rs.txt"));
                (name.clone(), vec![(format!("{name}/Cargo.toml"), manifest), (format!("{name}/src/lib.rs"), source)])
            }
            Language::Go => {
                let module = format!("module {name}\n\ngo 1.21\n");
                let source = include_str!("go.txt").to_owned();
                (name.clone(), vec![(format!("{name}/go.mod"), module), (format!("{name}/main.go"), source)])
            }
            Language::C => single_file(format!("{name}.c"), include_str!("c.txt").to_owned()),
            Language::Cpp => single_file(format!("{name}.cpp"), include_str!("cpp.txt").to_owned()),
            Language::Python => {
                let source = "def NAME(rows):\n    return [row for row in rows if row[\"amount\"] > 0]\n";
                single_file(format!("{name}.py"), fill_in(source))
            }
            Language::Sqlite3 => single_file(format!("{name}.sql"), fill_in("select * from NAME where amount > 0\n")),
        };
        Template { path, files }
    }
}

fn single_file(path: String, text: String) -> (String, Vec<(String, String)>) {
    (path.clone(), vec![(path, text)])
}

impl Language {
    const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Sqlite3 => "sqlite3",
            Self::Go => "go",
            Self::C => "c",
            Self::Cpp => "c++",
        }
    }
}

/// Returns whether a name is valid as a step, a table, a function in Rust and Python, and a package.
fn is_valid_name(name: &str) -> bool {
    let mut chars = name.chars();
    let starts_with_letter = chars.next().is_some_and(|first| first.is_ascii_alphabetic());
    starts_with_letter && name.len() <= 100 && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn expect_no_files(template: &Template) -> Result<(), CommandError> {
    let existing: Vec<PathBuf> = template
        .files
        .iter()
        .map(|(path, _)| PathBuf::from(path))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    let Some(first) = existing.first() else { return Ok(()) };
    eprint_line(&format!("bue: {} already exists; nothing was written. Choose another name", first.display()));
    Err(CommandError::ProgramFailed)
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    Ok(fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?)
}
