//! `bue new step`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};

use crate::sdk;
use crate::stop::Stop;
use crate::talk::{print, say};

/// Writes something to begin with.
#[derive(Debug, Args)]
pub(crate) struct New {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Step(NewStep),
}

/// Writes a step to begin with, and prints the lines that a script needs for it.
///
/// Rust and Go make a folder of the step's name, the others a file. For Rust the SDK is written beside it, once, into
/// `bue-sdk`. Nothing that is there is overwritten.
#[derive(Debug, Args)]
struct NewStep {
    /// What it is written in
    #[arg(long = "lang", value_name = "LANGUAGE")]
    language: Language,
    /// Its name: letters, digits and `_`
    name: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    Rust,
    Python,
    Sqlite3,
    Go,
    C,
}

/// What is written for a language.
struct Template {
    /// The path that a script names.
    path: String,
    files: Vec<(String, String)>,
}

impl New {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let What::Step(step) = self.what;
        step.execute()
    }
}

impl NewStep {
    fn execute(self) -> Result<(), Stop> {
        if !is_name(&self.name) {
            let name = self.name.escape_debug();
            return Err(Stop::Usage(format!(
                "`{name}` is no name of a step; take letters, digits and `_`, a letter first"
            )));
        }
        let template = self.template();
        expect_nothing_there(&template)?;
        for (path, text) in &template.files {
            write(Path::new(path), text)?;
        }
        if matches!(self.language, Language::Rust) {
            sdk::write(Path::new("bue-sdk"))?;
        }
        say(&format!("wrote {}; the lines below belong into a script", template.path));
        let (name, language) = (&self.name, self.language.name());
        print(&format!("{name}:\n    {language}\n    {name}\n    {}", template.path))
    }

    fn template(&self) -> Template {
        let name = &self.name;
        let filled = |text: &str| text.replace("NAME", name);
        let (path, files): (String, Vec<(String, String)>) = match self.language {
            Language::Rust => {
                let manifest = filled(include_str!("new/rust.toml"));
                let source = filled(include_str!("new/rust.rs.txt"));
                (name.clone(), vec![(format!("{name}/Cargo.toml"), manifest), (format!("{name}/src/lib.rs"), source)])
            }
            Language::Go => {
                let module = format!("module {name}\n\ngo 1.21\n");
                let source = include_str!("new/go.txt").to_owned();
                (name.clone(), vec![(format!("{name}/go.mod"), module), (format!("{name}/main.go"), source)])
            }
            Language::C => single(format!("{name}.c"), include_str!("new/c.txt").to_owned()),
            Language::Python => {
                let source = "def NAME(rows):\n    return [row for row in rows if row[\"amount\"] > 0]\n";
                single(format!("{name}.py"), filled(source))
            }
            Language::Sqlite3 => single(format!("{name}.sql"), filled("select * from NAME where amount > 0\n")),
        };
        Template { path, files }
    }
}

fn single(path: String, text: String) -> (String, Vec<(String, String)>) {
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
        }
    }
}

/// A name of a step, a table, a function of Rust and Python, and a package, all at once.
fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|first| first.is_ascii_alphabetic());
    first && name.len() <= 100 && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn expect_nothing_there(template: &Template) -> Result<(), Stop> {
    let there: Vec<PathBuf> = template
        .files
        .iter()
        .map(|(path, _)| PathBuf::from(path))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    let Some(first) = there.first() else { return Ok(()) };
    say(&format!("bue: already there: {}; nothing was written. Take another name", first.display()));
    Err(Stop::Program)
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    let folder = path.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    Ok(fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))?)
}
