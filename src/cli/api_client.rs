//! Reads of a running server's API.

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::Value;
use ureq::Agent;

use super::server_arguments::ServerArguments;

/// How long the server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum size of an answer, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// Which server, as whom, and why.
#[derive(Args)]
pub(super) struct ReadArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Reason of the access, which an administrator must give
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Sends reads to a server.
pub(super) struct ApiClient {
    agent: Agent,
    server: String,
    token: String,
    reason: Option<String>,
}

impl ApiClient {
    /// Returns a client for the server of the arguments.
    ///
    /// # Errors
    /// No token is given.
    pub(super) fn new(arguments: &ReadArguments) -> anyhow::Result<Self> {
        let ReadArguments { server, reason } = arguments;
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let config = config.timeout_recv_response(Some(TIMEOUT)).timeout_connect(Some(TIMEOUT)).build();
        let (agent, token) = (Agent::new_with_config(config), server.token()?);
        Ok(Self { agent, server: server.server.clone(), token, reason: reason.clone() })
    }

    /// Returns the JSON at a path.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.agent.get(format!("http://{}{path}", self.server));
        let mut request = request.header("authorization", format!("Bearer {}", self.token));
        if let Some(reason) = &self.reason {
            request = request.header("x-access-reason", reason);
        }
        let mut answer = request.call().with_context(|| format!("no response from `{}`", self.server))?;
        let text =
            answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().context("could not read the answer")?;
        if answer.status().is_success() {
            return serde_json::from_str(&text).context("the server's answer is not JSON");
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("the server gave no reason");
        let advice = match problem["type"].as_str() {
            Some("/problems/access-reason-missing") => "; give it with `--reason`",
            _ => "",
        };
        Err(anyhow!("the server refused with {}: {detail}{advice}", answer.status().as_u16()))
    }
}
