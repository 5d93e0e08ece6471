//! `GET /api/v2/audit/tree-head`, `…/inclusion` and `…/consistency`: what an auditor needs to check the log.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::entries::hashes;
use super::state::{AuditState, answer};
use crate::http::problem::Problem;
use crate::http::request::context::RequestContext;
use crate::http::request::parameter::{FROM_SIZE, LEAF, SIZE, TO_SIZE};
use crate::http::request::query;

/// Answers with a signed tree head over everything that was recorded so far, and with the public key.
pub(in crate::http) async fn tree_head(_: &RequestContext, state: Data<AuditState>) -> Result<HttpResponse, Problem> {
    let head = state.read(|trail| trail.sign_tree_head()).await?;
    let key = hex::encode(state.trail.public_key());
    Ok(answer(format!("{{\"tree_head\":{},\"public_key\":\"{key}\"}}", head.line)))
}

/// Answers with the proof that the entry of a leaf is in the tree of a size.
pub(in crate::http) async fn inclusion(
    context: &RequestContext,
    state: Data<AuditState>,
) -> Result<HttpResponse, Problem> {
    let (leaf, size) = (query::number(context.query(), &LEAF)?, query::number(context.query(), &SIZE)?);
    let proof = state.read(move |trail| trail.inclusion(leaf, size)).await?;
    Ok(answer(format!("{{\"leaf\":{leaf},\"size\":{size},\"inclusion\":{}}}", hashes(&proof))))
}

/// Answers with the proof that the tree of one size is the start of the tree of another.
pub(in crate::http) async fn consistency(
    context: &RequestContext,
    state: Data<AuditState>,
) -> Result<HttpResponse, Problem> {
    let (from, to) = (query::number(context.query(), &FROM_SIZE)?, query::number(context.query(), &TO_SIZE)?);
    let proof = state.read(move |trail| trail.consistency(from, to)).await?;
    Ok(answer(format!("{{\"from\":{from},\"to\":{to},\"consistency\":{}}}", hashes(&proof))))
}
