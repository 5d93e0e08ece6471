//! Just enough of an HTTP client to talk to the server from its own command line.

use std::fmt::Display;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};

/// What is asked, and with which right.
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    pub(super) token: &'a str,
    /// Its media type and bytes.
    pub(super) body: (&'static str, &'a [u8]),
}

/// Sends a call on a connection of its own, and gives the answer's status and body.
pub(super) async fn send(address: SocketAddr, call: &Call<'_>) -> anyhow::Result<(u16, String)> {
    let Call { method, path, token, body: (content_type, body) } = call;
    let mut stream = connect(address).await?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its head")?;
    let is_chunked = head.lines().any(|line| line.eq_ignore_ascii_case("transfer-encoding: chunked"));
    Ok((status(head)?, if is_chunked { join_chunks(body)? } else { body.to_owned() }))
}

/// Puts a chunked body together (RFC 9112, section 7.1).
fn join_chunks(mut body: &str) -> anyhow::Result<String> {
    let mut whole = String::with_capacity(body.len());
    loop {
        let (size, rest) = body.split_once("\r\n").context("a chunk has no size")?;
        let size = usize::from_str_radix(size, 16).context("the size of a chunk is no number")?;
        if size == 0 {
            return Ok(whole);
        }
        let rest = rest.get(size..).and_then(|next| Some((&rest[..size], next.strip_prefix("\r\n")?)));
        let (chunk, next) = rest.context("a chunk is shorter than it says")?;
        whole.push_str(chunk);
        body = next;
    }
}

pub(super) async fn connect(address: impl ToSocketAddrs + Display + Copy) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await;
    stream.with_context(|| format!("cannot reach `{address}`: start the server there, or name another address"))
}

/// The status of an answer's head.
pub(super) fn status(head: &str) -> anyhow::Result<u16> {
    match head.split(' ').nth(1).and_then(|code| code.parse().ok()) {
        Some(status) => Ok(status),
        None => bail!("the answer is not HTTP"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_make_the_body() {
        assert_eq!(join_chunks("4\r\nprof\r\n3\r\nile\r\n0\r\n\r\n").ok().as_deref(), Some("profile"));
        for broken in ["", "4\r\nprof", "9\r\nprof\r\n0\r\n\r\n", "x\r\n\r\n", "4\r\nprofile\r\n0\r\n"] {
            assert!(join_chunks(broken).is_err(), "{broken}");
        }
    }
}
