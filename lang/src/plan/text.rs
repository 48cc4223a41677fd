//! A plan as text.

use std::fmt::Write as _;

use bue_model::param::{Allowed, ParamDefault};
use bue_model::plan::{Settings, Source};
use bue_model::{ForEach, Input, JobNode, Node, Plan, Step};

use super::capability::capability_text;
use super::literal::{keywords_text, literal_text};
use super::table::function_text;

/// Number of steps whose names decide the width of the column: a plan may have a million.
const MAX_ALIGNED: usize = 100;

/// Widest column of names, in characters.
const MAX_NAME_WIDTH: usize = 30;

/// The steps with their settings, then the jobs in order, loops indented.
#[must_use]
pub fn plan_text(plan: &Plan) -> String {
    let mut text = String::new();
    param_lines(&mut text, plan);
    if !plan.steps.is_empty() {
        text.push_str("steps\n");
        plan.steps.iter().for_each(|step| step_lines(&mut text, plan, step));
        text.push_str("\njobs\n");
    }
    if plan.nodes.is_empty() {
        text.push_str("this script runs nothing: it has no call\n");
    }
    node_lines(&mut text, plan, &plan.nodes, 1);
    text
}

/// Each parameter as the script declares it.
fn param_lines(text: &mut String, plan: &Plan) {
    if plan.params.is_empty() {
        return;
    }
    text.push_str("parameters\n");
    for param in &plan.params {
        let default = param.default.as_ref().map(|default| format!(" = {}", default_text(default))).unwrap_or_default();
        let allowed = match &param.allowed {
            Allowed::All => String::new(),
            allowed => format!(" ({allowed})"),
        };
        line(text, 1, &format!("{}: {}{default}{allowed}", param.name, param.kind.name()));
    }
    text.push('\n');
}

fn default_text(default: &ParamDefault) -> String {
    match default {
        ParamDefault::Value(bytes) => literal_text(bytes),
        ParamDefault::Time(time) => time.name().to_owned(),
    }
}

fn step_lines(text: &mut String, plan: &Plan, step: &Step) {
    let width = plan
        .steps
        .iter()
        .take(MAX_ALIGNED)
        .map(|step| step.name.chars().count())
        .max()
        .unwrap_or_default()
        .min(MAX_NAME_WIDTH);
    let code = match &step.source {
        Source::File(path) => format!("{} in {path}", function_text(step)),
        Source::Inline { line, .. } => format!("{} in line {line}", function_text(step)),
        Source::Fused(_) => {
            let stages: Vec<&str> = plan.stages(step).map(|stage| stage.name.as_str()).collect();
            format!("one job of {}", stages.join(", "))
        }
    };
    let (language, settings) = (step.language.name(), settings_text(step));
    line(text, 1, &format!("{:width$}  {language:<8}  {code}{settings}", step.name));
}

/// Settings that differ from the defaults.
fn settings_text(step: &Step) -> String {
    let settings = &step.settings;
    let default = Settings::default();
    let mut words = String::new();
    let mut add = |differs: bool, text: String| {
        if differs {
            words.push_str("  ");
            words.push_str(&text);
        }
    };
    add(settings.scope != default.scope, format!("!scope {}", settings.scope));
    add(settings.priority != default.priority, format!("!priority {}", settings.priority));
    let soft = settings.soft_timeout_ms.map(|ms| format!(" soft {}", time_text(ms))).unwrap_or_default();
    add(
        settings.timeout_ms() != default.timeout_ms() || !soft.is_empty(),
        format!("!timeout {}{soft}", time_text(settings.timeout_ms())),
    );
    let after = settings.retry_delay_ms.map(|delay| format!(" after {}", range_text(delay))).unwrap_or_default();
    add(settings.retries != default.retries || !after.is_empty(), format!("!retries {}{after}", settings.retries));
    if let Some(range) = settings.every_ms {
        add(true, format!("!every {}", range_text(range)));
    }
    add(
        settings.pending_limit_ms != default.pending_limit_ms,
        format!("!for {}", time_text(settings.pending_limit_ms)),
    );
    add(settings.max_handbacks != 0, format!("!max_handbacks {}", settings.max_handbacks));
    if let Some(ms) = settings.expires_ms {
        add(true, format!("!expires {}", time_text(ms)));
    }
    if let Some(step) = &settings.on_failure {
        add(true, format!("!on_failure {step}"));
    }
    if let Some(rate) = &settings.rate {
        add(true, format!("!rate {}/{}{}", rate.count, time_text(rate.per_ms), by_text(rate.by.as_ref())));
    }
    if let Some(at_most) = &settings.at_most {
        add(true, format!("!at_most {}{}", at_most.count, by_text(at_most.by.as_ref())));
    }
    // each stage of a fused step shows its own
    if let (Some(keywords), false) = (&settings.keywords, matches!(step.source, Source::Fused(_))) {
        add(true, format!("!with {}", keywords_text(keywords)));
    }
    let allowed: Vec<_> = settings.allow.iter().map(capability_text).collect();
    add(!allowed.is_empty(), format!("!allow {}", allowed.join(", ")));
    add(!settings.requires.is_empty(), format!("!requires {}", settings.requires.join(", ")));
    add(!settings.files.is_empty(), format!("!files {}", settings.files.join(", ")));
    words
}

fn by_text(field: Option<&String>) -> String {
    field.map(|field| format!(" by {field}")).unwrap_or_default()
}

/// A time, or two with `..` between them.
fn range_text((first, last): (u64, u64)) -> String {
    let more = if first == last { String::new() } else { format!("..{}", time_text(last)) };
    time_text(first) + &more
}

/// The time in the largest unit that gives a whole number.
fn time_text(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(size, _)| ms >= *size && ms.is_multiple_of(*size));
    unit.map_or_else(|| format!("{ms}ms"), |(size, name)| format!("{}{name}", ms / size))
}

fn node_lines(text: &mut String, plan: &Plan, nodes: &[Node], depth: usize) {
    for node in nodes {
        match node {
            Node::Job(job) => job_line(text, plan, job, depth),
            Node::ForEach(for_each) => for_each_lines(text, plan, for_each, depth),
            Node::Finally(finally) => {
                line(text, depth, &format!("{}  finally", finally.id));
                node_lines(text, plan, &finally.body, depth + 1);
            }
        }
    }
}

fn job_line(text: &mut String, plan: &Plan, job: &JobNode, depth: usize) {
    let step = plan.steps.get(job.step.get()).map_or("?", |step| step.name.as_str());
    let inputs: Vec<String> = job.inputs.iter().map(|input| input_text(plan, input)).collect();
    let call = plan.calls.get(job.call.get());
    let result = call.filter(|call| call.last == job.id).and_then(|call| call.name.as_ref());
    let result = result.map(|name| format!("  → {name}")).unwrap_or_default();
    line(text, depth, &format!("{}  {step}({}){result}", job.id, inputs.join(", ")));
}

fn for_each_lines(text: &mut String, plan: &Plan, node: &ForEach, depth: usize) {
    let gathered = if node.gather.is_some() { ", results collected" } else { "" };
    let window = node.window.map(|window| format!(", window {window}")).unwrap_or_default();
    line(text, depth, &format!("{}  for each {} of {}{window}{gathered}", node.id, node.variable, node.over));
    node_lines(text, plan, &node.body, depth + 1);
}

fn input_text(plan: &Plan, input: &Input) -> String {
    match input {
        Input::Node(node) => node.to_string(),
        Input::Loop(node) => format!("element of {node}"),
        Input::LoopPart(node, part) => format!("element of {node} part {part}"),
        Input::Gather(node) => format!("all of {node}"),
        Input::Param(index) => plan.params.get(index.get()).map_or("?", |param| &param.name).to_owned(),
        Input::Literal(bytes) => literal_text(bytes),
        Input::Failure(node) => format!("failure of {node}"),
        Input::Run(_) => "run".into(),
    }
}

fn line(text: &mut String, depth: usize, content: &str) {
    let written = writeln!(text, "{:indent$}{content}", "", indent = depth * 2);
    debug_assert!(written.is_ok(), "a String takes everything");
}
