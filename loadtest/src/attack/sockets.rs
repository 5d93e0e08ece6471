//! Live sockets of a caller that subscribes and does not read.

use anyhow::{Context, Result};
use futures_util::SinkExt;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Opens a socket and sends subscriptions to the caller, `times` of them in each message, without reading. Returns when
/// the server closes the socket.
pub(crate) async fn subscribe_unread(address: SocketAddr, user: &str, times: usize, token: &str) -> Result<()> {
    let mut request = format!("ws://{address}/api/v2/live").into_client_request().context("a request for a socket")?;
    let headers = request.headers_mut();
    headers.insert("Authorization", HeaderValue::try_from(format!("Bearer {token}")).context("a token")?);
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("civic-profile.v1"));
    let stream = TcpStream::connect(address).await.context("could not connect a socket")?;
    let (mut socket, _) =
        tokio_tungstenite::client_async(request, stream).await.context("the server refused a socket")?;
    let message = Message::text(subscribe(user, times));
    loop {
        socket.send(message.clone()).await.context("the server closed a socket")?;
    }
}

fn subscribe(user: &str, times: usize) -> String {
    let users = vec![format!(r#"{{"user_id":"{user}"}}"#); times];
    format!(r#"{{"type":"subscribe","users":[{}]}}"#, users.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_user_so_many_times() {
        let message: serde_json::Value = serde_json::from_str(&subscribe("usr_Attacker0000", 4_000)).expect("JSON");
        assert_eq!(message["users"].as_array().map(Vec::len), Some(4_000));
        assert!(subscribe("usr_Attacker0000", 4_000).len() < 131_072, "within the server's bound on a message");
    }
}
