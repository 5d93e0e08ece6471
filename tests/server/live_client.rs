//! A client of the live protocol that follows the contract.

use std::collections::BTreeMap;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::http::PATIENCE;
use crate::test_server::TestServer;
use crate::token::Token;

/// A client that checks that each patch continues what it holds.
pub(crate) struct LiveClient {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) held: BTreeMap<String, Value>,
    /// The revision of each document that is held, which version 1.0 does not say.
    pub(crate) revisions: BTreeMap<String, Value>,
    /// The cursor of each user, from the newest frame that had one.
    pub(crate) cursors: BTreeMap<String, String>,
}

impl LiveClient {
    pub(crate) async fn open(server: &TestServer, token: Token) -> Self {
        Self::try_open(server, token, Some("civic-profile.v1")).await.unwrap()
    }

    pub(crate) async fn try_open(server: &TestServer, token: Token, protocol: Option<&str>) -> Result<Self, Error> {
        Self::try_open_with(server, &server.sign(token), protocol).await
    }

    /// Opens a socket with a token that is signed already.
    pub(crate) async fn try_open_with(server: &TestServer, token: &str, protocol: Option<&str>) -> Result<Self, Error> {
        let mut request = format!("ws://{}/api/v2/live", server.listen).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        headers.insert("x-access-reason", "a test".parse().unwrap());
        if let Some(protocol) = protocol {
            headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let config = WebSocketConfig::default().read_buffer_size(2_048);
        let (socket, response) = connect_async_with_config(request, Some(config), true).await?;
        let agreed = response.headers().get("sec-websocket-protocol").map(|name| name.to_str().unwrap());
        assert_eq!(agreed, protocol.map(|_| "civic-profile.v1"));
        Ok(Self { socket, held: BTreeMap::new(), revisions: BTreeMap::new(), cursors: BTreeMap::new() })
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    pub(crate) async fn subscribe(&mut self, users: &[&str], fields: Option<&[&str]>) {
        self.subscribe_in("2.0", users, fields).await;
    }

    /// Subscribes to documents and patches of a schema version.
    pub(crate) async fn subscribe_in(&mut self, version: &str, users: &[&str], fields: Option<&[&str]>) {
        let users: Vec<_> = users.iter().map(|user| json!({"user_id": user})).collect();
        let mut message = json!({"type": "subscribe", "id": "7", "users": users, "schema_version": version});
        if let Some(fields) = fields {
            message["fields"] = json!(fields);
        }
        self.send(&message).await;
    }

    /// Receives the next text frame, or returns the code with which the socket was closed.
    pub(crate) async fn receive(&mut self) -> Result<Value, u16> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("a frame comes") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(reason)))) => return Err(reason.code.into()),
                Some(Ok(_)) => {}
                closed => panic!("the socket ended without a close: {closed:?}"),
            }
        }
    }

    /// Receives the next frame and applies it to the documents held.
    pub(crate) async fn next(&mut self) -> Value {
        let frame = self.receive().await.expect("no close");
        let user = frame["user_id"].as_str().unwrap_or_default().to_owned();
        match frame["type"].as_str().unwrap() {
            "profile" => drop(self.held.insert(user.clone(), frame["profile"].clone())),
            "gone" => drop((self.held.remove(&user), self.cursors.remove(&user))),
            "patch" => self.apply(&frame),
            _ => {}
        }
        match frame["type"].as_str().unwrap() {
            "profile" | "patch" => drop(self.revisions.insert(user.clone(), frame["revision"].clone())),
            "gone" => drop(self.revisions.remove(&user)),
            _ => {}
        }
        if let Some(cursor) = frame["cursor"].as_str() {
            self.cursors.insert(user, cursor.to_owned());
        }
        frame
    }

    /// Closes the socket.
    pub(crate) fn disconnect(self) -> DisconnectedClient {
        DisconnectedClient { held: self.held, revisions: self.revisions, cursors: self.cursors }
    }

    /// Closes the socket and opens another; see [`DisconnectedClient::reconnect`].
    pub(crate) async fn reconnect(self, server: &TestServer, token: Token) -> Self {
        self.disconnect().reconnect(server, token).await
    }

    fn apply(&mut self, frame: &Value) {
        let user = frame["user_id"].as_str().unwrap();
        let held = self.held.get_mut(user).expect("something to patch");
        assert_eq!(frame["base_revision"], self.revisions[user], "no gap");
        let patch: json_patch::Patch = serde_json::from_value(frame["operations"].clone()).unwrap();
        json_patch::patch(held, &patch).unwrap();
        for (member, value) in frame["envelope"].as_object().unwrap() {
            held[member] = value.clone();
        }
        assert!(held.get("revision").is_none_or(|revision| *revision == frame["revision"]), "{held}");
        if let Some(hash) = frame.get("view_hash") {
            let canonical = serde_json_canonicalizer::to_vec(held).unwrap();
            assert_eq!(hash, &hex::encode(Sha256::digest(canonical)));
        }
    }

    /// Receives frames until the client holds the revision.
    pub(crate) async fn reach(&mut self, user: &str, revision: &Value) {
        while self.revisions.get(user).is_none_or(|held| held.as_u64() < revision.as_u64()) {
            self.next().await;
        }
    }

    /// Checks that the server has sent nothing more: the next frame is the pong to a ping.
    pub(crate) async fn expect_silence(&mut self) {
        self.send(&json!({"type": "ping"})).await;
        assert_eq!(self.receive().await, Ok(json!({"type": "pong"})));
    }
}

/// The state of a client without a socket.
pub(crate) struct DisconnectedClient {
    held: BTreeMap<String, Value>,
    revisions: BTreeMap<String, Value>,
    cursors: BTreeMap<String, String>,
}

impl DisconnectedClient {
    /// Opens a socket and resumes from the cursors of the last one.
    pub(crate) async fn reconnect(self, server: &TestServer, token: Token) -> LiveClient {
        let Self { held, revisions, cursors } = self;
        let mut client = LiveClient::open(server, token).await;
        let users: Vec<_> = cursors.iter().map(|(user, cursor)| json!({"user_id": user, "cursor": cursor})).collect();
        (client.held, client.revisions, client.cursors) = (held, revisions, cursors);
        client.send(&json!({"type": "subscribe", "id": "again", "users": users})).await;
        client
    }
}
