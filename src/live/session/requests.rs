//! Handles the messages of a client: each is checked, carried out and answered.

use std::collections::HashSet;

use bytes::{Bytes, BytesMut};
use domain::id::UserId;
use domain::pipeline::serialize;

use super::super::message::{self, ClientRequest, RequestedUser};
use super::super::requested_view::RequestedView;
use super::{Session, SessionEnd};
use crate::http::problem::{Code, Problem};
use crate::http::request::limits::LimitClass;
use crate::http::request::{include, schema_version};
use crate::json_object::JsonObject;

/// Maximum length of the client's `id` of a request, in bytes.
const MAX_ID_BYTES: usize = 128;
/// Maximum number of names in `fields`: more than there are sections and paths.
const MAX_FIELDS: usize = 256;

impl Session {
    /// Handles one message. Its answers are added to `answers`; those of a subscription come from the actors.
    pub(super) async fn on_text(&mut self, text: &str, answers: &mut BytesMut) -> Result<(), SessionEnd> {
        let answer = match serde_json::from_str(text).map(|JsonObject(request)| request) {
            Ok(ClientRequest::Subscribe { id, users, fields, schema_version, include }) => {
                let id = id.as_deref();
                let requested = requested_view(id, fields.as_deref(), schema_version.as_deref(), include.as_deref());
                match requested.and_then(|requested| Ok((self.check_users(users, requested)?, requested))) {
                    Ok((users, requested)) => return self.subscribe(id, &users, requested, answers).await,
                    Err(problem) => refusal(id, &problem),
                }
            }
            Ok(ClientRequest::Unsubscribe { id, user_ids }) => self.on_unsubscribe(id.as_deref(), &user_ids),
            Ok(ClientRequest::Auth { token }) => match self.renew(&token).await {
                Ok(suspended) => return self.resume_renewed(suspended, answers).await,
                Err(problem) => refusal(None, &problem),
            },
            Ok(ClientRequest::Ping {}) => message::pong(),
            Err(_) => refusal(
                None,
                &Problem::new(
                    Code::MalformedBody,
                    "a message must be a JSON object of a known `type` with its members",
                ),
            ),
        };
        self.put(&answer, answers).await
    }

    /// Returns the users of a subscription without repetitions. Each is counted as a read: with the sources of values as a sensitive
    /// one, as it is over HTTP.
    fn check_users(
        &self,
        users: Vec<JsonObject<RequestedUser>>,
        requested: RequestedView,
    ) -> Result<Vec<RequestedUser>, Problem> {
        let users = last_of_each(users, self.state.settings.max_subscriptions_per_socket)?;
        let class = if requested.names_sources { LimitClass::Sensitive } else { LimitClass::Read };
        self.connection.count_reads(&self.caller, class, users.len())?;
        Ok(users)
    }

    fn on_unsubscribe(&mut self, id: Option<&str>, user_ids: &[String]) -> Bytes {
        let users: HashSet<&str> = user_ids.iter().map(String::as_str).collect();
        let max_users = self.state.settings.max_subscriptions_per_socket;
        if let Err(problem) = check_id(id).and_then(|()| check_count("user_ids", users.len(), max_users)) {
            return refusal(id, &problem);
        }
        for user in users.into_iter().filter_map(|id| UserId::parse(id).ok()) {
            self.unsubscribe(&user);
        }
        message::unsubscribed(id)
    }
}

/// Checks the members of a subscription besides its users, and returns what they ask for.
fn requested_view(
    id: Option<&str>,
    fields: Option<&[String]>,
    schema_version: Option<&str>,
    include: Option<&[String]>,
) -> Result<RequestedView, Problem> {
    check_id(id)?;
    let schema = schema_version::named(schema_version)?;
    check_count("fields", fields.map_or(0, <[_]>::len), MAX_FIELDS)?;
    let names_sources = include::has_provenance(include.unwrap_or_default().iter().map(String::as_str))?;
    let fields = fields.map(|names| serialize::parse_fields(&names.join(","), schema));
    Ok(RequestedView { schema, fields, names_sources })
}

/// Returns the answer to a request that is refused. An id that is too long is not repeated.
fn refusal(id: Option<&str>, problem: &Problem) -> Bytes {
    message::error(id.filter(|id| id.len() <= MAX_ID_BYTES), None, problem)
}

fn check_id(id: Option<&str>) -> Result<(), Problem> {
    match id {
        Some(id) if id.len() > MAX_ID_BYTES => {
            Err(Problem::new(Code::InvalidParameter, "an `id` has at most 128 bytes"))
        }
        _ => Ok(()),
    }
}

fn check_count(name: &str, count: usize, max: usize) -> Result<(), Problem> {
    if count <= max {
        return Ok(());
    }
    Err(Problem::new(Code::InvalidParameter, format!("`{name}` has at most {max} entries")))
}

/// Returns each user of a message once. The last entry of a user counts, as if the entries had come one by one.
///
/// # Errors
/// There are more than `max_users`, or none: every message has an answer, and a request for nothing would have none.
fn last_of_each(users: Vec<JsonObject<RequestedUser>>, max_users: usize) -> Result<Vec<RequestedUser>, Problem> {
    if users.is_empty() {
        return Err(Problem::new(Code::InvalidParameter, "`users` must not be empty"));
    }
    let mut seen = HashSet::new();
    let is_last: Vec<bool> = users.iter().rev().map(|JsonObject(user)| seen.insert(user.user_id.as_str())).collect();
    check_count("users", seen.len(), max_users)?;
    let with_last = users.into_iter().zip(is_last.into_iter().rev());
    Ok(with_last.filter_map(|(JsonObject(user), is_last)| is_last.then_some(user)).collect())
}
