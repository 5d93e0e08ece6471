//! A revocation under a thousand concurrent callers: those it names are answered no more, and nobody else notices it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::{JoinSet, spawn_blocking};

use crate::http::{PATIENCE, Request};
use crate::keys::{key_file, key_set};
use crate::live_client::LiveClient;
use crate::test_server::{TestServer, USER, eventually, profile_path, residency, start_server_with};
use crate::token::{Token, now};

const CALLERS: usize = 1_000;
/// The keys of the callers: the first is revoked.
const KEYS: [(&str, Algorithm); 2] = [("ed25519.pem", Algorithm::EdDSA), ("p256.pem", Algorithm::ES256)];
/// Number of requests of each caller after the revocation.
const LATER_REQUESTS: usize = 3;

/// What all callers see of each other.
struct Crowd {
    server: TestServer,
    /// Passed when all connections are open and each was answered.
    open: Barrier,
    /// Set when the revocation was answered.
    is_revoked: AtomicBool,
    /// The revision that is committed after that.
    later_revision: u64,
    answered: AtomicUsize,
}

/// One caller of the crowd.
struct Member {
    crowd: Arc<Crowd>,
    bearer: String,
    is_revoked: bool,
}

/// Signs the tokens of callers with one of the keys.
struct Signer {
    key: EncodingKey,
    header: Header,
}

impl Signer {
    fn new((file, algorithm): (&str, Algorithm), key_id: &Value) -> Self {
        let pem = fs::read(key_file(file)).unwrap();
        let key = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_pem(&pem),
            _ => EncodingKey::from_ec_pem(&pem),
        };
        let header = Header {
            kid: key_id.as_str().map(str::to_owned),
            typ: Some("at+jwt".to_owned()),
            ..Header::new(algorithm)
        };
        Self { key: key.unwrap(), header }
    }

    fn sign(&self, number: usize) -> String {
        let token = Token::new("service", &format!("svc:caller-{number}"), "profile:read");
        jsonwebtoken::encode(&self.header, &token.claims, &self.key).unwrap()
    }
}

impl Member {
    fn request(&self, path: &str) -> String {
        Request::new("GET", path).bearer(&self.bearer).head()
    }

    /// Reads the profile again and again over one connection.
    async fn reads(self) {
        let mut stream = BufReader::new(TcpStream::connect(self.crowd.server.listen).await.unwrap());
        let request = self.request(&profile_path(USER));
        assert_eq!(exchange(&mut stream, &request).await, 200);
        self.crowd.open.wait().await;
        let mut later = 0;
        while later < LATER_REQUESTS {
            let was_revoked = self.crowd.is_revoked.load(Ordering::Acquire);
            let status = exchange(&mut stream, &request).await;
            match (self.is_revoked, was_revoked) {
                (false, _) => assert_eq!(status, 200, "another caller is disturbed"),
                (true, true) => assert_eq!(status, 401, "a revoked caller is answered"),
                (true, false) => assert!(matches!(status, 200 | 401), "{status}"),
            }
            later += usize::from(was_revoked);
            self.crowd.answered.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    }

    /// Follows the profile over a WebSocket.
    async fn follows(self) {
        let mut socket =
            LiveClient::try_open_with(&self.crowd.server, &self.bearer, Some("civic-profile.v1")).await.unwrap();
        socket.subscribe(&[USER], None).await;
        assert_eq!(socket.receive().await.unwrap()["type"], "profile");
        self.crowd.open.wait().await;
        loop {
            match socket.receive().await {
                Ok(frame) if frame["revision"].as_u64() >= Some(self.crowd.later_revision) => {
                    assert!(!self.is_revoked, "a revoked socket gets {frame}");
                    return socket.expect_silence().await;
                }
                Ok(_) => {}
                Err(code) => return assert_eq!((code, self.is_revoked), (4401, true)),
            }
        }
    }

    /// Follows the profile as Server-Sent Events.
    async fn listens(self) {
        let mut stream = BufReader::new(TcpStream::connect(self.crowd.server.listen).await.unwrap());
        let request = self.request(&format!("{}/events", profile_path(USER)));
        stream.get_mut().write_all(request.as_bytes()).await.unwrap();
        assert!(line(&mut stream).await.contains(" 200 "));
        while !line(&mut stream).await.starts_with("event: profile") {}
        self.crowd.open.wait().await;
        let revision = format!("\"revision\":{}", self.crowd.later_revision);
        let mut text = String::new();
        loop {
            let next = line(&mut stream).await;
            // The last chunk is empty. The connection stays open for another request.
            if next.trim_end() == "0" {
                assert!(self.is_revoked && text.contains("the token was revoked"), "a stream ends: {text}");
                return;
            }
            if next.contains(&revision) {
                return assert!(!self.is_revoked, "a revoked stream gets {next}");
            }
            text.push_str(&next);
        }
    }
}

/// Reads a line with its end.
async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, stream.read_line(&mut line)).await.expect("a line comes").unwrap();
    assert!(!line.is_empty(), "the connection has ended");
    line
}

/// Sends a request and reads its answer. Returns the status.
async fn exchange(stream: &mut BufReader<TcpStream>, request: &str) -> u16 {
    stream.get_mut().write_all(request.as_bytes()).await.unwrap();
    let status = line(stream).await.split(' ').nth(1).unwrap().parse().unwrap();
    let mut length = 0;
    loop {
        let header = line(stream).await.to_ascii_lowercase();
        match header.trim_end().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    status
}

fn revoke_key(server: &TestServer, key_id: &Value) {
    let operator = Token::new("admin", "adm:root", "operate").with("amr", json!(["mfa"])).with("auth_time", now());
    let request = Request::new("POST", "/admin/revocations").bearer(&server.sign(operator));
    let request = request.header("x-access-reason", "a stolen key");
    let answer = request.body("application/json", json!({ "kid": key_id }).to_string()).send(server.admin_listen);
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn a_revocation_under_a_thousand_callers_ends_those_it_names_and_no_others() {
    let set: Value = serde_json::from_str(&key_set(&KEYS.map(|(file, _)| file))).unwrap();
    let key_ids = [0, 1].map(|place: usize| set["keys"][place]["kid"].clone());
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keys.json");
    fs::write(&path, set.to_string()).unwrap();
    let server = start_server_with(&format!("[auth]\njwks_file = {path:?}"));
    server.post_example();
    let revision = server.own_profile(USER).json()["revision"].as_u64().unwrap();
    let signers = [0, 1].map(|place| Signer::new(KEYS[place], &key_ids[place]));
    let crowd = Arc::new(Crowd {
        server,
        open: Barrier::new(CALLERS + 1),
        is_revoked: AtomicBool::new(false),
        later_revision: revision + 1,
        answered: AtomicUsize::new(0),
    });
    let mut tasks = JoinSet::new();
    for number in 0..CALLERS {
        let is_revoked = number % 2 == 0;
        let bearer = signers[usize::from(!is_revoked)].sign(number);
        let member = Member { crowd: Arc::clone(&crowd), bearer, is_revoked };
        match number % 5 {
            0 => drop(tasks.spawn(member.follows())),
            1 => drop(tasks.spawn(member.listens())),
            _ => drop(tasks.spawn(member.reads())),
        }
    }
    tokio::select! {
        _ = crowd.open.wait() => {}
        Some(ended) = tasks.join_next() => panic!("a caller has ended: {ended:?}"),
    }
    let (of_revocation, key_id) = (Arc::clone(&crowd), key_ids[0].clone());
    spawn_blocking(move || {
        revoke_key(&of_revocation.server, &key_id);
        of_revocation.is_revoked.store(true, Ordering::Release);
        let event = residency(USER, "later", "2026-01-20T00:00:00Z", 44).to_string();
        // Under load the server may ask for the event again, which is always safe.
        eventually("the event is acknowledged", || of_revocation.server.post("metadata", event.clone()).status == 200);
    })
    .await
    .unwrap();
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert!(crowd.answered.load(Ordering::Relaxed) >= LATER_REQUESTS * CALLERS * 3 / 5);
}
