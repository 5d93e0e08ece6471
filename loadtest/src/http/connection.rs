//! A persistent connection: it sends a request and reads the whole response.

use super::chunks::ChunkDecoder;
use super::head::{self, Framing, ResponseHead};
use anyhow::{Context, Result, bail};
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Initial size of the buffer.
const ROOM: usize = 16 * 1_024;

/// A connection to the server.
pub(crate) struct Connection {
    pub(super) stream: TcpStream,
    /// The received part of the response, followed by zeros.
    buffer: Vec<u8>,
    filled: usize,
    /// The decoded body of a chunked response.
    joined: Vec<u8>,
}

/// A response, borrowed from the connection's buffer.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    /// The status line and headers.
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Reply<'_> {
    /// Returns the body of a successful response, or an error that contains the body.
    pub(crate) fn success(&self) -> Result<&[u8]> {
        if self.status != 200 {
            bail!("the server answered {}: {}", self.status, String::from_utf8_lossy(self.body));
        }
        Ok(self.body)
    }
}

impl Connection {
    /// Connects to the server.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("could not connect to `{address}`"))?;
        stream.set_nodelay(true).context("could not set TCP_NODELAY")?;
        Ok(Self { stream, buffer: vec![0; ROOM], filled: 0, joined: Vec::new() })
    }

    /// Sends a rendered request and reads the whole response.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        self.stream.write_all(request).await.context("could not send the request")?;
        let head = self.head().await?;
        match head.framing {
            Framing::Length(length) => {
                let end = head.bytes + length;
                while self.filled < end {
                    self.receive().await?;
                }
                if self.filled > end {
                    bail!("the server sent more than its answer");
                }
                self.filled = 0;
                Ok(Reply { status: head.status, head: &self.buffer[..head.bytes], body: &self.buffer[head.bytes..end] })
            }
            Framing::Chunked => {
                self.joined.clear();
                let mut chunks = ChunkDecoder::default();
                let mut at = head.bytes;
                while !chunks.take(&self.buffer[at..self.filled], &mut self.joined)? {
                    at = self.filled;
                    self.receive().await?;
                }
                self.filled = 0;
                Ok(Reply { status: head.status, head: &self.buffer[..head.bytes], body: &self.joined })
            }
        }
    }

    /// Reads until the head is complete.
    async fn head(&mut self) -> Result<ResponseHead> {
        loop {
            if let Some(head) = head::parse(&self.buffer[..self.filled])? {
                return Ok(head);
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> Result<()> {
        if self.buffer.len() - self.filled < ROOM / 2 {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        loop {
            self.stream.readable().await.context("could not wait for the answer")?;
            match self.stream.try_read(&mut self.buffer[self.filled..]) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(count) => {
                    self.filled += count;
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("could not read the answer"),
            }
        }
    }
}
