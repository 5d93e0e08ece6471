//! A live client: a socket that follows one user.

use super::tracker::EventTracker;
use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Connects, subscribes, and waits for the profile.
pub(super) async fn subscribe(address: SocketAddr, user_id: &str, token: &str) -> Result<WebSocketStream<TcpStream>> {
    let mut request = format!("ws://{address}/api/v2/live").into_client_request().context("a request for a socket")?;
    let headers = request.headers_mut();
    headers.insert("Authorization", HeaderValue::try_from(format!("Bearer {token}")).context("a token")?);
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static("civic-profile.v1"));
    // The default read buffer of 128 KiB would dominate the memory of a socket.
    let config = WebSocketConfig::default().read_buffer_size(2 * 1_024);
    let stream = TcpStream::connect(address).await.context("could not connect a socket")?;
    stream.set_nodelay(true).context("could not set TCP_NODELAY")?;
    let (mut socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config))
        .await
        .context("the server refused a socket")?;
    let subscribe = format!(r#"{{"type":"subscribe","id":"1","users":[{{"user_id":"{user_id}"}}]}}"#);
    socket.send(Message::text(subscribe)).await.context("could not subscribe")?;
    loop {
        match socket.next().await.context("the server closed a socket")?.context("could not read a frame")? {
            Message::Text(text) if text.contains(r#""type":"profile""#) => return Ok(socket),
            Message::Text(text) => bail!("expected the profile, received `{text}`"),
            Message::Close(reason) => bail!("the server closed a socket: {reason:?}"),
            _ => {}
        }
    }
}

/// Hands every frame to the tracker, until the server closes the socket.
pub(super) async fn follow(
    mut socket: WebSocketStream<TcpStream>,
    user: usize,
    tracker: Rc<EventTracker>,
) -> Result<()> {
    while let Some(message) = socket.next().await {
        match message.context("could not read a frame")? {
            Message::Text(text) if !tracker.on_frame(user, &text) => bail!("an unexpected frame: `{text}`"),
            Message::Close(reason) => bail!("the server closed a socket: {reason:?}"),
            _ => {}
        }
    }
    bail!("the server closed a socket")
}
