//! The Python of a script: a function for each step, which calls PypeLine's function as PypeLine does.

use std::collections::BTreeSet;

use crate::pypeline::data::{Data, json_text};
use crate::pypeline::project::{Calling, Handler, Script, SettingParam, Task};

/// Returns the code of all steps of a script.
pub(super) fn code_of(script: &Script) -> String {
    let handlers = script.tasks.iter().flat_map(|task| &task.handlers);
    let modules: BTreeSet<&str> = handlers.map(|handler| handler.module.as_str()).collect();
    let imports: String = modules.iter().map(|module| format!("import {module}\n")).collect();
    let settings = match &script.calling {
        Calling::Settings(step, settings) => vec![settings_function(step, settings)],
        _ => Vec::new(),
    };
    let functions = settings.into_iter().chain(script.tasks.iter().map(|task| function(task, &script.calling)));
    format!("{imports}\n{}", functions.collect::<Vec<_>>().join("\n"))
}

/// The names of the parameters that a step gets before the results of its parents.
pub(super) fn inputs_of<'s>(task: &'s Task, calling: &'s Calling) -> Vec<&'s str> {
    let mut inputs: Vec<&str> = match calling {
        Calling::ChainPayload(_) | Calling::Payload => vec!["chain_payload"],
        Calling::Settings(step, _) => vec![step],
        Calling::UntypedSettings => vec!["settings"],
        Calling::Event(_, variables) => core::iter::once("event").chain(variables.iter().map(String::as_str)).collect(),
        Calling::Nothing => Vec::new(),
        Calling::Arguments => vec!["args", "kwargs"],
    };
    inputs.extend(task.choice.as_deref());
    inputs
}

fn function(task: &Task, calling: &Calling) -> String {
    let Task { name, key, handlers, choice, parents, .. } = task;
    let inputs: Vec<&str> = inputs_of(task, calling).into_iter().chain(parents.iter().map(String::as_str)).collect();
    let comment = if name == key { String::new() } else { format!("    # the node {}\n", one_line(key)) };
    let (prepare, callee) = match (choice, handlers.as_slice()) {
        (Some(choice), handlers) => {
            let paths: Vec<String> = handlers.iter().map(Handler::path).collect();
            (format!("    handlers = [{}]\n", paths.join(", ")), format!("handlers[{choice}]"))
        }
        (None, [handler, ..]) => (String::new(), handler.path()),
        (None, []) => (String::new(), "None".to_owned()),
    };
    let arguments = arguments(calling);
    format!("def {name}({}):\n{comment}{prepare}    return {callee}({arguments})\n", inputs.join(", "))
}

/// What PypeLine's function is called with.
fn arguments(calling: &Calling) -> String {
    match calling {
        Calling::ChainPayload(pipeline) => {
            format!("event={{\"pipeline_id\": {}, \"chain_payload\": chain_payload}}", json_text(pipeline))
        }
        Calling::Payload => "event=chain_payload".to_owned(),
        Calling::Settings(step, _) => format!("settings={step}"),
        Calling::UntypedSettings => "settings=settings".to_owned(),
        Calling::Event(data, _) => match data {
            Data::Map(entries) if entries.is_empty() => "event=event".to_owned(),
            data => format!("event={{**{}, **event}}", data.python()),
        },
        Calling::Nothing => String::new(),
        Calling::Arguments => "*args, **kwargs".to_owned(),
    }
}

/// A function that makes `settings` of parameters: dates are texts in it, and settings that were left out are not in it.
fn settings_function(step: &str, settings: &[SettingParam]) -> String {
    let params: Vec<&str> = settings.iter().map(|setting| setting.param.as_str()).collect();
    let entries: String = settings
        .iter()
        .map(|setting| {
            let text = if setting.is_time { ".isoformat()" } else { "" };
            format!("        {}: {}{text},\n", json_text(&setting.key), setting.param)
        })
        .collect();
    let optional: Vec<String> =
        settings.iter().filter(|setting| setting.is_optional).map(|setting| json_text(&setting.key)).collect();
    let result = match optional.is_empty() {
        true => "    return values\n".to_owned(),
        false => format!(
            "    optional = [{}]\n    return {{name: value for name, value in values.items() if not (name in optional and value is None)}}\n",
            optional.join(", ")
        ),
    };
    format!("def {step}({}):\n    values = {{\n{entries}    }}\n{result}", params.join(", "))
}

/// A text without line breaks and other control characters, for comments.
pub(super) fn one_line(text: &str) -> String {
    let words: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
