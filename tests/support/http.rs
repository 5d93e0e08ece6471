//! A plain HTTP/1.1 client for tests (RFC 9112). It shares no code with the server.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Maximum time that a test waits for the server. Nothing takes this long, even on a busy machine: the limit ends tests
/// of a server that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A response with its whole body.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The headers by name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, headers, body } = self;
        write!(out, "{status} {headers:?} `{}`", String::from_utf8_lossy(body))
    }
}

impl Response {
    /// Reads a response to the end of its body. The response to HEAD has none, whatever its headers say.
    pub(crate) fn read(stream: &mut impl BufRead, has_body: bool) -> io::Result<Self> {
        let mut response = Self::read_head(stream)?;
        if has_body && !matches!(response.status, 101 | 204 | 304) {
            BodyReader::new(&response.headers, stream).read_to_end(&mut response.body)?;
        }
        Ok(response)
    }

    /// Reads the status line and the headers.
    pub(crate) fn read_head(stream: &mut impl BufRead) -> io::Result<Self> {
        let status_line = read_line(stream)?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: `{status_line}`")))?;
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = read_line(stream)?.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        Ok(Self { status, headers, body: Vec::new() })
    }

    /// Returns the value of a header that must be present, by its name in lower case.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("the header `{name}` is missing in {self:?}"))
    }

    /// Returns whether the server closes the connection after this response.
    pub(crate) fn closes_connection(&self) -> bool {
        self.headers.get("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// Returns the body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Returns the body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// Returns the body's lines, each as JSON.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
        self.text().lines().map(parse).collect()
    }

    /// Returns the last segment of the problem's type. Also checks the members that every problem has.
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

/// A request, built step by step.
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

    /// Returns the request line and headers, with the length of the body if there is one.
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

    /// Returns the bytes of the body.
    pub(crate) fn content(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// Sends the request over a new connection.
    pub(crate) fn send(self, address: SocketAddr) -> Response {
        self.try_send(address).unwrap_or_else(|error| panic!("no response: {error}"))
    }

    /// Sends the request over a new connection, and returns an error if the response breaks off.
    pub(crate) fn try_send(self, address: SocketAddr) -> io::Result<Response> {
        let has_body = self.method != "HEAD";
        let request = self.header("connection", "close");
        let mut stream = connect(address);
        stream.write_all(request.head().as_bytes()).unwrap();
        // A server that refuses early may close before it has read everything.
        let _ = stream.write_all(request.content());
        Response::read(&mut BufReader::new(stream), has_body)
    }
}

/// Opens a connection.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    try_connect(address).unwrap()
}

/// Opens a connection, or returns the error.
pub(crate) fn try_connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads a response that must be complete; see [`Response::read`].
#[track_caller]
pub(crate) fn read_response(stream: &mut impl BufRead, has_body: bool) -> Response {
    Response::read(stream, has_body).unwrap_or_else(|error| panic!("no response: {error}"))
}

/// Reads a response's head, which must be complete.
#[track_caller]
pub(crate) fn read_head(stream: &mut impl BufRead) -> Response {
    Response::read_head(stream).unwrap_or_else(|error| panic!("no response: {error}"))
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the response ends in `{line}`"))),
    }
}

/// Reads a response's body, which is chunked or has a length (RFC 9112, sections 6.3 and 7.1).
pub(crate) struct BodyReader<R> {
    stream: R,
    /// Bytes left of the chunk, or of the whole body.
    left: usize,
    /// Whether another chunk follows.
    is_chunked: bool,
    /// Whether the line end of a chunk must be read before the next chunk.
    in_chunks: bool,
}

impl<R: BufRead> BodyReader<R> {
    pub(crate) fn new(headers: &BTreeMap<String, String>, stream: R) -> Self {
        let is_chunked = headers.get("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let left = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        Self { stream, left: if is_chunked { 0 } else { left }, is_chunked, in_chunks: false }
    }

    /// Reads a body that is known to be chunked.
    pub(crate) fn chunked(stream: R) -> Self {
        Self { stream, left: 0, is_chunked: true, in_chunks: false }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        if self.in_chunks {
            read_line(&mut self.stream)?;
        }
        self.in_chunks = true;
        self.left = usize::from_str_radix(&read_line(&mut self.stream)?, 16).map_err(io::Error::other)?;
        if self.left == 0 {
            self.is_chunked = false;
            read_line(&mut self.stream)?;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for BodyReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.is_chunked {
            self.next_chunk()?;
        }
        let wanted = self.left.min(out.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.stream.read(&mut out[..wanted])?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is cut off"));
        }
        self.left -= count;
        Ok(count)
    }
}
