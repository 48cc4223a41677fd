//! Reads a script and everything its steps name, and reports all problems at once, before anything runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bue_lang::python::SyntaxProblem;
use bue_lang::{
    Compiled, Diagnostic, Script, bind_params, check_code, check_compiled, check_packages, check_scopes, check_sources,
    check_sql, compile, render,
};
use bue_model::param::{Argument, RunTime};
use bue_model::plan::{Call, JobNode, Node, PLAN_VERSION, Source, Step};
use bue_model::{Bundle, CallIndex, Language, NodeId, Plan, StepIndex};
use bue_runtime::SqlProblem;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::compiled::builder::Builder;
use crate::config::settings::Settings;
use crate::deps::locked::{LockedPackages, Wheels};
use crate::process::clock::now;
use crate::process::command_error::CommandError;
use crate::process::output::{eprint_coloured, eprint_line, program_failed, use_colour};
use crate::script::bundle::{files_outside, pack};
use crate::script::code_check::code_problems;
use crate::script::neighbours::folder;
use crate::script::read::{read_script, read_script_on_stdin, read_source};

/// A script without errors, with its code: ready to be submitted.
#[derive(Debug)]
pub(crate) struct CheckedScript {
    /// The path as the user wrote it.
    pub(crate) name: String,
    pub(crate) plan: Plan,
    /// The code of each step of the plan, in order.
    pub(crate) bundles: Vec<Bundle>,
    /// The packages that the bundles name.
    pub(crate) wheels: Wheels,
}

/// What a check found: the plan if there are no errors, and the diagnostics.
#[derive(Debug)]
pub(crate) struct ScriptReport {
    /// The path as the user wrote it.
    pub(crate) name: String,
    text: String,
    /// `None` if the script has errors.
    pub(crate) plan: Option<Plan>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Without plan and diagnostics, which have moved to the fields above.
    compiled: Compiled,
}

/// Reads and checks a script, puts the values that were `given` in the places of its parameters, and packs the code of its steps.
/// Diagnostics are printed.
pub(crate) fn load_script(
    path: &Path,
    given: BTreeMap<String, Argument>,
    settings: &Settings,
) -> Result<CheckedScript, CommandError> {
    load_script_at(now(), path, given, settings)
}

/// The same for a run that begins at another time than now, on which parameters such as `yesterday` depend.
pub(crate) fn load_script_at(
    time: bue_model::Timestamp,
    path: &Path,
    given: BTreeMap<String, Argument>,
    settings: &Settings,
) -> Result<CheckedScript, CommandError> {
    load(path, Some((given, time)), settings)
}

/// The same for a script on stdin: paths in it are relative to the working directory. `name` is that of its runs.
pub(crate) fn load_script_on_stdin(
    name: String,
    given: BTreeMap<String, Argument>,
    settings: &Settings,
) -> Result<CheckedScript, CommandError> {
    let text = read_script_on_stdin().map_err(|message| program_failed(&message))?;
    // a script in the working directory, whose name nothing reads
    let path = Path::new("stdin.bue");
    let report = check_text((name, text), path, (&settings.cache_dir()?, None), |_| ());
    finish_loading(report, path, Some((given, now())), settings)
}

/// Reads and checks a script, and packs the code of its steps. Its plan keeps its parameters. Diagnostics are printed.
pub(crate) fn load_pipeline(path: &Path, settings: &Settings) -> Result<CheckedScript, CommandError> {
    load(path, None, settings)
}

/// Reads and checks a script, and packs the code of one of its steps. The plan calls this step once, without arguments. Diagnostics
/// are printed.
pub(crate) fn load_step(path: &Path, name: &str, settings: &Settings) -> Result<CheckedScript, CommandError> {
    let report = check_script(path, &settings.cache_dir()?, None).map_err(|message| program_failed(&message))?;
    report.print_diagnostics();
    let (script, text) = (report.name.clone(), report.text.clone());
    let plan = report.into_plan()?;
    let found = one_call(&plan, name).or_else(|| one_call(&with_call(&script, &text, name)?, name));
    let plan = found.ok_or_else(|| {
        let names: Vec<_> = plan.steps.iter().map(|step| format!("`{}`", step.name)).collect();
        program_failed(&format!("{script} has no step `{name}`; the calls of the script use {}", names.join(", ")))
    })?;
    pack_script(script, plan, path, settings, &mut Builder::new(settings)?)
}

/// Checks and packs the code that replaces that of a step: this function of this file. The settings of the step stay as they are.
/// Diagnostics are printed. `shown` is what the user typed.
pub(crate) fn load_replacement(
    step: &Step,
    (file, function): (&Path, &str),
    shown: String,
    settings: &Settings,
) -> Result<CheckedScript, CommandError> {
    let language = replacing_language(step, file)?;
    let file_name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_plain = step.name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    let name = if is_plain { step.name.as_str() } else { "replacement" };
    let text = format!("import {} ({function} as {name}) {file_name}\n{name}()\n", language.name());
    // a script beside the file, whose name nothing reads
    let path = file.with_file_name("replacement.bue");
    let adjust = |plan: &mut Plan| {
        plan.steps.iter_mut().for_each(|replaced| replaced.settings = step.settings.clone());
        // the arguments of the calls are those of the run
        plan.nodes.clear();
    };
    let mut report = check_text((shown, text), &path, (&settings.cache_dir()?, None), adjust);
    let mut builder = Builder::new(settings)?;
    report.build(&path, &mut builder);
    report.print_diagnostics();
    let name = report.name.clone();
    pack_script(name, report.into_plan()?, &path, settings, &mut builder)
}

/// Returns the language of a file that replaces the code of a step: that of the step if the file may be written in it.
fn replacing_language(step: &Step, file: &Path) -> Result<Language, CommandError> {
    let name = file.to_string_lossy().to_lowercase();
    let fits = |language: &Language| language.file_endings().iter().any(|ending| name.ends_with(ending));
    let language = if fits(&step.language) { Some(step.language) } else { Language::ALL.into_iter().find(fits) };
    let problem = match language {
        None => format!("no language of steps has files such as `{}`", file.display()),
        Some(language) if step.settings.keywords.is_some() && !language.has_keyword_arguments() => {
            format!("step `{}` has a `!with`, and {} steps take no keyword arguments", step.name, language.name())
        }
        Some(language) => return Ok(language),
    };
    Err(CommandError::Usage(problem))
}

/// Returns the plan with a call of a step that no call uses. A plan has only steps in use.
fn with_call(path: &str, text: &str, name: &str) -> Option<Plan> {
    let text = format!("{text}\n{name}()\n");
    compile(Script { path, text: &text }).plan
}

/// A plan that calls a step without arguments; `None` if there is no step of this name. A fused step comes with its stages.
fn one_call(plan: &Plan, name: &str) -> Option<Plan> {
    let found = plan.steps.iter().find(|step| step.name == name)?;
    let (mut step, mut steps) = (found.clone(), Vec::new());
    if let Source::Fused(stages) = &mut step.source {
        steps = plan.stages(found).cloned().collect();
        *stages = (0..).map(StepIndex).take(steps.len()).collect();
    }
    let index = StepIndex(u32::try_from(steps.len()).ok()?);
    let call = Call { line: step.line, name: None, first: NodeId(0), last: NodeId(0), nested: false };
    let node = JobNode { id: NodeId(0), step: index, call: CallIndex(0), inputs: Vec::new() };
    steps.push(step);
    Some(Plan { version: PLAN_VERSION, steps, nodes: vec![Node::Job(node)], calls: vec![call], params: Vec::new() })
}

fn load(
    path: &Path,
    given: Option<(BTreeMap<String, Argument>, bue_model::Timestamp)>,
    settings: &Settings,
) -> Result<CheckedScript, CommandError> {
    let report = check_script(path, &settings.cache_dir()?, None).map_err(|message| program_failed(&message))?;
    finish_loading(report, path, given, settings)
}

/// Builds and packs the code of the steps of a script that was checked, and prints its diagnostics.
fn finish_loading(
    mut report: ScriptReport,
    path: &Path,
    given: Option<(BTreeMap<String, Argument>, bue_model::Timestamp)>,
    settings: &Settings,
) -> Result<CheckedScript, CommandError> {
    let mut builder = Builder::new(settings)?;
    report.build(path, &mut builder);
    if let Some((given, time)) = given {
        report.bind(given, time);
    }
    report.print_diagnostics();
    let name = report.name.clone();
    pack_script(name, report.into_plan()?, path, settings, &mut builder)
}

/// Packs the code of a plan's steps.
fn pack_script(
    name: String,
    plan: Plan,
    path: &Path,
    settings: &Settings,
    builder: &mut Builder,
) -> Result<CheckedScript, CommandError> {
    let bundles: Result<Vec<Bundle>, _> = plan.steps.iter().map(|step| bundle(step, &plan, path, builder)).collect();
    let mut bundles = bundles.map_err(|message| program_failed(&message))?;
    for (step, bundle) in plan.steps.iter().zip(&bundles) {
        let stages: Vec<&Step> = plan.stages(step).collect();
        warn_of_files_outside(step, &files_outside(step, &stages, bundle, path));
    }
    let (packages, wheels) = LockedPackages::for_script(path).for_plan(&plan, &settings.cache_dir()?)?;
    bundles.iter_mut().zip(packages).for_each(|(bundle, packages)| bundle.packages = packages);
    Ok(CheckedScript { name, plan, bundles, wheels })
}

fn bundle(step: &Step, plan: &Plan, script: &Path, builder: &mut Builder) -> Result<Bundle, String> {
    match builder.pack(step, folder(script)) {
        Some(bundle) => bundle.map_err(|problem| problem.message),
        None => {
            let stages: Vec<&Step> = plan.stages(step).collect();
            pack(step, &stages, script).map_err(|error| error.to_string())
        }
    }
}

fn warn_of_files_outside(step: &Step, files: &[PathBuf]) {
    for file in files {
        let (step, file) = (&step.name, file.display());
        eprint_line(&format!("bue: warning: the code of step `{step}` is outside of the script's folder: {file}"));
    }
}

/// Reads and compiles a script, without the files that its steps name.
///
/// # Errors
/// A message: the script cannot be read.
pub(crate) fn compile_script(path: &Path) -> Result<ScriptReport, String> {
    let (name, text) = (path.display().to_string(), read_script(path)?);
    let compiled = compile(Script { path: &name, text: &text });
    Ok(ScriptReport::new(name, text, compiled))
}

/// Reads and checks a script and the files that its steps name; with `served`, also whether its scopes are among the scopes
/// that workers serve. `cache` is the user's cache, with the wheels.
///
/// # Errors
/// A message: the script cannot be read.
pub(crate) fn check_script(path: &Path, cache: &Path, served: Option<&[String]>) -> Result<ScriptReport, String> {
    let source = (path.display().to_string(), read_script(path)?);
    Ok(check_text(source, path, (cache, served), |_| ()))
}

/// Checks a script, of which the path to show and the text are given, and the files that its steps name. `adjust` may change the plan
/// before that.
fn check_text(
    (name, text): (String, String),
    path: &Path,
    (cache, served): (&Path, Option<&[String]>),
    adjust: impl Fn(&mut Plan),
) -> ScriptReport {
    let script = Script { path: &name, text: &text };
    let mut compiled = compile(script);
    compiled.plan.iter_mut().for_each(adjust);
    let folder = folder(path);
    let python = check_sources(script, &compiled, |path| read_source(&folder.join(path)));
    let sql = check_sql(script, &compiled, |path| read_source(&folder.join(path)), parse_sql);
    let locked = LockedPackages::for_script(path);
    let packages = check_packages(script, &compiled, |step| locked.problems(step));
    let code = check_code(script, &compiled, |step| code_problems(step, path, &locked.modules(step, cache)));
    compiled.diagnostics.extend(python.into_iter().chain(sql).chain(packages).chain(code));
    if let Some(served) = served {
        let scopes = check_scopes(script, &compiled, served);
        compiled.diagnostics.extend(scopes);
    }
    ScriptReport::new(name, text, compiled)
}

impl ScriptReport {
    fn new(name: String, text: String, mut compiled: Compiled) -> Self {
        let Compiled { plan, diagnostics, .. } = &mut compiled;
        let (plan, diagnostics) = (plan.take(), core::mem::take(diagnostics));
        let plan = plan.filter(|_| !diagnostics.iter().any(Diagnostic::is_error));
        Self { name, plan, diagnostics, text, compiled }
    }

    /// Builds the steps of compiled languages, unless the script has errors already.
    pub(crate) fn build(&mut self, path: &Path, builder: &mut Builder) {
        if self.plan.is_none() {
            return;
        }
        let script = Script { path: &self.name, text: &self.text };
        let diagnostics = check_compiled(script, &self.compiled, |step| builder.check(step, folder(path)));
        if diagnostics.iter().any(Diagnostic::is_error) {
            self.plan = None;
        }
        self.diagnostics.extend(diagnostics);
    }

    /// Puts values in the places of the parameters. `time` is that of the run.
    fn bind(&mut self, given: BTreeMap<String, Argument>, time: bue_model::Timestamp) {
        let Some(plan) = self.plan.take() else { return };
        let script = Script { path: &self.name, text: &self.text };
        let time = RunTime { at: Timestamp::from_millisecond(time.0).unwrap_or_default(), zone: TimeZone::UTC };
        match bind_params(script, &self.compiled, plan, given, &time) {
            Ok(plan) => self.plan = Some(plan),
            Err(diagnostics) => self.diagnostics.extend(diagnostics),
        }
    }

    /// Prints each diagnostic with its excerpt.
    pub(crate) fn print_diagnostics(&self) {
        print_diagnostics(&self.diagnostics, Script { path: &self.name, text: &self.text });
    }

    /// Returns the plan, or the error if diagnostics were printed.
    pub(crate) fn into_plan(self) -> Result<Plan, CommandError> {
        self.plan.ok_or(CommandError::ProgramFailed)
    }
}

/// Prints diagnostics of a script to stderr, each with its excerpt and followed by an empty line.
pub(crate) fn print_diagnostics(diagnostics: &[Diagnostic], script: Script<'_>) {
    for diagnostic in diagnostics {
        eprint_coloured(&format!("{}\n", render(diagnostic, script, use_colour()).trim_end()));
    }
}

fn parse_sql(text: &str) -> Result<(), SyntaxProblem> {
    bue_runtime::check_sql(text).map_err(|SqlProblem { line, column, message }| SyntaxProblem { line, column, message })
}
