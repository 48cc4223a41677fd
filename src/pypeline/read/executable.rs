//! `executableJobs`: functions that other code starts with `execute_job`.

use super::context::Context;
use super::fields::Fields;
use super::handler::handler_named;
use super::metadata::{scope_of, settings_of_task};
use super::task::{SingleTask, TaskKind, script_of};
use crate::pypeline::project::{Project, StepSettings};
use crate::pypeline::yaml::{Entry, Node};

/// Adds a script for each job.
pub(super) fn read_jobs(node: &Node, project: &mut Project, context: &mut Context) {
    if Fields::of(node, "`executableJobs`", context).is_some() {
        node.entries().iter().for_each(|entry| read_job(entry, project, context));
    }
}

fn read_job(entry: &Entry, project: &mut Project, context: &mut Context) {
    let Some(mut fields) = Fields::of(&entry.value, format!("the executable job `{}`", entry.key), context) else {
        return;
    };
    let name = fields.text("name", context).map(|name| name.value);
    fields.whole("schemaVersion", 1, context);
    if let Some(enabled) = fields.flag("enabled", context).filter(|enabled| !enabled.value) {
        let message = "pipelines cannot be disabled; a script is written for this job, too";
        context.warning(enabled.place, message, "do not publish it, if nobody should start it");
    }
    let config = fields.require("config", "{task: package.module.function, queue: default}", context);
    fields.finish(context);
    let Some(mut fields) = config.and_then(|config| Fields::of(&config.value, "`config`", context)) else { return };
    let task = fields.required_text("task", "package.module.function", context);
    let queue = fields.required_text("queue", "default", context);
    fields.without_counterpart("broker", "there is no broker; the hub stores jobs", context);
    fields.finish(context);
    let scope = queue.and_then(|queue| scope_of(&queue, context));
    let Some(handler) = task.and_then(|task| handler_named(&task, "`task`", context)) else { return };
    let task = SingleTask {
        name: &entry.key,
        place: entry.place,
        comments: name.into_iter().filter(|name| *name != entry.key).collect(),
        handler,
        settings: StepSettings { scope, ..settings_of_task(None, context.generation) },
        kind: TaskKind::Arguments,
    };
    let script = script_of(task, context);
    project.scripts.push(script);
}
