//! `scheduledTasks`.

use super::context::Context;
use super::fields::{Fields, Located};
use super::handler::handler_named;
use super::metadata::{scope_of, settings_of_task};
use super::pipeline::Pipeline;
use super::service::RegisteredTask;
use super::task::{SingleTask, TaskKind, event_of, script_of};
use crate::pypeline::cron;
use crate::pypeline::names::published_name;
use crate::pypeline::problem::{Place, quoted};
use crate::pypeline::project::{Generation, Project, Rule, Schedule, StepSettings, duration_text};
use crate::pypeline::yaml::{Entry, Node};

/// What the rest of the file says about tasks that a schedule may run.
#[derive(Clone, Copy)]
pub(super) struct TasksToRun<'p> {
    pub(super) pipelines: &'p [Pipeline],
    pub(super) registered: &'p [RegisteredTask],
}

/// Keys of a schedule's configuration that have no counterpart.
const BROKER: &str = "there is no broker; the hub stores jobs";

/// Microseconds of the periods.
const PERIODS: [(&str, u128); 5] = [
    ("microseconds", 1),
    ("seconds", 1_000_000),
    ("minutes", 60_000_000),
    ("hours", 3_600_000_000),
    ("days", 86_400_000_000),
];

/// The shortest time between two due times, in microseconds.
const SHORTEST: u128 = 1_000_000;

/// Adds the schedules, and a script for the task of each.
pub(super) fn read_schedules(node: &Node, tasks: &TasksToRun<'_>, project: &mut Project, context: &mut Context) {
    if Fields::of(node, "`scheduledTasks`", context).is_some() {
        for entry in node.entries() {
            read_schedule(entry, tasks, project, context);
        }
    }
}

fn read_schedule(entry: &Entry, tasks: &TasksToRun<'_>, project: &mut Project, context: &mut Context) {
    let Some(mut fields) = Fields::of(&entry.value, format!("the scheduled task `{}`", entry.key), context) else {
        return;
    };
    let name = fields.text("name", context).map(|name| name.value).filter(|name| *name != entry.key);
    fields.whole("schemaVersion", 1, context);
    fields.require("enabled", "true", context);
    let enabled = fields.flag("enabled", context);
    for key in ["lastRunAt", "totalRunCount"] {
        fields.without_counterpart(key, "what has run before is not imported", context);
    }
    let config = fields.require("config", "{task: package.module.function, queue: default, schedule: {…}}", context);
    fields.finish(context);
    let Some(mut fields) = config.and_then(|config| Fields::of(&config.value, "`config`", context)) else { return };
    let task = fields.required_text("task", "package.module.function", context);
    let queue = fields.required_text("queue", "default", context);
    let expires_s = fields.whole("expires", 1, context);
    for (key, instead) in [
        ("exchange", BROKER),
        ("routingKey", BROKER),
        ("broker", "there is no broker; the hub stores jobs, and one schedule serves all workers"),
    ] {
        fields.without_counterpart(key, instead, context);
    }
    let rule = read_rule(&mut fields, context);
    fields.finish(context);
    let scope = queue.and_then(|queue| scope_of(&queue, context));
    let handler = task.and_then(|task| handler_named(&task, "`task`", context));
    let (Some(handler), Some(rule)) = (handler, rule) else { return };
    let pipeline = tasks.pipelines.iter().find(|pipeline| pipeline.uses(&handler));
    let used = pipeline.map(|pipeline| &pipeline.script.settings);
    let settings = StepSettings { scope, expires_s, ..settings_of_task(used, context.generation) };
    let kind = match context.generation {
        Generation::Celery => TaskKind::Event(event_of(&handler, tasks.registered)),
        Generation::Dramatiq => TaskKind::Nothing,
    };
    let comments = name.iter().cloned().collect();
    let task = SingleTask { name: &entry.key, place: entry.place, comments, handler, settings, kind };
    let script = script_of(task, context);
    let enabled = enabled.unwrap_or(Located { value: true, place: entry.place });
    if !enabled.value {
        let message = "this schedule is disabled, so it is written as a comment";
        context.warning(enabled.place, message, "remove the `#` from its lines when it should run");
    }
    project.schedules.push(Schedule {
        name: schedule_name(entry, project, context),
        comment: name,
        pipeline: script.name.clone(),
        rule,
        is_enabled: enabled.value,
        place: entry.place,
    });
    project.scripts.push(script);
}

fn schedule_name(entry: &Entry, project: &Project, context: &mut Context) -> String {
    let name = published_name(&entry.key);
    let is_taken = |name: &str| project.schedules.iter().any(|schedule| schedule.name == name);
    let free = core::iter::once(name.clone()).chain((2..).map(|number: u32| format!("{name}-{number}")));
    let free = free.into_iter().find(|name| !is_taken(name)).unwrap_or(name);
    if free != entry.key {
        let message = format!("the schedule {} is called `{free}`", quoted(&entry.key));
        context.warning(entry.place, message, "names have letters, digits, `-`, `_` and `.`");
    }
    free
}

/// Reads when a task is due. `None` if that is an error, or if bue cannot do it, of which there is a warning.
fn read_rule(config: &mut Fields<'_>, context: &mut Context) -> Option<Rule> {
    let kind = config.text("scheduleType", context);
    let schedule = config.require("schedule", "{minute: '0', hour: '6', …}", context)?;
    let is_interval = match kind.as_ref().map(|kind| kind.value.as_str()) {
        Some("interval") => true,
        Some("crontab") => false,
        None => schedule.value.get("every").is_some(),
        Some(other) => {
            let message = format!("a schedule of the type {} has no counterpart, and is left out", quoted(other));
            let place = kind.as_ref().map_or(schedule.place, |kind| kind.place);
            let hint = "start the run when its event happens: with `bue invoke`, or with a web request; or write a schedule with \
                        `from` and `until`, see docs/schedules.md";
            context.warning(place, message, hint);
            return None;
        }
    };
    let mut fields = Fields::of(&schedule.value, "`schedule`", context)?;
    let rule = match is_interval {
        true => read_interval(&mut fields, context),
        false => read_crontab(&mut fields, context),
    };
    fields.finish(context);
    rule
}

fn read_interval(fields: &mut Fields<'_>, context: &mut Context) -> Option<Rule> {
    fields.require("every", "15", context);
    let every = fields.whole("every", 1, context);
    let period = fields.required_text("period", "minutes", context)?;
    let Some((_, unit)) = PERIODS.iter().find(|(name, _)| *name == period.value) else {
        let known: Vec<&str> = PERIODS.iter().map(|(name, _)| *name).collect();
        let message = format!("there is no period {}", quoted(&period.value));
        context.error(period.place, message, format!("write one of {}", known.join(", ")));
        return None;
    };
    let microseconds = u128::from(every?) * unit;
    if microseconds < SHORTEST || microseconds % 1_000 != 0 {
        let message =
            "the shortest time between two runs is a second, in whole milliseconds; this schedule is left out";
        context.warning(fields.place, message, "do several things in one run, or write a longer time");
        return None;
    }
    Some(Rule::Every(duration_text(microseconds / 1_000)))
}

fn read_crontab(fields: &mut Fields<'_>, context: &mut Context) -> Option<Rule> {
    let found: Vec<Option<Located<String>>> =
        cron::FIELDS.iter().map(|field| fields.required_text(field.key, "'*'", context)).collect();
    let found: Vec<Located<String>> = found.into_iter().collect::<Option<_>>()?;
    let texts: Vec<&str> = found.iter().map(|field| field.value.as_str()).collect();
    match cron::expression(texts.try_into().ok()?, context.generation) {
        Ok(expression) => {
            warn_of_weekdays(found.last(), context);
            Some(Rule::Cron(expression))
        }
        Err(problems) => {
            for (at, problem) in problems {
                let place = found.get(at).map_or(fields.place, |field| field.place);
                context.error(place, problem.message, problem.hint);
            }
            None
        }
    }
}

/// Numbers of days mean something else to APScheduler than to everybody who knows cron.
fn warn_of_weekdays(weekday: Option<&Located<String>>, context: &mut Context) {
    let Some(Located { value, place }) = weekday.filter(|_| context.generation == Generation::Dramatiq) else { return };
    let number = |part: &str| part.starts_with(|char: char| char.is_ascii_digit());
    if value.split([',', '-']).any(number) {
        let place: Place = *place;
        let message = "PypeLine counts the days of the week from Monday as 0, and so does the converted schedule";
        context.warning(place, message, "if days from Sunday as 0 were meant, correct `schedules.toml`");
    }
}
