//! A lean HTTP/1.1 client over one blocking connection (RFC 9112): what arrived before the server died is read.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Nothing that the tests ask takes this long: a server that hangs is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection at a time, with one caller's token.
pub(crate) struct Client {
    address: SocketAddr,
    token: String,
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    /// The last answer said that the connection ends with it.
    ended: bool,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, token: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { address, token: token.to_owned(), stream, reader, ended: false })
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Response> {
        self.connect_again_if_ended()?;
        let head = self.head("GET", path, "");
        self.stream.write_all(head.as_bytes())?;
        self.response()
    }

    pub(crate) fn post(&mut self, path: &str, content_type: &str, body: &str) -> io::Result<Response> {
        self.connect_again_if_ended()?;
        let length = body.len();
        let more =
            format!("Content-Type: {content_type}\r\nContent-Length: {length}\r\nPrefer: return=representation\r\n");
        let request = self.head("POST", path, &more) + body;
        self.stream.write_all(request.as_bytes())?;
        self.response()
    }

    /// Sends `lines` as NDJSON in several pieces and gives each line of the answer as it comes, while sending.
    pub(crate) fn stream(&mut self, path: &str, lines: &[&str], mut on_line: impl FnMut(&str)) -> io::Result<()> {
        self.connect_again_if_ended()?;
        let more =
            "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nPrefer: return=representation\r\n";
        let head = self.head("POST", path, more);
        let mut writing = self.stream.try_clone()?;
        let (reader, ended) = (&mut self.reader, &mut self.ended);
        std::thread::scope(|scope| {
            let sent = scope.spawn(move || -> io::Result<()> {
                writing.write_all(head.as_bytes())?;
                for piece in lines.chunks(16) {
                    let piece = piece.join("\n") + "\n";
                    write!(writing, "{:x}\r\n{piece}\r\n", piece.len())?;
                }
                writing.write_all(b"0\r\n\r\n")
            });
            let received = (|| {
                let (status, headers) = read_head(reader)?;
                *ended = ends(&headers);
                let mut body = BufReader::new(Body::of(&headers, reader));
                let mut line = String::new();
                while body.read_line(&mut line)? > 0 {
                    // A line that broke off says nothing for certain.
                    if line.ends_with('\n') {
                        assert_eq!(status, 200, "{line}");
                        on_line(&line);
                    }
                    line.clear();
                }
                Ok(())
            })();
            let sent = sent.join().expect("the sender does not panic");
            received.and(sent)
        })
    }

    fn connect_again_if_ended(&mut self) -> io::Result<()> {
        if self.ended {
            *self = Self::connect(self.address, &self.token)?;
        }
        Ok(())
    }

    fn head(&self, method: &str, path: &str, more: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{more}\r\n", self.token)
    }

    fn response(&mut self) -> io::Result<Response> {
        let (status, headers) = read_head(&mut self.reader)?;
        self.ended = ends(&headers);
        let mut body = Vec::new();
        Body::of(&headers, &mut self.reader).read_to_end(&mut body)?;
        Ok(Response { status, headers, body })
    }
}

fn ends(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, value)| name == "connection" && value.eq_ignore_ascii_case("close"))
}

fn read_head(reader: &mut impl BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let status = next_line(reader)?;
    let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status line"))?;
    let mut headers = Vec::new();
    loop {
        let line = next_line(reader)?;
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Ok((status, headers)),
        }
    }
}

fn next_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(whole) => Ok(whole.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The bytes of a body, chunked or counted (RFC 9112, sections 6.3 and 7.1).
struct Body<'a, R> {
    reader: &'a mut R,
    /// What is left of the chunk, or of the whole body.
    left: usize,
    chunked: bool,
    /// A chunk was begun, so its line end has to be read before the next.
    begun: bool,
}

impl<'a, R: BufRead> Body<'a, R> {
    fn of(headers: &[(String, String)], reader: &'a mut R) -> Self {
        let header = |name| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let chunked = header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let left = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        Self { reader, left: if chunked { 0 } else { left }, chunked, begun: false }
    }
}

impl<R: BufRead> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && self.chunked {
            if self.begun {
                next_line(self.reader)?;
            }
            let size = next_line(self.reader)?;
            self.begun = true;
            self.left = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
            if self.left == 0 {
                self.chunked = false;
                next_line(self.reader)?;
            }
        }
        if self.left == 0 {
            return Ok(0);
        }
        let wanted = buffer.len().min(self.left);
        let count = self.reader.read(&mut buffer[..wanted])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        Ok(count)
    }
}
