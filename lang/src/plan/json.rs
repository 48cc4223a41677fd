//! The public form of a plan: what `bue plan --format json` prints.

use bue_model::param::{ParamView, cbor_to_json};
use bue_model::plan::{Settings, Source};
use bue_model::{ForEach, Input, JobNode, Language, Node, Plan, SqlColumn, Step};
use serde_json::{Map, Value, json};

use super::capability::capability_text;
use super::table::table;

/// The version of the public form.
const PLAN_JSON_VERSION: u32 = 1;

/// `{"version":1,"nodes":[…]}`, with `params` if the script has some. Times are in seconds; settings without a default value appear only where they are set.
#[must_use]
pub fn plan_json(plan: &Plan) -> Value {
    let mut object = Map::new();
    object.insert("version".into(), PLAN_JSON_VERSION.into());
    if !plan.params.is_empty() {
        object.insert("params".into(), plan.params.iter().map(|param| json!(ParamView::from(param))).collect());
    }
    object.insert("nodes".into(), nodes(plan, &plan.nodes).into());
    Value::Object(object)
}

fn nodes(plan: &Plan, list: &[Node]) -> Vec<Value> {
    list.iter()
        .map(|node| match node {
            Node::Job(job) => job_json(plan, job),
            Node::ForEach(for_each) => for_each_json(plan, for_each),
            Node::Finally(finally) => {
                json!({ "id": finally.id.0, "kind": "finally", "body": nodes(plan, &finally.body) })
            }
        })
        .collect()
}

fn job_json(plan: &Plan, job: &JobNode) -> Value {
    let mut object = Map::new();
    object.insert("id".into(), job.id.0.into());
    object.insert("kind".into(), "job".into());
    if let Some(step) = plan.steps.get(job.step.get()) {
        insert_step(&mut object, plan, step);
    }
    object.insert("inputs".into(), job.inputs.iter().map(input_json).collect());
    Value::Object(object)
}

fn insert_step(object: &mut Map<String, Value>, plan: &Plan, step: &Step) {
    object.insert("step".into(), step.name.as_str().into());
    object.insert("language".into(), step.language.name().into());
    let table = table(step);
    object.insert("function".into(), table.as_ref().map_or(step.function.as_str(), |table| &table.name).into());
    if let Some(columns) = table.and_then(|table| table.columns) {
        object.insert("columns".into(), columns.iter().map(column_json).collect());
    }
    match &step.source {
        Source::File(path) => object.insert("source".into(), json!({ "file": path })),
        Source::Inline { .. } if matches!(step.language, Language::Builtin) => None,
        Source::Inline { text, .. } => object.insert("source".into(), json!({ "inline": text })),
        Source::Fused(_) => {
            object.insert("stages".into(), plan.stages(step).map(|stage| stage_json(plan, stage)).collect())
        }
    };
    insert_settings(object, &step.settings);
    if matches!(step.source, Source::Fused(_)) {
        // each stage has its own
        object.remove("with");
    }
}

/// A stage of a fused step. No step has stages that have stages.
fn stage_json(plan: &Plan, stage: &Step) -> Value {
    let mut object = Map::new();
    if !matches!(stage.source, Source::Fused(_)) {
        insert_step(&mut object, plan, stage);
    }
    Value::Object(object)
}

fn column_json(column: &SqlColumn) -> Value {
    json!({ "name": column.name, "type": column.column_type.name() })
}

fn insert_settings(object: &mut Map<String, Value>, settings: &Settings) {
    object.insert("scope".into(), settings.scope.as_str().into());
    object.insert("priority".into(), settings.priority.into());
    object.insert("timeout_s".into(), number(settings.timeout_s));
    if let Some(ms) = settings.soft_timeout_ms {
        object.insert("soft_timeout_s".into(), seconds(ms));
    }
    object.insert("retries".into(), settings.retries.into());
    if let Some((first, last)) = settings.retry_delay_ms {
        object.insert("retry_delay_s".into(), json!([seconds(first), seconds(last)]));
    }
    if let Some((first, last)) = settings.every_ms {
        object.insert("every_s".into(), json!([seconds(first), seconds(last)]));
    }
    if settings.pending_limit_ms != Settings::default().pending_limit_ms {
        object.insert("for_s".into(), seconds(settings.pending_limit_ms));
    }
    if settings.max_handbacks != 0 {
        object.insert("max_handbacks".into(), settings.max_handbacks.into());
    }
    if let Some(ms) = settings.expires_ms {
        object.insert("expires_s".into(), seconds(ms));
    }
    if let Some(step) = &settings.on_failure {
        object.insert("on_failure".into(), step.as_str().into());
    }
    if let Some(rate) = &settings.rate {
        object.insert("rate".into(), json!({ "count": rate.count, "per_s": seconds(rate.per_ms), "by": rate.by }));
    }
    if let Some(at_most) = &settings.at_most {
        object.insert("at_most".into(), json!({ "count": at_most.count, "by": at_most.by }));
    }
    if let Some(keywords) = &settings.keywords {
        object.insert("with".into(), cbor_to_json(keywords));
    }
    if !settings.allow.is_empty() {
        object.insert("allow".into(), settings.allow.iter().map(|one| Value::from(capability_text(one))).collect());
    }
    if !settings.requires.is_empty() {
        object.insert("requires".into(), settings.requires.clone().into());
    }
    if !settings.files.is_empty() {
        object.insert("files".into(), settings.files.clone().into());
    }
}

#[expect(clippy::cast_precision_loss, reason = "settings are shorter than 2^53 ms")]
fn seconds(ms: u64) -> Value {
    number(ms as f64 / 1000.0)
}

/// Whole numbers have no decimal point.
fn number(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and small")]
    match number.fract() == 0.0 && number.abs() < 1e15 {
        true => (number as i64).into(),
        false => number.into(),
    }
}

fn for_each_json(plan: &Plan, node: &ForEach) -> Value {
    let mut object = Map::new();
    object.insert("id".into(), node.id.0.into());
    object.insert("kind".into(), "for_each".into());
    object.insert("variable".into(), node.variable.as_str().into());
    object.insert("over".into(), json!({ "node": node.over.0 }));
    object.insert("body".into(), nodes(plan, &node.body).into());
    if let Some(last) = node.gather {
        object.insert("gather".into(), json!({ "node": last.0 }));
    }
    if let Some(window) = node.window {
        object.insert("window".into(), window.into());
    }
    Value::Object(object)
}

fn input_json(input: &Input) -> Value {
    match input {
        Input::Node(node) => json!({ "node": node.0 }),
        Input::Loop(node) => json!({ "loop": node.0 }),
        Input::LoopPart(node, part) => json!({ "loop": node.0, "part": part }),
        Input::Gather(node) => json!({ "gather": node.0 }),
        Input::Param(index) => json!({ "param": index.0 }),
        Input::Failure(node) => json!({ "failure": node.0 }),
        Input::Run(node) => json!({ "run": node.0 }),
        Input::Literal(bytes) => json!({ "value": cbor_to_json(bytes) }),
    }
}
