//! The session of one socket: it reads what the client sends, answers it, and decides when the socket ends.
//!
//! `requests` handles the client's messages, `subscriptions` holds the users that the socket follows, and `answers`
//! sends to the client.

mod answers;
mod attempts;
mod requests;
mod subscriptions;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::ws::{CloseCode, CloseReason};
use actix_web::web::{Data, Payload};
use actors::outlet::OutletSender;
use bytes::{Bytes, BytesMut};
use domain::id::UserId;
use futures_util::StreamExt;
use tokio::sync::mpsc::{OwnedPermit, Sender, UnboundedReceiver};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::frame;
use super::message_reader::{ClientMessage, MessageReader, ProtocolViolation};
use super::outgoing::{EndedSubscription, PendingIds};
use super::read_pace::ReadPace;
use super::state::LiveState;
use crate::http::request::caller::Caller;
use crate::http::request::connection_context::ConnectionContext;
use crate::http::request::expiry::{Expired, Expiry};
use subscriptions::FollowedUser;

/// Maximum length of a client's message, in bytes: enough to subscribe to as many users as a socket may follow.
const MAX_MESSAGE_BYTES: usize = 128 * 1024;
/// The close code of a socket whose token has expired or was revoked.
pub(super) const EXPIRED: CloseCode = CloseCode::Other(4401);

/// Why a session ends.
pub(super) enum SessionEnd {
    /// The connection is gone, so nothing more is sent.
    Gone,
    /// The server ends the socket with a close frame of this code and reason.
    Close(CloseCode, &'static str),
    /// The client has sent a close frame, which is answered with this code.
    ByClient(CloseCode),
}

/// The channels that connect a session with its response and with the actors.
pub(super) struct Channels {
    /// Receives the frames of the users that the socket follows.
    pub(super) outlet: OutletSender,
    /// The client's ids of subscriptions whose first frame was not sent yet.
    pub(super) pending_ids: Rc<PendingIds>,
    /// Takes the session's answers to the client.
    pub(super) answers: Sender<Bytes>,
    /// A place in `answers` that is kept free for the close frame.
    pub(super) close_permit: OwnedPermit<Bytes>,
    /// Reports subscriptions that get no further frame.
    pub(super) ended: UnboundedReceiver<EndedSubscription>,
}

/// A socket's session.
pub(super) struct Session {
    state: Data<LiveState>,
    caller: Arc<Caller>,
    /// Ends the session with the caller's token, or with the server.
    expiry: Expiry,
    /// Counts and records what the client asks for, with the reason that an administrator gave.
    connection: Rc<ConnectionContext>,
    outlet: OutletSender,
    pending_ids: Rc<PendingIds>,
    answers: Sender<Bytes>,
    /// Taken when the close frame is sent.
    close_permit: Option<OwnedPermit<Bytes>>,
    ended: UnboundedReceiver<EndedSubscription>,
    followed: HashMap<UserId, FollowedUser>,
    /// Number of subscriptions so far, which numbers them.
    subscription_count: u64,
}

impl Session {
    /// Returns the session of a socket that `caller` has opened.
    pub(super) fn new(
        state: Data<LiveState>,
        caller: Arc<Caller>,
        connection: ConnectionContext,
        channels: Channels,
    ) -> Self {
        let Channels { outlet, pending_ids, answers, close_permit, ended } = channels;
        let expiry = state.expiry(&caller);
        Self {
            state,
            caller,
            expiry,
            connection: Rc::new(connection),
            outlet,
            pending_ids,
            answers,
            close_permit: Some(close_permit),
            ended,
            followed: HashMap::new(),
            subscription_count: 0,
        }
    }

    /// Serves the client until one side ends the socket; then sends the close frame and ends all subscriptions.
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
        for (user, followed) in &self.followed {
            self.state.profiles.unsubscribe(*user, followed.subscription, &self.outlet);
        }
        end
    }

    /// Serves the client until the socket ends or expires, whatever the session is waiting for then.
    async fn serve(&mut self, payload: Payload) -> SessionEnd {
        let expired = self.expiry.expired();
        tokio::select! {
            biased;
            expired = expired => match expired {
                Expired::Stopping => SessionEnd::Close(CloseCode::Away, expired.detail()),
                Expired::Token | Expired::Revoked => SessionEnd::Close(EXPIRED, expired.detail()),
            },
            end = self.converse(payload) => end,
        }
    }

    /// Reads messages and answers them, and pings a client that sends nothing.
    async fn converse(&mut self, mut payload: Payload) -> SessionEnd {
        let mut reader = MessageReader::new(MAX_MESSAGE_BYTES);
        let heartbeat = self.state.settings.heartbeat;
        let mut beat = interval_at(Instant::now() + heartbeat, heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut received_at = Instant::now();
        let mut pace = ReadPace::new(self.state.settings.read_bytes_per_s, received_at);
        loop {
            let outcome = tokio::select! {
                _ = beat.tick() => {
                    if received_at.elapsed() > heartbeat * 2 {
                        return SessionEnd::Close(CloseCode::Away, "the client sent nothing for too long");
                    }
                    self.send(frame::ping()).await
                }
                Some(ended) = self.ended.recv() => self.on_ended(ended).await,
                piece = async { pace.wait().await; payload.next().await } => {
                    let Some(Ok(piece)) = piece else { return SessionEnd::Gone };
                    pace.count(piece.len(), Instant::now());
                    reader.take(&piece);
                    let outcome = self.on_bytes(&mut reader).await;
                    // Handling the messages may take long, and the client is not silent meanwhile.
                    received_at = Instant::now();
                    outcome
                }
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// Handles every message that has been received completely, and sends the answers.
    async fn on_bytes(&mut self, reader: &mut MessageReader) -> Result<(), SessionEnd> {
        let mut answers = BytesMut::new();
        let end = loop {
            match reader.next() {
                Ok(Some(ClientMessage::Text(text))) => self.on_text(&text, &mut answers).await?,
                Ok(Some(ClientMessage::Ping(payload))) => self.put(&frame::pong(&payload), &mut answers).await?,
                Ok(Some(ClientMessage::Pong)) => {}
                Ok(Some(ClientMessage::Binary(_))) => {
                    break Err(SessionEnd::Close(CloseCode::Unsupported, "messages must be text"));
                }
                Ok(Some(ClientMessage::Close(reason))) => {
                    break Err(SessionEnd::ByClient(answered_code(reason.as_ref())));
                }
                Ok(None) => break Ok(()),
                Err(ProtocolViolation(code, reason)) => break Err(SessionEnd::Close(code, reason)),
            }
        };
        self.send(answers.freeze()).await?;
        end
    }
}

/// Returns the code that answers a client's close frame: the client's own where applications may choose it (RFC 6455,
/// sections 5.5.1 and 7.4.2), else 1000.
fn answered_code(reason: Option<&CloseReason>) -> CloseCode {
    let own = reason.map(|reason| reason.code).filter(|code| (3_000..5_000).contains(&u16::from(*code)));
    own.unwrap_or(CloseCode::Normal)
}
