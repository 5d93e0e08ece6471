//! Negotiates the schema version of a profile.

use actix_web::http::header::HeaderMap;
use domain::schema_version::SchemaVersion;

use super::headers::accept::{self, ServedType};
use super::query;
use crate::http::problem::Problem;

/// The schema versions that are served, the newest first.
pub(crate) const SERVED: &[&str] = &["2.0"];

/// The media type of a profile. A caller that accepts JSON accepts it too.
const PROFILE: ServedType = ServedType::new("application/vnd.civic.profile+json")
    .with_parameter("version", SERVED[0])
    .with_alias("application/json");

/// Returns the schema version that the caller asks for. A caller that names no version gets the newest.
///
/// # Errors
/// The version or the media type is not served.
pub(in crate::http) fn negotiate(headers: &HeaderMap, query: &str) -> Result<SchemaVersion, Problem> {
    let version = negotiate_version(query)?;
    accept::choose(headers, &[PROFILE]).map(|_| version).ok_or_else(unknown)
}

/// Returns the schema version that the query asks for, for resources with other media types.
///
/// # Errors
/// The version is not served.
pub(crate) fn negotiate_version(query: &str) -> Result<SchemaVersion, Problem> {
    named(query::single(query, "schema_version")?.as_deref())
}

/// Returns the schema version of that name; the newest without a name.
///
/// # Errors
/// The version is not served.
pub(crate) fn named(name: Option<&str>) -> Result<SchemaVersion, Problem> {
    name.map_or(Some(SchemaVersion::NEWEST), SchemaVersion::parse).ok_or_else(unknown)
}

/// Returns the problem for a schema version that is not served.
fn unknown() -> Problem {
    Problem::not_acceptable("`served` lists the schema versions of application/vnd.civic.profile+json", SERVED)
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
    fn the_newest_version_is_served_to_callers_that_accept_it() {
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
