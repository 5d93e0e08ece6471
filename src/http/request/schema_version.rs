//! Negotiates the schema version of a profile, and says which version an answer has.

use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use domain::schema_version::SchemaVersion;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::headers::accept::{self, ServedType};
use super::parameter::SCHEMA_VERSION;
use super::query;
use crate::http::problem::Problem;

const COUNT: usize = SchemaVersion::ALL.len();
const NAMES: [&str; COUNT] = names();

/// The schema versions that are served, the newest first.
pub(crate) const SERVED: &[&str] = &NAMES;

/// The media type of a profile in each version. A caller that accepts JSON accepts them too.
static PROFILES: [ServedType; COUNT] = profiles();

static DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
static SUNSET: HeaderName = HeaderName::from_static("sunset");

const fn names() -> [&'static str; COUNT] {
    let (mut names, mut index) = ([""; COUNT], 0);
    while index < COUNT {
        names[index] = SchemaVersion::ALL[index].name();
        index += 1;
    }
    names
}

const fn profiles() -> [ServedType; COUNT] {
    let base = ServedType::new("application/vnd.civic.profile+json").with_alias("application/json");
    let (mut types, mut index) = ([base; COUNT], 0);
    while index < COUNT {
        types[index] = base.with_parameter("version", NAMES[index]);
        index += 1;
    }
    types
}

/// Returns the schema version that the caller asks for in the query or by `Accept`. A caller that asks for none gets the
/// newest.
///
/// # Errors
/// The version or the media type is not served, or the query asks for a version that `Accept` excludes.
pub(in crate::http) fn negotiate(headers: &HeaderMap, query: &str) -> Result<SchemaVersion, Problem> {
    let candidates = match query::single(query, &SCHEMA_VERSION)? {
        Some(name) => {
            let asked = NAMES.iter().position(|served| *served == name).ok_or_else(unknown)?;
            asked..asked + 1
        }
        None if names_version(headers) => 0..COUNT,
        // Ranges without a version mean every version alike, so the newest is preferred.
        None => 0..1,
    };
    let first = candidates.start;
    let chosen = accept::choose(headers, &PROFILES[candidates]).ok_or_else(unknown)?;
    Ok(SchemaVersion::ALL[first + chosen])
}

/// Whether a range in `Accept` may have the parameter `version`. Most reads have none, and are spared the comparison with
/// every version.
fn names_version(headers: &HeaderMap) -> bool {
    const NAME: &[u8] = b"version";
    let mut lines = headers.get_all(header::ACCEPT);
    lines.any(|line| line.as_bytes().windows(NAME.len()).any(|part| part.eq_ignore_ascii_case(NAME)))
}

/// Returns the schema version that the query asks for, for resources with other media types.
///
/// # Errors
/// The version is not served.
pub(crate) fn negotiate_version(query: &str) -> Result<SchemaVersion, Problem> {
    named(query::single(query, &SCHEMA_VERSION)?.as_deref())
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

/// Returns the `Content-Type` of a profile in a version.
pub(in crate::http) const fn content_type(version: SchemaVersion) -> HeaderValue {
    const V1_0: HeaderValue = HeaderValue::from_static("application/vnd.civic.profile+json;version=1.0");
    const V2_0: HeaderValue = HeaderValue::from_static("application/vnd.civic.profile+json;version=2.0");
    match version {
        SchemaVersion::V1_0 => V1_0,
        SchemaVersion::V2_0 => V2_0,
    }
}

/// Returns the headers `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) of answers in a version; none for a version that is
/// not deprecated.
pub(crate) fn deprecation(version: SchemaVersion) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    static VALUES: LazyLock<Vec<(SchemaVersion, [HeaderValue; 2])>> = LazyLock::new(|| {
        SchemaVersion::ALL.iter().filter_map(|version| Some((*version, deprecation_values(*version)?))).collect()
    });
    let of_version = version.deprecation().and_then(|_| VALUES.iter().find(|(of, _)| *of == version));
    let pair =
        of_version.map(|(_, [since, sunset])| [(DEPRECATION.clone(), since.clone()), (SUNSET.clone(), sunset.clone())]);
    pair.into_iter().flatten()
}

fn deprecation_values(version: SchemaVersion) -> Option<[HeaderValue; 2]> {
    let deprecation = version.deprecation()?;
    let sunset = Timestamp::from_second(deprecation.sunset).ok()?;
    let sunset = DateTimePrinter::new().timestamp_to_rfc9110_string(&sunset).ok()?;
    Some([HeaderValue::from_str(&format!("@{}", deprecation.since)).ok()?, HeaderValue::from_str(&sunset).ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &'static str, query: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        negotiate(&headers, query).ok().map(SchemaVersion::name)
    }

    #[test]
    fn the_newest_version_is_served_to_callers_that_ask_for_none() {
        for accept in [
            "*/*",
            "application/json",
            "text/html, application/*;q=0.5",
            "application/vnd.civic.profile+json",
            "application/vnd.civic.profile+json;version=2.0",
            "application/vnd.civic.profile+json; Version=\"2.0\"; q=0.3, text/html",
            "application/vnd.civic.profile+json;version=3.0, */*;q=0.1",
            "",
        ] {
            assert_eq!(asked(accept, ""), Some("2.0"), "{accept}");
        }
        assert_eq!(negotiate(&HeaderMap::new(), "").ok(), Some(SchemaVersion::NEWEST));
        assert_eq!(negotiate(&HeaderMap::new(), "schema_version=2.0").ok(), Some(SchemaVersion::V2_0));
    }

    #[test]
    fn an_older_version_is_served_to_callers_that_prefer_it() {
        for (accept, expected) in [
            ("application/vnd.civic.profile+json;version=1.0", "1.0"),
            ("application/vnd.civic.profile+json; VERSION=\"1.0\", application/json;q=0.9", "1.0"),
            ("application/vnd.civic.profile+json;version=1.0, */*", "1.0"),
            ("*/*, application/vnd.civic.profile+json;version=1.0;q=0.9", "2.0"),
            (
                "application/vnd.civic.profile+json;version=1.0;q=0.5, application/vnd.civic.profile+json;version=2.0",
                "2.0",
            ),
            ("application/vnd.civic.profile+json;version=1.0, application/vnd.civic.profile+json;version=2.0", "1.0"),
            ("application/vnd.civic.profile+json;version=2.0;q=0, */*", "1.0"),
            ("application/vnd.civic.profile+json;version=2.0;q=0.2, application/json;q=0.4", "1.0"),
        ] {
            assert_eq!(asked(accept, ""), Some(expected), "{accept}");
        }
        for accept in ["*/*", "application/json", "application/vnd.civic.profile+json;version=1.0", ""] {
            assert_eq!(asked(accept, "schema_version=1.0"), Some("1.0"), "{accept}");
        }
    }

    #[test]
    fn an_unknown_version_or_type_is_not_acceptable() {
        for accept in [
            "application/vnd.civic.profile+json;version=3.0",
            "application/vnd.civic.profile+json;version=1",
            "text/html",
            "application/json;q=0",
            "application/vnd.civic.profile+json;q=0, */*",
        ] {
            assert_eq!(asked(accept, ""), None, "{accept}");
        }
        for query in ["schema_version=3.0", "schema%5Fversion=", "schema_version=2.0&schema_version=2.0"] {
            assert_eq!(asked("*/*", query), None, "{query}");
        }
        let newest = "application/vnd.civic.profile+json;version=2.0";
        assert_eq!(asked(newest, "schema_version=1.0"), None, "the header excludes what the query asks for");
    }

    #[test]
    fn each_version_says_its_name_and_its_deprecation() {
        for version in SchemaVersion::ALL {
            let expected = format!("application/vnd.civic.profile+json;version={}", version.name());
            assert_eq!(content_type(*version), expected);
        }
        let headers: Vec<_> = deprecation(SchemaVersion::V1_0).collect();
        assert_eq!(
            headers,
            [
                (DEPRECATION.clone(), HeaderValue::from_static("@1793491200")),
                (SUNSET.clone(), HeaderValue::from_static("Mon, 01 Nov 2027 00:00:00 GMT")),
            ]
        );
        assert_eq!(deprecation(SchemaVersion::V2_0).count(), 0);
    }
}
