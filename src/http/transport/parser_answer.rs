//! Recognizes the answers that actix sends by itself to requests that it cannot parse.
//!
//! The dispatcher then writes a head without a body and ends the connection, and no handler is called. Such an answer
//! is at the end of the written bytes, and no other answer of the server looks like it.

use actix_web::http::StatusCode;

/// Minimum and maximum length of such an answer: status line, length, connection and date.
const LENGTHS: std::ops::RangeInclusive<usize> = 60..=200;
const END: &[u8] = b"\r\n\r\n";
const VERSION: &[u8] = b"HTTP/1.";
/// Position of the status in the status line, after `HTTP/1.1 `.
const STATUS_AT: usize = 9;

/// Returns where the parser's answer begins in `written`, and its status; `None` if there is none.
pub(super) fn find(written: &[u8]) -> Option<(usize, StatusCode)> {
    if !written.ends_with(END) {
        return None;
    }
    let tail = written.len().saturating_sub(*LENGTHS.end());
    let at = memchr::memrchr_iter(VERSION[0], &written[tail..])
        .map(|at| tail + at)
        .find(|at| written[*at..].starts_with(VERSION))?;
    // Most answers that get here are those of handlers without a body, such as 304.
    if !matches!(written.get(at + STATUS_AT), Some(b'4' | b'5')) {
        return None;
    }
    let head = std::str::from_utf8(&written[at..]).ok()?;
    let (status_line, headers) = head.split_once("\r\n")?;
    let status = StatusCode::from_bytes(status_line.split(' ').nth(1)?.as_bytes()).ok()?;
    let mut headers = headers.split("\r\n").filter(|line| !line.is_empty());
    let is_bare = headers.clone().any(|line| line == "content-length: 0")
        && headers.all(|line| {
            let name = line.split(':').next().unwrap_or_default();
            matches!(name, "content-length" | "connection" | "date")
        });
    (is_bare && LENGTHS.contains(&head.len())).then_some((at, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\
                        date: Sun, 29 Nov 2026 00:00:00 GMT\r\n\r\n";

    #[test]
    fn the_parsers_answer_is_found_alone_and_behind_others() {
        assert_eq!(find(BARE.as_bytes()), Some((0, StatusCode::BAD_REQUEST)));
        let other = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: a\r\n\r\n{}";
        let both = format!("{other}{BARE}");
        assert_eq!(find(both.as_bytes()), Some((other.len(), StatusCode::BAD_REQUEST)));
        let old = BARE.replace("HTTP/1.1 400 Bad Request", "HTTP/1.0 431 Request Header Fields Too Large");
        assert_eq!(find(old.as_bytes()).map(|(at, status)| (at, status.as_u16())), Some((0, 431)));
    }

    #[test]
    fn a_handlers_answer_is_left_alone() {
        for answer in [
            BARE.replace("400 Bad Request", "304 Not Modified"),
            BARE.replace("connection: close", "x-request-id: a"),
            BARE.replace("content-length: 0", "content-length: 10"),
            BARE.replace("content-length: 0\r\n", ""),
            format!("{BARE}{{}}"),
            format!("{BARE}0\r\n\r\n"),
            String::new(),
            "\r\n\r\n".to_owned(),
        ] {
            assert_eq!(find(answer.as_bytes()), None, "{answer}");
        }
    }
}
