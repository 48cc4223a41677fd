//! `pipelines`.

use super::context::Context;
use super::dag::{Dag, read_dag};
use super::fields::{Fields, Located, text_of};
use super::handler::handler_of;
use super::metadata::{read_metadata, scope_of};
use super::service::list;
use super::settings::read_settings;
use crate::pypeline::names::Names;
use crate::pypeline::project::{Calling, Generation, Handler, Param, Script, StepSettings, Task};
use crate::pypeline::yaml::{Entry, Node};

/// A pipeline, with what other parts of the file need of it.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) script: Script,
}

impl Pipeline {
    /// Returns whether one of its tasks has this function.
    pub(super) fn uses(&self, handler: &Handler) -> bool {
        self.script.tasks.iter().flat_map(|task| &task.handlers).any(|other| other.path() == handler.path())
    }
}

/// What a pipeline is before its parts have names.
struct Parts<'n> {
    tasks: &'n [Entry],
    read: Vec<Option<ReadTask>>,
    dag: Dag,
    defaults: StepSettings,
}

/// A task as the YAML has it.
struct ReadTask {
    handlers: Vec<Handler>,
    settings: StepSettings,
}

/// Reads all pipelines.
pub(super) fn read_pipelines(node: &Node, context: &mut Context) -> Vec<Pipeline> {
    if Fields::of(node, "`pipelines`", context).is_none() {
        return Vec::new();
    }
    node.entries().iter().filter_map(|entry| read_pipeline(entry, context)).collect()
}

fn read_pipeline(entry: &Entry, context: &mut Context) -> Option<Pipeline> {
    let mut fields = Fields::of(&entry.value, format!("the pipeline `{}`", entry.key), context)?;
    let name = fields.text("name", context).map(|name| name.value).filter(|name| *name != entry.key);
    let description = fields.text("description", context).map(|text| text.value);
    fields.require("schemaVersion", "1", context);
    let version = fields.whole("schemaVersion", 1, context);
    if let (Some(3..), Some(version)) = (version, fields.take("schemaVersion")) {
        context.error(
            version.value.place,
            "there is no such version of the schema",
            "write `schemaVersion: 1` or `schemaVersion: 2`",
        );
    }
    let config = fields.require("config", "{…}", context);
    fields.finish(context);
    let mut config = Fields::of(&config?.value, "`config`", context)?;
    let parts = read_parts(&mut config, version? == 2, context);
    // with schema 1, it is an unknown key
    let schema = if version == Some(2) { config.take("settings") } else { None };
    let name_in_bue = context.script_name(&entry.key, entry.place);
    let mut names = Names::new(parts.read.iter().flatten().flat_map(|task| &task.handlers).map(Handler::top_level));
    let (params, calling) = match (version, context.generation) {
        (Some(2), _) => match schema {
            Some(schema) => read_settings(&schema.value, &mut names, context),
            None => (vec![names_param("settings", "map = {}", &mut names)], Calling::UntypedSettings),
        },
        (_, Generation::Celery) => (vec![payload_param()], Calling::ChainPayload(entry.key.clone())),
        (_, Generation::Dramatiq) => (vec![payload_param()], Calling::Payload),
    };
    config.finish(context);
    let mut script = Script {
        name: name_in_bue,
        comments: name.into_iter().chain(description).collect(),
        params,
        calling,
        tasks: Vec::new(),
        settings: parts.defaults.clone(),
    };
    add_tasks(&parts, &mut names, &mut script, context);
    Some(Pipeline { script })
}

fn payload_param() -> Param {
    let comment = Some("what PypeLine calls the payload of a run".to_owned());
    Param { name: "chain_payload".to_owned(), declaration: "map = {}".to_owned(), comment }
}

fn names_param(name: &str, declaration: &str, names: &mut Names) -> Param {
    Param { name: names.name_for(name), declaration: declaration.to_owned(), comment: None }
}

fn read_parts<'n>(config: &mut Fields<'n>, has_choices: bool, context: &mut Context) -> Parts<'n> {
    let metadata = config.require("metadata", "{queue: default}", context);
    let defaults = read_metadata(metadata.map(|entry| &entry.value), context);
    let tasks: &[Entry] =
        match config.require("taskDefinitions", "{node_a: {handler: package.module.function}}", context) {
            Some(entry) if Fields::of(&entry.value, "`taskDefinitions`", context).is_some() => entry.value.entries(),
            _ => &[],
        };
    let read = tasks.iter().map(|task| read_task(task, &defaults, has_choices, context)).collect();
    let dag = config.require("dagAdjacency", "{node_a: []}", context);
    let dag = dag.map(|entry| read_dag(&entry.value, tasks, context)).unwrap_or_default();
    Parts { tasks, read, dag, defaults }
}

fn read_task(entry: &Entry, defaults: &StepSettings, has_choices: bool, context: &mut Context) -> Option<ReadTask> {
    let mut fields = Fields::of(&entry.value, format!("the task `{}`", entry.key), context)?;
    let handlers: Vec<Handler> = if has_choices {
        let handlers = fields.require("handlers", "[package.module.function]", context);
        let nodes = handlers.map(|entry| list(&entry.value, "`handlers`", "[package.module.function]", context));
        nodes
            .unwrap_or_default()
            .iter()
            .filter_map(|node| handler_of(node, "an element of `handlers`", context))
            .collect()
    } else {
        let handler = fields.require("handler", "package.module.function", context);
        handler.and_then(|entry| handler_of(&entry.value, "`handler`", context)).into_iter().collect()
    };
    let timeout_s = fields.whole("maxTtl", 1, context);
    let queue = fields.text("queue", context);
    let server_type = if context.generation == Generation::Dramatiq { fields.take("serverType") } else { None };
    let server_type = server_type.and_then(|entry| text_of(&entry.value, "`serverType`", context));
    if context.generation == Generation::Dramatiq && (timeout_s.is_some() || queue.is_some()) {
        let message = "`queue` and `maxTtl` of a task are in effect in the script";
        context.warning(entry.place, message, "PypeLine documents them, but ignores them: it uses those of `metadata`");
    }
    fields.finish(context);
    let own_scope = match &queue {
        Some(queue) => scope_of(queue, context),
        None => defaults.scope.clone(),
    };
    let scope = match (server_type, own_scope) {
        (Some(server), Some(scope)) => {
            scope_of(&Located { value: format!("{server}-{scope}"), place: entry.place }, context)
        }
        (_, scope) => scope,
    };
    if has_choices && handlers.is_empty() {
        return None;
    }
    let settings = StepSettings { scope, timeout_s: timeout_s.or(defaults.timeout_s), ..defaults.clone() };
    (!handlers.is_empty()).then_some(ReadTask { handlers, settings })
}

/// Adds the tasks of the graph, with names that the script takes.
fn add_tasks(parts: &Parts<'_>, names: &mut Names, script: &mut Script, context: &mut Context) {
    let mut named: Vec<Option<String>> = vec![None; parts.tasks.len()];
    for at in &parts.dag.order {
        let Some(entry) = parts.tasks.get(*at) else { continue };
        let name = names.name_for(&entry.key);
        if name != entry.key {
            let message = "this node has another name in the script";
            context.warning(
                entry.place,
                message,
                "names of steps have letters, digits and `_`; a comment has the name of the node",
            );
        }
        named[*at] = Some(name);
    }
    for at in &parts.dag.order {
        let (Some(entry), Some(Some(read)), Some(name)) =
            (parts.tasks.get(*at), parts.read.get(*at), named[*at].clone())
        else {
            continue;
        };
        let choice = (read.handlers.len() > 1).then(|| choice_param(&name, read, names, script));
        let parents = parts.dag.parents.get(at).map(Vec::as_slice).unwrap_or_default();
        script.tasks.push(Task {
            name,
            key: entry.key.clone(),
            handlers: read.handlers.clone(),
            choice,
            parents: parents.iter().filter_map(|parent| named[*parent].clone()).collect(),
            settings: read.settings.clone(),
        });
    }
}

/// Declares the parameter that chooses one of several functions, and returns its name.
fn choice_param(task: &str, read: &ReadTask, names: &mut Names, script: &mut Script) -> String {
    let name = names.name_for(&format!("{task}_handler"));
    let paths: Vec<String> = read.handlers.iter().map(Handler::path).collect();
    script.params.push(Param {
        name: name.clone(),
        declaration: format!("int = 0 (0..{})", paths.len() - 1),
        comment: Some(format!("which function runs as {task}: {}", paths.join(", "))),
    });
    name
}
