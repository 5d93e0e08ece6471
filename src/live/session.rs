//! One socket: what its client says, and when it ends.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::ws::{CloseCode, CloseReason};
use actix_web::web::{Data, Payload};
use actors::Subscription;
use actors::outlet::OutletSender;
use bytes::{Bytes, BytesMut};
use domain::id::UserId;
use domain::pipeline::serialize;
use domain::table::LeafSet;
use futures_util::StreamExt;
use tokio::sync::mpsc::{OwnedPermit, Sender, UnboundedReceiver};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::frame;
use super::message::{self, ClientRequest, RequestedUser};
use super::message_reader::{ClientMessage, MessageReader, ProtocolViolation};
use super::outgoing::{ActorEnded, PendingIds};
use super::read_pace::ReadPace;
use super::state::LiveState;
use crate::http::problem::{Code, Problem};
use crate::http::request::access::{check_visibility, read_within};
use crate::http::request::access_reason::AccessReason;
use crate::http::request::caller::{Caller, Role};
use crate::http::request::expiry::{Expired, Expiry};
use crate::http::request::schema_version;
use crate::json_object::JsonObject;

/// The longest message of a client: room for a subscription to as many users as a socket may follow.
const MAX_MESSAGE: usize = 128 * 1024;
/// The longest `id`.
const MAX_ID: usize = 128;
/// Maximum number of names in `fields`: more than there are sections and paths.
const MAX_FIELDS: usize = 256;
/// The token has expired.
pub(super) const EXPIRED: CloseCode = CloseCode::Other(4401);

/// Answers to one piece of the client's are sent together, but not more than so many bytes.
const ANSWERS_AT_ONCE: usize = 32 * 1024;

/// How often a busy user is asked to be followed again, and after which pause.
const ATTEMPTS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(250);

/// Why a socket ends.
pub(super) enum SessionEnd {
    /// The client is gone: nobody is there to be told.
    Gone,
    /// A close frame says so.
    Close(CloseCode, &'static str),
    /// The client ends it with a close frame, which is answered with this code.
    ByClient(CloseCode),
}

/// The session's ends of what leads to the client and back.
pub(super) struct Channels {
    pub(super) outlet: OutletSender,
    pub(super) pending_ids: Rc<PendingIds>,
    pub(super) answers: Sender<Bytes>,
    /// A place behind all answers, kept free for the close frame.
    pub(super) close_permit: OwnedPermit<Bytes>,
    /// Subscriptions whose actor is no more.
    pub(super) ended: UnboundedReceiver<ActorEnded>,
}

pub(super) struct Session {
    state: Data<LiveState>,
    caller: Arc<Caller>,
    expiry: Expiry,
    /// Why an administrator looks.
    reason: AccessReason,
    outlet: OutletSender,
    pending_ids: Rc<PendingIds>,
    answers: Sender<Bytes>,
    close_permit: Option<OwnedPermit<Bytes>>,
    ended: UnboundedReceiver<ActorEnded>,
    followed: HashMap<UserId, Following>,
    subscriptions: u64,
}

/// How a subscription begins.
#[derive(Default)]
struct SubscriptionStart {
    /// The client's own name of it.
    id: Option<String>,
    /// Where the client stands.
    cursor: Option<String>,
    /// Whether the user was followed before: then one who is hidden now is `gone`, and not unknown.
    follows_on: bool,
}

struct Following {
    subscription: u64,
    fields: Option<LeafSet>,
}

/// What a subscription that was ended is still owed by the one that goes on with it.
struct Resumption {
    fields: Option<LeafSet>,
    /// The client's own name, if the frame that carries it was not sent.
    id: Option<String>,
    /// Whether a frame that says that it resets was not sent.
    reset: bool,
}

impl Session {
    pub(super) fn new(state: Data<LiveState>, caller: Arc<Caller>, reason: AccessReason, channels: Channels) -> Self {
        let Channels { outlet, pending_ids, answers, close_permit, ended } = channels;
        let expiry = state.expiry(&caller);
        let (close_permit, followed) = (Some(close_permit), HashMap::new());
        Self {
            state,
            caller,
            expiry,
            reason,
            outlet,
            pending_ids,
            answers,
            close_permit,
            ended,
            followed,
            subscriptions: 0,
        }
    }

    /// Serves the client until one side ends it.
    pub(super) async fn run(mut self, payload: Payload) -> SessionEnd {
        let end = self.serve(payload).await;
        let close = match &end {
            SessionEnd::Gone => None,
            SessionEnd::Close(code, reason) => Some((*code, *reason)),
            SessionEnd::ByClient(code) => Some((*code, "")),
        };
        if let (Some((code, reason)), Some(close_permit)) = (close, self.close_permit.take()) {
            close_permit.send(frame::close(Some(code), reason));
        }
        for (user, following) in &self.followed {
            self.state.profiles.unsubscribe(*user, following.subscription, &self.outlet);
        }
        end
    }

    /// Whatever the session is at, it ends with the server, and with its token.
    async fn serve(&mut self, payload: Payload) -> SessionEnd {
        let expired = self.expiry.expired();
        tokio::select! {
            biased;
            expired = expired => match expired {
                Expired::Stopping => SessionEnd::Close(CloseCode::Away, "the server is stopping"),
                Expired::Token => SessionEnd::Close(EXPIRED, "the token has expired"),
            },
            end = self.converse(payload) => end,
        }
    }

    async fn converse(&mut self, mut payload: Payload) -> SessionEnd {
        let mut reader = MessageReader::new(MAX_MESSAGE);
        let heartbeat = self.state.settings.heartbeat;
        let mut beat = interval_at(Instant::now() + heartbeat, heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut pace = ReadPace::new(self.state.settings.read_bytes_per_s, heard);
        loop {
            let outcome = tokio::select! {
                _ = beat.tick() => {
                    if heard.elapsed() > heartbeat * 2 {
                        return SessionEnd::Close(CloseCode::Away, "nothing was heard for too long");
                    }
                    self.answer(frame::ping()).await
                }
                Some(ended) = self.ended.recv() => self.subscribe_again(ended).await,
                piece = async { pace.wait().await; payload.next().await } => {
                    let Some(Ok(piece)) = piece else { return SessionEnd::Gone };
                    pace.count(piece.len(), Instant::now());
                    reader.take(&piece);
                    let outcome = self.on_bytes(&mut reader).await;
                    // After what it said was dealt with, which may take its time.
                    heard = Instant::now();
                    outcome
                }
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// Deals with everything that was said whole.
    async fn on_bytes(&mut self, reader: &mut MessageReader) -> Result<(), SessionEnd> {
        let mut answers = BytesMut::new();
        loop {
            let heard = reader.next();
            match &heard {
                Ok(Some(ClientMessage::Text(text))) => self.handle(text, &mut answers).await?,
                Ok(Some(ClientMessage::Ping(payload))) => self.put(&frame::pong(payload), &mut answers).await?,
                Ok(Some(ClientMessage::Binary(_) | ClientMessage::Pong | ClientMessage::Close(_)) | None) | Err(_) => {}
            }
            let is_last =
                !matches!(heard, Ok(Some(ClientMessage::Text(_) | ClientMessage::Ping(_) | ClientMessage::Pong)));
            if is_last {
                self.answer(answers.split().freeze()).await?;
            }
            match heard {
                Ok(None) => return Ok(()),
                Ok(Some(ClientMessage::Binary(_))) => {
                    return Err(SessionEnd::Close(CloseCode::Unsupported, "messages are text"));
                }
                Ok(Some(ClientMessage::Close(reason))) => {
                    return Err(SessionEnd::ByClient(answered_code(reason.as_ref())));
                }
                Ok(Some(_)) => {}
                Err(ProtocolViolation(code, reason)) => return Err(SessionEnd::Close(code, reason)),
            }
        }
    }

    async fn handle(&mut self, text: &str, answers: &mut BytesMut) -> Result<(), SessionEnd> {
        let answer = match serde_json::from_str(text).map(|JsonObject(message)| message) {
            Ok(ClientRequest::Subscribe { id, users, fields, schema_version }) => {
                let checked = check_id(id.as_deref())
                    .and_then(|()| check_version(schema_version.as_deref()))
                    .and_then(|()| check_count("fields", fields.as_ref().map_or(0, Vec::len), MAX_FIELDS))
                    .and_then(|()| each_once(users, self.state.settings.max_subscriptions_per_socket));
                match checked {
                    Ok(users) => {
                        let fields = fields.map(|names| serialize::parse_fields(&names.join(",")));
                        return self.subscribe(id.as_deref(), &users, fields, answers).await;
                    }
                    Err(problem) => message::error(id.filter(|id| id.len() <= MAX_ID).as_deref(), None, &problem),
                }
            }
            Ok(ClientRequest::Unsubscribe { id, user_ids }) => {
                let users: HashSet<&str> = user_ids.iter().map(String::as_str).collect();
                let most = self.state.settings.max_subscriptions_per_socket;
                match check_id(id.as_deref()).and_then(|()| check_count("user_ids", users.len(), most)) {
                    Ok(()) => {
                        for user in users.into_iter().filter_map(|id| UserId::parse(id).ok()) {
                            self.unsubscribe(&user);
                        }
                        message::unsubscribed(id.as_deref())
                    }
                    Err(problem) => message::error(id.filter(|id| id.len() <= MAX_ID).as_deref(), None, &problem),
                }
            }
            Ok(ClientRequest::Auth { token }) => match self.renew(&token) {
                Ok(followed) => return self.follow_all_on(followed, answers).await,
                Err(problem) => message::error(None, None, &problem),
            },
            Ok(ClientRequest::Ping {}) => message::pong(),
            Err(_) => {
                let problem =
                    Problem::new(Code::MalformedBody, "a message is a JSON object of a known `type` and its members");
                message::error(None, None, &problem)
            }
        };
        self.put(&answer, answers).await
    }

    async fn subscribe(
        &mut self,
        id: Option<&str>,
        users: &[RequestedUser],
        fields: Option<LeafSet>,
        answers: &mut BytesMut,
    ) -> Result<(), SessionEnd> {
        for followed in users {
            let outcome = match UserId::parse(&followed.user_id) {
                Ok(user) => {
                    if self.caller.viewer.may_ever_see(&user) {
                        self.reason.record(&self.caller, "subscribe", &user);
                    }
                    let cursor = followed.cursor.clone();
                    let start = SubscriptionStart { id: id.map(str::to_owned), cursor, follows_on: false };
                    self.follow(user, fields, start).await
                }
                Err(_) => Err(Problem::unknown_user()),
            };
            if let Err(problem) = outcome {
                self.put(&message::error(id, Some(&followed.user_id), &problem), answers).await?;
            }
        }
        Ok(())
    }

    /// Follows a user from its state on. An earlier subscription to the same user ends.
    async fn follow(&mut self, user: UserId, fields: Option<LeafSet>, start: SubscriptionStart) -> Result<(), Problem> {
        if !start.follows_on {
            check_visibility(&self.caller, &user)?;
        }
        self.unsubscribe(&user);
        if self.followed.len() >= self.state.settings.max_subscriptions_per_socket {
            return Err(Problem::new(Code::Forbidden, "the socket follows as many users as it may: open another"));
        }
        if !self.followed.is_empty() && self.caller.role == Role::Service && !self.caller.live_many {
            return Err(Problem::new(
                Code::MissingScope,
                "following more than one user on a socket needs the scope `live:many`",
            ));
        }
        self.subscriptions += 1;
        let subscription = self.subscriptions;
        let SubscriptionStart { id, cursor, follows_on } = start;
        if id.is_some() {
            self.pending_ids.expect(subscription, id);
        }
        // Before the actor is asked: should the session end meanwhile, the subscription ends with it.
        self.followed.insert(user, Following { subscription, fields });
        let opened = {
            let open = self.open(user, subscription, fields, (cursor, follows_on));
            read_within(self.state.request_timeout, &self.caller.viewer, open).await
        };
        if opened.is_err() {
            // It may have been opened all the same, when the answer did not come in time.
            self.unsubscribe(&user);
        }
        opened
    }

    async fn open(
        &self,
        user: UserId,
        id: u64,
        fields: Option<LeafSet>,
        (cursor, follows_on): (Option<String>, bool),
    ) -> Result<(), actors::ReadError> {
        let (viewer, outlet) = (self.caller.viewer.clone(), self.outlet.clone());
        let subscription = Subscription { id, viewer, fields, cursor, follows_on, outlet };
        self.state.profiles.subscribe(user, subscription).await
    }

    /// The user's actor ended, so nothing more would come: the next one continues with the state.
    async fn subscribe_again(&mut self, ended: ActorEnded) -> Result<(), SessionEnd> {
        let ActorEnded { user, subscription, owes_reset: reset } = ended;
        let fields = match self.followed.get(&user) {
            Some(following) if following.subscription == subscription => following.fields,
            // The client has moved on.
            _ => return Ok(()),
        };
        let id = self.pending_ids.take(subscription);
        let mut answers = BytesMut::new();
        self.follow_all_on(vec![(user, Resumption { fields, id, reset })], &mut answers).await?;
        self.answer(answers.freeze()).await
    }

    /// Goes on with users who were followed before, from their state.
    async fn follow_all_on(
        &mut self,
        users: Vec<(UserId, Resumption)>,
        answers: &mut BytesMut,
    ) -> Result<(), SessionEnd> {
        for (user, Resumption { fields, id, reset }) in users {
            let mut left = ATTEMPTS;
            loop {
                // Nothing continues an empty cursor: so the answer says once more that it resets.
                let cursor = reset.then(String::new);
                let start = SubscriptionStart { id: id.clone(), cursor, follows_on: true };
                left -= 1;
                match self.follow(user, fields, start).await {
                    Ok(()) => break,
                    Err(problem) if problem.is(Code::Busy) && left > 0 => tokio::time::sleep(PAUSE).await,
                    Err(problem) => {
                        self.put(&message::error(id.as_deref(), Some(user.as_str()), &problem), answers).await?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends a subscription, and says what it is still owed.
    fn unsubscribe(&mut self, user: &UserId) -> Option<Resumption> {
        let Following { subscription, fields } = self.followed.remove(user)?;
        let id = self.pending_ids.take(subscription);
        let reset = self.state.profiles.unsubscribe(*user, subscription, &self.outlet);
        Some(Resumption { fields, id, reset })
    }

    /// A newer token of the same caller extends the time that the connection has. Where it opens another view, every subscription ends, to
    /// begin anew under that one: the very next frame of each holds nothing that is hidden now.
    fn renew(&mut self, token: &str) -> Result<Vec<(UserId, Resumption)>, Problem> {
        let caller = self.state.verifier.caller(token.as_bytes())?;
        if caller.subject != self.caller.subject {
            return Err(Problem::new(Code::Forbidden, "the token is of another caller: open another socket with it"));
        }
        self.expiry.extend(&self.state.verifier, &caller);
        let before = std::mem::replace(&mut self.caller, caller);
        if before.viewer == self.caller.viewer && before.live_many == self.caller.live_many {
            return Ok(Vec::new());
        }
        let users: Vec<UserId> = self.followed.keys().copied().collect();
        Ok(users.into_iter().filter_map(|user| Some((user, self.unsubscribe(&user)?))).collect())
    }

    /// Puts an answer behind the others. Many are sent in pieces, so that one message cannot make them pile up.
    async fn put(&self, answer: &[u8], answers: &mut BytesMut) -> Result<(), SessionEnd> {
        answers.extend_from_slice(answer);
        if answers.len() < ANSWERS_AT_ONCE { Ok(()) } else { self.answer(answers.split().freeze()).await }
    }

    /// Sends frames. While answers are not read, nothing of the client's is read either; for too long, it ends.
    async fn answer(&self, frames: Bytes) -> Result<(), SessionEnd> {
        if frames.is_empty() {
            return Ok(());
        }
        match timeout(self.state.settings.heartbeat * 2, self.answers.send(frames)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SessionEnd::Gone),
            Err(_) => Err(SessionEnd::Close(CloseCode::Policy, "answers are not read")),
        }
    }
}

/// The code that answers a client's close frame: its own where it is one that applications choose (RFC 6455, sections
/// 5.5.1 and 7.4.2).
fn answered_code(reason: Option<&CloseReason>) -> CloseCode {
    let own = reason.map(|reason| reason.code).filter(|code| (3_000..5_000).contains(&u16::from(*code)));
    own.unwrap_or(CloseCode::Normal)
}

fn check_id(id: Option<&str>) -> Result<(), Problem> {
    match id {
        Some(id) if id.len() > MAX_ID => Err(Problem::new(Code::InvalidParameter, "an `id` has at most 128 bytes")),
        _ => Ok(()),
    }
}

fn check_version(asked: Option<&str>) -> Result<(), Problem> {
    match asked {
        Some(asked) if !schema_version::SERVED.contains(&asked) => Err(schema_version::unknown()),
        _ => Ok(()),
    }
}

fn check_count(name: &str, count: usize, most: usize) -> Result<(), Problem> {
    if count <= most {
        return Ok(());
    }
    Err(Problem::new(Code::InvalidParameter, format!("`{name}` has at most {most} entries")))
}

/// The users of a message, each once: the last entry of a user counts, as if the entries had come one by one. Every
/// message has an answer, so one that asks for nothing is refused.
fn each_once(users: Vec<JsonObject<RequestedUser>>, most: usize) -> Result<Vec<RequestedUser>, Problem> {
    if users.is_empty() {
        return Err(Problem::new(Code::InvalidParameter, "`users` must name somebody to follow"));
    }
    let mut seen = HashSet::new();
    let is_last: Vec<bool> =
        users.iter().rev().map(|JsonObject(followed)| seen.insert(followed.user_id.as_str())).collect();
    check_count("users", seen.len(), most)?;
    let with_last = users.into_iter().zip(is_last.into_iter().rev());
    Ok(with_last.filter_map(|(JsonObject(user), is_last)| is_last.then_some(user)).collect())
}
