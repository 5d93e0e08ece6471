//! A client that counts frames. Of a frame it reads only the two revisions.

mod frames;

use anyhow::{Context, Result, bail, ensure};
use frames::{CLOSE, PING, TEXT};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Size of the read buffer in bytes.
const ROOM: usize = 128 * 1_024;
/// One patch in this many is parsed as a check.
const SAMPLED: u64 = 1_024;

/// Counts over all sockets.
#[derive(Default)]
pub(super) struct FrameCounter {
    counts: Cell<FrameCounts>,
    profiles: Cell<usize>,
    /// A read buffer that all sockets share.
    room: RefCell<Vec<u8>>,
}

/// Counts of patches since the last call of [`FrameCounter::take`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FrameCounts {
    pub(super) frames: u64,
    /// Number of revisions that the patches cover.
    pub(super) steps: u64,
    /// Frames that cover more than one revision.
    pub(super) merged: u64,
    bytes: u64,
}

impl FrameCounts {
    /// Returns the mean number of bytes of a frame's text.
    pub(super) fn mean_frame(&self) -> f64 {
        self.bytes as f64 / self.frames.max(1) as f64
    }
}

impl FrameCounter {
    /// Returns the counts since the last call, and resets them.
    pub(super) fn take(&self) -> FrameCounts {
        self.counts.take()
    }

    /// Returns the number of whole profiles received since the start.
    pub(super) fn profiles(&self) -> usize {
        self.profiles.get()
    }

    /// Counts a text frame; `held` is the socket's current revision.
    fn on_text(&self, text: &[u8], held: &mut u64) -> Result<()> {
        if text.starts_with(br#"{"type":"patch""#) {
            let base = frames::number(text, br#""base_revision":"#).context("a patch without a base")?;
            let revision = frames::number(text, br#","revision":"#).context("a patch without a revision")?;
            ensure!(base == *held && revision > base, "a gap: a patch from {base} to {revision} after revision {held}");
            *held = revision;
            let mut counts = self.counts.get();
            counts.frames += 1;
            counts.steps += revision - base;
            counts.merged += u64::from(revision > base + 1);
            counts.bytes += text.len() as u64;
            self.counts.set(counts);
            if counts.frames.is_multiple_of(SAMPLED) {
                let patch: Value = serde_json::from_slice(text).context("a patch that is not JSON")?;
                ensure!(patch["revision"] == revision, "a patch whose revision is elsewhere");
            }
        } else if text.starts_with(br#"{"type":"profile""#) {
            *held = frames::number(text, br#","revision":"#).context("a profile without a revision")?;
            self.profiles.set(self.profiles.get() + 1);
        } else if !text.starts_with(br#"{"type":"completeness""#) {
            bail!("expected a patch, received `{}`", String::from_utf8_lossy(text));
        }
        Ok(())
    }
}

/// Renders the request that opens a WebSocket.
pub(super) fn handshake(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    (request + "\r\n").into_bytes()
}

/// A socket, and the bytes received after the response to the handshake.
pub(super) struct Socket {
    stream: TcpStream,
    rest: Vec<u8>,
}

/// Opens a socket, and sends messages such as subscriptions.
pub(super) async fn open(address: SocketAddr, handshake: &[u8], messages: &[String]) -> Result<Socket> {
    const END: &[u8] = b"\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.context("could not connect a socket")?;
    stream.set_nodelay(true).context("could not set TCP_NODELAY")?;
    stream.write_all(handshake).await.context("could not ask for a socket")?;
    let mut rest = Vec::new();
    let end = loop {
        if let Some(at) = rest.windows(END.len()).position(|window| window == END) {
            break at + END.len();
        }
        ensure!(stream.read_buf(&mut rest).await.context("no answer to a handshake")? > 0, "a handshake was cut off");
    };
    ensure!(rest.starts_with(b"HTTP/1.1 101 "), "the server refused a socket: `{}`", String::from_utf8_lossy(&rest));
    rest.drain(..end);
    for message in messages {
        stream.write_all(&frames::client_frame(TEXT, message.as_bytes())).await.context("could not send a message")?;
    }
    Ok(Socket { stream, rest })
}

/// Reads and counts frames until the server closes the socket.
pub(super) async fn follow(socket: Socket, counter: Rc<FrameCounter>) -> Result<()> {
    let Socket { mut stream, mut rest } = socket;
    let mut held = 0;
    loop {
        let pongs = {
            let mut room = counter.room.borrow_mut();
            room.resize(ROOM, 0);
            // The start of an incomplete frame comes before the new bytes.
            room[..rest.len()].copy_from_slice(&rest);
            match stream.try_read(&mut room[rest.len()..]) {
                Ok(0) => bail!("the server closed a socket"),
                Ok(count) => {
                    let received = &room[..rest.len() + count];
                    let (taken, pongs) = take(received, &counter, &mut held)?;
                    rest = received[taken..].to_vec();
                    Some(pongs)
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && rest.is_empty() => None,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let (taken, pongs) = take(&room[..rest.len()], &counter, &mut held)?;
                    rest.drain(..taken);
                    Some(pongs).filter(|_| taken > 0)
                }
                Err(error) => return Err(error).context("could not read frames"),
            }
        };
        match pongs {
            Some(pongs) if !pongs.is_empty() => stream.write_all(&pongs).await.context("could not answer a ping")?,
            Some(_) => {}
            None => stream.readable().await.context("could not wait for frames")?,
        }
    }
}

/// Takes all complete frames. Returns their number of bytes, and the pongs to send.
fn take(received: &[u8], counter: &FrameCounter, held: &mut u64) -> Result<(usize, Vec<u8>)> {
    let (mut at, mut pongs) = (0, Vec::new());
    while let Some(frame) = frames::parse_first(&received[at..])? {
        match frame.opcode {
            TEXT => counter.on_text(frame.payload, held)?,
            PING => pongs.extend(frames::client_frame(0xa, frame.payload)),
            CLOSE => bail!("the server closed a socket: {}", String::from_utf8_lossy(frame.payload)),
            _ => {}
        }
        at += frame.length;
    }
    Ok((at, pongs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Vec<u8> {
        [&[0x81, text.len() as u8], text.as_bytes()].concat()
    }

    fn patch(base: u64, revision: u64) -> Vec<u8> {
        frame(&format!(r#"{{"type":"patch","user_id":"u","base_revision":{base},"revision":{revision}}}"#))
    }

    #[test]
    fn revisions_are_counted_and_none_may_be_missing() {
        let (counter, mut held) = (FrameCounter::default(), 0);
        let state = frame(r#"{"type":"profile","user_id":"u","cursor":"c","revision":7,"profile":{"revision":7}}"#);
        let ping = vec![0x80 | PING, 1, b'p'];
        let mut received = [state, patch(7, 8), ping, patch(8, 11)].concat();
        let whole = received.len();
        received.extend(&patch(11, 12)[..9]);
        let (taken, pongs) = take(&received, &counter, &mut held).expect("frames");
        assert_eq!((taken, held, counter.profiles()), (whole, 11, 1));
        assert_eq!(pongs, frames::client_frame(0xa, b"p"));
        let counts = counter.take();
        assert_eq!((counts.frames, counts.steps, counts.merged), (2, 4, 1));
        assert_eq!(counter.take(), FrameCounts::default());
        assert!(take(&patch(12, 13), &counter, &mut held).is_err(), "a gap");
        assert!(take(&frame(r#"{"type":"error"}"#), &counter, &mut held).is_err());
    }
}
