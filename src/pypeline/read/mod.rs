//! A tree to a [`Project`]: every key is read, or named in a warning.

mod context;
mod dag;
mod executable;
mod fields;
mod generation;
mod handler;
mod metadata;
mod pipeline;
mod schedule;
mod service;
mod settings;
mod task;

pub(super) use context::Context;
pub(super) use generation::generation_of;

use fields::Fields;

use super::project::Project;
use super::yaml::Node;

/// Keys of the whole file that have no counterpart, with what to do instead.
const WITHOUT_COUNTERPART: [(&str, &str); 2] = [
    (
        "imageConfig",
        "`bue serve` and `bue worker` are one program and need no image; `bue deps` installs Python packages",
    ),
    ("environmentVariables", service::ENVIRONMENT),
];

/// Reads a file.
pub(super) fn read(root: &Node, context: &mut Context) -> Project {
    let mut project = Project { scripts: Vec::new(), schedules: Vec::new() };
    let Some(mut fields) = Fields::of(root, "the file", context) else { return project };
    let registered = fields.take("serviceConfig").map(|entry| service::registered_tasks(&entry.value, context));
    let registered = registered.unwrap_or_default();
    let pipelines = fields.take("pipelines").map(|entry| pipeline::read_pipelines(&entry.value, context));
    let pipelines = pipelines.unwrap_or_default();
    if let Some(entry) = fields.take("scheduledTasks") {
        let tasks = schedule::TasksToRun { pipelines: &pipelines, registered: &registered };
        schedule::read_schedules(&entry.value, &tasks, &mut project, context);
    }
    // PypeLine takes no value for no jobs
    if let Some(entry) = fields.take("executableJobs").filter(|entry| fields::describe(&entry.value) != "empty") {
        executable::read_jobs(&entry.value, &mut project, context);
    }
    task::read_other_tasks(&registered, &pipelines, &mut project, context);
    for (key, instead) in WITHOUT_COUNTERPART {
        fields.without_counterpart(key, instead, context);
    }
    fields.finish(context);
    project.scripts.splice(0..0, pipelines.into_iter().map(|pipeline| pipeline.script));
    if project.scripts.is_empty() && context.problems.errors.is_empty() {
        context.problems.error_of_file(
            "the file has no pipelines, no scheduled tasks, no executable jobs and no registered tasks",
            "name a `sermos.yaml` or `pypeline.yaml` of PypeLine",
        );
    }
    project
}
