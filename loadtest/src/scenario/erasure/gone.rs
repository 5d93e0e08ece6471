//! When erased users are gone for live clients.

use crate::latency::{Latency, LatencySummary};
use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Maximum number of subscriptions of a socket, unless the server's settings say otherwise.
const PER_SOCKET: usize = 1_000;

/// The users who are erased, and how long it took until sockets that follow them said so. Clones share them.
#[derive(Clone)]
pub(super) struct GoneTimes(Rc<Inner>);

struct Inner {
    users: Vec<String>,
    /// When the erasure of a user was asked for, until its frame has come.
    asked: RefCell<HashMap<String, Instant>>,
    /// Frames that have come.
    latency: RefCell<Latency>,
    ended: Cell<bool>,
}

/// The parts of a frame that are read.
#[derive(Deserialize)]
struct LiveFrame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    user_id: Option<&'a str>,
}

impl GoneTimes {
    /// Opens sockets that follow these users, and waits for the profiles of all of them.
    pub(super) async fn follow(address: SocketAddr, token: &str, users: Vec<String>) -> Result<Self> {
        let (asked, latency) = (RefCell::default(), RefCell::new(Latency::new()));
        let this = Self(Rc::new(Inner { users, asked, latency, ended: Cell::new(false) }));
        for users in this.0.users.chunks(PER_SOCKET) {
            let mut socket = subscribe(address, token, users).await?;
            let this = this.clone();
            tokio::task::spawn_local(async move {
                while let Some(Ok(message)) = socket.next().await {
                    if let Message::Text(text) = message {
                        this.on_frame(&text);
                    }
                }
                this.0.ended.set(true);
            });
        }
        Ok(this)
    }

    /// Notes that the erasure of the user of this number is asked for now, and returns the user.
    pub(super) fn begin(&self, number: u64) -> &str {
        let user = &self.0.users[number as usize % self.0.users.len()];
        self.0.asked.borrow_mut().insert(user.clone(), Instant::now());
        user
    }

    fn on_frame(&self, text: &str) {
        let Ok(LiveFrame { kind: "erased", user_id: Some(user) }) = serde_json::from_str(text) else { return };
        if let Some(asked) = self.0.asked.borrow_mut().remove(user) {
            self.0.latency.borrow_mut().record(asked.elapsed());
        }
    }

    /// Waits until the frames of all erasures have come, for at most `patience`.
    pub(super) async fn wait(&self, patience: Duration) {
        let end = Instant::now() + patience;
        while self.missing() > 0 && !self.0.ended.get() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the number of erasures whose frame has not come.
    pub(super) fn missing(&self) -> usize {
        self.0.asked.borrow().len()
    }

    /// Returns the times from request to frame.
    pub(super) fn latency(&self) -> LatencySummary {
        self.0.latency.borrow().summary()
    }
}

/// Connects, subscribes to the users, and waits for their profiles.
async fn subscribe(address: SocketAddr, token: &str, users: &[String]) -> Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{address}/api/v2/live").into_client_request().context("a request for a socket")?;
    let headers = request.headers_mut();
    headers.insert("Authorization", HeaderValue::try_from(format!("Bearer {token}")).context("a token")?);
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("civic-profile.v1"));
    let stream = TcpStream::connect(address).await.context("could not connect a socket")?;
    let (mut socket, _) =
        tokio_tungstenite::client_async(request, stream).await.context("the server refused a socket")?;
    let users: Vec<_> = users.iter().map(|user| json!({ "user_id": user })).collect();
    let message = json!({"type": "subscribe", "id": "1", "users": users}).to_string();
    socket.send(Message::text(message)).await.context("could not subscribe")?;
    let mut waiting = users.len();
    while waiting > 0 {
        match socket.next().await.context("the server closed a socket")?.context("could not read a frame")? {
            Message::Text(text) if text.contains(r#""type":"profile""#) => waiting -= 1,
            Message::Text(text) if text.contains(r#""type":"error""#) => bail!("a subscription failed: `{text}`"),
            Message::Close(reason) => bail!("the server closed a socket: {reason:?}"),
            _ => {}
        }
    }
    Ok(socket)
}
