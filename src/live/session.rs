//! One socket: what its client says, and how long it may stay.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::Decoder;
use actix_http::ws::{CloseCode, Codec, Frame, Item, ProtocolError};
use actix_web::web::{Data, Payload};
use actors::Subscription;
use actors::outlet::OutletSender;
use bytes::{Bytes, BytesMut};
use domain::id::UserId;
use domain::pipeline::serialize;
use domain::table::LeafSet;
use futures_util::StreamExt;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::frame;
use super::message::{self, Followed, Incoming};
use super::outgoing::Openings;
use crate::http::caller::{Caller, Role};
use crate::http::door::Door;
use crate::http::problem::{Code, Problem};
use crate::http::{profile, version};

/// The longest message of a client: room for a subscription to as many users as a socket may follow.
const MAX_MESSAGE: usize = 128 * 1024;
/// The longest `id`.
const MAX_ID: usize = 128;
/// The token has expired.
const EXPIRED: CloseCode = CloseCode::Other(4401);

/// Why a socket ends.
struct End(CloseCode, &'static str);

pub(super) struct Session {
    door: Data<Door>,
    caller: Arc<Caller>,
    outlet: OutletSender,
    openings: Rc<Openings>,
    answers: Sender<Bytes>,
    /// Subscriptions whose actor is no more.
    ended: UnboundedReceiver<(UserId, u64)>,
    followed: HashMap<UserId, Following>,
    subscriptions: u64,
    /// What the client sent of a message in several frames.
    begun: Option<BytesMut>,
}

struct Following {
    subscription: u64,
    fields: Option<LeafSet>,
}

impl Session {
    pub(super) fn new(
        door: Data<Door>,
        caller: Arc<Caller>,
        outlet: OutletSender,
        openings: Rc<Openings>,
        answers: Sender<Bytes>,
        ended: UnboundedReceiver<(UserId, u64)>,
    ) -> Self {
        let followed = HashMap::new();
        Self { door, caller, outlet, openings, answers, ended, followed, subscriptions: 0, begun: None }
    }

    /// Serves the client until one side ends it.
    pub(super) async fn run(mut self, payload: Payload) {
        let End(code, reason) = self.serve(payload).await;
        // A client that does not read any more misses the reason.
        let _ = self.answers.try_send(frame::close(code, reason));
        for (user, following) in &self.followed {
            self.door.profiles.unsubscribe(*user, following.subscription, &self.outlet);
        }
    }

    async fn serve(&mut self, mut payload: Payload) -> End {
        let mut codec = Codec::new().max_size(MAX_MESSAGE);
        let mut read = BytesMut::new();
        let mut closing = self.door.closing.clone();
        let heartbeat = self.door.live.heartbeat;
        let mut beat = interval_at(Instant::now() + heartbeat, heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let expiry = Instant::now() + self.time_left();
            tokio::select! {
                _ = closing.wait_for(|closing| *closing) => return End(CloseCode::Away, "the server is stopping"),
                () = sleep_until(expiry) => return End(EXPIRED, "the token has expired"),
                _ = beat.tick() => {
                    if heard.elapsed() > heartbeat * 2 {
                        return End(CloseCode::Away, "nothing was heard for too long");
                    }
                    if let Err(end) = self.answer(frame::ping()) {
                        return end;
                    }
                }
                Some((user, subscription)) = self.ended.recv() => self.subscribe_again(user, subscription).await,
                piece = payload.next() => {
                    let Some(Ok(piece)) = piece else { return End(CloseCode::Abnormal, "") };
                    heard = Instant::now();
                    read.extend_from_slice(&piece);
                    if let Err(end) = self.take(&mut codec, &mut read).await {
                        return end;
                    }
                }
            }
        }
    }

    fn time_left(&self) -> Duration {
        // The token is accepted during the second that its end falls into.
        Duration::from_secs(u64::try_from(self.caller.ends_at + 1 - self.door.verifier.now()).unwrap_or(0))
    }

    /// Handles every whole frame that was read.
    async fn take(&mut self, codec: &mut Codec, read: &mut BytesMut) -> Result<(), End> {
        loop {
            match codec.decode(read) {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Text(text))) => self.handle(&text).await?,
                Ok(Some(Frame::Continuation(item))) => {
                    if let Some(text) = self.assemble(item)? {
                        self.handle(&text).await?;
                    }
                }
                Ok(Some(Frame::Ping(payload))) => self.answer(frame::pong(&payload))?,
                Ok(Some(Frame::Pong(_))) => {}
                Ok(Some(Frame::Binary(_))) => return Err(End(CloseCode::Unsupported, "messages are text")),
                Ok(Some(Frame::Close(_))) => return Err(End(CloseCode::Normal, "")),
                Err(ProtocolError::Overflow) => return Err(End(CloseCode::Size, "the message is too long")),
                Err(_) => return Err(End(CloseCode::Protocol, "the frame does not follow RFC 6455")),
            }
        }
    }

    /// Puts a message in several frames together.
    fn assemble(&mut self, item: Item) -> Result<Option<Bytes>, End> {
        let (part, is_last) = match item {
            Item::FirstText(part) => {
                self.begun = Some(BytesMut::new());
                (part, false)
            }
            Item::FirstBinary(_) => return Err(End(CloseCode::Unsupported, "messages are text")),
            Item::Continue(part) => (part, false),
            Item::Last(part) => (part, true),
        };
        let Some(begun) = &mut self.begun else {
            return Err(End(CloseCode::Protocol, "there is nothing to continue"));
        };
        if begun.len() + part.len() > MAX_MESSAGE {
            return Err(End(CloseCode::Size, "the message is too long"));
        }
        begun.extend_from_slice(&part);
        Ok(if is_last { self.begun.take().map(BytesMut::freeze) } else { None })
    }

    async fn handle(&mut self, text: &[u8]) -> Result<(), End> {
        let mut answers = BytesMut::new();
        match serde_json::from_slice(text) {
            Ok(Incoming::Subscribe { id, users, fields, schema_version }) => {
                match check_subscription(id.as_deref(), schema_version.as_deref()) {
                    Ok(()) => {
                        let fields = fields.map(|names| serialize::parse_fields(&names.join(",")));
                        self.subscribe(id.as_deref(), &users, fields, &mut answers).await;
                    }
                    Err(problem) => answers.extend_from_slice(&message::error(None, None, &problem)),
                }
            }
            Ok(Incoming::Unsubscribe { id, user_ids }) => {
                for user in user_ids.iter().filter_map(|id| UserId::parse(id).ok()) {
                    self.unsubscribe(&user);
                }
                answers.extend_from_slice(&message::unsubscribed(id.as_deref()));
            }
            Ok(Incoming::Auth { token }) => {
                if let Err(problem) = self.renew(&token) {
                    answers.extend_from_slice(&message::error(None, None, &problem));
                }
            }
            Ok(Incoming::Ping {}) => answers.extend_from_slice(&message::pong()),
            Err(_) => {
                let problem =
                    Problem::new(Code::MalformedBody, "a message is a JSON object of a known `type` and its members");
                answers.extend_from_slice(&message::error(None, None, &problem));
            }
        }
        self.answer(answers.freeze())
    }

    async fn subscribe(
        &mut self,
        id: Option<&str>,
        users: &[Followed],
        fields: Option<LeafSet>,
        answers: &mut BytesMut,
    ) {
        for followed in users {
            let outcome = match UserId::parse(&followed.user_id) {
                Ok(user) => self.follow(user, id, fields, followed.cursor.is_some()).await,
                Err(_) => Err(Problem::unknown_user()),
            };
            if let Err(problem) = outcome {
                answers.extend_from_slice(&message::error(id, Some(&followed.user_id), &problem));
            }
        }
    }

    /// Follows a user from its state on. An earlier subscription to the same user ends.
    async fn follow(
        &mut self,
        user: UserId,
        id: Option<&str>,
        fields: Option<LeafSet>,
        had_cursor: bool,
    ) -> Result<(), Problem> {
        self.unsubscribe(&user);
        if self.followed.len() >= self.door.live.max_subscriptions_per_socket {
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
        self.openings.expect(subscription, id.map(str::to_owned), had_cursor);
        let opened = profile::within(&self.door, self.open(user, subscription, fields)).await;
        match opened {
            Ok(()) => drop(self.followed.insert(user, Following { subscription, fields })),
            Err(_) => {
                self.openings.forget(subscription);
                // It may have been opened all the same, when the answer did not come in time.
                self.door.profiles.unsubscribe(user, subscription, &self.outlet);
            }
        }
        opened
    }

    async fn open(&self, user: UserId, id: u64, fields: Option<LeafSet>) -> Result<(), actors::ReadError> {
        let subscription = Subscription { id, viewer: self.caller.viewer.clone(), fields, outlet: self.outlet.clone() };
        self.door.profiles.subscribe(user, subscription).await
    }

    /// The user's actor ended, so nothing more would come: the next one continues with the state.
    async fn subscribe_again(&mut self, user: UserId, subscription: u64) {
        let fields = match self.followed.get(&user) {
            Some(following) if following.subscription == subscription => following.fields,
            // The client has moved on.
            _ => return,
        };
        if let Err(problem) = self.follow(user, None, fields, false).await {
            let _ = self.answer(message::error(None, Some(user.as_str()), &problem));
        }
    }

    fn unsubscribe(&mut self, user: &UserId) {
        if let Some(following) = self.followed.remove(user) {
            self.openings.forget(following.subscription);
            self.door.profiles.unsubscribe(*user, following.subscription, &self.outlet);
        }
    }

    /// A newer token lengthens the stay; it must be of the same caller, with the same view.
    fn renew(&mut self, token: &str) -> Result<(), Problem> {
        let caller = self.door.verifier.caller(token.as_bytes())?;
        if caller.subject != self.caller.subject || caller.viewer != self.caller.viewer {
            return Err(Problem::new(
                Code::Forbidden,
                "the token is of another caller or view: open another socket with it",
            ));
        }
        self.caller = caller;
        Ok(())
    }

    fn answer(&self, frames: Bytes) -> Result<(), End> {
        match frames.is_empty() {
            true => Ok(()),
            false => self.answers.try_send(frames).map_err(|_| End(CloseCode::Policy, "answers are not read")),
        }
    }
}

fn check_subscription(id: Option<&str>, schema_version: Option<&str>) -> Result<(), Problem> {
    if id.is_some_and(|id| id.len() > MAX_ID) {
        return Err(Problem::new(Code::InvalidParameter, "an `id` has at most 128 bytes"));
    }
    match schema_version {
        Some(asked) if !version::SERVED.contains(&asked) => Err(version::unknown()),
        _ => Ok(()),
    }
}
