//! `settings` of a pipeline with schema 2: typed parameters.

use bue_lang::nearest;
use bue_model::param::ParamKind;

use super::context::Context;
use super::fields::{Fields, text_of};
use super::service::list;
use crate::pypeline::data::{Data, data_of};
use crate::pypeline::names::Names;
use crate::pypeline::problem::{Place, quoted};
use crate::pypeline::project::{Calling, Param, SettingParam};
use crate::pypeline::yaml::{Entry, Node};

/// The types of settings, and those of parameters.
const TYPES: [(&str, ParamKind); 8] = [
    ("string", ParamKind::Text),
    ("int", ParamKind::Int),
    ("float", ParamKind::Float),
    ("boolean", ParamKind::Bool),
    ("datetime", ParamKind::DateTime),
    ("date", ParamKind::Date),
    ("array", ParamKind::List),
    ("object", ParamKind::Map),
];

/// Keys of a setting that have no counterpart.
const WITHOUT_COUNTERPART: [(&str, &str); 5] = [
    ("inputType", "bue has no forms; the type and the choices of the parameter are checked"),
    ("searchEndpoint", "bue has no forms"),
    ("component", "bue has no forms"),
    ("elementType", "only the list itself is checked; check its elements in a step"),
    ("properties", "only the map itself is checked; check its entries in a step"),
];

/// Reads the schema.
pub(super) fn read_settings(node: &Node, names: &mut Names, context: &mut Context) -> (Vec<Param>, Calling) {
    let (mut params, mut settings) = (Vec::new(), Vec::new());
    if let Some(mut fields) = Fields::of(node, "`settings`", context) {
        let properties = fields.require("properties", "{…}", context);
        let properties = properties.filter(|entry| Fields::of(&entry.value, "`properties`", context).is_some());
        let properties = properties.map(|entry| entry.value.entries()).unwrap_or_default();
        let required = fields.take("required").map(|entry| read_required(&entry.value, properties, context));
        let required = required.unwrap_or_default();
        fields.without_counterpart(
            "scenarioSettings",
            "each run has its own parameters; bue runs no scenarios that share steps",
            context,
        );
        fields.finish(context);
        for property in properties {
            if let Some((param, setting)) = read_setting(property, required.contains(&property.key), names, context) {
                params.push(param);
                settings.push(setting);
            }
        }
    }
    (params, Calling::Settings(names.name_for("settings"), settings))
}

fn read_required(node: &Node, properties: &[Entry], context: &mut Context) -> Vec<String> {
    let mut required = Vec::new();
    for element in list(node, "`required`", "[threshold]", context) {
        let Some(name) = text_of(element, "an element of `required`", context) else { continue };
        if !properties.iter().any(|property| property.key == name) {
            let hint = match nearest(&name, properties.iter().map(|property| property.key.as_str())) {
                Some(property) => format!("did you mean `{property}`?"),
                None => "add it to `properties`, or remove it here".to_owned(),
            };
            context.error(element.place, format!("there is no setting {}", quoted(&name)), hint);
        }
        required.push(name);
    }
    required
}

/// What a setting allows.
#[derive(Default)]
struct Allowed {
    minimum: Option<Data>,
    maximum: Option<Data>,
    choices: Vec<Data>,
}

fn read_setting(
    entry: &Entry,
    is_required: bool,
    names: &mut Names,
    context: &mut Context,
) -> Option<(Param, SettingParam)> {
    let mut fields = Fields::of(&entry.value, format!("the setting `{}`", entry.key), context)?;
    let kind = read_kind(&mut fields, context);
    let label = fields.text("label", context).map(|text| text.value);
    let placeholder = fields.text("placeholder", context).map(|text| text.value);
    let mut value_of = |key: &'static str| {
        let entry = fields.take(key)?;
        let data = data_of(&entry.value, &mut context.variables, &mut context.problems);
        Some((with_fixed_variables(data, kind?), entry.value.place))
    };
    let (default, minimum, maximum) = (value_of("default"), value_of("minimum"), value_of("maximum"));
    let choices = read_choices(&mut fields, kind, context);
    for (key, instead) in WITHOUT_COUNTERPART {
        fields.without_counterpart(key, instead, context);
    }
    fields.finish(context);
    let kind = kind?;
    let places = default.iter().chain(&minimum).chain(&maximum).chain(&choices);
    for (data, place) in places {
        check_type(data, kind, *place, context);
    }
    check_bounds(&default, &minimum, &maximum, context);
    if let Some((data, place)) = default.as_ref().filter(|_| !choices.is_empty())
        && !choices.iter().any(|(choice, _)| choice == data)
    {
        let message = format!("the default {} is none of the `options`", quoted(&data.literal()));
        context.error(*place, message, "write one of them, or add it to them");
    }
    let value = |found: Option<(Data, Place)>| found.map(|(data, _)| data);
    let allowed = Allowed {
        minimum: value(minimum),
        maximum: value(maximum),
        choices: choices.into_iter().map(|(data, _)| data).collect(),
    };
    let is_optional = !is_required && default.is_none();
    if is_optional {
        context.warning(
            entry.place,
            "this optional setting has no default, so its parameter takes any JSON value, and `null` if it is left out",
            "give it a `default`, or list it in `required`",
        );
    }
    let name = names.name_for(&entry.key);
    if name != entry.key {
        let message = format!("the parameter of the setting {} is called `{name}`", quoted(&entry.key));
        context.warning(entry.place, message, "functions get it by its old name");
    }
    let comment: Vec<String> = label.into_iter().chain(placeholder.map(|text| format!("({text})"))).collect();
    let param = Param {
        name: name.clone(),
        declaration: declaration(kind, value(default), is_optional, &allowed),
        comment: Some(comment.join(" ")).filter(|text| !text.is_empty()),
    };
    let is_time = matches!(kind, ParamKind::Date | ParamKind::DateTime) && !is_optional;
    Some((param, SettingParam { key: entry.key.clone(), param: name, is_time, is_optional }))
}

fn read_kind(fields: &mut Fields<'_>, context: &mut Context) -> Option<ParamKind> {
    let name = fields.required_text("dataType", "string", context)?;
    let kind = TYPES.iter().find(|(known, _)| *known == name.value).map(|(_, kind)| *kind);
    if kind.is_none() {
        let known: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        context.error(
            name.place,
            format!("there is no type {}", quoted(&name.value)),
            format!("write one of {}", known.join(", ")),
        );
    }
    kind
}

/// Reads `options`, each with its place.
fn read_choices(fields: &mut Fields<'_>, kind: Option<ParamKind>, context: &mut Context) -> Vec<(Data, Place)> {
    let Some(entry) = fields.take("options") else { return Vec::new() };
    let mut choices = Vec::new();
    for option in list(&entry.value, "`options`", "- {label: Fast, value: fast}", context) {
        let Some(mut fields) = Fields::of(option, "an option", context) else { continue };
        if fields.take("label").is_some() {
            let message = "the labels of `options` are not converted";
            context.warning(option.place, message, "the values are the choices of the parameter");
        }
        if let Some(value) = fields.require("value", "fast", context) {
            let data = data_of(&value.value, &mut context.variables, &mut context.problems);
            choices.push((kind.map_or(Data::Null, |kind| with_fixed_variables(data, kind)), value.value.place));
        }
        fields.finish(context);
    }
    if matches!(kind, Some(ParamKind::List | ParamKind::Map)) && !choices.is_empty() {
        context.warning(entry.place, "`options` of a list or a map are not converted", "check the value in a step");
        choices.clear();
    }
    choices
}

/// The value of a variable is a text; here it stands for what the setting's type makes of it.
fn with_fixed_variables(data: Data, kind: ParamKind) -> Data {
    let Data::Variable(_, value) = data else { return data };
    let number = || value.parse::<i128>().ok().map(Data::Int);
    let float = || value.parse::<f64>().ok().filter(|number| number.is_finite()).map(Data::Float);
    let converted = match kind {
        ParamKind::Int => number(),
        ParamKind::Float => number().or_else(float),
        ParamKind::Bool => value.parse::<bool>().ok().map(Data::Bool),
        _ => None,
    };
    converted.unwrap_or(Data::Text(value))
}

fn check_type(data: &Data, kind: ParamKind, place: Place, context: &mut Context) {
    let fits = matches!(
        (kind, data),
        (ParamKind::Text | ParamKind::Date | ParamKind::DateTime, Data::Text(_))
            | (ParamKind::Int | ParamKind::Float, Data::Int(_))
            | (ParamKind::Float, Data::Float(_))
            | (ParamKind::Bool, Data::Bool(_))
            | (ParamKind::List, Data::List(_))
            | (ParamKind::Map, Data::Map(_))
    );
    if !fits {
        let name = TYPES.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name);
        let message = format!("{} does not fit the type {name} of the setting", quoted(&data.literal()));
        context.error(place, message, "correct the value or `dataType`");
    }
}

/// Checks numbers. Others are not of the setting's type, which is an error already.
fn check_bounds(
    default: &Option<(Data, Place)>,
    minimum: &Option<(Data, Place)>,
    maximum: &Option<(Data, Place)>,
    context: &mut Context,
) {
    #[expect(clippy::cast_precision_loss, reason = "for a message; bue compares the numbers themselves")]
    let number = |found: &Option<(Data, Place)>| match found {
        Some((Data::Int(number), _)) => Some(*number as f64),
        Some((Data::Float(number), _)) => Some(*number),
        _ => None,
    };
    let (least, most) = (number(minimum), number(maximum));
    if let (Some((_, place)), Some(true)) = (maximum, least.zip(most).map(|(least, most)| least > most)) {
        return context.error(*place, "`maximum` is less than `minimum`", "exchange them");
    }
    let is_outside = |number: f64| least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most);
    if let (Some((data, place)), Some(true)) = (default, number(default).map(is_outside)) {
        let message = format!("the default {} is not between `minimum` and `maximum`", quoted(&data.literal()));
        context.error(*place, message, "correct one of them");
    }
}

/// What stands behind the colon of the declaration.
fn declaration(kind: ParamKind, default: Option<Data>, is_optional: bool, allowed: &Allowed) -> String {
    let Allowed { minimum, maximum, choices } = allowed;
    if is_optional {
        let choices: Vec<String> = choices.iter().map(Data::literal).collect();
        let choices = if choices.is_empty() { String::new() } else { format!(" (null, {})", choices.join(", ")) };
        return format!("json = null{choices}");
    }
    let default = default.map_or_else(String::new, |data| format!(" = {}", data.literal()));
    let bound = |data: &Option<Data>| data.as_ref().map(Data::literal).unwrap_or_default();
    let allowed = match (choices.is_empty(), minimum.is_some() || maximum.is_some()) {
        (false, _) => format!(" ({})", choices.iter().map(Data::literal).collect::<Vec<_>>().join(", ")),
        (true, true) => format!(" ({}..{})", bound(minimum), bound(maximum)),
        (true, false) => String::new(),
    };
    format!("{}{default}{allowed}", kind.name())
}
