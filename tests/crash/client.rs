//! A client with one persistent connection. It also reads what arrived before the server was killed.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use crate::http::{BodyReader, Request, Response, try_connect};

/// A client and its current connection.
pub(crate) struct Client {
    address: SocketAddr,
    token: String,
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    /// Whether the server closes the connection after the last response.
    is_closed: bool,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, token: &str) -> io::Result<Self> {
        let stream = try_connect(address)?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { address, token: token.to_owned(), stream, reader, is_closed: false })
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send(Request::new("GET", path))
    }

    /// Reads as an administrator, who gives a reason.
    pub(crate) fn get_with_reason(&mut self, path: &str, reason: &str) -> io::Result<Response> {
        self.send(Request::new("GET", path).header("x-access-reason", reason))
    }

    pub(crate) fn post(&mut self, path: &str, content_type: &str, body: &str) -> io::Result<Response> {
        let request = Request::new("POST", path).header("prefer", "return=representation");
        self.send(request.body(content_type, body))
    }

    /// Sends a request with the token of the client.
    pub(crate) fn send(&mut self, request: Request) -> io::Result<Response> {
        self.reconnect_if_closed()?;
        let request = request.bearer(&self.token);
        self.stream.write_all(&[request.head().as_bytes(), request.content()].concat())?;
        let response = Response::read(&mut self.reader, true)?;
        self.is_closed = response.closes_connection();
        Ok(response)
    }

    /// Sends `lines` as NDJSON in several pieces, and calls `on_line` for each line of the response while it sends.
    pub(crate) fn stream(&mut self, path: &str, lines: &[&str], mut on_line: impl FnMut(&str)) -> io::Result<()> {
        self.reconnect_if_closed()?;
        let request = Request::new("POST", path).bearer(&self.token).header("prefer", "return=representation");
        let request = request.header("content-type", "application/x-ndjson").header("transfer-encoding", "chunked");
        let mut writer = self.stream.try_clone()?;
        let (reader, is_closed) = (&mut self.reader, &mut self.is_closed);
        std::thread::scope(|scope| {
            let sent = scope.spawn(move || -> io::Result<()> {
                writer.write_all(request.head().as_bytes())?;
                for piece in lines.chunks(16) {
                    let piece = piece.join("\n") + "\n";
                    write!(writer, "{:x}\r\n{piece}\r\n", piece.len())?;
                }
                writer.write_all(b"0\r\n\r\n")
            });
            let received = (|| {
                let head = Response::read_head(reader)?;
                *is_closed = head.closes_connection();
                let mut body = BufReader::new(BodyReader::new(&head.headers, reader));
                let mut line = String::new();
                while body.read_line(&mut line)? > 0 {
                    // A line that was cut off acknowledges nothing.
                    if line.ends_with('\n') {
                        assert_eq!(head.status, 200, "{line}");
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

    fn reconnect_if_closed(&mut self) -> io::Result<()> {
        if self.is_closed {
            *self = Self::connect(self.address, &self.token)?;
        }
        Ok(())
    }
}
