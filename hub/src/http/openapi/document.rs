//! The OpenAPI document of a server.

use serde_json::{Map, Value, json};

use super::operation_doc::{Content, Documented, ParameterKind, QueryParameter};
use super::schemas;
use crate::auth::role::{Permission, Role};
use crate::http::routes::Route;

/// Generates the document of a server.
pub(crate) fn document<Op: Documented>(title: &str, routes: &[Route<Op>]) -> Value {
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path.replace("...}", "}")).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": "All errors have the same shape, `Error`. Bodies of type application/vnd.bue.postcard are messages \
                            between programs of one release. If the server has tokens, a request carries one.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "created by `bue token new`" } },
        },
    })
}

fn operation<Op: Documented>(route: &Route<Op>) -> Value {
    let doc = route.operation.doc();
    let mut responses = Map::new();
    responses.insert(doc.status.to_string(), Value::Object(with_content("success", &[doc.response])));
    let is_public = route.permission == Permission::Public;
    let access_errors: &[u16] = if is_public { &[] } else { &[401, 403] };
    for status in access_errors.iter().chain(doc.errors) {
        responses.insert(status.to_string(), error(status_description(*status)));
    }
    responses.insert("default".to_owned(), error("any other error"));
    let roles: Vec<_> = Role::ALL.into_iter().filter(|role| role.allows(route.permission)).map(Role::name).collect();
    let mut operation = json!({
        "summary": doc.summary,
        "operationId": operation_id(route),
        "description": if is_public { "Needs no token.".to_owned() } else { format!("Roles: {}.", roles.join(", ")) },
        "parameters": parameters(route.path, doc.query),
        "responses": responses,
        "security": if is_public { json!([]) } else { json!([{}, { "token": [] }]) },
    });
    if let (Some(fields), false) = (operation.as_object_mut(), doc.request.is_empty()) {
        let mut body = with_content("", doc.request);
        // an empty body is a valid blob, but not a valid message
        let may_be_empty = |content: &Content| matches!(content, Content::Bytes(_) | Content::OptionalJson(_));
        let is_required = !doc.request.iter().any(may_be_empty);
        body.insert("required".to_owned(), json!(is_required));
        fields.insert("requestBody".to_owned(), Value::Object(body));
    }
    operation
}

/// `post-v1-runs-id-cancel`
fn operation_id<Op>(route: &Route<Op>) -> String {
    let words = route.path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    format!("{}-{words}", route.method.as_str().to_lowercase())
}

fn parameters(path: &str, query: &[QueryParameter]) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = names.map(|name| {
        let name = name.trim_end_matches("...");
        json!({ "name": name, "in": "path", "required": true, "schema": schemas::path_parameter(path, name) })
    });
    let in_query = query.iter().map(|query| {
        json!({ "name": query.name, "in": "query", "description": query.description, "schema": schema_of(query.kind) })
    });
    in_path.chain(in_query).collect()
}

fn schema_of(kind: ParameterKind) -> Value {
    match kind {
        ParameterKind::Integer(minimum, maximum) => {
            json!({ "type": "integer", "minimum": minimum, "maximum": maximum })
        }
        ParameterKind::Text => json!({ "type": "string" }),
        ParameterKind::RunId | ParameterKind::UploadId => json!({ "type": "string", "format": "uuid" }),
        ParameterKind::JobState => schemas::reference("JobState"),
        ParameterKind::RunStates => {
            let state = "(running|completed|failed|cancelled)";
            json!({ "type": "string", "pattern": format!("^{state}(,{state})*$") })
        }
        ParameterKind::Position => json!({ "type": "string", "pattern": "^-?[0-9]+\\.-?[0-9]+$" }),
        ParameterKind::ValueForm => json!({ "enum": ["json", "cbor"] }),
        ParameterKind::Rounds => json!({ "type": "string", "pattern": "^[1-9][0-9]*(\\.[1-9][0-9]*)*$" }),
        ParameterKind::RunPrefix => json!({ "type": "string", "pattern": "^[0-9a-fA-F-]{4,36}$" }),
    }
}

fn with_content(description: &str, contents: &[Content]) -> Map<String, Value> {
    let types = contents.iter().copied().flat_map(media_types);
    let media: Map<_, _> = types.map(|(name, schema)| (name.to_owned(), json!({ "schema": schema }))).collect();
    let mut fields = Map::new();
    if !description.is_empty() {
        fields.insert("description".to_owned(), json!(description));
    }
    if !media.is_empty() {
        fields.insert("content".to_owned(), Value::Object(media));
    }
    fields
}

/// Returns the media types of a body, and their schemas.
fn media_types(content: Content) -> Vec<(&'static str, Value)> {
    let binary = || json!({ "type": "string", "format": "binary" });
    match content {
        Content::Empty => Vec::new(),
        Content::Json(name) | Content::OptionalJson(name) => vec![("application/json", schemas::reference(name))],
        Content::Events => vec![event_stream()],
        Content::JsonArray(name) => {
            vec![("application/json", json!({ "type": "array", "items": schemas::reference(name) }))]
        }
        Content::Postcard => vec![(bue_model::wire::CONTENT_TYPE, binary())],
        Content::PostcardOrJson(name) => {
            vec![("application/json", schemas::reference(name)), (bue_model::wire::CONTENT_TYPE, binary())]
        }
        Content::Log => vec![
            ("application/json", schemas::reference("JobLog")),
            ("text/plain", json!({ "type": "string" })),
            (bue_model::wire::CONTENT_TYPE, binary()),
            event_stream(),
        ],
        Content::EitherJson(one, other) => {
            vec![("application/json", json!({ "anyOf": [schemas::reference(one), schemas::reference(other)] }))]
        }
        Content::Bytes(media_type) => vec![(media_type, binary())],
    }
}

/// The schema is that of one event.
fn event_stream() -> (&'static str, Value) {
    let text = json!({ "type": "string" });
    let fields = json!({ "event": text, "data": text, "id": text });
    ("text/event-stream", json!({ "type": "object", "properties": fields }))
}

fn error(description: &str) -> Value {
    Value::Object(with_content(description, &[Content::Json("Error")]))
}

fn status_description(status: u16) -> &'static str {
    match status {
        400 => "the request is invalid",
        401 => "no token, or an unknown one",
        403 => "the token's role does not allow this",
        404 => "it does not exist",
        408 => "the body arrived too slowly",
        409 => "its state does not allow this",
        413 => "the body is too large",
        422 => "parameters do not fit; `fields` has an entry for each",
        415 => "the route does not read bodies of this type",
        429 => "too many do this at the same time",
        503 => "the disk or the database failed; try again",
        _ => "any other error",
    }
}
