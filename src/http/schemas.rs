//! `GET /api/v2/schemas` and `GET /api/v2/schemas/{version}`: the versions of the profile and their JSON Schemas.

use std::sync::LazyLock;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use domain::schema::profile_schema;
use domain::schema_version::SchemaVersion;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::export_data;
use super::problem::{Code, Problem};
use super::request::headers::accept::{self, ServedType};
use super::request::schema_version;

/// The media type of the list of schemas.
const LIST: ServedType = ServedType::new("application/json");
/// The media type of a schema.
const SCHEMA: ServedType = ServedType::new("application/schema+json").with_alias("application/json");

/// Answers with the served versions, newest first, and with the deprecation of those that are deprecated.
pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Problem> {
    check_accepts(request.headers(), LIST, &["application/json"])?;
    let schemas: Vec<_> = SchemaVersion::ALL.iter().map(|version| item(*version)).collect();
    Ok(HttpResponse::Ok().json(json!({"items": schemas})))
}

fn item(version: SchemaVersion) -> Value {
    let name = version.name();
    let mut item = json!({"version": name, "href": format!("/api/v2/schemas/{name}")});
    if let Some(deprecation) = version.deprecation() {
        let time = |seconds| Timestamp::from_second(seconds).unwrap_or_default().to_string();
        item["deprecated_since"] = time(deprecation.since).into();
        item["sunset"] = time(deprecation.sunset).into();
    }
    item
}

/// Answers with the JSON Schema of one version of the profile, or with that of an export of what is held about a citizen.
pub(super) async fn get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    static TEXTS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
        SchemaVersion::ALL.iter().map(|version| profile_schema(*version).to_string().into()).collect()
    });
    let named = request.match_info().query("version");
    if named == "export-data" {
        check_accepts(request.headers(), SCHEMA, &["application/schema+json"])?;
        return Ok(HttpResponse::Ok().content_type("application/schema+json").body(export_data::SCHEMA));
    }
    let mut versions = SchemaVersion::ALL.iter().zip(TEXTS.iter());
    let found = versions.find(|(version, _)| version.name() == named);
    let (version, text) = found.ok_or_else(|| {
        Problem::new(Code::UnknownResource, "this version is not served: `/api/v2/schemas` lists those that are")
    })?;
    check_accepts(request.headers(), SCHEMA, &["application/schema+json"])?;
    let mut answer = HttpResponse::Ok();
    for header in schema_version::deprecation(*version) {
        answer.insert_header(header);
    }
    Ok(answer.content_type("application/schema+json").body(text.clone()))
}

/// Checks that the caller accepts the only media type of a resource.
fn check_accepts(headers: &HeaderMap, offered: ServedType, served: &'static [&'static str]) -> Result<(), Problem> {
    let refused = || Problem::not_acceptable("`served` lists the media type of this resource", served);
    accept::choose(headers, &[offered]).map(drop).ok_or_else(refused)
}
