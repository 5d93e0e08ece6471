//! Calls of an operator to the admin listener of a running server.

use std::time::Duration;

use anyhow::{Context, anyhow};
use config::{Secrets, Settings, Sources};
use secrecy::ExposeSecret;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, Response};

use super::server_arguments::OperatorArguments;
use super::token::{TokenRequest, sign_token};
use crate::http::request::caller::Role;

/// How long the server may take until it answers: it makes a checkpoint first.
const TIMEOUT: Duration = Duration::from_secs(600);
/// How long a token of the command is valid. A backup that takes longer is cut off.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// Maximum size of a problem, in bytes.
const MAX_PROBLEM: u64 = 1 << 20;

/// Sends calls to the admin listener.
pub(super) struct OperatorClient {
    agent: Agent,
    address: String,
    token: String,
}

impl OperatorClient {
    /// Returns a client for the server of a data directory. Without a token, one is signed with the local development key.
    ///
    /// # Errors
    /// There is neither a token nor a local key.
    pub(super) fn new(arguments: &OperatorArguments, settings: &Settings, sources: &Sources) -> anyhow::Result<Self> {
        let token = match arguments.given_token()? {
            Some(token) => token,
            None => own_token(settings, sources)?,
        };
        let address = arguments.address.clone().unwrap_or_else(|| settings.admin_listen.to_string());
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).max_redirects(0);
        let config = config.timeout_recv_response(Some(TIMEOUT)).timeout_connect(Some(Duration::from_secs(10))).build();
        Ok(Self { agent: Agent::new_with_config(config), address, token })
    }

    /// Sends a call, and returns its successful answer.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn call(&self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Response<ureq::Body>> {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        let mut request = request.header("authorization", format!("Bearer {}", self.token));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(body).context("the request is malformed")?;
        let no_answer = || format!("no response from `{}`: name the admin listener with `--server`", self.address);
        let mut answer = self.agent.run(request).with_context(no_answer)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let text = answer.body_mut().with_config().limit(MAX_PROBLEM).read_to_string().unwrap_or_default();
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("the server gave no reason");
        Err(anyhow!("the server refused with {}: {detail}", answer.status().as_u16()))
    }
}

/// Signs a token with the key of a development server, whose data directory the caller can read.
fn own_token(settings: &Settings, sources: &Sources) -> anyhow::Result<String> {
    let no_token = || {
        anyhow!(
            "a server uses the data directory: give the token of an administrator with the scope `operate` and a fresh second factor, with `--token` or PROFILE_SERVER_TOKEN"
        )
    };
    let secrets =
        Secrets::look(&settings.data_dir, settings.mode, &settings.keys, &sources.environment)?.ok_or_else(no_token)?;
    let key = secrets.development_secret.ok_or_else(no_token)?;
    let request = TokenRequest {
        subject: "adm:command-line".to_owned(),
        role: Role::Admin,
        scope: "operate".to_owned(),
        act: None,
        amr: vec!["mfa".to_owned()],
        ttl: TOKEN_LIFE.min(settings.auth.max_life),
        jti: None,
    };
    sign_token(request, settings, key.expose_secret())
}
