//! The page `/api/docs`: the document for people, in Markdown and as HTML.

use std::fmt::Write;

use serde_json::Value;

use super::{derived, document};
use crate::http::operation::{BodySize, Content, Tag};
use crate::http::pages::Page;
use crate::http::route::Route;

/// Returns the page that describes these rows. `document` has the schemas.
pub(super) fn page<'a>(title: &str, routes: impl Iterator<Item = &'a Route> + Clone, document: &Value) -> Page {
    let introduction = document["info"]["description"].as_str().unwrap_or_default();
    let mut text = format!(
        "# {title}\n\n{introduction}\n\n[`/api/v2/openapi.json`](/api/v2/openapi.json) says the same to programs.\n\n## Addresses\n\n"
    );
    let of_tag = |tag: &Tag| {
        let tag = *tag;
        routes.clone().filter(move |route| route.operation.tag == tag)
    };
    let tags: Vec<_> = Tag::ALL.iter().filter(|tag| of_tag(tag).next().is_some()).collect();
    // Writing into text cannot fail.
    for tag in &tags {
        let _ = write!(text, "**{}**\n\n", tag.name());
        for route in of_tag(tag) {
            let (heading, anchor) = heading(route);
            let _ = writeln!(text, "- [{heading}](#{anchor}): {}", route.summary);
        }
        text.push('\n');
    }
    text.push_str("[Schemas](#schemas)\n\n");
    for tag in tags {
        let _ = write!(text, "## {}\n\n{}\n\n", tag.name(), tag.description());
        of_tag(tag).for_each(|route| add_operation(&mut text, route));
    }
    text.push_str("## Schemas {#schemas}\n\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(
            text,
            "### `{name}` {{#schema-{name}}}\n\n<details><summary>JSON Schema</summary>\n\n```json\n{schema:#}\n```\n\n</details>\n\n"
        );
    }
    Page::with_anchors(title, text)
}

/// Returns the heading of a row, and the name of its place on the page.
fn heading(route: &Route) -> (String, String) {
    let anchor = route.methods.first().map(|method| document::operation_id(route, method)).unwrap_or_default();
    (format!("{} `{}`", route.method_list(), route.path), anchor)
}

fn add_operation(text: &mut String, route: &Route) {
    let operation = &route.operation;
    let ((heading, anchor), summary) = (heading(route), route.summary);
    let _ = write!(
        text,
        "### {heading} {{#{anchor}}}\n\n{}. {}\n\n",
        document::capitalized(summary),
        derived::description(route)
    );
    add_parameters(text, route);
    if let Some(body) = &operation.body {
        let optional = if body.is_optional { ", which may be left out" } else { "" };
        let size = match body.size {
            BodySize::Bytes(bytes) => format!("At most {bytes} bytes."),
            BodySize::Settings(text) => text.to_owned(),
        };
        let _ = write!(text, "Body{optional}: {}. {size}\n\n", representations(body.content));
    }
    text.push_str("| status | answer |\n|---|---|\n");
    for answer in operation.answers {
        let content = match answer.content {
            [] => "nothing".to_owned(),
            content => representations(content),
        };
        let _ = writeln!(text, "| {} | {content} |", answer.status);
    }
    if operation.has_etag {
        text.push_str("| 304 | nothing: `If-None-Match` has the entity tag |\n");
    }
    let Some(method) = route.methods.first() else { return };
    for (status, kinds) in derived::problems(route, method) {
        let links = kinds.iter().map(|(name, _)| format!("[{name}](/problems/{name})"));
        let _ = writeln!(text, "| {status} | {} |", links.collect::<Vec<_>>().join(", "));
    }
    text.push('\n');
}

fn add_parameters(text: &mut String, route: &Route) {
    let of_path = derived::placeholders(route.path).map(|name| {
        let (description, _) = derived::placeholder(route.path, name);
        format!("| `{name}` | path | {description} |\n")
    });
    let of_query = route.operation.query.iter().map(|parameter| {
        let required = if parameter.is_required { "query, required" } else { "query" };
        format!("| `{}` | {required} | {} |\n", parameter.name, parameter.description)
    });
    let rows: String = of_path.chain(of_query).collect();
    if !rows.is_empty() {
        let _ = write!(text, "| parameter | in | what it says |\n|---|---|---|\n{rows}\n");
    }
    let Some(method) = route.methods.first() else { return };
    let headers = derived::headers(route, method).into_iter();
    let headers = headers.map(|name| format!("`{}`", name.trim_end_matches("-Optional")));
    let _ = write!(text, "Headers: {}.\n\n", headers.collect::<Vec<_>>().join(", "));
}

/// Returns media types with links to their schemas.
fn representations(content: &[Content]) -> String {
    let one = |content: &Content| {
        let Content { media_type, schema, is_stream } = content;
        let what = if *is_stream { "a stream of " } else { "" };
        format!("`{media_type}`: {what}[{schema}](#schema-{schema})")
    };
    content.iter().map(one).collect::<Vec<_>>().join("; ")
}
