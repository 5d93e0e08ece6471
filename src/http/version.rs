//! Which version of the schema an answer is in: what is asked for, and what is served.

use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use domain::schema::profile_schema;
use serde_json::json;

use super::problem::{Code, Problem};
use super::query;

/// The versions that are served, newest first.
pub(crate) const SERVED: &[&str] = &["2.0"];

const MEDIA_TYPE: &str = "application/vnd.civic.profile+json";

/// Checks that what the caller asks for is served. No ask means the newest.
pub(super) fn negotiate(headers: &HeaderMap, query: &str) -> Result<(), Problem> {
    negotiate_version(query)?;
    let Some(accept) = headers.get(header::ACCEPT) else { return Ok(()) };
    let accept = accept.to_str().map_err(|_| unknown())?;
    if accept.trim().is_empty() || accept.split(',').any(is_served) { Ok(()) } else { Err(unknown()) }
}

/// Checks the version that the query asks for, where the media type is another's to choose.
pub(crate) fn negotiate_version(query: &str) -> Result<(), Problem> {
    match query::find(query, "schema_version") {
        Some(version) if !SERVED.contains(&version.as_ref()) => Err(unknown()),
        _ => Ok(()),
    }
}

/// Whether one range of an `Accept` header (RFC 9110, section 12.5.1) covers what is served.
fn is_served(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let parameters = || parts.clone().filter_map(|parameter| parameter.split_once('='));
    if parameters().any(|(name, value)| name.trim() == "q" && value.trim().parse() == Ok(0.0)) {
        return false;
    }
    match media_type.as_str() {
        "*/*" | "application/*" | "application/json" => true,
        MEDIA_TYPE => parameters()
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("version"))
            .is_none_or(|(_, version)| SERVED.contains(&version.trim().trim_matches('"'))),
        _ => false,
    }
}

pub(crate) fn unknown() -> Problem {
    Problem::not_acceptable("`served` lists the schema versions of application/vnd.civic.profile+json", SERVED)
}

/// `GET /api/v2/schemas`: the versions.
pub(super) async fn list() -> HttpResponse {
    let schemas: Vec<_> = SERVED
        .iter()
        .map(|version| json!({"version": version, "href": format!("/api/v2/schemas/{version}")}))
        .collect();
    HttpResponse::Ok().json(json!({"items": schemas}))
}

/// `GET /api/v2/schemas/{version}`: the JSON Schema of a version.
pub(super) async fn get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static SCHEMA: LazyLock<Bytes> = LazyLock::new(|| profile_schema().to_string().into());
    if !SERVED.contains(&request.match_info().query("version")) {
        return Err(Problem::new(Code::UnknownResource, "no such version is served: see /api/v2/schemas"));
    }
    Ok(HttpResponse::Ok().content_type("application/schema+json").body(SCHEMA.clone()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn asked(accept: &'static str, query: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        negotiate(&headers, query).is_ok()
    }

    #[test]
    fn the_newest_is_served_to_whoever_takes_it() {
        for accept in [
            "*/*",
            "application/json",
            "text/html, application/*;q=0.5",
            "application/vnd.civic.profile+json",
            "application/vnd.civic.profile+json;version=2.0",
            "application/vnd.civic.profile+json; Version=\"2.0\"; q=0.3, text/html",
            "",
        ] {
            assert!(asked(accept, ""), "{accept}");
        }
        assert!(negotiate(&HeaderMap::new(), "schema_version=2.0").is_ok());
    }

    #[test]
    fn an_unknown_version_or_type_is_not_acceptable() {
        for accept in ["application/vnd.civic.profile+json;version=1.0", "text/html", "application/json;q=0"] {
            assert!(!asked(accept, ""), "{accept}");
        }
        assert!(!asked("*/*", "schema_version=3.0"));
    }
}
