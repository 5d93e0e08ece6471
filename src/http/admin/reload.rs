//! `POST /admin/reload`: the tables of the operator are read now, and the answer says whether they are in force.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Value, json};

use super::state::AdminState;
use crate::http::problem::Problem;
use crate::http::request::context::RequestContext;
use crate::reload::FileOutcome;

/// Reads the tables.
pub(in crate::http) async fn post(context: &RequestContext, state: Data<AdminState>) -> Result<HttpResponse, Problem> {
    context.record_write().await?;
    let file = |(name, outcome): (&'static str, FileOutcome)| -> Value {
        match outcome {
            FileOutcome::InForce => json!({ "file": name, "in_force": true }),
            FileOutcome::Refused(fault) => json!({ "file": name, "in_force": false, "fault": fault }),
        }
    };
    let files: Vec<Value> = state.reloader.reload(&context.change_origin()).await.into_iter().map(file).collect();
    Ok(HttpResponse::Ok().json(json!({ "files": files })))
}
