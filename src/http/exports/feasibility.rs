//! `GET /api/v2/exports/feasibility`: which levels an export of all people would need now.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use domain::export::MIN_K;

use super::state::ExportState;
use crate::http::credential_state::blocking;
use crate::http::problem::{Code, Problem};
use crate::http::request::context::RequestContext;
use crate::http::request::parameter::{K, L, Parameter};
use crate::http::request::query;

/// The greatest k and l that are answered, as those of a request.
const MOST: (u32, u32) = (1_000_000, 64);

/// Answers with the levels, or that no export is possible.
pub(in crate::http) async fn get(context: &RequestContext, state: Data<ExportState>) -> Result<HttpResponse, Problem> {
    let number =
        |parameter: &Parameter, default: u32, least: u32, most: u32| match query::single(context.query(), parameter)? {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| {
                Problem::new(
                    Code::InvalidParameter,
                    format!("`{}` must be an integer from {least} to {most}", parameter.name),
                )
            }),
        };
    let defaults = state.export_rules.privacy;
    let (k, l) = (number(&K, defaults.k, MIN_K, MOST.0)?, number(&L, defaults.l, 1, MOST.1)?);
    let exports = state.exports.clone();
    let feasibility = blocking(move || exports.feasibility(k, l)).await?;
    let feasibility = feasibility.map_err(|refusal| Problem::new(Code::Unavailable, refusal.to_string()))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .json(feasibility.to_json()))
}
