//! `/`: what this server is and where things are, for someone who opens its address in a browser.

use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::Page;
use super::docs::GUIDES;
use crate::http::problem::Problem;

/// An address: methods, path, what it gives.
type Address = (&'static str, &'static str, &'static str);

const PUBLIC: [Address; 14] = [
    ("GET, HEAD", "/api/v2/profile/{user_id}", "a profile, as the caller may see it"),
    ("GET, HEAD", "/api/v2/profile/{user_id}/completeness", "what is missing in a profile"),
    ("PUT", "/api/v2/profile/{user_id}/consent", "the citizen's consent"),
    ("GET", "/api/v2/profile/{user_id}/events", "changes of a profile, as Server-Sent Events"),
    ("POST", "/api/v2/feeds/{source}", "feed events in: one, a batch, or a stream of NDJSON"),
    ("GET", "/api/v2/live", "changes of profiles, over a WebSocket; takes a ticket in place of the token"),
    ("POST", "/api/v2/live/ticket", "a ticket with which a page opens a WebSocket"),
    ("GET", "/api/v2/events", "changes of all profiles, as Server-Sent Events or NDJSON"),
    ("GET, HEAD", "/api/v2/schemas", "versions of the profile and their JSON Schemas"),
    ("GET, HEAD", "/api/v2/schemas/{version}", "the JSON Schema of one version"),
    ("GET, HEAD", "/docs/{name}", "a guide of those listed below"),
    ("GET, HEAD", "/problems", "what every error means and what to do about it"),
    ("GET, HEAD", "/health/live", "whether the server answers"),
    ("GET, HEAD", "/health/ready", "whether the server takes requests"),
];

const ADMIN: [Address; 5] = [
    ("GET, HEAD", "/metrics", "metrics in the text format of Prometheus"),
    ("GET, HEAD", "/version", "the version of the server and of its schemas"),
    ("GET, HEAD", "/problems", "what every error means and what to do about it"),
    ("GET, HEAD", "/health/live", "whether the server answers"),
    ("GET, HEAD", "/health/ready", "whether the server takes requests"),
];

const ABOUT: &str = "One live JSON document per citizen, the civic profile: merged from what many engines publish, \
                     masked by role and consent, and served over HTTP and WebSocket.";
const ABOUT_ADMIN: &str = "The listener for metrics and administration. The API is on the other listener.";

pub(in crate::http) async fn public(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static PAGE: LazyLock<Page> = LazyLock::new(|| {
        let guides: Vec<_> = GUIDES.iter().map(|(name, title, _)| format!("- [{title}](/docs/{name})\n")).collect();
        let markdown = format!(
            "# Profile server\n\n{ABOUT}\n\nEvery address under `/api` except the schemas needs a bearer token, \
             `Authorization: Bearer …`; `/api/v2/live` takes a bearer token or a ticket.\n\n## Addresses\n\n{}\n## Documentation\n\n{}",
            table(&PUBLIC),
            guides.concat()
        );
        Page::new("Profile server", markdown).with_json(&list("Profile server", ABOUT, &PUBLIC))
    });
    PAGE.answer(request.headers())
}

pub(in crate::http) async fn admin(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static PAGE: LazyLock<Page> = LazyLock::new(|| {
        let title = "Profile server: administration";
        let markdown = format!("# {title}\n\n{ABOUT_ADMIN}\n\n{}", table(&ADMIN));
        Page::new(title, markdown).with_json(&list(title, ABOUT_ADMIN, &ADMIN))
    });
    PAGE.answer(request.headers())
}

/// The addresses as a table in Markdown. A path without a placeholder is a link.
fn table(addresses: &[Address]) -> String {
    let rows = addresses.iter().map(|(methods, path, gives)| match path.contains('{') || !methods.contains("HEAD") {
        true => format!("| {methods} | `{path}` | {gives} |\n"),
        false => format!("| {methods} | [`{path}`]({path}) | {gives} |\n"),
    });
    format!("| method | address | gives |\n|---|---|---|\n{}", rows.collect::<String>())
}

fn list(title: &str, about: &str, addresses: &[Address]) -> Value {
    let addresses = addresses.iter().map(|(methods, path, gives)| {
        json!({"methods": methods.split(", ").collect::<Vec<_>>(), "path": path, "gives": gives})
    });
    json!({"title": title, "about": about, "addresses": addresses.collect::<Vec<_>>()})
}
