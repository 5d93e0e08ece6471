//! A client that reads and counts, and looks at no more of a frame than the revisions it goes from and to.

use super::frames::{self, CLOSE, PING, TEXT};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is read at once.
const ROOM: usize = 128 * 1_024;
/// Of so many patches one is parsed, to see that it is one.
const SAMPLED: u64 = 1_024;

/// What all sockets have seen.
#[derive(Default)]
pub(super) struct Board {
    seen: Cell<Seen>,
    profiles: Cell<usize>,
    /// Where every socket reads to, one after the other.
    room: RefCell<Vec<u8>>,
}

/// Patches since the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) frames: u64,
    /// Revisions that they went on by.
    pub(super) steps: u64,
    /// Frames of more than one revision.
    pub(super) merged: u64,
    bytes: u64,
}

impl Seen {
    /// Bytes of a frame's text.
    pub(super) fn mean_frame(&self) -> f64 {
        self.bytes as f64 / self.frames.max(1) as f64
    }
}

impl Board {
    /// What was seen since the last time.
    pub(super) fn take(&self) -> Seen {
        self.seen.take()
    }

    /// Whole documents that came, ever.
    pub(super) fn profiles(&self) -> usize {
        self.profiles.get()
    }

    /// Notes a text; `held` is the revision that the socket has.
    fn text(&self, text: &[u8], held: &mut u64) -> Result<()> {
        if text.starts_with(br#"{"type":"patch""#) {
            let base = frames::number(text, br#""base_revision":"#).context("a patch without a base")?;
            let revision = frames::number(text, br#","revision":"#).context("a patch without a revision")?;
            ensure!(base == *held && revision > base, "a gap: from {held} came {base} to {revision}");
            *held = revision;
            let mut seen = self.seen.get();
            seen.frames += 1;
            seen.steps += revision - base;
            seen.merged += u64::from(revision > base + 1);
            seen.bytes += text.len() as u64;
            self.seen.set(seen);
            if seen.frames.is_multiple_of(SAMPLED) {
                let patch: Value = serde_json::from_slice(text).context("a patch that is no JSON")?;
                ensure!(patch["revision"] == revision, "a patch whose revision is elsewhere");
            }
        } else if text.starts_with(br#"{"type":"profile""#) {
            *held = frames::number(text, br#","revision":"#).context("a profile without a revision")?;
            self.profiles.set(self.profiles.get() + 1);
        } else if !text.starts_with(br#"{"type":"completeness""#) {
            bail!("instead of a patch came `{}`", String::from_utf8_lossy(text));
        }
        Ok(())
    }
}

/// Renders a handshake.
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

/// A socket, and what it has received behind the handshake's answer.
pub(super) struct Socket {
    stream: TcpStream,
    rest: Vec<u8>,
}

/// Opens a socket, and subscribes if there is something to say.
pub(super) async fn open(address: SocketAddr, handshake: &[u8], subscribe: Option<&str>) -> Result<Socket> {
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
    ensure!(rest.starts_with(b"HTTP/1.1 101 "), "no socket: `{}`", String::from_utf8_lossy(&rest));
    rest.drain(..end);
    if let Some(subscribe) = subscribe {
        stream.write_all(&frames::of_client(TEXT, subscribe.as_bytes())).await.context("could not subscribe")?;
    }
    Ok(Socket { stream, rest })
}

/// Reads and counts until the server ends it.
pub(super) async fn follow(socket: Socket, board: Rc<Board>) -> Result<()> {
    let Socket { mut stream, mut rest } = socket;
    let mut held = 0;
    loop {
        let pongs = {
            let mut room = board.room.borrow_mut();
            room.resize(ROOM, 0);
            // What is left of an unfinished frame stands before what comes.
            room[..rest.len()].copy_from_slice(&rest);
            match stream.try_read(&mut room[rest.len()..]) {
                Ok(0) => bail!("the server closed a socket"),
                Ok(count) => {
                    let received = &room[..rest.len() + count];
                    let (taken, pongs) = take(received, &board, &mut held)?;
                    rest = received[taken..].to_vec();
                    Some(pongs)
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && rest.is_empty() => None,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let (taken, pongs) = take(&room[..rest.len()], &board, &mut held)?;
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

/// Takes every whole frame; gives how many bytes they are, and the answers to pings.
fn take(received: &[u8], board: &Board, held: &mut u64) -> Result<(usize, Vec<u8>)> {
    let (mut at, mut pongs) = (0, Vec::new());
    while let Some(frame) = frames::first(&received[at..])? {
        match frame.opcode {
            TEXT => board.text(frame.payload, held)?,
            PING => pongs.extend(frames::of_client(0xa, frame.payload)),
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
        let (board, mut held) = (Board::default(), 0);
        let state = frame(r#"{"type":"profile","user_id":"u","cursor":"c","revision":7,"profile":{"revision":7}}"#);
        let ping = vec![0x80 | PING, 1, b'p'];
        let mut received = [state, patch(7, 8), ping, patch(8, 11)].concat();
        let whole = received.len();
        received.extend(&patch(11, 12)[..9]);
        let (taken, pongs) = take(&received, &board, &mut held).expect("frames");
        assert_eq!((taken, held, board.profiles()), (whole, 11, 1));
        assert_eq!(pongs, frames::of_client(0xa, b"p"));
        let seen = board.take();
        assert_eq!((seen.frames, seen.steps, seen.merged), (2, 4, 1));
        assert_eq!(board.take(), Seen::default());
        assert!(take(&patch(12, 13), &board, &mut held).is_err(), "a gap");
        assert!(take(&frame(r#"{"type":"error"}"#), &board, &mut held).is_err());
    }
}
