//! A small HTTP/1.1 client. The generator shares the machine with the server that it measures, so it sends requests
//! that were rendered before the run and parses only what it needs; a general client costs several times as much per
//! request.

mod chunks;
mod connection;
mod head;
mod large;
mod stream;

pub(crate) use connection::{Connection, Reply};
pub(crate) use large::{LargeResponse, send_large};
pub(crate) use stream::{ResponseLines, Upload, open_stream};

/// Renders a request without a body.
pub(crate) fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// Renders a POST of JSON.
pub(crate) fn post_json(path: &str, json: &str, token: &str) -> Vec<u8> {
    let length = json.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
    )
    .into_bytes()
}

/// Renders the request of an administrator to erase a user.
pub(crate) fn erase(user_id: &str, token: &str) -> Vec<u8> {
    format!(
        "DELETE /api/v2/profile/{user_id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         X-Access-Reason: a measurement\r\n\r\n"
    )
    .into_bytes()
}

/// Renders the POST of one feed event.
pub(crate) fn post_event(source: &str, json: &[u8], token: &str) -> Vec<u8> {
    let mut request = post_head(source, "application/cloudevents+json", json.len(), token);
    request.extend_from_slice(json);
    request
}

/// Renders the POST of an array of feed events.
pub(crate) fn post_batch(source: &str, json: &[u8], token: &str) -> Vec<u8> {
    let mut request = post_head(source, BATCH, json.len(), token);
    request.extend_from_slice(json);
    request
}

/// The content type of an array of feed events.
pub(crate) const BATCH: &str = "application/cloudevents-batch+json";

/// Renders the head of a POST to a feed; the body has `length` bytes.
pub(crate) fn post_head(source: &str, content_type: &str, length: usize, token: &str) -> Vec<u8> {
    format!(
        "POST /api/v2/feeds/{source} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes()
}
