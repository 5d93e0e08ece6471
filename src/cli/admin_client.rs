//! Calls of the admin listener of a running server.

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use config::Settings;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use super::server_arguments::{host_and_port, optional_token};

/// How long the server may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum size of an answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Which server, as whom, and why.
#[derive(Args)]
pub(super) struct AdminArguments {
    /// Token of an administrator, or `-` to read it from stdin [default: the environment variable PROFILE_SERVER_TOKEN]. Other
    /// users of the machine can see a token on the command line
    #[arg(long)]
    token: Option<String>,
    /// Address of the admin listener [default: `admin_listen` of the settings]
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    admin: Option<String>,
    /// Reason of the call, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "command line")]
    reason: String,
}

/// Calls a server as an administrator.
pub(super) struct AdminClient {
    agent: Agent,
    server: String,
    token: String,
    reason: String,
}

impl AdminClient {
    /// Returns a client; `None` if no token is given.
    ///
    /// # Errors
    /// The token cannot be read.
    pub(super) fn new(arguments: &AdminArguments, settings: &Settings) -> anyhow::Result<Option<Self>> {
        let Some(token) = optional_token(arguments.token.as_deref())? else { return Ok(None) };
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        let config = config.timeout_recv_response(Some(TIMEOUT)).timeout_connect(Some(TIMEOUT)).build();
        let server = arguments.admin.clone().unwrap_or_else(|| settings.admin_listen.to_string());
        let (agent, reason) = (Agent::new_with_config(config), arguments.reason.clone());
        Ok(Some(Self { agent, server, token, reason }))
    }

    /// Returns the JSON at a path.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call("GET", path, None)
    }

    /// Sends a body of JSON and returns the JSON of the answer.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.call("POST", path, Some(body))
    }

    /// Deletes what is at a path and returns the JSON of the answer.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.call("DELETE", path, None)
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.server));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let mut request = request.header("x-access-reason", &self.reason);
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = request.body(body.as_slice()).context("the request is malformed")?;
        let answer = self.agent.run(request);
        let mut answer =
            answer.with_context(|| format!("no response from `{}`: name it with `--admin`", self.server))?;
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string();
        let text = text.context("could not read the answer")?;
        if answer.status().is_success() {
            return serde_json::from_str(&text).context("the server's answer is not JSON");
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("the server gave no reason");
        Err(anyhow!("the server refused with {}: {detail}", answer.status().as_u16()))
    }
}
