//! The document, as OpenAPI 3.1 has it.

use actix_web::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::components::{self, problem_type, reference};
use super::derived;
use crate::http::operation::{Answer, BodyDescription, BodySize, Content, Tag};
use crate::http::route::Route;

const INTRODUCTION: &str = "Every address also answers `OPTIONS` with 204 and the header `Allow`, and methods that are not listed \
    with 405. Errors are problems (RFC 9457); each operation lists those that it may answer with, and each has a [page](/problems).";

/// What the description says where the guides are served, too.
const GUIDES: &str = " [Using the API over HTTP](/docs/http) describes what all addresses have in common.";

/// The media type of problems.
const PROBLEM: &str = "application/problem+json";

/// The headers of every answer.
const COMMON: &[&str] = &["X-Request-Id", "RateLimit", "RateLimit-Policy"];

/// Returns the document that describes these rows.
pub(super) fn document<'a>(title: &str, routes: impl Iterator<Item = &'a Route> + Clone) -> Value {
    let (mut paths, mut responses) = (Map::new(), Map::new());
    for route in routes.clone() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        for method in route.methods {
            path[method.as_str().to_ascii_lowercase()] = operation(route, method, &mut responses);
        }
    }
    let paths = Value::Object(paths);
    let mut components = components::all(responses);
    components::keep_used(&mut components, &paths);
    let has = |tag: &&Tag| routes.clone().any(|route| route.operation.tag == **tag);
    let tag = |tag: &Tag| json!({ "name": tag.name(), "description": tag.description() });
    let guides = if routes.clone().any(|route| route.path == "/docs/{name}") { GUIDES } else { "" };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!("{INTRODUCTION}{guides}"),
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/" }],
        "tags": Tag::ALL.iter().filter(has).map(tag).collect::<Vec<_>>(),
        "paths": paths,
        "components": components,
    })
}

/// Returns the name of an operation: the method and the segments of the path, such as `getProfileByUserIdHistory`.
pub(super) fn operation_id(route: &Route, method: &Method) -> String {
    let segments = route.path.split('/').filter(|segment| !matches!(*segment, "" | "api" | "v2"));
    let words = segments.flat_map(|segment| {
        let placeholder = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let words = placeholder.unwrap_or(segment).split(['-', '_', '.']);
        placeholder.map(|_| "By".to_owned()).into_iter().chain(words.map(capitalized))
    });
    let name: String = words.collect();
    let name = if name.is_empty() { "Home".to_owned() } else { name };
    format!("{}{name}", method.as_str().to_ascii_lowercase())
}

/// Returns a text whose first letter is a capital.
pub(super) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn operation(route: &Route, method: &Method, responses: &mut Map<String, Value>) -> Value {
    let mut operation = json!({
        "operationId": operation_id(route, method),
        "summary": capitalized(route.summary),
        "description": derived::description(route),
        "tags": [route.operation.tag.name()],
        "security": derived::security(route),
        "parameters": parameters(route, method),
        "responses": answers(route, method, responses),
    });
    if let Some(body) = &route.operation.body {
        operation["requestBody"] = request_body(body);
    }
    operation
}

fn parameters(route: &Route, method: &Method) -> Vec<Value> {
    let of_path = derived::placeholders(route.path).map(|name| {
        let (description, schema) = derived::placeholder(route.path, name);
        json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
    });
    let of_query = route.operation.query.iter().map(|parameter| {
        let schema: Value = serde_json::from_str(parameter.schema).unwrap_or_default();
        let mut described = json!({
            "name": parameter.name,
            "in": "query",
            "description": parameter.description,
            "schema": schema,
        });
        if parameter.is_required {
            described["required"] = true.into();
        }
        if parameter.is_list {
            // One parameter with commas.
            described["explode"] = false.into();
        }
        described
    });
    let of_headers = derived::headers(route, method).into_iter().map(|name| reference("parameters", name));
    of_path.chain(of_query).chain(of_headers).collect()
}

fn request_body(body: &BodyDescription) -> Value {
    let (size, bytes) = match body.size {
        BodySize::Bytes(bytes) => (format!("At most {bytes} bytes."), Some(bytes)),
        BodySize::Settings(text) => (text.to_owned(), None),
    };
    let mut described = json!({ "description": size, "required": !body.is_optional, "content": content(body.content) });
    if let Some(bytes) = bytes {
        described["x-max-bytes"] = bytes.into();
    }
    described
}

fn content(content: &[Content]) -> Map<String, Value> {
    let described = |content: &Content| {
        let schema = reference("schemas", content.schema);
        match content.is_stream {
            // OpenAPI 3.1 has no schema for the parts of a stream; 3.2 calls it `itemSchema`.
            true => json!({ "schema": { "type": "string" }, "x-itemSchema": schema }),
            false => json!({ "schema": schema }),
        }
    };
    content.iter().map(|content| (content.media_type.to_owned(), described(content))).collect()
}

/// Returns the answers by status. Those that are only problems are components, which many operations share.
fn answers(route: &Route, method: &Method, responses: &mut Map<String, Value>) -> Map<String, Value> {
    let mut answers: Map<String, Value> = Map::new();
    for answer in route.operation.answers {
        answers.insert(answer.status.to_string(), described(route, answer));
    }
    if let Some(whole) = route.operation.answers.first().filter(|_| route.operation.has_etag) {
        answers.insert("304".to_owned(), described(route, &Answer { status: 304, content: &[], ..*whole }));
    }
    for (status, kinds) in derived::problems(route, method) {
        let names: Vec<_> = kinds.iter().map(|(name, _)| *name).collect();
        let problem = problem(status, &kinds.into_iter().collect::<Vec<_>>());
        match answers.get_mut(&status.to_string()) {
            Some(answer) => {
                answer["content"][PROBLEM] = problem["content"][PROBLEM].clone();
                answer["headers"] = header_references(&[own_headers(status), COMMON].concat()).into();
            }
            None => {
                let name = names.join(".");
                answers.insert(status.to_string(), reference("responses", &name));
                responses.insert(name, problem);
            }
        }
    }
    answers
}

fn described(route: &Route, answer: &Answer) -> Value {
    let tag = route.operation.has_etag.then_some("ETag");
    let headers: Vec<_> = answer.headers.iter().copied().chain(tag).chain(COMMON.iter().copied()).collect();
    let mut described = json!({ "description": reason(answer.status), "headers": header_references(&headers) });
    if !answer.content.is_empty() {
        described["content"] = content(answer.content).into();
    }
    described
}

/// Returns the answer with one of these problems.
fn problem(status: u16, kinds: &[derived::ProblemKind]) -> Value {
    let descriptions = kinds.iter().map(|(name, title)| format!("`{name}`: {title}."));
    let types: Vec<_> = kinds.iter().map(|(name, _)| problem_type(name)).collect();
    let narrowed = json!({ "properties": { "status": { "const": status }, "type": { "enum": types } } });
    json!({
        "description": descriptions.collect::<Vec<_>>().join(" "),
        "headers": header_references(&[own_headers(status), COMMON].concat()),
        "content": { PROBLEM: { "schema": { "allOf": [reference("schemas", "Problem"), narrowed] } } },
    })
}

/// Returns the headers that problems of a status have.
fn own_headers(status: u16) -> &'static [&'static str] {
    match status {
        401 => &["WWW-Authenticate"],
        415 => &["Accept-Encoding"],
        416 => &["Content-Range"],
        426 => &["Upgrade"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    }
}

fn header_references(names: &[&str]) -> Map<String, Value> {
    names.iter().map(|name| ((*name).to_owned(), reference("headers", name))).collect()
}

fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("An answer")
}
