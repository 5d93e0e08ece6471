//! `token`: signs a token with the local development key.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use config::Settings;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::output::print_notice;
use super::settings::SettingsArguments;
use crate::http::request::caller::{Act, Audience, Claims, NumericDate, Role, sign};
use crate::json_object::JsonObject;
use crate::wiring;

/// Prints a token signed with the local development key (development only).
///
/// The key is in `.env` of the data directory, and is created if it is missing.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server token --sub usr_7Qm2Xr9TzKpA --role self
  profile-server token --sub svc:dashboard --role service --scope 'profile:read live:many' --ttl 30d
  profile-server token --sub agt:helper --role agent --act usr_7Qm2Xr9TzKpA --scope section:eligibility")]
pub(super) struct TokenArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The caller: a user id, or `svc:NAME`, `adm:NAME`, `aud:NAME` or `agt:NAME`
    #[arg(long)]
    sub: String,
    /// Role of the caller: `self`, `service`, `admin`, `auditor` or `agent`
    #[arg(long, value_parser = |name: &str| Role::parse(name).ok_or("allowed: self, service, admin, auditor, agent"))]
    role: Role,
    /// Scopes, separated by spaces
    #[arg(long, default_value = "")]
    scope: String,
    /// User id of the citizen that an agent acts for
    #[arg(long, value_name = "USER")]
    act: Option<String>,
    /// How the caller authenticated, for example `mfa`; may be repeated. The time of authentication is now
    #[arg(long)]
    amr: Vec<String>,
    /// How long the token is valid: a number followed by `s`, `m`, `h` or `d`
    #[arg(long, default_value = "1h", value_parser = parse_ttl)]
    ttl: Duration,
}

pub(super) fn run(arguments: TokenArguments) -> anyhow::Result<()> {
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    let secrets = wiring::load_secrets(&settings, &sources.environment)?;
    let Some(key) = secrets.development_secret else {
        bail!(
            "tokens are signed in development only: get one from the identity service, or set `mode` to `development`"
        );
    };
    let request = TokenRequest {
        subject: arguments.sub,
        role: arguments.role,
        scope: arguments.scope,
        act: arguments.act,
        amr: arguments.amr,
        ttl: arguments.ttl,
    };
    print_notice(&sign_token(request, &settings, key.expose_secret())?);
    Ok(())
}

/// The claims to put into a token.
pub(super) struct TokenRequest {
    pub(super) subject: String,
    pub(super) role: Role,
    pub(super) scope: String,
    pub(super) act: Option<String>,
    pub(super) amr: Vec<String>,
    pub(super) ttl: Duration,
}

/// Signs a token. Fails if the server would refuse it.
pub(super) fn sign_token(request: TokenRequest, settings: &Settings, key: &[u8; 32]) -> anyhow::Result<String> {
    let prefix = request.role.subject_prefix();
    if !request.subject.starts_with(prefix) {
        bail!("`--sub` of the role `{}` must start with `{prefix}`", request.role.name());
    }
    let longest = if request.role == Role::Service { settings.auth.max_service_life } else { settings.auth.max_life };
    if request.ttl > longest || request.ttl.is_zero() {
        bail!("`--ttl` of the role `{}` must be from 1 to {} seconds", request.role.name(), longest.as_secs());
    }
    if request.role == Role::Agent && request.act.is_none() {
        bail!("an agent acts for a citizen: add `--act` with the user id");
    }
    let now = wiring::wall_clock().now_micros().div_euclid(1_000_000);
    let mut id = [0; 16];
    wiring::entropy().fill(&mut id);
    let claims = Claims {
        iss: settings.auth.issuer.clone(),
        aud: Audience::One(settings.auth.audience.clone()),
        sub: request.subject,
        role: request.role.name().to_owned(),
        scope: request.scope,
        exp: NumericDate::from_seconds(now.saturating_add_unsigned(request.ttl.as_secs())),
        nbf: NumericDate::from_seconds(now),
        iat: NumericDate::from_seconds(now),
        jti: Uuid::from_bytes(id).simple().to_string(),
        auth_time: (!request.amr.is_empty()).then_some(NumericDate::from_seconds(now)),
        amr: request.amr,
        act: request.act.map(|sub| JsonObject(Act { sub })),
        tenant: None,
    };
    claims.check().map_err(|refusal| anyhow!("the server would refuse this token: {}", refusal.0))?;
    sign(&claims, key).context("could not sign the token")
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let invalid = || "allowed: a number followed by `s`, `m`, `h` or `d`, for example `30m`".to_owned();
    let unit = text.chars().last().ok_or_else(invalid)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(invalid()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| invalid())?;
    Ok(Duration::from_secs(u64::from(count) * seconds))
}
