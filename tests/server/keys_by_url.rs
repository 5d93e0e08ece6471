//! Public keys from an address: over TLS from a host that an authority certifies, without redirections, and past all proxies.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http::Request;
use crate::keys::{key_set, own_token};
use crate::test_server::{TestServer, USER, profile_path, serve, start_server_under, start_server_with};

fn certificate(name: &str) -> String {
    format!("{}/tests/support/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A server that gives every request the same answer.
struct KeyServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    /// Starts a server, which speaks TLS with `tls`.
    fn start(tls: Option<Arc<ServerConfig>>, head: &str, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let this = Self { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let answer = format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let asked = Arc::clone(&this.asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answered = match &tls {
                    Some(tls) => {
                        let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
                        exchange(&mut StreamOwned::new(connection, stream), &answer)
                    }
                    None => exchange(&mut { stream }, &answer),
                };
                asked.fetch_add(usize::from(answered), Ordering::SeqCst);
            }
        });
        this
    }

    fn with_tls(head: &str, body: &str) -> Self {
        let chain = CertificateDer::pem_file_iter(certificate("localhost.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(certificate("localhost.key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::start(Some(Arc::new(config)), head, body)
    }

    /// Returns the number of requests that were read.
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Reads a request and sends the answer. Returns whether there was a request.
fn exchange(stream: &mut (impl Read + Write), answer: &str) -> bool {
    let lines = BufReader::new(&mut *stream).lines().map_while(Result::ok);
    let was_asked = lines.take_while(|line| !line.is_empty()).count() > 0;
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
    was_asked
}

fn settings(url: &str, authorities: &str) -> String {
    format!("[auth]\njwks_url = {url:?}\njwks_ca_file = {authorities:?}\n")
}

/// Returns the status of a citizen's read with a token of the key set.
fn read(server: &TestServer) -> u16 {
    let token = own_token("ed25519.pem");
    server.send(Request::new("GET", profile_path(USER)).bearer(&token)).status
}

#[test]
fn keys_come_over_tls_from_a_host_that_the_authority_certifies() {
    let keys = KeyServer::with_tls("200 OK", &key_set(&["ed25519.pem"]));
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}/keys", keys.address.port());
        let server = start_server_with(&settings(&url, &certificate("authority.pem")));
        assert_eq!(read(&server), 404, "accepted, and there is no such user: {}", server.log());
    }
}

#[test]
fn a_host_that_no_known_authority_certifies_gives_no_keys() {
    let keys = KeyServer::with_tls("200 OK", &key_set(&["ed25519.pem"]));
    let url = format!("https://localhost:{}/keys", keys.address.port());
    for authorities in [certificate("other-authority.pem"), String::new()] {
        let server = start_server_with(&settings(&url, &authorities));
        assert_eq!(read(&server), 401, "{authorities}");
        assert!(server.log().contains("could not fetch the key set"), "{}", server.log());
    }
    assert_eq!(keys.asked(), 0, "nothing is sent to such a host");
}

#[test]
fn certificates_that_cannot_be_read_refuse_the_start() {
    for file in ["missing.pem", "README.md"] {
        let dir = tempfile::TempDir::new().unwrap();
        let settings = settings("https://localhost:9/keys", &certificate(file));
        fs::write(dir.path().join("config.local.toml"), settings).unwrap();
        let output = serve(dir.path()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains("could not read the certificates"), "{file}: {error}");
    }
}

#[test]
fn a_redirection_is_neither_followed_nor_taken_for_keys() {
    let set = key_set(&["ed25519.pem"]);
    let target = KeyServer::start(None, "200 OK", &set);
    let head = format!("302 Found\r\nLocation: http://{}/keys", target.address);
    let keys = KeyServer::start(None, &head, &set);
    let server = start_server_with(&settings(&format!("http://{}/keys", keys.address), ""));
    assert_eq!(read(&server), 401);
    assert!(keys.asked() > 0 && target.asked() == 0);
    assert!(server.log().contains("the answer is 302"), "{}", server.log());
}

#[test]
fn no_proxy_is_asked_for_keys() {
    let proxy = KeyServer::start(None, "200 OK", &key_set(&["ed25519.pem"]));
    let keys = KeyServer::start(None, "200 OK", &key_set(&["p256.pem"]));
    let proxy_url = format!("http://{}", proxy.address);
    let variables =
        format!("export HTTP_PROXY={proxy_url} http_proxy={proxy_url} ALL_PROXY={proxy_url} all_proxy={proxy_url}");
    let server = start_server_under(&variables, &settings(&format!("http://{}/keys", keys.address), ""));
    assert_eq!(read(&server), 401, "the proxy's keys are not those of the address");
    assert!(keys.asked() > 0 && proxy.asked() == 0);
}
