//! Which PypeLine a file is for.

use crate::pypeline::project::Generation;
use crate::pypeline::yaml::Node;

/// Returns for which PypeLine a file is, and what shows it. The two need different keys in schedules; without any, other keys that
/// only one of them has decide, and at last the name of the file.
pub(in crate::pypeline) fn generation_of(root: &Node, file_name: &str) -> (Generation, &'static str) {
    let configs = |key: &str| -> Vec<&Node> {
        let entries = root.get(key).map(Node::entries).unwrap_or_default();
        entries.iter().filter_map(|entry| entry.value.get("config")).collect()
    };
    let schedules = configs("scheduledTasks");
    if schedules.iter().any(|config| config.get("scheduleType").is_some()) {
        return (Generation::Celery, "its schedules have `scheduleType`");
    }
    if !schedules.is_empty() {
        return (Generation::Dramatiq, "its schedules have no `scheduleType`");
    }
    if root.get("executableJobs").is_some() {
        return (Generation::Dramatiq, "it has `executableJobs`");
    }
    for config in configs("pipelines") {
        let metadata = |key| config.get("metadata").is_some_and(|metadata| metadata.get(key).is_some());
        let tasks = config.get("taskDefinitions").map(Node::entries).unwrap_or_default();
        let task = |key| tasks.iter().any(|task| task.value.get(key).is_some());
        if config.get("settings").is_some() || task("handlers") || task("serverType") || metadata("groupName") {
            return (Generation::Dramatiq, "it has `handlers`, `settings`, `serverType` or `groupName`");
        }
        if metadata("processorQueue") {
            return (Generation::Celery, "it has `processorQueue`");
        }
    }
    match file_name.contains("sermos") {
        true => (Generation::Celery, "of its name"),
        false => (Generation::Dramatiq, "nothing in it is of PypeLine 1"),
    }
}
