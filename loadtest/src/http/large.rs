//! One large body on a connection of its own, whose answer may come before the body was taken and is only counted.

use super::head::{self, Framing, Head};
use super::stream::Chunks;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What is sent and read at once.
const PIECE: usize = 64 * 1_024;

/// What came of a large request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// `None` where no answer came, in time or at all.
    pub(crate) status: Option<u16>,
    /// From the first byte sent to the first byte of the answer.
    pub(crate) first_byte: Duration,
    /// From the first byte sent to the end.
    pub(crate) took: Duration,
    /// Bytes of the answer, with its head.
    pub(crate) bytes: u64,
}

/// Follows an answer to its end and keeps no more of it than the head.
#[derive(Default)]
struct Answer {
    /// What was received of the head, until it is whole.
    start: Vec<u8>,
    head: Option<Head>,
    /// Bytes of the body so far.
    body: usize,
    chunks: Chunks,
    discarded: Vec<u8>,
}

impl Answer {
    /// Takes the next piece; true when the answer has ended.
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

/// Sends a request's head and body, and reads until the answer has ended, the connection breaks, or the time is over.
pub(crate) async fn send_large(address: SocketAddr, head: &[u8], body: &[u8], limit: Duration) -> Result<Answered> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("could not connect to `{address}`"))?;
    let (mut reader, mut writer) = stream.into_split();
    let start = Instant::now();
    let mut answered = Answered { status: None, first_byte: limit, took: limit, bytes: 0 };
    let send = async {
        let mut sent = writer.write_all(head).await;
        for piece in body.chunks(PIECE) {
            sent = match sent {
                Ok(()) => writer.write_all(piece).await,
                // The server does not take the rest; its answer may be there all the same.
                Err(_) => break,
            };
        }
        std::future::pending::<()>().await;
    };
    let read = async {
        let (mut answer, mut piece) = (Answer::default(), vec![0; PIECE]);
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
    use crate::fake::{self, Fake};
    use crate::http;

    fn send(fake: Fake, limit: Duration) -> Answered {
        local(async {
            let address = fake::start(fake).await?;
            let body = vec![b'1'; 3_000_000];
            send_large(address, &http::post_head("identity", http::BATCH, body.len(), "token"), &body, limit).await
        })
        .expect("sent")
    }

    #[test]
    fn the_answer_is_counted_and_its_status_is_known() {
        let answered = send(Fake { status: 413, ..Fake::default() }, Duration::from_secs(60));
        assert_eq!(
            (answered.status, answered.bytes),
            (Some(413), "HTTP/1.1 413 x\r\nContent-Length: 5\r\n\r\nhello".len() as u64)
        );
        assert!(answered.first_byte <= answered.took);
    }

    #[test]
    fn a_server_that_does_not_answer_is_given_up() {
        let stall = Some((1, Duration::from_secs(60)));
        let answered = send(Fake { stall, ..Fake::default() }, Duration::from_millis(50));
        assert_eq!((answered.status, answered.bytes), (None, 0));
    }
}
