//! `watch`: prints a user's profile and its changes, live.

mod document;
mod socket;

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::output::{StdoutError, print_line};
use super::server_arguments::ServerArguments;
use super::terminal::{Colour, Terminal};
use document::{Change, Document};
use socket::{OpenError, Socket};

/// How long to wait before connecting again.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How often to ping the server.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the server may send nothing before the connection counts as lost.
const SERVER_TIMEOUT: Duration = Duration::from_secs(30);

/// Prints a user's profile, and then each change as it happens.
///
/// If the connection is lost, the command connects again every second and continues where it stopped. Ctrl-C ends it.
#[derive(Args)]
#[command(after_help = "Examples:
  PROFILE_SERVER_TOKEN=\"$CITIZEN\" profile-server watch usr_7Qm2Xr9TzKpA
  profile-server watch usr_7Qm2Xr9TzKpA --fields eligibility,deadlines.upcoming --server localhost:8080")]
pub(super) struct WatchArguments {
    /// User id of the citizen
    user: String,
    #[command(flatten)]
    server: ServerArguments,
    /// Sections and paths to show, separated by commas [default: all]
    #[arg(long, value_name = "FIELDS")]
    fields: Option<String>,
}

pub(super) fn run(arguments: WatchArguments) -> anyhow::Result<()> {
    actix::System::new().block_on(async {
        let token = arguments.server.token()?;
        let (document, terminal) = (Document::default(), Terminal::from_stdout());
        let mut watcher = Watcher { arguments, token, document, terminal };
        tokio::select! {
            watched = watcher.watch() => watched,
            stopped = tokio::signal::ctrl_c() => Ok(stopped?),
        }
    })
}

/// Follows one profile over any number of connections.
struct Watcher {
    arguments: WatchArguments,
    token: String,
    document: Document,
    terminal: Terminal,
}

/// Why a connection ended.
enum ConnectionEnd {
    /// The connection was lost; a new one may work.
    Lost(anyhow::Error),
    /// A new connection would end in the same way.
    Permanent(anyhow::Error),
}

impl Watcher {
    /// Connects, and connects again whenever a connection is lost.
    async fn watch(&mut self) -> anyhow::Result<()> {
        let mut is_announced = false;
        loop {
            let opened = timeout(SERVER_TIMEOUT, socket::open(&self.arguments.server.server, &self.token)).await;
            let no_response = || OpenError::Temporary(anyhow!("`{}` does not respond", self.arguments.server.server));
            let lost = match opened.unwrap_or_else(|_| Err(no_response())) {
                Ok(socket) => match self.follow(socket).await {
                    ConnectionEnd::Permanent(error) => return Err(error),
                    ConnectionEnd::Lost(error) => {
                        is_announced = false;
                        error
                    }
                },
                Err(OpenError::Permanent(error)) => return Err(error),
                Err(OpenError::Temporary(error)) => error,
            };
            if self.document.is_empty() {
                return Err(lost);
            }
            if !is_announced {
                print_line(&self.terminal.paint(Colour::Yellow, "connection lost: connecting again"))?;
                is_announced = true;
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }

    /// Subscribes and prints frames until the connection ends. The library answers the server's pings.
    async fn follow(&mut self, mut socket: Socket) -> ConnectionEnd {
        if let Err(error) = socket.send(Message::text(self.subscription().to_string())).await {
            return ConnectionEnd::Lost(error.into());
        }
        let (mut ping, mut received_at) = (interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL), Instant::now());
        loop {
            let message = tokio::select! {
                _ = ping.tick() => {
                    if received_at.elapsed() > SERVER_TIMEOUT {
                        return ConnectionEnd::Lost(anyhow!("the server sends nothing"));
                    }
                    if let Err(error) = socket.send(Message::Ping(Default::default())).await {
                        return ConnectionEnd::Lost(error.into());
                    }
                    continue;
                }
                message = socket.next() => match message {
                    Some(Ok(message)) => message,
                    Some(Err(error)) => return ConnectionEnd::Lost(error.into()),
                    None => return ConnectionEnd::Lost(anyhow!("the server closed the connection")),
                },
            };
            received_at = Instant::now();
            match message {
                Message::Text(text) => {
                    if let Err(error) = self.print_frame(&text) {
                        return ConnectionEnd::Permanent(error);
                    }
                }
                Message::Close(reason) => return close_end(reason),
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

    /// Prints one frame: the first profile as a whole, and then a line for each change.
    fn print_frame(&mut self, text: &str) -> anyhow::Result<()> {
        let mut frame: Value = serde_json::from_str(text)?;
        match frame["type"].as_str().unwrap_or_default() {
            "profile" if self.document.is_empty() => {
                self.print_heading(&frame, "")?;
                print_line(&serde_json::to_string_pretty(&frame["profile"])?)?;
                self.document.replace(frame["profile"].take());
            }
            "profile" => {
                self.print_heading(&frame, ", a new profile")?;
                let changes = self.document.replace(frame["profile"].take());
                self.print_changes(&changes)?;
            }
            "patch" => {
                let changes = self.document.apply_patch(&frame)?;
                // A revision may change only what this caller cannot see.
                if !changes.is_empty() {
                    self.print_heading(&frame, &format!(", from {}", frame["base_revision"]))?;
                    self.print_changes(&changes)?;
                }
            }
            "completeness" => {
                let line = format!("completeness {} %, was {} %", frame["new_pct"], frame["old_pct"]);
                print_line(&self.terminal.paint(Colour::Cyan, &line))?;
            }
            "gone" => {
                self.document.clear();
                print_line(&self.terminal.paint(Colour::Red, "gone: the profile is no longer visible to this caller"))?;
            }
            "error" => {
                bail!("{}", frame["problem"]["detail"].as_str().unwrap_or("the server refused the subscription"))
            }
            _ => {}
        }
        if let Some(cursor) = frame["cursor"].as_str() {
            self.document.cursor = Some(cursor.to_owned());
        }
        Ok(())
    }

    fn print_heading(&self, frame: &Value, more: &str) -> Result<(), StdoutError> {
        print_line(&self.terminal.paint(Colour::Cyan, &format!("revision {}{more}", frame["revision"])))
    }

    fn print_changes(&self, changes: &[Change]) -> Result<(), StdoutError> {
        for change in changes {
            let (colour, line) = match change {
                Change::Added(path, value) => (Colour::Green, format!("  + {path} {value}")),
                Change::Changed(path, value) => (Colour::Yellow, format!("  ~ {path} {value}")),
                Change::Removed(path) => (Colour::Red, format!("  - {path}")),
            };
            print_line(&self.terminal.paint(colour, &self.terminal.fit(&line)))?;
        }
        Ok(())
    }
}

/// Decides by the close frame whether another connection makes sense: a server that is going away may come back.
fn close_end(frame: Option<CloseFrame>) -> ConnectionEnd {
    let (code, reason) =
        frame.map_or((CloseCode::Status, String::new()), |frame| (frame.code, frame.reason.to_string()));
    let error = anyhow!("the server closed the connection: {reason}");
    if code == CloseCode::Away { ConnectionEnd::Lost(error) } else { ConnectionEnd::Permanent(error) }
}
