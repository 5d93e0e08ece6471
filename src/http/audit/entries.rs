//! `GET /api/v2/audit` and `GET /api/v2/profile/{user_id}/access-log`: entries, each compliance entry with the proof that it
//! is in the log.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::access::Viewer;
use domain::port::audit_trail::{AuditHash, AuditQuery, AuditReadError, AuditRecord, AuditTrail, AuditTreeHead};

use super::state::{AuditState, answer};
use super::{cursor, parameters};
use crate::http::problem::Problem;
use crate::http::request::context::RequestContext;
use crate::json_text;

/// Answers an auditor with the entries that fit, and a citizen with those about him or her.
pub(in crate::http) async fn get(context: &RequestContext, state: Data<AuditState>) -> Result<HttpResponse, Problem> {
    let mut query = parameters::parse(context.query())?;
    match context.caller.viewer {
        Viewer::SelfCitizen(citizen) => query.subject = Some(citizen),
        _ => parameters::parse_people(context.query(), &mut query)?,
    }
    page(&state, query).await
}

/// Answers citizens with who accessed their profile, when and why.
pub(in crate::http) async fn access_log(
    context: &RequestContext,
    state: Data<AuditState>,
) -> Result<HttpResponse, Problem> {
    let query = AuditQuery { subject: Some(context.user()?), ..parameters::parse(context.query())? };
    page(&state, query).await
}

async fn page(state: &AuditState, query: AuditQuery) -> Result<HttpResponse, Problem> {
    state.read(move |trail| render(trail, &query)).await.map(answer)
}

/// Returns a page as JSON. Entries are written as they stand in the log, so that clients can hash them.
fn render(trail: &dyn AuditTrail, query: &AuditQuery) -> Result<String, AuditReadError> {
    let page = trail.query(query)?;
    // Taken after the query, so that it has all entries of the page.
    let leaves = page.records.iter().filter_map(|record| record.receipt.leaf).max().map_or(0, |leaf| leaf + 1);
    let head = trail.covering_tree_head(leaves)?;
    let entries = page.records.iter().map(|record| entry(trail, &head, record));
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let mut json = format!("{{\"entries\":[{}]", entries.join(","));
    if let Some(next) = &page.next {
        json.push_str(",\"next_cursor\":");
        json.push_str(&json_text::to_text(&cursor::encode(next)));
    }
    json.push_str(&format!(",\"tree_head\":{},\"public_key\":\"{}\"}}", head.line, hex::encode(trail.public_key())));
    Ok(json)
}

fn entry(trail: &dyn AuditTrail, head: &AuditTreeHead, record: &AuditRecord) -> Result<String, AuditReadError> {
    let Some(leaf) = record.receipt.leaf else { return Ok(format!("{{\"entry\":{}}}", record.line)) };
    let proof = trail.inclusion(leaf, head.size)?;
    Ok(format!("{{\"entry\":{},\"leaf\":{leaf},\"inclusion\":{}}}", record.line, hashes(&proof)))
}

/// Returns the hashes of a proof as a JSON array.
pub(super) fn hashes(proof: &[AuditHash]) -> String {
    let hashes: Vec<String> = proof.iter().map(|hash| format!("\"{}\"", hex::encode(hash))).collect();
    format!("[{}]", hashes.join(","))
}
