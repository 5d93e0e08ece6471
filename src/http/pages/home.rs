//! `/`: what the server is and which addresses it has, for people who open it in a browser.

use actix_web::http::Method;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::Page;
use super::docs::GUIDES;
use crate::http::problem::Problem;
use crate::http::route::{Access, Route};

const ABOUT: &str = "One live JSON document per citizen, the civic profile: merged from what many engines publish, \
                     masked by role and consent, and served over HTTP and WebSocket.";
const ABOUT_ADMIN: &str = "The listener for metrics and administration. The API is on the other listener.";

/// The page `/` of one listener.
pub(in crate::http) struct HomePage(Page);

impl HomePage {
    /// Returns the page of the public listener, which has these routes.
    pub(in crate::http) fn public<'a>(routes: impl Iterator<Item = &'a Route> + Clone) -> Self {
        let title = "Profile server";
        let guides: String = GUIDES.iter().map(|(name, title, _)| format!("- [{title}](/docs/{name})\n")).collect();
        let markdown = format!(
            "# {title}\n\n{ABOUT}\n\nEvery address under `/api` needs a bearer token, `Authorization: Bearer …`, except the schemas and \
             the [description of the API](/api/docs); `/api/v2/live` accepts a bearer token or a ticket.\n\n## Addresses\n\n{}\n\
             ## Documentation\n\n{guides}",
            table(routes.clone())
        );
        Self(Page::new(title, markdown).with_json(&list(title, ABOUT, routes)))
    }

    /// Returns the page of the admin listener, which has these routes.
    pub(in crate::http) fn admin<'a>(routes: impl Iterator<Item = &'a Route> + Clone) -> Self {
        let title = "Profile server: administration";
        let markdown = format!("# {title}\n\n{ABOUT_ADMIN}\n\n{}", table(routes.clone()));
        Self(Page::new(title, markdown).with_json(&list(title, ABOUT_ADMIN, routes)))
    }
}

/// Answers with the page of the listener that received the request.
pub(in crate::http) async fn get(request: HttpRequest, page: Data<HomePage>) -> Result<HttpResponse, Problem> {
    page.0.answer(request.headers())
}

/// Returns the routes that the page lists: all but itself.
fn listed<'a>(routes: impl Iterator<Item = &'a Route>) -> impl Iterator<Item = &'a Route> {
    routes.filter(|route| route.path != "/")
}

/// Returns the routes as a table in Markdown. Paths without placeholders that everyone can read are links.
fn table<'a>(routes: impl Iterator<Item = &'a Route>) -> String {
    let rows = listed(routes).map(|route| {
        let (methods, path, summary) = (route.method_list(), route.path, route.summary);
        let needs_caller = matches!(route.access, Access::Callers(..));
        if needs_caller || path.contains('{') || !route.methods.contains(&Method::HEAD) {
            format!("| {methods} | `{path}` | {summary} |\n")
        } else {
            format!("| {methods} | [`{path}`]({path}) | {summary} |\n")
        }
    });
    format!("| method | address | gives |\n|---|---|---|\n{}", rows.collect::<String>())
}

/// Returns the routes as JSON.
fn list<'a>(title: &str, about: &str, routes: impl Iterator<Item = &'a Route>) -> Value {
    let addresses = listed(routes).map(|route| {
        let methods: Vec<_> = route.methods.iter().map(Method::as_str).collect();
        json!({"methods": methods, "path": route.path, "gives": route.summary})
    });
    json!({"title": title, "about": about, "addresses": addresses.collect::<Vec<_>>()})
}
