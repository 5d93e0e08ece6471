//! Calls of an operator to the admin listener of a running server.

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use config::{Settings, Sources};
use secrecy::ExposeSecret;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, Response};

use super::server_arguments::{host_and_port, optional_token};
use super::token::{TokenRequest, sign_token};
use crate::http::request::caller::Role;
use crate::wiring;

/// How long the server may take until it answers, since some calls make a checkpoint first, and how long nothing may come of an
/// answer: the connection is dead then.
const TIMEOUT: Duration = Duration::from_secs(600);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a token of the command is valid. A backup that takes longer goes on with another one.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// Maximum size of an answer that is JSON, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Which server, as whom, and why.
#[derive(Args)]
pub(super) struct AdminArguments {
    /// Token of an administrator with the scope `operate`, or `-` to read it from stdin [default: the environment variable
    /// PROFILE_SERVER_TOKEN]. Other users of the machine can see a token on the command line
    #[arg(long)]
    token: Option<String>,
    /// Address of the admin listener [default: `admin_listen` of the settings]
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    admin: Option<String>,
    /// Reason of the call, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "command line")]
    reason: String,
}

impl AdminArguments {
    /// Returns whether the token is on stdin.
    pub(super) fn reads_stdin(&self) -> bool {
        self.token.as_deref() == Some("-")
    }
}

/// A server that is there and refuses.
#[derive(Debug, thiserror::Error)]
#[error("the server refused with {status}: {detail}")]
pub(super) struct Refused {
    pub(super) status: u16,
    detail: String,
}

/// Calls a server as an administrator.
#[derive(Clone)]
pub(super) struct AdminClient {
    agent: Agent,
    server: String,
    token: String,
    reason: String,
}

impl AdminClient {
    /// Returns a client. Without a token, one is signed with the local development key, if the caller can read it.
    ///
    /// # Errors
    /// There is neither a token nor a local key.
    pub(super) fn new(arguments: &AdminArguments, settings: &Settings, sources: &Sources) -> anyhow::Result<Self> {
        let token = match optional_token(arguments.token.as_deref())? {
            Some(token) => token,
            None => own_token(settings, sources)?,
        };
        Ok(Self::with_token(arguments, settings, token))
    }

    /// Returns a client; `None` if no token is given.
    ///
    /// # Errors
    /// The token cannot be read.
    pub(super) fn with_given_token(arguments: &AdminArguments, settings: &Settings) -> anyhow::Result<Option<Self>> {
        let token = optional_token(arguments.token.as_deref())?;
        Ok(token.map(|token| Self::with_token(arguments, settings, token)))
    }

    fn with_token(arguments: &AdminArguments, settings: &Settings, token: String) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).max_redirects(0);
        let config = config.timeout_recv_response(Some(TIMEOUT)).timeout_connect(Some(CONNECT_TIMEOUT));
        let agent = Agent::new_with_config(config.timeout_per_read(Some(TIMEOUT)).build());
        let server = arguments.admin.clone().unwrap_or_else(|| settings.admin_listen.to_string());
        Self { agent, server, token, reason: arguments.reason.clone() }
    }

    /// Returns the JSON at a path.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        read_json(self.call("GET", path, None)?)
    }

    /// Sends a body of JSON and returns the JSON of the answer.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        read_json(self.call("POST", path, Some(body))?)
    }

    /// Sends a body of bytes and returns the JSON of the answer.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn post_bytes(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        read_json(self.send("POST", path, Some("application/octet-stream"), body)?)
    }

    /// Deletes what is at a path and returns the JSON of the answer.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        read_json(self.call("DELETE", path, None)?)
    }

    /// Sends a call, and returns its successful answer.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub(super) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Response<ureq::Body>> {
        let content_type = body.map(|_| "application/json");
        self.send(method, path, content_type, body.map_or_else(Vec::new, |body| body.to_string().into_bytes()))
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: Vec<u8>,
    ) -> anyhow::Result<Response<ureq::Body>> {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.server));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let mut request = request.header("x-access-reason", &self.reason);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let request = request.body(body.as_slice()).context("the request is malformed")?;
        let no_answer = || format!("no response from `{}`: name the admin listener with `--admin`", self.server);
        let mut answer = self.agent.run(request).with_context(no_answer)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().unwrap_or_default();
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("the server gave no reason").to_owned();
        Err(Refused { status: answer.status().as_u16(), detail }.into())
    }
}

fn read_json(mut answer: Response<ureq::Body>) -> anyhow::Result<Value> {
    let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string();
    serde_json::from_str(&text.context("could not read the answer")?).context("the server's answer is not JSON")
}

/// Signs a token with the key of a development server, whose data directory the caller can read.
fn own_token(settings: &Settings, sources: &Sources) -> anyhow::Result<String> {
    let no_token = || {
        anyhow!(
            "no token: set the environment variable `PROFILE_SERVER_TOKEN` to that of an administrator with the scope `operate` and a fresh second factor, or give it on stdin with `--token -`"
        )
    };
    let secrets = wiring::look_at_secrets(settings, &sources.environment)?.ok_or_else(no_token)?;
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
