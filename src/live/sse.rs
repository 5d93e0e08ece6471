//! `GET /api/v2/profile/{user_id}/events`: the frames of one subscription as Server-Sent Events (WHATWG HTML, section
//! 9.2).
//!
//! The id of an event is its cursor, so a client that connects again with `Last-Event-ID` continues there. Pages read
//! the stream with `fetch`, which can send the header `Authorization`; `EventSource` cannot.

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Data;
use actors::Subscription;
use actors::outlet::{FrameKind, OutletFrame, OutletReceiver, OutletSender};
use bytes::{BufMut, Bytes, BytesMut};
use domain::id::UserId;
use domain::pipeline::serialize;
use futures_util::Stream;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::outgoing::own_members;
use super::requested_view::RequestedView;
use super::sockets::SocketSlot;
use super::state::LiveState;
use crate::http::problem::{Code, Problem};
use crate::http::request::access::read_within;
use crate::http::request::caller::Caller;
use crate::http::request::context::RequestContext;
use crate::http::request::event_stream::{EVENT_STREAM, X_ACCEL_BUFFERING, last_event_id};
use crate::http::request::expiry::{Expired, Expiry};
use crate::http::request::headers::accept::{self, ServedType};
use crate::http::request::parameter::FIELDS;
use crate::http::request::{include, query, schema_version};
use crate::http::transport;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Number of the subscription, the only one of its outlet.
const SUBSCRIPTION: u64 = 1;
/// A comment, which keeps proxies and clients from closing a connection that is silent for long.
const HEARTBEAT: Bytes = Bytes::from_static(b":\n\n");

/// Answers with the stream of a user's profile.
pub(crate) async fn get(context: &RequestContext, state: Data<LiveState>) -> Result<HttpResponse, Problem> {
    let (caller, headers) = (Arc::clone(&context.caller), context.headers());
    let schema = schema_version::negotiate_version(context.query())?;
    if accept::choose(headers, &[ServedType::new(EVENT_STREAM)]).is_none() {
        return Err(Problem::not_acceptable("`served` lists the media type of the stream", &[EVENT_STREAM]));
    }
    let cursor = last_event_id(headers)?;
    let fields = query::list(context.query(), &FIELDS).map(|names| serialize::parse_fields(&names, schema));
    let names_sources = include::asks_for_provenance(context.query())?;
    let requested = RequestedView { schema, fields, names_sources };
    let user = context.user()?;
    let slot = state.sockets.enter(caller.subject()).ok_or_else(Problem::too_many_sockets)?;
    let (outlet, frames) = actors::outlet::channel(state.settings.outlet_queue_frames);
    let mut beat = interval_at(Instant::now() + state.settings.heartbeat, state.settings.heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let expiry = state.expiry(&caller);
    let expired = expiry.expired().boxed();
    let events = ProfileEventStream {
        state,
        caller,
        user,
        requested,
        outlet,
        frames,
        beat,
        expired,
        has_ended: false,
        _expiry: expiry,
        _slot: slot,
    };
    let connection = context.connection();
    let disclosed = events.state.disclosed(&events.caller, user, requested).await;
    let admitted = connection.admit(&events.caller, Some(user), disclosed).await?;
    let subscribed = events.subscribe(cursor, false).await;
    connection.settle(&events.caller, admitted, subscribed.as_ref().copied()).await;
    subscribed?;
    transport::begin_event_stream(&context.request);
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM)));
    answer.insert_header((header::CACHE_CONTROL, NO_STORE));
    answer.insert_header((X_ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")));
    for header in schema_version::deprecation(schema) {
        answer.insert_header(header);
    }
    Ok(answer.streaming(events.into_stream()))
}

/// The stream of one user's profile. Dropping it ends the subscription.
struct ProfileEventStream {
    state: Data<LiveState>,
    caller: Arc<Caller>,
    user: UserId,
    requested: RequestedView,
    outlet: OutletSender,
    frames: OutletReceiver,
    beat: Interval,
    expired: BoxFuture<'static, Expired>,
    has_ended: bool,
    _expiry: Expiry,
    _slot: SocketSlot,
}

impl ProfileEventStream {
    /// Subscribes to the user. `followed_before` tells whether the stream has followed the user before.
    async fn subscribe(&self, cursor: Option<String>, followed_before: bool) -> Result<(), Problem> {
        let (viewer, outlet) = (self.caller.viewer.clone(), self.outlet.clone());
        let RequestedView { schema, fields, names_sources } = self.requested;
        let id = SUBSCRIPTION;
        let subscription = Subscription { id, viewer, fields, schema, names_sources, cursor, followed_before, outlet };
        let opened = self.state.profiles.subscribe(self.user, subscription);
        read_within(self.state.request_timeout, &self.caller.viewer, opened).await
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        futures_util::stream::unfold(self, |mut events| async move {
            let piece = events.next().await?;
            Some((Ok(piece), events))
        })
    }

    /// Waits for the next piece of the body; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Bytes> {
        if self.has_ended {
            return None;
        }
        tokio::select! {
            biased;
            expired = &mut self.expired => {
                self.has_ended = true;
                match expired {
                    Expired::Stopping => None,
                    Expired::Token | Expired::Revoked => {
                        Some(error(&Problem::new(Code::InvalidToken, expired.detail())))
                    }
                }
            }
            frame = self.frames.recv() => match frame.message.kind {
                FrameKind::Resync => self.subscribe_again(frame.reset).await,
                kind => {
                    self.has_ended = kind == FrameKind::Erased;
                    Some(event(&frame))
                }
            },
            _ = self.beat.tick() => Some(HEARTBEAT),
        }
    }

    /// Subscribes again after the user's actor has ended. The next actor continues with the current state.
    async fn subscribe_again(&mut self, owes_reset: bool) -> Option<Bytes> {
        // No state continues an empty cursor, so the next frame says `reset` again.
        match self.subscribe(owes_reset.then(String::new), true).await {
            Ok(()) => Some(HEARTBEAT),
            Err(problem) => {
                self.has_ended = true;
                Some(error(&problem))
            }
        }
    }
}

impl Drop for ProfileEventStream {
    fn drop(&mut self) {
        self.state.profiles.unsubscribe(self.user, SUBSCRIPTION, &self.outlet);
    }
}

/// Writes a frame as an event: its kind as the type, its cursor as the id, and its text as the data.
fn event(frame: &OutletFrame) -> Bytes {
    let message = &frame.message;
    let name = match message.kind {
        FrameKind::Profile => "profile",
        FrameKind::Patch => "patch",
        FrameKind::Completeness => "completeness",
        FrameKind::Erased => "erased",
        FrameKind::Gone | FrameKind::Resync => "gone",
    };
    let mut out = BytesMut::with_capacity(message.text().len() + 128);
    put(&mut out, "event: ", name);
    match (message.kind, message.cursor()) {
        (_, Some(cursor)) => put(&mut out, "id: ", cursor),
        // An empty id makes the client forget its cursor, together with the document that it has deleted.
        (FrameKind::Gone | FrameKind::Erased, None) => put(&mut out, "id: ", ""),
        (_, None) => {}
    }
    out.put_slice(b"data: {");
    out.put_slice(own_members(None, frame.reset).as_bytes());
    // Canonical JSON has no line breaks, which would end the event.
    out.put_slice(message.text().strip_prefix(b"{").unwrap_or_default());
    out.put_slice(b"\n\n");
    out.freeze()
}

/// Writes a problem as an event of the type `error`.
fn error(problem: &Problem) -> Bytes {
    let text = super::message::error_text(problem);
    let mut out = BytesMut::new();
    put(&mut out, "event: ", "error");
    put(&mut out, "data: ", &text);
    out.put_slice(b"\n");
    out.freeze()
}

/// Appends a line of an event.
fn put(out: &mut BytesMut, field: &str, value: &str) {
    out.put_slice(field.as_bytes());
    out.put_slice(value.as_bytes());
    out.put_u8(b'\n');
}
