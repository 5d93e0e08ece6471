//! `watch`: a user's patches, live.

use std::io::{IsTerminal, stdout};
use std::net::SocketAddr;

use actix_codec::{Decoder, Encoder};
use actix_http::ws::{Codec, Frame, Message};
use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http_client;
use crate::wiring;

/// The variable that holds the caller's token.
const TOKEN: &str = "PROFILE_SERVER_TOKEN";

/// Prints a user's profile, and then its patches as they happen.
#[derive(Args)]
#[command(after_help = "Example:
  PROFILE_SERVER_TOKEN=\"$CITIZEN\" profile-server watch usr_7Qm2Xr9TzKpA")]
pub(super) struct Arguments {
    /// The user id
    user: String,
    /// A token that may see the user, or `-` to read it from stdin; without it, the environment's
    /// `PROFILE_SERVER_TOKEN`. One that stands here can be seen by every user of the machine
    #[arg(long)]
    token: Option<String>,
    /// Where the server listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    server: SocketAddr,
    /// Sections and paths to follow, separated by commas; all without it
    #[arg(long, value_name = "FIELDS")]
    fields: Option<String>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    actix::System::new().block_on(async {
        tokio::select! {
            watched = watch(&arguments) => watched,
            stopped = tokio::signal::ctrl_c() => Ok(stopped?),
        }
    })
}

async fn watch(arguments: &Arguments) -> anyhow::Result<()> {
    let token = find_token(arguments.token.as_deref())?;
    let mut socket = Socket::open(arguments.server, token.trim()).await?;
    let fields = arguments.fields.as_ref().map(|fields| fields.split(',').collect::<Vec<_>>());
    let mut subscribe = json!({"type": "subscribe", "id": "1", "users": [{"user_id": arguments.user}]});
    if let Some(fields) = fields {
        subscribe["fields"] = json!(fields);
    }
    socket.send(Message::Text(subscribe.to_string().into())).await?;
    loop {
        match socket.receive().await? {
            Frame::Text(text) => show(&text)?,
            Frame::Ping(payload) => socket.send(Message::Pong(payload)).await?,
            Frame::Close(reason) => {
                let reason = reason.and_then(|reason| reason.description).unwrap_or_default();
                bail!("the server closed the socket: {reason}");
            }
            _ => {}
        }
    }
}

fn find_token(given: Option<&str>) -> anyhow::Result<String> {
    match given {
        Some("-") => std::io::read_to_string(std::io::stdin()).context("the token could not be read from stdin"),
        Some(token) => Ok(token.to_owned()),
        None => {
            let variable = config::process_environment().into_iter().find(|(name, _)| name == TOKEN);
            let (_, token) = variable
                .with_context(|| format!("there is no token: set `{TOKEN}`, or give it with `--token -` on stdin"))?;
            Ok(token)
        }
    }
}

/// Prints one frame: a patch as a line for each operation.
fn show(text: &Bytes) -> anyhow::Result<()> {
    let frame: Value = serde_json::from_slice(text)?;
    let paint = |colour: u8, text: String| match stdout().is_terminal() {
        true => format!("\x1b[{colour}m{text}\x1b[0m"),
        false => text,
    };
    match frame["type"].as_str().unwrap_or_default() {
        "profile" => {
            super::say(&paint(36, format!("revision {}", frame["revision"])));
            super::say(&serde_json::to_string_pretty(&frame["profile"])?);
        }
        "patch" => {
            super::say(&paint(36, format!("revision {}, from {}", frame["revision"], frame["base_revision"])));
            for operation in frame["operations"].as_array().into_iter().flatten() {
                let (name, colour) = match operation["op"].as_str().unwrap_or_default() {
                    "remove" => ("-", 31),
                    "add" => ("+", 32),
                    _ => ("~", 33),
                };
                let value = operation.get("value").map_or(String::new(), |value| format!(" {value}"));
                super::say(&paint(
                    colour,
                    format!("  {name} {}{value}", operation["path"].as_str().unwrap_or_default()),
                ));
            }
        }
        "error" => bail!("{}", frame["problem"]["detail"].as_str().unwrap_or("the server refused")),
        _ => super::say(&frame.to_string()),
    }
    Ok(())
}

/// The client's end of a WebSocket.
struct Socket {
    stream: TcpStream,
    codec: Codec,
    read: BytesMut,
}

impl Socket {
    async fn open(server: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let mut stream = http_client::connect(server).await?;
        let mut key = [0; 16];
        wiring::entropy().fill(&mut key);
        let head = format!(
            "GET /api/v2/live HTTP/1.1\r\nhost: {server}\r\nauthorization: Bearer {token}\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {}\r\n\
             sec-websocket-protocol: civic-profile.v1\r\n\r\n",
            STANDARD.encode(key)
        );
        stream.write_all(head.as_bytes()).await?;
        let mut read = BytesMut::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut read).await? == 0 {
                bail!("the server closed the connection");
            }
        };
        let head = read.split_to(end);
        match http_client::status(std::str::from_utf8(&head).context("the answer is not HTTP")?)? {
            101 => Ok(Self { stream, codec: Codec::new().client_mode().max_size(16 << 20), read }),
            401 => bail!("the token is not accepted: make a new one with `profile-server token`"),
            status => bail!("the server answered {status} to the handshake"),
        }
    }

    async fn send(&mut self, message: Message) -> anyhow::Result<()> {
        let mut bytes = BytesMut::new();
        self.codec.encode(message, &mut bytes)?;
        Ok(self.stream.write_all(&bytes).await?)
    }

    async fn receive(&mut self) -> anyhow::Result<Frame> {
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
