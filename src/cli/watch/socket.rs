//! The client's end of a WebSocket.

use actix_codec::{Decoder, Encoder};
use actix_http::ws::{Codec, Frame, Message};
use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::http_client;
use crate::wiring;

/// The longest message that is taken.
const MAX_MESSAGE: usize = 16 << 20;

pub(super) struct Socket {
    stream: TcpStream,
    codec: Codec,
    read: BytesMut,
}

/// Why a socket could not be opened.
pub(super) enum Refused {
    /// Nobody is there: later, perhaps.
    Unreachable(anyhow::Error),
    /// Whoever is there will not change their mind.
    ForGood(anyhow::Error),
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::Unreachable(error.into())
    }
}

impl Socket {
    pub(super) async fn open(server: &str, token: &str) -> Result<Self, Refused> {
        let mut stream = http_client::connect(server).await.map_err(Refused::Unreachable)?;
        let mut key = [0; 16];
        wiring::entropy().fill(&mut key);
        let head = format!(
            "GET /api/v2/live HTTP/1.1\r\nhost: {server}\r\nauthorization: Bearer {token}\r\n\
             x-access-reason: watch\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: {}\r\nsec-websocket-protocol: civic-profile.v1\r\n\r\n",
            STANDARD.encode(key)
        );
        stream.write_all(head.as_bytes()).await?;
        let mut read = BytesMut::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Err(Refused::Unreachable(anyhow::anyhow!("the server closed the connection")));
            }
        };
        let head = read.split_to(end);
        let text = std::str::from_utf8(&head).context("the answer is not HTTP").map_err(Refused::ForGood)?;
        match http_client::status(text).map_err(Refused::ForGood)? {
            101 => Ok(Self { stream, codec: Codec::new().client_mode().max_size(MAX_MESSAGE), read }),
            401 => Err(Refused::ForGood(anyhow::anyhow!(
                "the token is not accepted: make a new one with `profile-server token`"
            ))),
            429 | 503 => Err(Refused::Unreachable(anyhow::anyhow!("the server is busy"))),
            status => Err(Refused::ForGood(anyhow::anyhow!("the server answered {status} to the handshake"))),
        }
    }

    pub(super) async fn send(&mut self, message: Message) -> anyhow::Result<()> {
        let mut bytes = BytesMut::new();
        self.codec.encode(message, &mut bytes)?;
        Ok(self.stream.write_all(&bytes).await?)
    }

    pub(super) async fn receive(&mut self) -> anyhow::Result<Frame> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.read)? {
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the server closed the connection");
            }
        }
    }
}
