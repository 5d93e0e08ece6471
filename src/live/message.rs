//! The requests of a client, and the short answers to them. The frames of profiles come from the actors.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::frame;
use crate::http::problem::{Problem, ProblemBody};
use crate::json_object::JsonObject;
use crate::json_text;

/// A request of the client, which is one text message.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ClientRequest {
    /// Subscribes to users. Each is answered by a frame with the user's state.
    Subscribe {
        #[serde(default)]
        id: Option<String>,
        users: Vec<JsonObject<RequestedUser>>,
        /// Sections and paths to receive; without it, everything that the caller may see.
        #[serde(default)]
        fields: Option<Vec<String>>,
        #[serde(default)]
        schema_version: Option<String>,
        /// What patches have besides the change: `provenance` for the sources of values.
        #[serde(default)]
        include: Option<Vec<String>>,
    },
    /// Ends the subscriptions to users.
    Unsubscribe {
        #[serde(default)]
        id: Option<String>,
        user_ids: Vec<String>,
    },
    /// Replaces the caller's token by a newer one of the same caller.
    Auth { token: String },
    /// Asks for a `pong` message, for clients that cannot send ping frames.
    Ping {},
}

/// A user to subscribe to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestedUser {
    pub(super) user_id: String,
    /// The cursor of the last frame that the client has received.
    #[serde(default)]
    pub(super) cursor: Option<String>,
}

/// A short answer to a request.
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
        /// The seconds after which the request may be sent again, where HTTP would say `Retry-After`.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_s: Option<u64>,
        problem: Box<ProblemBody<'a>>,
    },
}

fn encode(answer: &ServerMessage<'_>) -> Bytes {
    frame::text(&json_text::to_bytes(answer))
}

/// Returns the text of an error that concerns the whole connection.
pub(super) fn error_text(problem: &Problem) -> String {
    json_text::to_text(&error_message(None, None, problem))
}

/// Encodes the answer to [`ClientRequest::Unsubscribe`].
pub(super) fn unsubscribed(id: Option<&str>) -> Bytes {
    encode(&ServerMessage::Unsubscribed { id })
}

/// Encodes the answer to [`ClientRequest::Ping`].
pub(super) fn pong() -> Bytes {
    encode(&ServerMessage::Pong {})
}

/// Encodes the refusal of a request, or of its part about one user.
pub(super) fn error(id: Option<&str>, user_id: Option<&str>, problem: &Problem) -> Bytes {
    encode(&error_message(id, user_id, problem))
}

fn error_message<'a>(id: Option<&'a str>, user_id: Option<&'a str>, problem: &'a Problem) -> ServerMessage<'a> {
    let (retry_after_s, problem) = (problem.retry_after(), Box::new(problem.body(None, None)));
    ServerMessage::Error { id, user_id, retry_after_s, problem }
}
