//! Which version of the schema an answer is in: what is asked for, and what is served.

use std::sync::LazyLock;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use domain::schema::profile_schema;
use serde_json::json;

use super::headers::accept::{self, ServedType};
use super::problem::{Code, Problem};
use super::query;

/// The versions that are served, newest first.
pub(crate) const SERVED: &[&str] = &["2.0"];

/// The form of a profile. Whoever accepts JSON accepts it.
const PROFILE: ServedType = ServedType::new("application/vnd.civic.profile+json")
    .with_parameter("version", SERVED[0])
    .with_alias("application/json");
/// The form of the list of schemas.
const LIST: ServedType = ServedType::new("application/json");
/// The form of a schema.
const SCHEMA: ServedType = ServedType::new("application/schema+json").with_alias("application/json");

/// Checks that what the caller asks for is served. No ask means the newest.
pub(super) fn negotiate(headers: &HeaderMap, query: &str) -> Result<(), Problem> {
    negotiate_version(query)?;
    accept::choose(headers, &[PROFILE]).map(drop).ok_or_else(unknown)
}

/// Checks the version that the query asks for, where the media type is another's to choose.
pub(crate) fn negotiate_version(query: &str) -> Result<(), Problem> {
    match query::single(query, "schema_version")? {
        Some(version) if !SERVED.contains(&version.as_ref()) => Err(unknown()),
        _ => Ok(()),
    }
}

/// Checks that the caller accepts the one form that a resource has.
fn check_accepts(headers: &HeaderMap, form: ServedType, served: &'static [&'static str]) -> Result<(), Problem> {
    let refused = || Problem::not_acceptable("`served` lists the form of this resource", served);
    accept::choose(headers, &[form]).map(drop).ok_or_else(refused)
}

pub(crate) fn unknown() -> Problem {
    Problem::not_acceptable("`served` lists the schema versions of application/vnd.civic.profile+json", SERVED)
}

/// `GET /api/v2/schemas`: the versions.
pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    check_accepts(request.headers(), LIST, &["application/json"])?;
    let schemas: Vec<_> = SERVED
        .iter()
        .map(|version| json!({"version": version, "href": format!("/api/v2/schemas/{version}")}))
        .collect();
    Ok(HttpResponse::Ok().json(json!({"items": schemas})))
}

/// `GET /api/v2/schemas/{version}`: the JSON Schema of a version.
pub(super) async fn get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| profile_schema().to_string().into());
    if !SERVED.contains(&request.match_info().query("version")) {
        return Err(Problem::new(Code::UnknownResource, "no such version is served: see /api/v2/schemas"));
    }
    check_accepts(request.headers(), SCHEMA, &["application/schema+json"])?;
    Ok(HttpResponse::Ok().content_type("application/schema+json").body(TEXT.clone()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{self, HeaderValue};

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
        for accept in [
            "application/vnd.civic.profile+json;version=1.0",
            "text/html",
            "application/json;q=0",
            "application/vnd.civic.profile+json;q=0, */*",
        ] {
            assert!(!asked(accept, ""), "{accept}");
        }
        for query in ["schema_version=3.0", "schema%5Fversion=1.0", "schema_version=2.0&schema_version=2.0"] {
            assert!(!asked("*/*", query), "{query}");
        }
    }
}
