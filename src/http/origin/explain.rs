//! `GET /api/v2/profile/{user_id}/explain?path=`: which source's value a field has, the other candidates, and the rule that
//! decided.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actors::reading::ReadExplanation;
use domain::day::format_instant;
use domain::pipeline::explain::{ExplainedCandidate, Explanation};
use domain::table::{FIELDS, Leaf};
use serde_json::{Value, json};

use crate::http::audit::Disclosed;
use crate::http::problem::{Code, Problem};
use crate::http::read_state::ProfileReadState;
use crate::http::request::access::read_within;
use crate::http::request::context::RequestContext;
use crate::http::request::parameter::PATH;
use crate::http::request::query;

/// Answers with the explanation of one field.
pub(in crate::http) async fn get(
    context: &RequestContext,
    state: Data<ProfileReadState>,
) -> Result<HttpResponse, Problem> {
    let viewer = &context.caller.viewer;
    let path = query::single(context.query(), &PATH)?;
    let path = path.filter(|path| path.starts_with('/')).ok_or_else(|| {
        Problem::new(
            Code::InvalidParameter,
            "`path` must be the JSON Pointer of a field, such as /economic/income_bracket",
        )
    })?;
    let reading = ReadExplanation { leaf: leaf(&path) };
    let read = state.profiles.read(context.user()?, viewer, reading);
    let explained = read_within(state.request_timeout, viewer, read).await?;
    context.disclose(Disclosed::new(explained.leaves, explained.generation));
    // Nothing tells whether there is no such field, the profile does not have it, or the caller may not see it.
    let explanation = explained
        .explanation
        .ok_or_else(|| Problem::new(Code::UnknownResource, "the profile shows this caller no field at `path`"))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(answer(&explanation, explained.revision)))
}

/// Returns the field that a pointer leads to, or into.
fn leaf(pointer: &str) -> Option<Leaf> {
    let mut steps = pointer.split('/').skip(1);
    // Names of fields need no escape. Nothing is allocated, which would tell a name that has to be put together from others.
    let (first, second) = (steps.next()?, steps.next());
    let is_named = |path: &str| match path.split_once('.') {
        Some((section, name)) => first == section && second == Some(name),
        None => first == path,
    };
    FIELDS.iter().find(|field| is_named(field.path)).map(|field| field.leaf)
}

fn answer(explanation: &Explanation, revision: u64) -> Value {
    let field = explanation.leaf.field();
    let candidates: Vec<_> = explanation.candidates.iter().map(candidate).collect();
    json!({
        "path": format!("/{}", field.path.replace('.', "/")),
        "revision": revision,
        "rule": explanation.rule.map_or("derived", |rule| rule.name()),
        "winner": candidates.first(),
        "candidates": candidates,
    })
}

fn candidate(candidate: &ExplainedCandidate) -> Value {
    // Values are canonical JSON.
    let value = candidate.value.as_ref().and_then(|value| serde_json::from_str::<Value>(value.as_str()).ok());
    json!({
        "source": candidate.source.name(),
        "kind": candidate.kind.name(),
        "rank": candidate.rank,
        "confidence": candidate.confidence,
        "observed_at": format_instant(candidate.observed_at),
        "event_id": candidate.event_id.as_str(),
        "withdrawn": candidate.value.is_none(),
        "value": value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_a_field_or_into_it() {
        assert_eq!(leaf("/economic/income_bracket"), Some(Leaf::EconomicIncomeBracket));
        assert_eq!(leaf("/cohort_tags/0"), Some(Leaf::CohortTags));
        assert_eq!(leaf("/eligibility/eligible_schemes/3/application_status"), Some(Leaf::EligibilityEligibleSchemes));
        for pointer in ["/", "/economic", "/economic/", "/economic/nothing", "/revision", "/economic.income_bracket"] {
            assert_eq!(leaf(pointer), None, "{pointer}");
        }
    }
}
