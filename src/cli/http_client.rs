//! Just enough of an HTTP/1.1 client to talk to the server from its own command line.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Posts `body` on a connection of its own, and gives the answer's status and body.
pub(super) async fn post(
    address: SocketAddr,
    path: &str,
    token: &str,
    content_type: &str,
    body: &str,
) -> anyhow::Result<(u16, String)> {
    let mut stream = connect(address).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of its head")?;
    Ok((status(head)?, body.to_owned()))
}

pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
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
