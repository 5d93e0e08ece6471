//! `watch`: a user's profile, live.

mod document;
mod socket;

use std::time::Duration;

use actix_http::ws::{Frame, Message};
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, timeout};

use super::screen::{Colour, Screen};
use document::{Change, Document};
use socket::{Refused, Socket};

/// The variable that holds the caller's token.
const TOKEN: &str = "PROFILE_SERVER_TOKEN";
/// How long to wait before the server is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// The server is asked whether it is there this often,
const PING: Duration = Duration::from_secs(10);
/// and has so long to say anything.
const SILENCE: Duration = Duration::from_secs(30);

/// Prints a user's profile, and then what changes in it, as it happens.
///
/// When the server goes away it is asked again every second, and the profile goes on from where it stood.
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
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = host_and_port)]
    server: String,
    /// Sections and paths to follow, separated by commas; all without it
    #[arg(long, value_name = "FIELDS")]
    fields: Option<String>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    actix::System::new().block_on(async {
        let token = find_token(arguments.token.as_deref())?;
        let mut watcher = Watcher { arguments, token, document: Document::default(), screen: Screen::of_stdout() };
        tokio::select! {
            watched = watcher.watch() => watched,
            stopped = tokio::signal::ctrl_c() => Ok(stopped?),
        }
    })
}

fn host_and_port(text: &str) -> Result<String, String> {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    let is_whole = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    if is_whole && is_plain { Ok(text.to_owned()) } else { Err("give a host and a port: `localhost:8080`".to_owned()) }
}

fn find_token(given: Option<&str>) -> anyhow::Result<String> {
    let token = match given {
        Some("-") => std::io::read_to_string(std::io::stdin()).context("the token could not be read from stdin")?,
        Some(token) => token.to_owned(),
        None => {
            let variable = config::process_environment().into_iter().find(|(name, _)| name == TOKEN);
            let (_, token) = variable
                .with_context(|| format!("there is no token: set `{TOKEN}`, or give it with `--token -` on stdin"))?;
            token
        }
    };
    Ok(token.trim().to_owned())
}

struct Watcher {
    arguments: Arguments,
    token: String,
    document: Document,
    screen: Screen,
}

/// Why a conversation ended.
enum End {
    /// The connection is gone; another may do.
    Lost(anyhow::Error),
    /// There is nothing more to see.
    ForGood(anyhow::Error),
}

impl Watcher {
    /// Follows the profile over as many connections as it takes.
    async fn watch(&mut self) -> anyhow::Result<()> {
        let mut told = false;
        loop {
            let open = timeout(SILENCE, Socket::open(&self.arguments.server, &self.token)).await;
            let silent = || Refused::Unreachable(anyhow!("`{}` does not answer", self.arguments.server));
            let lost = match open.unwrap_or_else(|_| Err(silent())) {
                Ok(socket) => match self.converse(socket).await {
                    End::ForGood(error) => return Err(error),
                    End::Lost(error) => {
                        told = false;
                        error
                    }
                },
                Err(Refused::ForGood(error)) => return Err(error),
                Err(Refused::Unreachable(error)) => error,
            };
            if self.document.is_empty() {
                return Err(lost);
            }
            if !told {
                super::print_line(&self.screen.paint(Colour::Yellow, "the server is gone: trying again"))?;
                told = true;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn converse(&mut self, mut socket: Socket) -> End {
        if let Err(error) = socket.send(Message::Text(self.subscription().to_string().into())).await {
            return End::Lost(error);
        }
        let (mut ping, mut heard) = (interval_at(Instant::now() + PING, PING), Instant::now());
        loop {
            let frame = tokio::select! {
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE {
                        return End::Lost(anyhow!("the server says nothing"));
                    }
                    if let Err(error) = socket.send(Message::Ping(Bytes::new())).await {
                        return End::Lost(error);
                    }
                    continue;
                }
                frame = socket.receive() => match frame {
                    Ok(frame) => frame,
                    Err(error) => return End::Lost(error),
                },
            };
            heard = Instant::now();
            match frame {
                Frame::Text(text) => {
                    if let Err(error) = self.show(&text) {
                        return End::ForGood(error);
                    }
                }
                Frame::Ping(payload) => {
                    if let Err(error) = socket.send(Message::Pong(payload)).await {
                        return End::Lost(error);
                    }
                }
                Frame::Close(reason) => {
                    let code = reason.as_ref().map_or(1005, |reason| u16::from(reason.code));
                    let said = reason.and_then(|reason| reason.description).unwrap_or_default();
                    let error = anyhow::anyhow!("the server closed the socket: {said}");
                    // Going away: it may come back.
                    return if code == 1001 { End::Lost(error) } else { End::ForGood(error) };
                }
                _ => {}
            }
        }
    }

    fn subscription(&self) -> Value {
        let mut user = json!({"user_id": self.arguments.user});
        if let Some(cursor) = &self.document.cursor {
            user["cursor"] = json!(cursor);
        }
        let mut subscribe = json!({"type": "subscribe", "id": "1", "users": [user]});
        if let Some(fields) = &self.arguments.fields {
            subscribe["fields"] = json!(fields.split(',').collect::<Vec<_>>());
        }
        subscribe
    }

    /// Prints one frame: the first profile whole, and then a line for each change.
    fn show(&mut self, text: &[u8]) -> anyhow::Result<()> {
        let mut frame: Value = serde_json::from_slice(text)?;
        match frame["type"].as_str().unwrap_or_default() {
            "profile" if self.document.is_empty() => {
                self.headline(&frame, "")?;
                super::print_line(&serde_json::to_string_pretty(&frame["profile"])?)?;
                self.document.replace(frame["profile"].take());
            }
            "profile" => {
                self.headline(&frame, ", a new view")?;
                let changes = self.document.replace(frame["profile"].take());
                self.list(&changes)?;
            }
            "patch" => {
                let changes = self.document.patch(&frame)?;
                // A revision of which nothing may be seen is no news.
                if !changes.is_empty() {
                    self.headline(&frame, &format!(", from {}", frame["base_revision"]))?;
                    self.list(&changes)?;
                }
            }
            "completeness" => {
                let line = format!("completeness {} %, was {} %", frame["new_pct"], frame["old_pct"]);
                super::print_line(&self.screen.paint(Colour::Cyan, &line))?;
            }
            "gone" => {
                self.document.forget();
                super::print_line(
                    &self.screen.paint(Colour::Red, "gone: nothing of the profile may be seen any more"),
                )?;
            }
            "error" => bail!("{}", frame["problem"]["detail"].as_str().unwrap_or("the server refused")),
            _ => {}
        }
        if let Some(cursor) = frame["cursor"].as_str() {
            self.document.cursor = Some(cursor.to_owned());
        }
        Ok(())
    }

    fn headline(&self, frame: &Value, more: &str) -> Result<(), super::Unsaid> {
        super::print_line(&self.screen.paint(Colour::Cyan, &format!("revision {}{more}", frame["revision"])))
    }

    fn list(&self, changes: &[Change]) -> Result<(), super::Unsaid> {
        for change in changes {
            let (colour, line) = match change {
                Change::Added(path, value) => (Colour::Green, format!("  + {path} {value}")),
                Change::Changed(path, value) => (Colour::Yellow, format!("  ~ {path} {value}")),
                Change::Removed(path) => (Colour::Red, format!("  - {path}")),
            };
            super::print_line(&self.screen.paint(colour, &self.screen.fit(&line)))?;
        }
        Ok(())
    }
}
