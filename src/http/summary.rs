//! `GET /api/v2/profile/{user_id}/summary`: the profile in two or three plain sentences.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actors::reading::ReadSummary;
use domain::day::format_instant;
use domain::summary::SummaryLanguage;
use serde_json::json;

use super::audit::Disclosed;
use super::problem::Problem;
use super::read_state::ProfileReadState;
use super::request::access::read_within;
use super::request::context::RequestContext;
use super::request::headers;

const VARY: HeaderValue = HeaderValue::from_static("Accept-Language, Authorization");

/// Answers with the summary in the language that the caller prefers.
pub(super) async fn get(context: &RequestContext, state: Data<ProfileReadState>) -> Result<HttpResponse, Problem> {
    let viewer = &context.caller.viewer;
    let language = preferred_language(context.headers());
    let read = state.profiles.read(context.user()?, viewer, ReadSummary { language });
    let summary = read_within(state.request_timeout, viewer, read).await?;
    context.disclose(Disclosed::new(summary.leaves, summary.generation));
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")))
        .insert_header((header::CONTENT_LANGUAGE, HeaderValue::from_static(language.name())))
        .insert_header((header::VARY, VARY))
        .json(json!({
            "text": summary.text,
            "language": language.name(),
            "generator": "template",
            "based_on_revision": summary.revision,
            "generated_at": format_instant(summary.generated_at),
        })))
}

/// Returns the language that `Accept-Language` prefers (RFC 9110, section 12.5.4), or English if it names none that is
/// written.
fn preferred_language(headers: &HeaderMap) -> SummaryLanguage {
    let mut best = (SummaryLanguage::English, 0.0);
    for element in headers::elements(headers, &header::ACCEPT_LANGUAGE) {
        let mut parts = headers::parts(element, b';');
        let range = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
        let weight = weight.map_or(Some(1.0), |text| std::str::from_utf8(text).ok()?.parse::<f64>().ok());
        let primary = range.split(|byte| *byte == b'-').next().unwrap_or_default();
        let named = |language: &&SummaryLanguage| primary.eq_ignore_ascii_case(language.name().as_bytes());
        if let (Some(language), Some(weight)) = (SummaryLanguage::ALL.iter().find(named), weight)
            && weight > best.1
            && weight <= 1.0
        {
            best = (*language, weight);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language_that_is_written_is_chosen() {
        let preferred = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(value));
            preferred_language(&headers).name()
        };
        for (value, expected) in [
            ("hi", "hi"),
            ("hi-IN, en;q=0.8", "hi"),
            ("en-GB;q=0.9, hi;q=0.5", "en"),
            ("ta, hi;q=0.3, en;q=0.2", "hi"),
            ("ta, *;q=0.5", "en"),
            ("HI;Q=0.4, en;q=0", "hi"),
            ("hi;q=none, en;q=0.1", "en"),
            ("hi;q=7", "en"),
            ("", "en"),
        ] {
            assert_eq!(preferred(value), expected, "{value}");
        }
        assert_eq!(preferred_language(&HeaderMap::new()).name(), "en");
    }
}
