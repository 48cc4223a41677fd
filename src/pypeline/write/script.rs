//! The text of a script.

use super::python::{code_of, inputs_of, one_line};
use crate::pypeline::project::{Calling, Param, Script, StepSettings, Task, duration_text};

/// Returns the text of a script, before it is formatted. `source` is the name of the YAML file.
pub(in crate::pypeline) fn script_text(script: &Script, source: &str) -> String {
    let comments = script.comments.iter().flat_map(|comment| comment.lines()).map(one_line);
    let comments: String = comments.filter(|line| !line.is_empty()).map(|line| format!("# {line}\n")).collect();
    let code = code_of(script);
    let fence = fence_for(&code);
    format!(
        "{comments}# `bue import` made it of {}.\n\n{}{}{}import python (\n{}) {fence}\n{code}{fence}\n\n{}",
        one_line(source),
        params_text(&script.params),
        if script.params.is_empty() { "" } else { "\n" },
        settings_lines(&script.settings),
        items(script),
        calls(script),
    )
}

fn params_text(params: &[Param]) -> String {
    let one = |Param { name, declaration, comment }: &Param| {
        let comment = comment.as_deref().map(|text| format!("# {}\n", one_line(text))).unwrap_or_default();
        format!("{comment}param {name}: {declaration}\n")
    };
    params.iter().map(one).collect()
}

/// The settings of a whole script, each on its line.
fn settings_lines(settings: &StepSettings) -> String {
    let lines: String =
        settings_of(settings, &StepSettings::default()).iter().map(|setting| format!("{setting}\n")).collect();
    if lines.is_empty() { lines } else { format!("{lines}\n") }
}

/// The functions with their own settings, each on its line.
fn items(script: &Script) -> String {
    let settings_step = match &script.calling {
        Calling::Settings(step, _) => format!("    {step},\n"),
        _ => String::new(),
    };
    let item = |task: &Task| {
        let own = settings_of(&task.settings, &script.settings);
        let settings: String = own.iter().map(|setting| format!(" {setting}")).collect();
        format!("    {}{settings},\n", task.name)
    };
    settings_step + &script.tasks.iter().map(item).collect::<String>()
}

/// Settings that differ from the usual ones.
fn settings_of(settings: &StepSettings, usual: &StepSettings) -> Vec<String> {
    let StepSettings { scope, timeout_s, retries, expires_s } = settings;
    let seconds = |seconds: &u64| duration_text(u128::from(*seconds) * 1_000);
    let scope = scope.as_ref().filter(|_| *scope != usual.scope).map(|scope| format!("!scope {}", scope_text(scope)));
    let timeout = timeout_s.as_ref().filter(|_| *timeout_s != usual.timeout_s);
    let retries = retries.as_ref().filter(|_| *retries != usual.retries).map(|retries| {
        let (first, last) = (duration_text(u128::from(retries.first_ms)), duration_text(u128::from(retries.last_ms)));
        let waits = if first == last { first } else { format!("{first}..{last}") };
        format!("!retries {} after {waits}", retries.count)
    });
    let expires = expires_s.as_ref().filter(|_| *expires_s != usual.expires_s);
    let timeout = timeout.map(|timeout| format!("!timeout {}", seconds(timeout)));
    let expires = expires.map(|expires| format!("!expires {}", seconds(expires)));
    [scope, retries, timeout, expires].into_iter().flatten().collect()
}

/// A scope in quotes, unless it is one word.
fn scope_text(scope: &str) -> String {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    let begins_as_word = scope.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_');
    if begins_as_word && scope.chars().all(is_word) { scope.to_owned() } else { format!("\"{scope}\"") }
}

/// One call for each step, whose arguments are parameters and the results of its parents.
fn calls(script: &Script) -> String {
    let settings = match &script.calling {
        Calling::Settings(step, settings) => {
            let params: Vec<&str> = settings.iter().map(|setting| setting.param.as_str()).collect();
            format!("{step} = {step}({})\n", params.join(", "))
        }
        _ => String::new(),
    };
    let call = |task: &Task| {
        let inputs = inputs_of(task, &script.calling).into_iter().chain(task.parents.iter().map(String::as_str));
        format!("{name} = {name}({})\n", inputs.collect::<Vec<_>>().join(", "), name = task.name)
    };
    settings + &script.tasks.iter().map(call).collect::<String>()
}

/// Backticks that the code does not have.
fn fence_for(code: &str) -> String {
    let longest = code.split(|char| char != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest + 1)
}
