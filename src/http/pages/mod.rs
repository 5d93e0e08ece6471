//! Pages for people: `/`, `/docs/…` and `/problems/…`. They are written in Markdown, and also served as HTML.

pub(super) mod docs;
pub(super) mod home;
pub(super) mod problems;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pulldown_cmark::{Options, Parser, html};
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::http::request::conditional;
use crate::http::request::headers::accept::{self, ServedType};

const MARKDOWN: &str = "text/markdown; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// The media types of a page. Clients that accept everything, such as curl, get Markdown; browsers request HTML.
const SERVED_TYPES: [ServedType; 4] = [
    ServedType::new("text/markdown"),
    ServedType::new("text/html"),
    ServedType::new("text/plain"),
    ServedType::new("application/json"),
];
const SERVED: &[&str] = &["text/markdown", "text/html", "text/plain"];
const SERVED_WITH_JSON: &[&str] = &["text/markdown", "text/html", "text/plain", "application/json"];

const STYLE: &str = include_str!("page.css");

/// The content security policy: a page loads nothing, runs no scripts, and has one style, which is known by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_maybe_shared(Bytes::from(policy)).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// How long a page may be used before it is asked for again.
pub(super) const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// A page in all its media types.
pub(super) struct Page {
    markdown: Representation,
    html: Representation,
    plain: Representation,
    json: Option<Representation>,
}

/// A page in one media type.
struct Representation {
    media_type: &'static str,
    etag: HeaderValue,
    body: Bytes,
}

impl Representation {
    fn new(media_type: &'static str, body: Bytes) -> Self {
        Self { media_type, etag: entity_tag(media_type, &body), body }
    }
}

/// Returns the entity tag of a representation that only a new release changes: a hash of its media type and its bytes.
pub(super) fn entity_tag(media_type: &str, body: &[u8]) -> HeaderValue {
    let hash = Sha256::new().chain_update(media_type).chain_update([0]).chain_update(body).finalize();
    let text = format!("\"{}\"", hex::encode(&hash[..8]));
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("\"\""))
}

impl Page {
    /// Returns a page with this title and text.
    fn new(title: &str, markdown: impl Into<String>) -> Self {
        Self::in_dialect(title, markdown.into(), Options::ENABLE_TABLES)
    }

    /// Returns a page whose headings may name their places, as in `## Schemas {#schemas}`.
    pub(super) fn with_anchors(title: &str, markdown: String) -> Self {
        Self::in_dialect(title, markdown, Options::ENABLE_TABLES | Options::ENABLE_HEADING_ATTRIBUTES)
    }

    fn in_dialect(title: &str, markdown: String, dialect: Options) -> Self {
        let html = document(title, &markdown, dialect);
        let markdown = Bytes::from(markdown);
        Self {
            html: Representation::new(HTML, html.into()),
            plain: Representation::new(PLAIN, markdown.clone()),
            markdown: Representation::new(MARKDOWN, markdown),
            json: None,
        }
    }

    /// Adds a representation as JSON.
    fn with_json(self, json: &serde_json::Value) -> Self {
        Self { json: Some(Representation::new(JSON, json.to_string().into())), ..self }
    }

    /// Answers with the page in the media type that the client prefers, or with 304 if the client has it already.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Result<HttpResponse, Problem> {
        let (types, served) = match self.json {
            Some(_) => (&SERVED_TYPES[..], SERVED_WITH_JSON),
            None => (&SERVED_TYPES[..SERVED.len()], SERVED),
        };
        let chosen = accept::choose(headers, types);
        let Representation { media_type, etag, body } = match (chosen, &self.json) {
            (Some(0), _) => &self.markdown,
            (Some(1), _) => &self.html,
            (Some(2), _) => &self.plain,
            (Some(_), Some(json)) => json,
            _ => return Err(Problem::not_acceptable("`served` lists the media types of this page", served)),
        };
        let is_known = conditional::not_modified(headers, etag);
        let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        answer
            .insert_header((header::ETAG, etag.clone()))
            .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
            .insert_header((header::VARY, HeaderValue::from_static("Accept")))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY.clone()))
            .insert_header((header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")));
        if is_known {
            return Ok(answer.finish());
        }
        answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media_type)));
        Ok(answer.body(body.clone()))
    }
}

/// Returns a whole HTML document. The Markdown is part of the program and not of a request, so it is not sanitized.
fn document(title: &str, markdown: &str, dialect: Options) -> String {
    let mut body = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut body, Parser::new_ext(markdown, dialect));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n\
         <nav aria-label=\"Pages of this server\"><a href=\"/\">Profile server</a> <a href=\"/api/docs\">API</a> \
         <a href=\"/problems\">Problems</a></nav>\n\
         <main>\n{body}</main>\n</body>\n</html>\n"
    )
}
