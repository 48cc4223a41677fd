//! Scripts of single tasks: scheduled ones, executable jobs, and functions that are only registered.

use super::context::Context;
use super::pipeline::Pipeline;
use super::service::RegisteredTask;
use crate::pypeline::data::Data;
use crate::pypeline::names::Names;
use crate::pypeline::problem::Place;
use crate::pypeline::project::{Calling, Generation, Handler, Param, Project, Script, StepSettings, Task};

/// A task that is to run by itself.
pub(super) struct SingleTask<'t> {
    /// The name that the script should have.
    pub(super) name: &'t str,
    pub(super) place: Place,
    pub(super) comments: Vec<String>,
    pub(super) handler: Handler,
    pub(super) settings: StepSettings,
    pub(super) kind: TaskKind,
}

/// What a task is called with.
pub(super) enum TaskKind {
    /// `event`, with this data.
    Event(Option<Data>),
    Nothing,
    Arguments,
}

/// Makes the script of a task.
pub(super) fn script_of(task: SingleTask<'_>, context: &mut Context) -> Script {
    let SingleTask { name, place, comments, handler, settings, kind } = task;
    let mut names = Names::new([handler.top_level()]);
    let (params, calling) = match kind {
        TaskKind::Nothing => (Vec::new(), Calling::Nothing),
        TaskKind::Arguments => {
            let param = |name: &str, declaration: &str| Param {
                name: name.to_owned(),
                declaration: declaration.to_owned(),
                comment: None,
            };
            (vec![param("args", "list = []"), param("kwargs", "map = {}")], Calling::Arguments)
        }
        TaskKind::Event(data) => event_params(data, &mut names),
    };
    let step = names.name_for(&handler.function);
    let key = handler.function.clone();
    let task = Task {
        name: step,
        key,
        handlers: vec![handler],
        choice: None,
        parents: Vec::new(),
        settings: settings.clone(),
    };
    Script { name: context.script_name(name, place), comments, params, calling, tasks: vec![task], settings }
}

/// The parameters of a task that gets `event`: what is added to it, and its variables.
fn event_params(data: Option<Data>, names: &mut Names) -> (Vec<Param>, Calling) {
    let mut data = data.unwrap_or(Data::Map(Vec::new()));
    let comment = Some("what the function gets as its event".to_owned());
    let mut params = vec![Param { name: "event".to_owned(), declaration: "map = {}".to_owned(), comment }];
    let variables: Vec<(String, String, String)> = data
        .variables()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), names.name_for(name), Data::Text(value.to_owned()).literal()))
        .collect();
    for (_, name, default) in &variables {
        let comment = Some("a variable of the YAML".to_owned());
        params.push(Param { name: name.clone(), declaration: format!("text = {default}"), comment });
    }
    let name_of = |name: &str| {
        let renamed = variables.iter().find(|(old, _, _)| old == name);
        renamed.map_or_else(|| name.to_owned(), |(_, new, _)| new.clone())
    };
    data.rename_variables(&name_of);
    (params, Calling::Event(data, variables.into_iter().map(|(_, name, _)| name).collect()))
}

/// Makes scripts of functions that are registered, but are in no pipeline, schedule or executable job: on Celery, other code starts
/// them with `TaskRunner.publish_work`.
pub(super) fn read_other_tasks(
    registered: &[RegisteredTask],
    pipelines: &[Pipeline],
    project: &mut Project,
    context: &mut Context,
) {
    for RegisteredTask { handler, event } in registered {
        let is_same = |task: &Task| task.handlers.iter().any(|other| other.path() == handler.path());
        let is_used = pipelines.iter().any(|pipeline| pipeline.uses(handler))
            || project.scripts.iter().flat_map(|script| &script.tasks).any(is_same);
        if is_used {
            continue;
        }
        if context.generation == Generation::Dramatiq {
            let message = "no pipeline, schedule or executable job has this registered task, so it never runs, and is not converted";
            context.warning(handler.place, message, "add it to one of them if it should run");
            continue;
        }
        context.warning(
            handler.place,
            "the queue of this task is unknown: `TaskRunner.publish_work` names it at each call",
            "add `!scope NAME` to its script; start it with `bue invoke`, or with a web request: see docs/http-api.md",
        );
        let task = SingleTask {
            name: &handler.function,
            place: handler.place,
            comments: vec!["A task that `TaskRunner.publish_work` starts.".to_owned()],
            handler: handler.clone(),
            settings: super::metadata::settings_of_published_work(),
            kind: TaskKind::Event(event.clone()),
        };
        let script = script_of(task, context);
        project.scripts.push(script);
    }
}

/// The `event` of a registered task.
pub(super) fn event_of(handler: &Handler, registered: &[RegisteredTask]) -> Option<Data> {
    let task = registered.iter().find(|task| task.handler.path() == handler.path());
    task.and_then(|task| task.event.clone())
}
