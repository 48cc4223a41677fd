//! Reads a script and everything its steps name. All complaints come before anything runs, and all at once.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use bue_lang::python::SyntaxProblem;
use bue_lang::{
    Compiled, Diagnostic, FileContents, MAX_SCRIPT, Purpose, Script, check_compiled, check_packages, check_scopes,
    check_sources, check_sql, compile, render,
};
use bue_model::plan::Step;
use bue_model::{Bundle, Plan};
use bue_runtime::SqlProblem;

use crate::compiled::Builder;
use crate::deps::locked::{Locked, Wheels};
use crate::package::pack;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{colour, say};

/// A script that may run.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The path as the user gave it.
    pub(crate) name: String,
    pub(crate) plan: Plan,
    /// The code of each step of the plan, in order.
    pub(crate) bundles: Vec<Bundle>,
    /// The packages that the bundles name.
    pub(crate) wheels: Wheels,
}

/// A script and what is to be said about it.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The path as the user gave it.
    pub(crate) name: String,
    text: String,
    /// `None` if it has errors.
    pub(crate) plan: Option<Plan>,
    pub(crate) complaints: Vec<Diagnostic>,
    /// Without its plan and complaints, which stand above.
    compiled: Compiled,
}

/// A script ready to be handed in. What is wrong with it has been said if this fails.
pub(crate) fn read(path: &Path, settings: &Settings) -> Result<Checked, Stop> {
    let mut builder = Builder::new(settings)?;
    let mut examined = examine(path, Some(Purpose::Run), None).map_err(|message| stop(&message))?;
    examined.build(path, &mut builder);
    examined.say_complaints();
    let name = examined.name.clone();
    let plan = examined.into_plan()?;
    let bundles: Result<Vec<Bundle>, _> = plan.steps.iter().map(|step| bundle(step, path, &mut builder)).collect();
    let mut bundles = bundles.map_err(|message| stop(&message))?;
    let (packages, wheels) = Locked::of(path).packages(&plan, &settings.cache_dir()?)?;
    bundles.iter_mut().zip(packages).for_each(|(bundle, packages)| bundle.packages = packages);
    Ok(Checked { name, plan, bundles, wheels })
}

fn bundle(step: &Step, script: &Path, builder: &mut Builder) -> Result<Bundle, String> {
    match builder.pack(step, folder(script)) {
        Some(built) => built.map_err(|problem| problem.message),
        None => pack(step, script).map_err(|error| error.to_string()),
    }
}

/// The folder that paths in a script are relative to.
fn folder(script: &Path) -> &Path {
    script.parent().unwrap_or(Path::new(""))
}

/// Reads and checks a script; for a purpose also the files its steps name, and its scopes where it is known which ones
/// workers serve. The error is a script that cannot be read.
pub(crate) fn examine(path: &Path, purpose: Option<Purpose>, served: Option<&[String]>) -> Result<Examined, String> {
    let name = path.display().to_string();
    let text = read_script(path)?;
    let script = Script { path: &name, text: &text };
    let mut compiled = compile(script);
    if let Some(purpose) = purpose {
        let folder = folder(path);
        let found = check_sources(script, &compiled, purpose, |path| find(&folder.join(path)));
        let sql = check_sql(script, &compiled, purpose, |path| find(&folder.join(path)), parse_sql);
        let locked = Locked::of(path);
        let packages = check_packages(script, &compiled, purpose, |step| locked.troubles(step));
        compiled.diagnostics.extend(found.into_iter().chain(sql).chain(packages));
    }
    if let Some(served) = served {
        let found = check_scopes(script, &compiled, served);
        compiled.diagnostics.extend(found);
    }
    let Compiled { plan, diagnostics: complaints, .. } = &mut compiled;
    let (plan, complaints) = (plan.take(), core::mem::take(complaints));
    let plan = plan.filter(|_| !complaints.iter().any(Diagnostic::is_error));
    Ok(Examined { name, plan, complaints, text, compiled })
}

impl Examined {
    /// Builds the steps of compiled languages, if nothing else keeps the script from being a plan.
    pub(crate) fn build(&mut self, path: &Path, builder: &mut Builder) {
        if self.plan.is_none() {
            return;
        }
        let script = Script { path: &self.name, text: &self.text };
        let found = check_compiled(script, &self.compiled, |step| builder.check(step, folder(path)));
        if found.iter().any(Diagnostic::is_error) {
            self.plan = None;
        }
        self.complaints.extend(found);
    }

    /// Says every complaint with its excerpt.
    pub(crate) fn say_complaints(&self) {
        say_all(&self.complaints, Script { path: &self.name, text: &self.text });
    }

    /// The plan, if nothing keeps the script from being one.
    pub(crate) fn into_plan(self) -> Result<Plan, Stop> {
        self.plan.ok_or(Stop::Program)
    }
}

/// Says complaints about a script, each with its excerpt and a blank line behind it.
pub(crate) fn say_all(complaints: &[Diagnostic], script: Script<'_>) {
    for complaint in complaints {
        say(&format!("{}\n", render(complaint, script, colour()).trim_end()));
    }
}

/// A script's text, or a message that names the file.
pub(crate) fn read_script(path: &Path) -> Result<String, String> {
    read_text(path).map_err(|error| format!("failed to read {}: {error}", path.display()))
}

fn find(path: &Path) -> FileContents<'static> {
    match read_text(path) {
        Ok(text) => FileContents::Text(Cow::Owned(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileContents::Missing,
        Err(_) => FileContents::Opaque,
    }
}

fn parse_sql(text: &str) -> Result<(), SyntaxProblem> {
    bue_runtime::check_sql(text).map_err(|SqlProblem { line, column, message }| SyntaxProblem { line, column, message })
}

/// A file's text, if it is one and no longer than any script or source may be.
fn read_text(path: &Path) -> io::Result<String> {
    let most = MAX_SCRIPT as u64 + 1;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {MAX_SCRIPT} bytes"));
    if bytes.len() > MAX_SCRIPT { Err(too_long()) } else { String::from_utf8(bytes).map_err(not_text) }
}

fn stop(message: &str) -> Stop {
    say(&format!("error: {message}"));
    Stop::Program
}
