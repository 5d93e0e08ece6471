//! The arguments of commands that talk to a running server.

use anyhow::Context;
use clap::Args;

/// Environment variable that holds the caller's token.
const TOKEN: &str = "PROFILE_SERVER_TOKEN";

/// Which server, and as whom.
#[derive(Args)]
pub(super) struct ServerArguments {
    /// Token of the caller, or `-` to read it from stdin [default: the environment variable PROFILE_SERVER_TOKEN]. Other
    /// users of the machine can see a token on the command line
    #[arg(long)]
    token: Option<String>,
    /// Address of the server
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", value_parser = host_and_port)]
    pub(super) server: String,
}

impl ServerArguments {
    /// Returns the token of the caller.
    ///
    /// # Errors
    /// None is given.
    pub(super) fn token(&self) -> anyhow::Result<String> {
        optional_token(self.token.as_deref())?.with_context(|| {
            format!("no token: set the environment variable `{TOKEN}`, or give it on stdin with `--token -`")
        })
    }
}

/// Returns the token that is given as an option, on stdin if the option is `-`, or in the environment.
///
/// # Errors
/// Stdin cannot be read.
pub(super) fn optional_token(option: Option<&str>) -> anyhow::Result<Option<String>> {
    let token = match option {
        Some("-") => Some(std::io::read_to_string(std::io::stdin()).context("could not read the token from stdin")?),
        Some(token) => Some(token.to_owned()),
        None => config::process_environment().into_iter().find(|(name, _)| name == TOKEN).map(|(_, token)| token),
    };
    Ok(token.map(|token| token.trim().to_owned()))
}

pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    let is_whole = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_port(port));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    if is_whole && is_plain { Ok(text.to_owned()) } else { Err("give a host and a port: `localhost:8080`".to_owned()) }
}
