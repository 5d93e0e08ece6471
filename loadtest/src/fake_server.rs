//! A fake server for tests. It reads whole bodies, and counts lines of NDJSON.

use anyhow::Result;
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The behaviour of a fake server.
pub(crate) struct FakeServer {
    pub(crate) status: u16,
    /// Delays the response to the request with this number, counted over all connections.
    pub(crate) stall: Option<(u64, Duration)>,
    /// Rejects one line of a stream in this many.
    pub(crate) reject_every: Option<u64>,
}

impl Default for FakeServer {
    fn default() -> Self {
        Self { status: 200, stall: None, reject_every: None }
    }
}

/// Starts the server on a free port, in local tasks.
pub(crate) async fn start(fake: FakeServer) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let (fake, seen) = (Rc::new(fake), Rc::new(Cell::new(0)));
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(serve(stream, fake.clone(), seen.clone()));
        }
    });
    Ok(address)
}

/// Responds until the client closes the connection.
async fn serve(stream: TcpStream, fake: Rc<FakeServer>, seen: Rc<Cell<u64>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut chunked, mut length, mut line) = (false, 0, String::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            chunked |= line.eq_ignore_ascii_case("transfer-encoding: chunked\r\n");
            length = line.strip_prefix("Content-Length: ").map_or(Ok(length), |value| value.trim().parse())?;
        }
        tokio::io::copy(&mut (&mut stream).take(length), &mut tokio::io::sink()).await?;
        seen.set(seen.get() + 1);
        if let Some((_, pause)) = fake.stall.filter(|(number, _)| *number == seen.get()) {
            tokio::time::sleep(pause).await;
        }
        if chunked && fake.status == 200 {
            take_stream(&mut stream, &fake).await?;
        } else {
            let head = format!("HTTP/1.1 {} x\r\nContent-Length: 5\r\n\r\nhello", fake.status);
            stream.write_all(head.as_bytes()).await?;
        }
    }
}

async fn take_stream(stream: &mut BufReader<TcpStream>, fake: &FakeServer) -> Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    let (mut size, mut body) = (String::new(), Vec::new());
    loop {
        size.clear();
        stream.read_line(&mut size).await?;
        let length = usize::from_str_radix(size.trim(), 16)?;
        let from = body.len();
        body.resize(from + length, 0);
        stream.read_exact(&mut body[from..]).await?;
        stream.read_line(&mut size).await?;
        if length == 0 {
            break;
        }
    }
    let total = body.iter().filter(|&&byte| byte == b'\n').count() as u64;
    let rejected = fake.reject_every.map_or(0, |every| total / every);
    let tally = |upto: u64| {
        let rejected = rejected.min(upto);
        format!(r#""applied":{},"unchanged":0,"duplicates":0,"busy":0,"rejected":{rejected}"#, upto - rejected)
    };
    let mut lines = String::new();
    for index in 0..rejected {
        lines += &format!("{{\"index\":{index},\"status\":\"rejected\",\"problem\":{{\"title\":\"made up\"}}}}\n");
    }
    lines += &format!("{{\"progress\":{},{}}}\n", total / 2, tally(total / 2));
    lines += &format!("{{\"total\":{total},{}}}\n", tally(total));
    stream.write_all(format!("{:x}\r\n{lines}\r\n0\r\n\r\n", lines.len()).as_bytes()).await?;
    Ok(())
}
