//! Sends a large body over a connection of its own. The response may come before the server has read the body, and is
//! only counted.

use super::chunks::ChunkDecoder;
use super::head::{self, Framing, ResponseHead};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Number of bytes to send or read at a time.
const PIECE: usize = 64 * 1_024;

/// The response to a large request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LargeResponse {
    /// `None` if no response came in time.
    pub(crate) status: Option<u16>,
    /// Time from the first byte sent to the first byte of the response.
    pub(crate) first_byte: Duration,
    /// Time from the first byte sent to the end of the response.
    pub(crate) took: Duration,
    /// Number of bytes of the response, including its head.
    pub(crate) bytes: u64,
}

/// Finds the end of a response, and keeps only its head.
#[derive(Default)]
struct ResponseCounter {
    /// The part of the head that was received, until it is complete.
    start: Vec<u8>,
    head: Option<ResponseHead>,
    /// Number of bytes of the body so far.
    body: usize,
    chunks: ChunkDecoder,
    discarded: Vec<u8>,
}

impl ResponseCounter {
    /// Takes the next piece. Returns true at the end of the response.
    fn take(&mut self, piece: &[u8]) -> Result<bool> {
        if let Some(head) = self.head {
            return self.take_body(head.framing, piece);
        }
        self.start.extend_from_slice(piece);
        let Some(head) = head::parse(&self.start)? else { return Ok(false) };
        self.head = Some(head);
        let start = std::mem::take(&mut self.start);
        self.take_body(head.framing, &start[head.bytes..])
    }

    fn take_body(&mut self, framing: Framing, piece: &[u8]) -> Result<bool> {
        self.body += piece.len();
        match framing {
            Framing::Length(length) => Ok(self.body >= length),
            Framing::Chunked => {
                self.discarded.clear();
                self.chunks.take(piece, &mut self.discarded)
            }
        }
    }
}

/// Sends a request's head and body, and reads until the end of the response, the end of the connection, or the time
/// limit.
pub(crate) async fn send_large(
    address: SocketAddr,
    head: &[u8],
    body: &[u8],
    limit: Duration,
) -> Result<LargeResponse> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("could not connect to `{address}`"))?;
    let (mut reader, mut writer) = stream.into_split();
    let start = Instant::now();
    let mut answered = LargeResponse { status: None, first_byte: limit, took: limit, bytes: 0 };
    let send = async {
        let mut sent = writer.write_all(head).await;
        for piece in body.chunks(PIECE) {
            sent = match sent {
                Ok(()) => writer.write_all(piece).await,
                // The server does not read the rest, but it may have responded.
                Err(_) => break,
            };
        }
        std::future::pending::<()>().await;
    };
    let read = async {
        let (mut answer, mut piece) = (ResponseCounter::default(), vec![0; PIECE]);
        while let Ok(count @ 1..) = reader.read(&mut piece).await {
            if answered.bytes == 0 {
                answered.first_byte = start.elapsed();
            }
            answered.bytes += count as u64;
            let ended = answer.take(&piece[..count])?;
            answered.status = answer.head.map(|head| head.status);
            if ended {
                break;
            }
        }
        anyhow::Ok(())
    };
    let both = async {
        tokio::select! {
            () = send => Ok(()),
            read = read => read,
        }
    };
    if let Ok(done) = timeout(limit, both).await {
        done?;
        answered.took = start.elapsed();
    }
    Ok(answered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::local;
    use crate::fake_server::{self, FakeServer};
    use crate::http;

    fn send(fake: FakeServer, limit: Duration) -> LargeResponse {
        local(async {
            let address = fake_server::start(fake).await?;
            let body = vec![b'1'; 3_000_000];
            send_large(address, &http::post_head("identity", http::BATCH, body.len(), "token"), &body, limit).await
        })
        .expect("sent")
    }

    #[test]
    fn the_answer_is_counted_and_its_status_is_known() {
        let answered = send(FakeServer { status: 413, ..FakeServer::default() }, Duration::from_secs(60));
        assert_eq!(
            (answered.status, answered.bytes),
            (Some(413), "HTTP/1.1 413 x\r\nContent-Length: 5\r\n\r\nhello".len() as u64)
        );
        assert!(answered.first_byte <= answered.took);
    }

    #[test]
    fn a_server_that_does_not_respond_is_given_up() {
        let stall = Some((1, Duration::from_secs(60)));
        let answered = send(FakeServer { stall, ..FakeServer::default() }, Duration::from_millis(50));
        assert_eq!((answered.status, answered.bytes), (None, 0));
    }
}
