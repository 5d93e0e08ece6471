//! HTTP/1.1, as much of it as a generator needs: requests rendered beforehand, connections that are kept.

mod connection;
mod head;
mod stream;

pub(crate) use connection::{Connection, Reply};
pub(crate) use stream::{Lines, Upload, open};

/// Renders a request without a body.
pub(crate) fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// Renders the POST of one feed event.
pub(crate) fn post_event(source: &str, json: &[u8], token: &str) -> Vec<u8> {
    let mut request = format!(
        "POST /api/v2/feeds/{source} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/cloudevents+json\r\nContent-Length: {}\r\n\r\n",
        json.len()
    )
    .into_bytes();
    request.extend_from_slice(json);
    request
}
