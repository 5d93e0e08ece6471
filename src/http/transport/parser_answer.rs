//! Recognising the answers that actix's parser gives by itself.
//!
//! When a request cannot be parsed, the dispatcher writes a head without body and ends the connection; no handler takes
//! part. Such an answer stands at the end of what is written, and looks like nothing else that the server sends.

use actix_web::http::StatusCode;

/// The shortest and longest answer of the parser: status line, length, connection and date.
const LENGTHS: std::ops::RangeInclusive<usize> = 60..=200;
const END: &[u8] = b"\r\n\r\n";
const VERSION: &[u8] = b"HTTP/1.";
/// Where the status stands in the status line: behind `HTTP/1.1 `.
const STATUS_AT: usize = 9;

/// Where in `written` the parser's answer begins, and its status; `None` if there is none at the end.
pub(super) fn find(written: &[u8]) -> Option<(usize, StatusCode)> {
    if !written.ends_with(END) {
        return None;
    }
    let tail = written.len().saturating_sub(*LENGTHS.end());
    let at = memchr::memrchr_iter(VERSION[0], &written[tail..])
        .map(|at| tail + at)
        .find(|at| written[*at..].starts_with(VERSION))?;
    // Most of what comes here is the answer of a handler without body, such as 304.
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
