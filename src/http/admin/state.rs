//! State of the handlers of operators.

use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, Payload};
use actors::Profiles;
use serde::de::DeserializeOwned;

use crate::http::credential_state::CredentialState;
use crate::http::problem::{Code, Problem};
use crate::http::request::limits::Limits;
use crate::json_object::JsonObject;
use crate::key_ages::KeyAges;
use crate::key_rotations::KeyRotations;
use crate::reload::Reloader;

/// State of `/admin/…`, except for revocations.
pub(crate) struct AdminState {
    pub(crate) limits: Arc<Limits>,
    pub(crate) profiles: Profiles,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) key_ages: Arc<KeyAges>,
    pub(crate) key_rotations: Arc<KeyRotations>,
    /// Reads bodies.
    pub(crate) credentials: Data<CredentialState>,
}

impl AdminState {
    /// Reads a body, which is a JSON object. `shape` describes it for the caller.
    ///
    /// # Errors
    /// The body is of another type, breaks a limit, or does not have the shape.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        headers: &HeaderMap,
        payload: Payload,
        shape: &'static str,
    ) -> Result<T, Problem> {
        let body = self.credentials.read_json(headers, payload).await?;
        let parsed: Result<JsonObject<T>, _> = serde_json::from_slice(&body);
        parsed.map(|JsonObject(parsed)| parsed).map_err(|_| Problem::new(Code::MalformedBody, shape))
    }
}
