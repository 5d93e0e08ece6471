//! A server in this process, and a connection to it that allocates nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;

use base64::Engine;
use config::{Settings, Sources};
use profile_server::application::Application;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{self, Request, Response};
use crate::token::Token;

pub(crate) const USER: &str = data::EXAMPLE_USER;
const NOW: &str = "2026-01-21T12:00:00Z";
/// Room for the longest response.
const ROOM: usize = 64 << 10;

/// A server that runs until the process ends.
pub(crate) struct CountedServer {
    listen: SocketAddr,
    key: Vec<u8>,
    _data_dir: TempDir,
}

impl CountedServer {
    /// Starts a server with one thread of each kind, whose access table hides most fields from citizens, too.
    pub(crate) fn start() -> Self {
        let data_dir = TempDir::new().unwrap();
        let table = include_str!("../../config/access.toml").replace(
            "[self]\nminimal = [\"*\"]",
            "[self]\nminimal = [\"demographics.state\", \"demographics.residency_years\", \"consent.*\"]",
        );
        let row = "minimal = [\"demographics.state\", \"identity.age_bracket\"]";
        assert!(table.contains(row));
        let table = table.replace(
            row,
            "minimal = [\"demographics.state\", \"demographics.residency_years\", \"identity.age_bracket\"]",
        );
        fs::write(data_dir.path().join("access.toml"), table).unwrap();
        fs::write(data_dir.path().join("limits.toml"), include_str!("../support/high-limits.toml")).unwrap();
        let mut sources = Sources::default().with("data_dir", data_dir.path().display(), "--data-dir");
        for (key, value) in [
            ("listen", "127.0.0.1:0"),
            ("admin_listen", "127.0.0.1:0"),
            ("time.fixed_clock", NOW),
            ("log.level", "error"),
            ("http.workers", "1"),
            ("actors.shards", "1"),
        ] {
            sources = sources.with(key, value, "a test");
        }
        let (sender, ready) = mpsc::channel();
        thread::spawn(move || {
            let settings = Settings::load(&sources).unwrap();
            actix::System::new().block_on(async move {
                let application = Application::build(settings, &[]).await.unwrap();
                sender.send(application.listen()).unwrap();
                application.run_until_stopped().await.unwrap();
            });
        });
        let listen = ready.recv().expect("the server starts");
        // The hook of the server redacts what a test has to say.
        drop(std::panic::take_hook());
        let secrets = fs::read_to_string(data_dir.path().join(".env")).unwrap();
        let key = secrets.lines().find_map(|line| line.strip_prefix("PROFILE_SERVER_DEV_SECRET=")).unwrap();
        let key = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
        Self { listen, key, _data_dir: data_dir }
    }

    pub(crate) fn sign(&self, token: Token) -> String {
        token.sign(&self.key)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str, token: Token) -> Response {
        let request = Request::new("GET", path).bearer(&self.sign(token)).header("x-access-reason", "a test");
        let answer = request.send(self.listen);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Posts an event.
    #[track_caller]
    pub(crate) fn post(&self, source: &str, event: &Value) {
        let token = self.sign(Token::service(&format!("feed:{source}")));
        let request = Request::new("POST", format!("/api/v2/feeds/{source}")).bearer(&token);
        let answer = request.body("application/cloudevents+json", event.to_string()).send(self.listen);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Sets a citizen's level of consent.
    #[track_caller]
    pub(crate) fn consent(&self, user: &str, level: &str) {
        let request = Request::new("PUT", format!("/api/v2/profile/{user}/consent"));
        let request = request.bearer(&self.sign(Token::citizen(user)));
        let body = json!({ "data_sharing_level": level }).to_string();
        let answer = request.body("application/json", body).send(self.listen);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Returns the bytes of a GET over a connection that stays open.
    pub(crate) fn request(&self, path: &str, token: &str) -> Vec<u8> {
        Request::new("GET", path).bearer(token).head().into_bytes()
    }

    pub(crate) fn connect(&self) -> CountedConnection {
        CountedConnection { stream: http::connect(self.listen), buffer: vec![0; ROOM], filled: 0 }
    }
}

/// A connection that stays open. Sending and receiving allocates nothing.
pub(crate) struct CountedConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl CountedConnection {
    /// Sends a request, and reads the response to its end.
    #[track_caller]
    pub(crate) fn exchange(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        self.filled = 0;
        while self.filled == 0 || self.filled < self.length().unwrap_or(usize::MAX) {
            let read = self.stream.read(&mut self.buffer[self.filled..]).unwrap();
            assert!(read > 0, "the server closed the connection, or the response is too long");
            self.filled += read;
        }
    }

    /// Returns the response.
    #[track_caller]
    pub(crate) fn response(&self) -> &str {
        std::str::from_utf8(&self.buffer[..self.filled]).unwrap()
    }

    /// Returns the length of the whole response; `None` while its head is not complete.
    fn length(&self) -> Option<usize> {
        let (head, _) = self.response().split_once("\r\n\r\n")?;
        let length = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        };
        Some(head.len() + 4 + head.lines().find_map(length).expect("a response with its length"))
    }
}
