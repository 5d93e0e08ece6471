//! The head of a response.

use anyhow::{Context, Result, bail};

/// How the end of the body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// The body has this many bytes.
    Length(usize),
    /// The body is chunked.
    Chunked,
}

/// The parts of a response's head that the generator needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// Number of bytes before the body.
    pub(super) bytes: usize,
}

/// Parses a head. Returns `None` if it is incomplete.
pub(super) fn parse(received: &[u8]) -> Result<Option<ResponseHead>> {
    let Some(end) = find_end(received) else {
        return Ok(None);
    };
    let mut lines = received[..end].split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(number);
    let Some(status) = status else {
        bail!("not an HTTP/1.1 response: `{}`", String::from_utf8_lossy(status_line));
    };
    let mut framing = Framing::Length(0);
    for line in lines {
        // The first letter excludes most lines.
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b'c') => {
                if let Some(length) = value_of(line, b"content-length:") {
                    framing = Framing::Length(number(length).context("a Content-Length that is not a number")?);
                }
            }
            Some(b't') if value_of(line, b"transfer-encoding:").is_some() => framing = Framing::Chunked,
            _ => {}
        }
    }
    if matches!(status, 204 | 304) {
        framing = Framing::Length(0);
    }
    Ok(Some(ResponseHead { status: status as u16, framing, bytes: end }))
}

/// Returns the position of the body.
fn find_end(received: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let mut from = 0;
    while let Some(at) = received[from..].iter().position(|&byte| byte == b'\r').map(|at| at + from) {
        if received[at..].starts_with(END) {
            return Some(at + END.len());
        }
        from = at + 1;
    }
    None
}

/// Returns the value of a header line, if its name is `name` (in lower case, with the colon).
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (given, value) = line.split_at_checked(name.len())?;
    given.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, expected: Option<(u16, Framing)>) {
        let parsed = parse(head.as_bytes()).expect("a head");
        let expected = expected.map(|(status, framing)| ResponseHead {
            status,
            framing,
            bytes: head.find("\r\n\r\n").expect("an end") + 4,
        });
        assert_eq!(parsed, expected);
    }

    #[test]
    fn a_head_has_a_status_and_a_framing() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 12\r\nX: y\r\n\r\nhello", Some((200, Framing::Length(12))));
        check("HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Length:7\r\n\r\n", Some((200, Framing::Length(7))));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", Some((200, Framing::Chunked)));
        check("HTTP/1.1 304 Not Modified\r\ncontent-length: 4074\r\n\r\n", Some((304, Framing::Length(0))));
        check("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some((503, Framing::Length(0))));
    }

    #[test]
    fn a_head_that_is_cut_off_needs_more() {
        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n";
        for length in 0..whole.len() {
            check(&whole[..length], None);
        }
    }

    #[test]
    fn text_that_is_not_a_response_is_an_error() {
        assert!(parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n").is_err());
    }
}
