//! HTTP requests from the command line to the server.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use ureq::Agent;
use ureq::http::Request;

/// A request with a body, and the caller's token.
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) token: String,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

/// Sends a request over a connection of its own, on a thread that may block. Returns the status and the body.
pub(super) async fn send(address: SocketAddr, call: Call) -> anyhow::Result<(u16, String)> {
    tokio::task::spawn_blocking(move || send_blocking(address, call)).await.context("the request's thread panicked")?
}

fn send_blocking(address: SocketAddr, call: Call) -> anyhow::Result<(u16, String)> {
    let Call { method, path, token, content_type, body } = call;
    let request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    let request = request.header("authorization", format!("Bearer {token}")).header("content-type", content_type);
    let request = request.body(body.as_ref()).context("the request is malformed")?;
    // The server is this process, so neither a proxy nor a kept connection is of use.
    let config = Agent::config_builder().http_status_as_error(false).proxy(None).max_idle_connections(0).build();
    let response = Agent::new_with_config(config).run(request);
    let mut response = response.with_context(|| format!("no response from `{address}`"))?;
    let body = response.body_mut().read_to_string().context("could not read the response")?;
    Ok((response.status().as_u16(), body))
}
