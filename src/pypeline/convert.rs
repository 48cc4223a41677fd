//! From the text of a YAML file to scripts and schedules: parser, reader and writer in a row.

use bue_hub::ScheduleSpec;
use bue_lang::{Script as ScriptText, Severity, compile, format};

use super::problem::{Problem, Problems, quoted};
use super::project::{Generation, Handler, Project, Schedule, Script};
use super::read::{Context, generation_of, read};
use super::variables::Variables;
use super::write::{schedule_json, schedules_text, script_text};
use super::yaml::{MAX_YAML, compose};

/// Most schedules of a file that the hub takes.
const MAX_SCHEDULES: usize = bue_model::schedule::MAX_APPLIED;

/// What a file became.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    /// Which PypeLine the file is for.
    pub(crate) generation: Generation,
    /// What shows it.
    pub(crate) because: &'static str,
    /// The scripts.
    pub(crate) scripts: Vec<ImportedScript>,
    /// The text of `schedules.toml`, if there are schedules.
    pub(crate) schedules: Option<String>,
    /// Scopes of steps, in the order of the scripts.
    pub(crate) scopes: Vec<String>,
}

/// A script.
#[derive(Clone, Debug)]
pub(crate) struct ImportedScript {
    /// The name of the pipeline.
    pub(crate) name: String,
    /// The text of the script.
    pub(crate) text: String,
    /// The functions that it calls.
    pub(crate) handlers: Vec<Handler>,
}

/// Converts a file. `file_name` is for comments, `timezone` that of cron expressions. Without a conversion there are errors.
pub(crate) fn convert(
    text: &str,
    file_name: &str,
    variables: Variables,
    timezone: Option<&str>,
) -> (Option<Conversion>, Problems) {
    let root = match expect_small(text).and_then(|()| compose(text)) {
        Ok(root) => root,
        Err(problem) => return (None, Problems { errors: vec![problem], warnings: Vec::new() }),
    };
    let (generation, because) = generation_of(&root, file_name);
    let mut context = Context::new(generation, variables);
    let project = read(&root, &mut context);
    let Context { mut problems, variables, .. } = context;
    variables.report_unseen(&mut problems);
    check_schedules(&project.schedules, timezone, generation, &mut problems);
    // a script with mistakes would have more of them
    let scripts: Vec<ImportedScript> = match problems.errors.is_empty() {
        true => project.scripts.iter().filter_map(|script| imported(script, file_name, &mut problems)).collect(),
        false => Vec::new(),
    };
    problems.sort();
    if !problems.errors.is_empty() {
        return (None, problems);
    }
    let schedules = (!project.schedules.is_empty()).then(|| schedules_text(&project.schedules, timezone, file_name));
    let conversion = Conversion { generation, because, scripts, schedules, scopes: scopes(&project) };
    (Some(conversion), problems)
}

fn expect_small(text: &str) -> Result<(), Problem> {
    if text.len() <= MAX_YAML {
        return Ok(());
    }
    let message = format!("the file has more than {MAX_YAML} bytes");
    Err(Problem { places: Vec::new(), message, hint: "split it into several files".to_owned() })
}

/// Writes and formats a script. It compiles, unless something in the YAML exceeds a limit of scripts.
fn imported(script: &Script, file_name: &str, problems: &mut Problems) -> Option<ImportedScript> {
    let text = script_text(script, file_name);
    let path = format!("{}.bue", script.name);
    let unformatted = ScriptText { path: &path, text: &text };
    let formatted = format(unformatted).ok().filter(|text| compile(ScriptText { path: &path, text }).plan.is_some());
    if formatted.is_none() {
        let diagnostics = compile(unformatted).diagnostics;
        for diagnostic in diagnostics.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error) {
            let message = format!("the script of {} would not be valid: {}", quoted(&script.name), diagnostic.message);
            problems
                .error_of_file(message, diagnostic.hint.unwrap_or_else(|| "change the values in question".to_owned()));
        }
    }
    let handlers = script.tasks.iter().flat_map(|task| task.handlers.clone()).collect();
    formatted.map(|text| ImportedScript { name: script.name.clone(), text, handlers })
}

/// Checks the schedules as the hub does.
fn check_schedules(schedules: &[Schedule], timezone: Option<&str>, generation: Generation, problems: &mut Problems) {
    if schedules.len() > MAX_SCHEDULES {
        let message =
            format!("the file has {} schedules, of which a file of bue has at most {MAX_SCHEDULES}", schedules.len());
        problems.error_of_file(message, "split it into several files");
    }
    for schedule in schedules {
        for error in ScheduleSpec::from_json(&schedule_json(schedule, timezone)).err().unwrap_or_default() {
            if error.field == "timezone" {
                problems.error_of_file(error.message, "correct --tz");
            } else {
                problems.error(schedule.place, format!("`{}`: {}", error.field, error.message), "correct the schedule");
            }
        }
        if timezone.is_none() && generation == Generation::Dramatiq {
            let message = "PypeLine reads cron schedules in the time zone of the scheduler's machine; the converted ones are in UTC";
            problems.warning(schedule.place, message, "type --tz Europe/Berlin, or whatever that zone is");
        }
    }
}

/// The scopes of all steps, each once.
fn scopes(project: &Project) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for task in project.scripts.iter().flat_map(|script| &script.tasks) {
        let scope = task.settings.scope.clone().unwrap_or_else(|| "default".to_owned());
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: &str = "\
serviceConfig:
  - name: w
    registeredTasks:
      - handler: m.a
        event: {x: 1.5, y: [yes, ~, 2026-11-01]}
      - handler: m.other
pipelines:
  p:
    schemaVersion: 2
    config:
      metadata: &usual {queue: q, maxRetry: 2, maxTtl: 60}
      dagAdjacency: {a: [b, c], b: [c]}
      taskDefinitions:
        a: {handlers: [m.a, m.b]}
        b:
          handlers: [m.b]
          queue: ${QUEUE:other}
        c: {handlers: [m.c]}
      settings:
        required: [n]
        properties:
          n: {dataType: int, minimum: 1, maximum: 5}
          t: {dataType: string, options: [{value: x}]}
  second:
    schemaVersion: 1
    config:
      metadata:
        <<: *usual
        retryBackoff: 5
      dagAdjacency: {only: []}
      taskDefinitions: {only: {handler: m.only}}
scheduledTasks:
  s:
    enabled: true
    config: {task: m.a, queue: q, schedule: {minute: '*/5', hour: '1-3', dayOfWeek: '0', dayOfMonth: '1', monthOfYear: '*'}}
executableJobs:
  j: {name: J, enabled: true, config: {task: m.j, queue: q}}
";

    /// What a conversion claims: there is an error, or all scripts compile and are formatted, and the schedules are TOML.
    fn check(text: &str) -> usize {
        let (conversion, problems) = convert(text, "pypeline.yaml", Variables::default(), None);
        let Some(conversion) = conversion else {
            assert!(!problems.errors.is_empty(), "{text}");
            return 0;
        };
        assert!(problems.errors.is_empty() && !conversion.scripts.is_empty(), "{text}");
        for script in &conversion.scripts {
            let written = ScriptText { path: "x.bue", text: &script.text };
            assert!(compile(written).plan.is_some(), "{}", script.text);
            assert_eq!(format(written).expect("a script"), script.text);
        }
        if let Some(schedules) = &conversion.schedules {
            schedules.parse::<toml::Table>().expect(schedules);
        }
        conversion.scripts.len()
    }

    #[test]
    fn a_file_with_everything_becomes_a_script_for_each_part() {
        assert_eq!(check(FILE), 4);
        assert_eq!(
            check(&FILE.replace(
                "config: {task: m.a, queue: q, schedule",
                "config: {scheduleType: crontab, task: m.a, queue: q, schedule"
            )),
            5
        );
    }

    proptest! {
        /// Lines that are removed, repeated, or changed by a character.
        #[test]
        fn a_changed_file_is_converted_or_refused(
            changes in proptest::collection::vec((0_usize..40, 0_usize..60, "[a-z0-9:,*\"'{}\\[\\] `$!&%#-]?", 0_u8..3), 1..4),
        ) {
            let mut lines: Vec<String> = FILE.lines().map(str::to_owned).collect();
            for (line, at, text, kind) in changes {
                let line = line % lines.len();
                match kind {
                    0 => drop(lines.remove(line)),
                    1 => lines.insert(line, lines[line].clone()),
                    _ => {
                        let at = at % (lines[line].len() + 1);
                        lines[line].insert_str(at, &text);
                    }
                }
            }
            check(&lines.join("\n"));
        }

        #[test]
        fn any_names_make_valid_scripts(
            keys in proptest::collection::vec("\\PC{1,20}", 3),
            scope in "[ -~]{1,3}|[A-Za-z ._:/-]{1,12}",
            text in "\\PC{0,20}",
        ) {
            prop_assume!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
            let quoted: Vec<String> = keys.iter().map(|key| crate::pypeline::data::json_text(key)).collect();
            let (text, scope) = (crate::pypeline::data::json_text(&text), crate::pypeline::data::json_text(&scope));
            let [a, b, c] = [&quoted[0], &quoted[1], &quoted[2]];
            check(&format!(
                "pipelines:\n  {a}:\n    name: {text}\n    description: {text}\n    schemaVersion: 2\n    config:\n      metadata: {{queue: {scope}}}\n      \
                 dagAdjacency: {{{a}: [{b}, {c}]}}\n      taskDefinitions:\n        {a}: {{handlers: [m.a]}}\n        {b}: {{handlers: [m.b, m.c]}}\n        \
                 {c}: {{handlers: [m.c]}}\n      settings:\n        properties:\n          {a}: {{dataType: string, label: {text}, default: {text}}}\n"
            ));
        }
    }
}
