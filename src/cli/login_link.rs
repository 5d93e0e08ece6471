//! `login-link`: prints a link with a one-time code that begins a session of a page.

use anyhow::{Context, bail};
use clap::Args;
use config::Settings;
use store::SystemKeys;

use super::output::print_notice;
use super::settings::SettingsArguments;
use super::token::{TokenRequest, parse_role};
use crate::http::request::caller::Role;
use crate::wiring;

/// Prints a link that logs a person in, once and within five minutes.
///
/// The page behind the link exchanges the code after `#login=` for a session, with `POST /api/v2/session`. The session
/// lasts as long as a token may. The server need not run, but must have been started once; `.env` in the data directory must be its own.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server login-link --sub usr_7Qm2Xr9TzKpA --role self
  profile-server login-link --sub adm:root --role admin --scope 'profile:read operate' --amr mfa")]
pub(super) struct LoginLinkArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The person: a user id, or `adm:NAME` or `aud:NAME`
    #[arg(long)]
    sub: String,
    /// Role of the person: `self`, `admin` or `auditor`
    #[arg(long, value_parser = parse_role)]
    role: Role,
    /// Scopes, separated by spaces
    #[arg(long, default_value = "")]
    scope: String,
    /// How the person authenticated, for example `mfa`; may be repeated. The time of authentication is now
    #[arg(long)]
    amr: Vec<String>,
    /// Address of the page; the server's own without it
    #[arg(long, value_name = "URL")]
    page: Option<String>,
}

pub(super) fn run(arguments: LoginLinkArguments) -> anyhow::Result<()> {
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    if !matches!(arguments.role, Role::SelfCitizen | Role::Admin | Role::Auditor) {
        bail!("sessions are for people: `--role` must be `self`, `admin` or `auditor`");
    }
    let request = TokenRequest {
        subject: arguments.sub,
        role: arguments.role,
        scope: arguments.scope,
        act: None,
        amr: arguments.amr,
        ttl: settings.auth.max_life,
        jti: None,
    };
    let secrets = wiring::load_secrets(&settings, &sources.environment)?;
    let keys = SystemKeys::read(&settings.data_dir, &wiring::master_key(&secrets))
        .context("codes need the keyring of the server, which its first start makes")?;
    let code = wiring::login_codes(&keys).make(&request.claims(&settings)?).context("could not make the code")?;
    let page = arguments.page.unwrap_or_else(|| format!("http://{}/", settings.listen));
    print_notice(&format!("{page}#login={code}"));
    Ok(())
}
