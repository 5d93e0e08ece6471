//! What a client says, and the small answers to it. The frames of profiles come from the actors.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::frame;
use crate::http::problem::{Problem, ProblemBody};
use crate::json_object::JsonObject;

/// A message of the client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ClientRequest {
    /// Follow these users. The answer to each is its state.
    Subscribe {
        #[serde(default)]
        id: Option<String>,
        users: Vec<JsonObject<RequestedUser>>,
        /// Sections and paths; all that may be seen without it.
        #[serde(default)]
        fields: Option<Vec<String>>,
        #[serde(default)]
        schema_version: Option<String>,
    },
    /// Follow these users no longer.
    Unsubscribe {
        #[serde(default)]
        id: Option<String>,
        user_ids: Vec<String>,
    },
    /// A newer token of the same caller.
    Auth { token: String },
    /// Are you there?
    Ping {},
}

/// A user to follow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestedUser {
    pub(super) user_id: String,
    #[serde(default)]
    pub(super) cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerMessage<'a> {
    Unsubscribed {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
    },
    Pong {},
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_id: Option<&'a str>,
        problem: Box<ProblemBody<'a>>,
    },
}

fn encode(answer: &ServerMessage<'_>) -> Bytes {
    frame::text(text(answer).as_bytes())
}

fn text(answer: &ServerMessage<'_>) -> String {
    // Strings and numbers only: writing them cannot fail.
    serde_json::to_string(answer).unwrap_or_default()
}

/// The text of an error that concerns the whole connection.
pub(super) fn error_text(problem: &Problem) -> String {
    text(&ServerMessage::Error { id: None, user_id: None, problem: Box::new(problem.body(None, None)) })
}

pub(super) fn unsubscribed(id: Option<&str>) -> Bytes {
    encode(&ServerMessage::Unsubscribed { id })
}

pub(super) fn pong() -> Bytes {
    encode(&ServerMessage::Pong {})
}

pub(super) fn error(id: Option<&str>, user_id: Option<&str>, problem: &Problem) -> Bytes {
    encode(&ServerMessage::Error { id, user_id, problem: Box::new(problem.body(None, None)) })
}
