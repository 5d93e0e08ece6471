//! Opens the WebSocket of the live protocol.

use anyhow::{Context, anyhow};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Maximum size of a message.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

pub(super) type Socket = WebSocketStream<TcpStream>;

/// Why a socket could not be opened.
pub(super) enum OpenError {
    /// The server cannot be reached or is busy: another attempt may succeed.
    Temporary(anyhow::Error),
    /// Another attempt would fail too.
    Permanent(anyhow::Error),
}

/// Connects to `server`, a host and a port, and opens a socket with the caller's token.
pub(super) async fn open(server: &str, token: &str) -> Result<Socket, OpenError> {
    let request = handshake(server, token).map_err(OpenError::Permanent)?;
    let stream = TcpStream::connect(server).await.with_context(|| {
        format!("cannot reach `{server}`: start the server there, or give another address with --server")
    });
    let config =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
    match client_async_with_config(request, stream.map_err(OpenError::Temporary)?, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(error) => Err(classify(error)),
    }
}

fn handshake(server: &str, token: &str) -> anyhow::Result<Request> {
    let mut request = format!("ws://{server}/api/v2/live").into_client_request().context("the address is malformed")?;
    let authorization = HeaderValue::try_from(format!("Bearer {token}")).context("the token is malformed")?;
    let headers = request.headers_mut();
    headers.insert("authorization", authorization);
    headers.insert("x-access-reason", HeaderValue::from_static("watch"));
    headers.insert("sec-websocket-protocol", HeaderValue::from_static("civic-profile.v1"));
    Ok(request)
}

fn classify(error: tungstenite::Error) -> OpenError {
    match error {
        tungstenite::Error::Http(response) => match response.status().as_u16() {
            401 => OpenError::Permanent(anyhow!(
                "the server does not accept the token: make a new one with `profile-server token`"
            )),
            429 | 503 => OpenError::Temporary(anyhow!("the server is busy")),
            status => OpenError::Permanent(anyhow!("the server answered {status} to the WebSocket handshake")),
        },
        tungstenite::Error::Io(_)
        | tungstenite::Error::ConnectionClosed
        | tungstenite::Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            OpenError::Temporary(anyhow!("the server closed the connection"))
        }
        other => OpenError::Permanent(anyhow!(other).context("the server does not speak the live protocol")),
    }
}
