//! `GET /openapi.json`: what a server answers, for programs. Made from its table of routes, so that none is missing; what
//! stands in bodies is in `schemas`.

mod schemas;

use serde_json::{Map, Value, json};

use crate::auth::role::{Need, Role};
use crate::http::routes::Route;

/// What a route takes and gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [Query],
    pub(crate) takes: &'static [Content],
    pub(crate) gives: Content,
    /// Statuses of refusals beside those that every route has.
    pub(crate) refuses: &'static [u16],
}

/// What may stand in the query, or be left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) given: Given,
}

/// A value in the query.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Given {
    /// A number: the least and the largest there are.
    Number(u64, u64),
    /// The id of a run.
    Run,
}

impl Given {
    fn schema(self) -> Value {
        match self {
            Self::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Self::Run => json!({ "type": "string", "format": "uuid" }),
        }
    }
}

/// What stands in a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Nothing,
    /// JSON of a schema.
    Json(&'static str),
    /// A list of them.
    JsonList(&'static str),
    /// A message between programs of one release.
    Postcard,
    /// Bytes of a type.
    Bytes(&'static str),
}

/// A call that can say what it is.
pub(crate) trait Described: Copy {
    /// Every one of them, by an exhaustive `match`: a new route does not compile without.
    fn about(self) -> About;
}

/// The whole document of a server.
pub(crate) fn document<C: Described>(title: &str, routes: &[Route<C>]) -> Value {
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
            "description": "Errors have one shape, `Error`. Bodies of type application/vnd.bue.postcard are messages between \
                            programs of one release. Where the server has tokens, a request shows one.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "made by `bue token new`" } },
        },
    })
}

fn operation<C: Described>(route: &Route<C>) -> Value {
    let about = route.call.about();
    let mut responses = Map::new();
    responses.insert("200".to_owned(), with_content("done", &[about.gives]));
    let guarded: &[u16] = if route.need == Need::Health { &[] } else { &[401, 403] };
    for status in guarded.iter().chain(about.refuses) {
        responses.insert(status.to_string(), error(reason(*status)));
    }
    responses.insert("default".to_owned(), error("refused"));
    let roles: Vec<_> = Role::ALL.into_iter().filter(|role| role.may(route.need)).map(Role::name).collect();
    let mut operation = json!({
        "summary": about.summary,
        "operationId": operation_id(route),
        "description": if guarded.is_empty() { "Needs no token.".to_owned() } else { format!("For {}.", roles.join(", ")) },
        "parameters": parameters(route.path, about.query),
        "responses": responses,
        "security": if guarded.is_empty() { json!([]) } else { json!([{}, { "token": [] }]) },
    });
    if let (Some(fields), false) = (operation.as_object_mut(), about.takes.is_empty()) {
        let mut body = with_content("", about.takes);
        // no bytes are bytes to keep, but no message
        body["required"] = json!(!about.takes.iter().any(|content| matches!(content, Content::Bytes(_))));
        fields.insert("requestBody".to_owned(), body);
    }
    operation
}

/// `post-v1-runs-id-cancel`
fn operation_id<C>(route: &Route<C>) -> String {
    let words = route.path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    format!("{}-{words}", route.method.as_str().to_lowercase())
}

fn parameters(path: &str, query: &[Query]) -> Vec<Value> {
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = named.map(|name| {
        let name = name.trim_end_matches("...");
        json!({ "name": name, "in": "path", "required": true, "schema": schemas::of_part(path, name) })
    });
    let in_query = query.iter().map(|query| {
        json!({ "name": query.name, "in": "query", "description": query.about, "schema": query.given.schema() })
    });
    in_path.chain(in_query).collect()
}

fn with_content(description: &str, contents: &[Content]) -> Value {
    let mut media = Map::new();
    for content in contents {
        let (kind, schema) = match content {
            Content::Nothing => continue,
            Content::Json(name) => ("application/json", schemas::reference(name)),
            Content::JsonList(name) => {
                ("application/json", json!({ "type": "array", "items": schemas::reference(name) }))
            }
            Content::Postcard => (bue_model::wire::CONTENT_TYPE, json!({ "type": "string", "format": "binary" })),
            Content::Bytes(kind) => (*kind, json!({ "type": "string", "format": "binary" })),
        };
        media.insert(kind.to_owned(), json!({ "schema": schema }));
    }
    let mut value = json!({});
    if !description.is_empty() {
        value["description"] = json!(description);
    }
    if !media.is_empty() {
        value["content"] = Value::Object(media);
    }
    value
}

fn error(description: &str) -> Value {
    with_content(description, &[Content::Json("Error")])
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "the request makes no sense",
        401 => "no token, or one that is not known",
        403 => "the token's role may not do this",
        404 => "there is no such thing",
        408 => "the body came too slowly",
        409 => "not in the state that it is in",
        413 => "the body is too large",
        415 => "a body of this type is not read here",
        503 => "disk or database does not answer; try again",
        _ => "refused",
    }
}
