//! A plain HTTP/1.1 client that shares no code with the server.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header that must be there.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("the header `{name}` is missing in {self:?}"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The body's lines, each as JSON.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    }

    /// The tail of the problem's type; the members that every problem has are checked.
    #[track_caller]
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{problem}");
        for member in ["title", "detail", "instance"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "`{member}` of {problem}");
        }
        problem["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
    }
}

/// A request, of which the head is kept as text.
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(method: &'static str, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", content_type)
    }

    /// The head; the length of `body` is announced.
    pub(crate) fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: localhost\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head + "\r\n"
    }

    /// The body.
    pub(crate) fn content(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// Sends it on a connection of its own.
    pub(crate) fn send(self, address: SocketAddr) -> Answer {
        let has_body = self.method != "HEAD";
        let request = self.header("connection", "close");
        let mut stream = connect(address);
        stream.write_all(request.head().as_bytes()).unwrap();
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(request.body.as_deref().unwrap_or_default());
        read_answer(&mut BufReader::new(stream), has_body)
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads one answer, its body included.
pub(crate) fn read_answer(stream: &mut impl BufRead, has_body: bool) -> Answer {
    let mut answer = read_head(stream);
    if has_body && !matches!(answer.status, 101 | 204 | 304) {
        answer.body = read_body(stream, &answer);
    }
    answer
}

pub(crate) fn read_head(stream: &mut impl BufRead) -> Answer {
    let status_line = read_line(stream);
    let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status line: `{status_line}`"));
    let mut headers = BTreeMap::new();
    loop {
        let line = read_line(stream);
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    Answer { status, headers, body: Vec::new() }
}

fn read_body(stream: &mut impl BufRead, head: &Answer) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some(length) = head.headers.get("content-length") {
        body.resize(length.parse().unwrap(), 0);
        stream.read_exact(&mut body).unwrap();
        return body;
    }
    while let Some(chunk) = read_chunk(stream) {
        body.extend(chunk);
    }
    body
}

/// The next chunk of a chunked body; `None` after the last.
pub(crate) fn read_chunk(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let length = usize::from_str_radix(&read_line(stream), 16).unwrap();
    let mut chunk = vec![0; length];
    stream.read_exact(&mut chunk).unwrap();
    read_line(stream);
    (length > 0).then_some(chunk)
}

fn read_line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line.truncate(line.trim_end().len());
    line
}

/// Adapts what is read chunk by chunk to a reader of lines.
pub(crate) struct Chunked<R> {
    pub(crate) inner: R,
    rest: Vec<u8>,
}

impl<R: BufRead> Chunked<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, rest: Vec::new() }
    }
}

impl<R: BufRead> Read for Chunked<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = read_chunk(&mut self.inner).unwrap_or_default();
        }
        let length = self.rest.len().min(out.len());
        out[..length].copy_from_slice(&self.rest[..length]);
        self.rest.drain(..length);
        Ok(length)
    }
}
