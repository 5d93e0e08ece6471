//! A streaming request: sends NDJSON and receives results at the same time.

use super::chunks::ChunkDecoder;
use super::connection::Connection;
use super::head::{self, Framing};
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Starts a POST of NDJSON. The body and the response are streamed.
pub(crate) async fn open_stream(address: SocketAddr, path: &str, token: &str) -> Result<(Upload, ResponseLines)> {
    let mut stream = Connection::open(address).await?.stream;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.context("could not open the stream")?;
    let (reader, writer) = stream.into_split();
    Ok((Upload { writer, chunk: Vec::new() }, ResponseLines::new(reader)))
}

/// The request body.
pub(crate) struct Upload {
    writer: OwnedWriteHalf,
    chunk: Vec<u8>,
}

impl Upload {
    /// Sends lines as one chunk.
    pub(crate) async fn send(&mut self, lines: &[u8]) -> Result<()> {
        self.chunk.clear();
        self.chunk.extend_from_slice(format!("{:x}\r\n", lines.len()).as_bytes());
        self.chunk.extend_from_slice(lines);
        self.chunk.extend_from_slice(b"\r\n");
        self.writer.write_all(&self.chunk).await.context("could not send events")
    }

    /// Ends the body. The connection has to stay open until the response has ended, so the write half is returned.
    pub(crate) async fn end(mut self) -> Result<OwnedWriteHalf> {
        self.writer.write_all(b"0\r\n\r\n").await.context("could not end the stream")?;
        Ok(self.writer)
    }
}

/// The lines of the response.
pub(crate) struct ResponseLines {
    reader: OwnedReadHalf,
    /// The received part of the head, and `None` once the head was parsed.
    head: Option<Vec<u8>>,
    chunks: ChunkDecoder,
    received: Vec<u8>,
    /// Decoded text.
    text: Vec<u8>,
    /// Number of bytes of the text that were returned.
    given: usize,
    ended: bool,
}

impl ResponseLines {
    fn new(reader: OwnedReadHalf) -> Self {
        let received = vec![0; 16 * 1_024];
        let chunks = ChunkDecoder::default();
        Self { reader, head: Some(Vec::new()), chunks, received, text: Vec::new(), given: 0, ended: false }
    }

    /// Returns the next line without its line end, or `None` after the last.
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
                bail!("the server cut off the results");
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
