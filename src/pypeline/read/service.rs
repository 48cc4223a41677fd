//! `serviceConfig`: the functions that workers register.

use super::context::Context;
use super::fields::{Fields, describe};
use super::handler::handler_of;
use crate::pypeline::data::{Data, data_of};
use crate::pypeline::project::Handler;
use crate::pypeline::yaml::{Content, Node};

/// A function of `registeredTasks`.
#[derive(Clone, Debug)]
pub(super) struct RegisteredTask {
    pub(super) handler: Handler,
    /// Its `event`.
    pub(super) event: Option<Data>,
}

/// What to do about environment variables.
pub(super) const ENVIRONMENT: &str =
    "give the variable to the worker, and ask for it in the script with `!allow env NAME`: see docs/python.md";
const WORKERS: &str =
    "start as many `bue worker` as you need; its flags and docs/settings.md limit memory, time and jobs at a time";
const NO_SERVICE: &str = "bue runs no services besides `bue serve`, `bue hub`, `bue bucket` and `bue worker`";

/// Keys of services that have no counterpart.
const WITHOUT_COUNTERPART: [(&str, &str); 21] = [
    (
        "name",
        "the workers of a service ran only its tasks; workers of bue run all steps of the scopes that they serve: `bue worker --scopes`",
    ),
    ("environmentVariables", ENVIRONMENT),
    ("replicaCount", WORKERS),
    ("cpuRequest", WORKERS),
    ("memoryRequest", WORKERS),
    ("ephemeralStorageRequest", WORKERS),
    ("cpuLimit", WORKERS),
    ("memoryLimit", WORKERS),
    ("ephemeralStorageLimit", WORKERS),
    ("concurrency", "`bue worker --slots` limits the jobs of a worker, `!at_most N` in a script those of a step"),
    ("command", WORKERS),
    ("queue", "the scopes of the steps decide: `bue worker --scopes`"),
    ("queues", "the scopes of the steps decide: `bue worker --scopes`"),
    ("imageName", NO_SERVICE),
    ("serviceType", NO_SERVICE),
    ("type", NO_SERVICE),
    ("port", NO_SERVICE),
    ("protocol", NO_SERVICE),
    ("serviceId", NO_SERVICE),
    ("accessKey", "access is by tokens: `bue token new`, see docs/access.md"),
    ("broker", "there is no broker; the hub stores jobs"),
];

/// Reads the services, and returns all functions that they register, each once.
pub(super) fn registered_tasks(node: &Node, context: &mut Context) -> Vec<RegisteredTask> {
    let mut tasks: Vec<RegisteredTask> = Vec::new();
    for service in list(node, "`serviceConfig`", "- name: worker", context) {
        let Some(mut fields) = Fields::of(service, "a service", context) else { continue };
        let entry = fields.take("registeredTasks");
        let registered = entry.map(|entry| list(&entry.value, "`registeredTasks`", "- handler: a.b.c", context));
        for node in registered.unwrap_or_default() {
            let Some(task) = registered_task(node, context) else { continue };
            match tasks.iter().find(|other| other.handler.path() == task.handler.path()) {
                None => tasks.push(task),
                Some(first) if task.event.is_some() && task.event != first.event => {
                    let message = "this task is registered twice; the event of the first one is used";
                    context.warning(task.handler.place, message, "edit its script if it should be this one");
                }
                Some(_) => {}
            }
        }
        for (key, instead) in WITHOUT_COUNTERPART {
            fields.without_counterpart(key, instead, context);
        }
        fields.finish(context);
    }
    tasks
}

fn registered_task(node: &Node, context: &mut Context) -> Option<RegisteredTask> {
    let mut fields = Fields::of(node, "a registered task", context)?;
    let handler = fields.require("handler", "package.module.function", context);
    let handler = handler.and_then(|entry| handler_of(&entry.value, "`handler`", context));
    let event = fields.take("event").map(|entry| {
        let data = data_of(&entry.value, &mut context.variables, &mut context.problems);
        if !matches!(data, Data::Map(_)) {
            context.error(
                entry.value.place,
                format!("`event` is {}, not a map", describe(&entry.value)),
                "write `{key: value}`",
            );
        }
        data
    });
    fields.finish(context);
    handler.map(|handler| RegisteredTask { handler, event })
}

/// The elements of a list. Anything else is an error.
pub(super) fn list<'n>(node: &'n Node, what: &str, example: &str, context: &mut Context) -> &'n [Node] {
    if !matches!(node.content, Content::List(_)) {
        context.error(
            node.place,
            format!("{what} is {}, not a list", describe(node)),
            format!("write a list: `{example}`"),
        );
    }
    node.elements()
}
