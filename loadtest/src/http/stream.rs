//! A request and an answer that both go on: NDJSON in, results out, at the same time.

use super::connection::Connection;
use super::head::{self, Framing};
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Starts a POST of NDJSON.
pub(crate) async fn open(address: SocketAddr, path: &str, token: &str) -> Result<(Upload, Lines)> {
    let mut stream = Connection::open(address).await?.stream;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.context("could not open the stream")?;
    let (reader, writer) = stream.into_split();
    Ok((Upload { writer, chunk: Vec::new() }, Lines::new(reader)))
}

/// The way in.
pub(crate) struct Upload {
    writer: OwnedWriteHalf,
    chunk: Vec<u8>,
}

impl Upload {
    /// Sends some lines.
    pub(crate) async fn send(&mut self, lines: &[u8]) -> Result<()> {
        self.chunk.clear();
        self.chunk.extend_from_slice(format!("{:x}\r\n", lines.len()).as_bytes());
        self.chunk.extend_from_slice(lines);
        self.chunk.extend_from_slice(b"\r\n");
        self.writer.write_all(&self.chunk).await.context("could not send events")
    }

    /// Says that nothing more comes. The connection stays open for the answer.
    pub(crate) async fn end(mut self) -> Result<OwnedWriteHalf> {
        self.writer.write_all(b"0\r\n\r\n").await.context("could not end the stream")?;
        Ok(self.writer)
    }
}

/// The way out: the answer's lines.
pub(crate) struct Lines {
    reader: OwnedReadHalf,
    /// What was received of the head, until it is whole; then the head is behind us.
    head: Option<Vec<u8>>,
    chunks: Chunks,
    received: Vec<u8>,
    /// Text that is not given out yet.
    text: Vec<u8>,
    /// How much of the text was given out.
    given: usize,
    ended: bool,
}

impl Lines {
    fn new(reader: OwnedReadHalf) -> Self {
        let received = vec![0; 16 * 1_024];
        let chunks = Chunks::default();
        Self { reader, head: Some(Vec::new()), chunks, received, text: Vec::new(), given: 0, ended: false }
    }

    /// The next line, without its end; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<&[u8]>> {
        loop {
            if let Some(length) = self.text[self.given..].iter().position(|&byte| byte == b'\n') {
                let start = self.given;
                self.given += length + 1;
                return Ok(Some(&self.text[start..start + length]));
            }
            if self.ended {
                return Ok(None);
            }
            self.text.drain(..self.given);
            self.given = 0;
            let count = self.reader.read(&mut self.received).await.context("could not read results")?;
            if count == 0 {
                bail!("the server ended the results in the middle");
            }
            self.take(count)?;
        }
    }

    fn take(&mut self, count: usize) -> Result<()> {
        let received = &self.received[..count];
        let Some(mut head) = self.head.take() else {
            self.ended = self.chunks.take(received, &mut self.text)?;
            return Ok(());
        };
        head.extend_from_slice(received);
        match head::parse(&head)? {
            None => self.head = Some(head),
            Some(parsed) if parsed.status == 200 && parsed.framing == Framing::Chunked => {
                self.ended = self.chunks.take(&head[parsed.bytes..], &mut self.text)?;
            }
            Some(parsed) => {
                let body = String::from_utf8_lossy(&head[parsed.bytes..]);
                bail!("the server answered {} to a stream: {body}", parsed.status);
            }
        }
        Ok(())
    }
}

/// Takes chunked transfer coding apart (RFC 9112, 7.1), however the pieces fall.
#[derive(Default)]
pub(super) struct Chunks {
    state: State,
    size: usize,
    /// Whether the last chunk's size was read.
    last: bool,
}

#[derive(Default)]
enum State {
    #[default]
    Size,
    Extension,
    Data,
    AfterData,
    Trailer {
        /// Bytes of the current trailer line.
        length: usize,
    },
}

impl Chunks {
    /// Adds the data of this piece to `out`; true when the last chunk was seen.
    pub(super) fn take(&mut self, mut piece: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        while let Some((&byte, rest)) = piece.split_first() {
            match &mut self.state {
                State::Size | State::Extension if byte == b'\n' => {
                    self.last = self.size == 0;
                    self.state = if self.last { State::Trailer { length: 0 } } else { State::Data };
                }
                State::Size if byte.is_ascii_hexdigit() => {
                    let digit = char::from(byte).to_digit(16).unwrap_or_default() as usize;
                    self.size =
                        self.size.checked_mul(16).and_then(|size| size.checked_add(digit)).context("a huge chunk")?;
                }
                State::Size if matches!(byte, b'\r' | b';' | b' ') => self.state = State::Extension,
                State::Size => bail!("a chunk without a size"),
                State::Extension => {}
                State::Data => {
                    let count = self.size.min(piece.len());
                    out.extend_from_slice(&piece[..count]);
                    self.size -= count;
                    piece = &piece[count..];
                    if self.size == 0 {
                        self.state = State::AfterData;
                    }
                    continue;
                }
                State::AfterData if byte == b'\n' => self.state = State::Size,
                State::AfterData => {}
                State::Trailer { length: 0 } if byte == b'\n' => return Ok(true),
                State::Trailer { length } if byte == b'\n' => *length = 0,
                State::Trailer { length } => *length += usize::from(byte != b'\r'),
            }
            piece = rest;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_join_however_they_are_cut() {
        let coded = b"5\r\nhello\r\n1;name=value\r\n,\r\n00000B\r\n wide world\r\n0\r\nTrailer: x\r\n\r\n";
        for cut in 0..coded.len() {
            for step in [1, 3, coded.len()] {
                let (mut chunks, mut out, mut ended) = (Chunks::default(), Vec::new(), false);
                let (first, second) = coded.split_at(cut);
                for piece in first.chunks(step).chain(second.chunks(step)) {
                    assert!(!ended);
                    ended = chunks.take(piece, &mut out).expect("chunks");
                }
                assert_eq!((out.as_slice(), ended), (b"hello, wide world".as_slice(), true), "cut at {cut} by {step}");
            }
        }
    }

    #[test]
    fn a_chunk_without_a_size_is_refused() {
        assert!(Chunks::default().take(b"hello", &mut Vec::new()).is_err());
        assert!(Chunks::default().take(b"fffffffffffffffffffff\r\n", &mut Vec::new()).is_err());
    }
}
