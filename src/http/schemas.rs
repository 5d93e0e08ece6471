//! `GET /api/v2/schemas` and `GET /api/v2/schemas/{version}`: the versions of the profile and their JSON Schemas.

use std::sync::LazyLock;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use domain::schema::profile_schema;
use serde_json::json;

use super::problem::{Code, Problem};
use super::request::headers::accept::{self, ServedType};
use super::request::schema_version::SERVED;

/// The media type of the list of schemas.
const LIST: ServedType = ServedType::new("application/json");
/// The media type of a schema.
const SCHEMA: ServedType = ServedType::new("application/schema+json").with_alias("application/json");

/// Answers with the served versions, newest first.
pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    check_accepts(request.headers(), LIST, &["application/json"])?;
    let schemas: Vec<_> = SERVED
        .iter()
        .map(|version| json!({"version": version, "href": format!("/api/v2/schemas/{version}")}))
        .collect();
    Ok(HttpResponse::Ok().json(json!({"items": schemas})))
}

/// Answers with the JSON Schema of one version.
pub(super) async fn get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| profile_schema().to_string().into());
    if !SERVED.contains(&request.match_info().query("version")) {
        return Err(Problem::new(
            Code::UnknownResource,
            "this version is not served: `/api/v2/schemas` lists those that are",
        ));
    }
    check_accepts(request.headers(), SCHEMA, &["application/schema+json"])?;
    Ok(HttpResponse::Ok().content_type("application/schema+json").body(TEXT.clone()))
}

/// Checks that the caller accepts the only media type of a resource.
fn check_accepts(headers: &HeaderMap, offered: ServedType, served: &'static [&'static str]) -> Result<(), Problem> {
    let refused = || Problem::not_acceptable("`served` lists the media type of this resource", served);
    accept::choose(headers, &[offered]).map(drop).ok_or_else(refused)
}
