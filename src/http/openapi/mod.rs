//! The description of the API: `/api/v2/openapi.json`, an OpenAPI 3.1 document, and the page `/api/docs`, which says the same to
//! people. Each listener describes its own addresses.
//!
//! Both are made from the route table when the server starts, so they cannot name an address that is not served or leave one out.
//! What a row says of itself ([`Operation`](super::operation::Operation)) is completed by what follows from it
//! ([`derived`]). `components.json` has the schemas of requests and answers.

mod components;
mod derived;
mod document;
mod page;
#[cfg(test)]
mod tests;

use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use super::pages::{CACHE_CONTROL, Page, entity_tag};
use super::problem::Problem;
use super::request::conditional;
use super::route::Route;

/// The description of the addresses of one listener.
pub(super) struct ApiDescription {
    document: Bytes,
    etag: HeaderValue,
    page: Page,
}

impl ApiDescription {
    /// Returns the description of these rows.
    pub(super) fn new<'a>(title: &str, routes: impl Iterator<Item = &'a Route> + Clone) -> Self {
        let document = document::document(title, routes.clone());
        let page = page::page(title, routes, &document);
        let document = Bytes::from(document.to_string());
        Self { etag: entity_tag("application/json", &document), document, page }
    }
}

/// Answers with the document of the listener that received the request.
pub(super) async fn document(request: HttpRequest, description: Data<ApiDescription>) -> HttpResponse {
    let is_known = conditional::not_modified(request.headers(), &description.etag);
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((header::ETAG, description.etag.clone()))
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL));
    if is_known {
        return answer.finish();
    }
    answer.content_type("application/json").body(description.document.clone())
}

/// Answers with the page of the listener that received the request.
pub(super) async fn page(request: HttpRequest, description: Data<ApiDescription>) -> Result<HttpResponse, Problem> {
    description.page.answer(request.headers())
}
