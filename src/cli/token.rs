//! `token`: signs a token with the local development key, or with a private key.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use config::Settings;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::output::print_notice;
use super::private_key::PrivateKey;
use super::settings::SettingsArguments;
use crate::http::request::caller::{Act, Audience, Claims, NumericDate, Role, sign};
use crate::json_object::JsonObject;
use crate::wiring;

/// Prints a token, signed with the local development key or with a private key.
///
/// The local key is for development only. It is in `.env` of the data directory, and is created if it is missing.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server token --sub usr_7Qm2Xr9TzKpA --role self
  profile-server token --sub svc:dashboard --role service --scope 'profile:read live:many' --ttl 30d
  profile-server token --sub agt:helper --role agent --act usr_7Qm2Xr9TzKpA --scope section:eligibility
  profile-server token --key ed25519.pem --print-jwks > keys.json
  profile-server token --key ed25519.pem --sub adm:root --role admin --scope operate --amr mfa")]
pub(super) struct TokenArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The caller: a user id, or `svc:NAME`, `adm:NAME`, `aud:NAME` or `agt:NAME`
    #[arg(long, required_unless_present = "print_jwks")]
    sub: Option<String>,
    /// Role of the caller: `self`, `service`, `admin`, `auditor` or `agent`
    #[arg(long, required_unless_present = "print_jwks", value_parser = parse_role)]
    role: Option<Role>,
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
    /// Id of the token, by which it can be revoked; random without it
    #[arg(long)]
    jti: Option<String>,
    /// Private key that signs, in PEM (PKCS #8): Ed25519, P-256 or RSA
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Id of the key in the header; the key's thumbprint (RFC 7638) without it
    #[arg(long, requires = "key")]
    kid: Option<String>,
    /// Print the key set with the public part of `--key`, and no token
    #[arg(long, requires = "key")]
    print_jwks: bool,
}

pub(super) fn run(arguments: TokenArguments) -> anyhow::Result<()> {
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    let private = arguments.key.as_deref().map(|path| PrivateKey::read(path, arguments.kid)).transpose()?;
    if let Some(private) = private.as_ref().filter(|_| arguments.print_jwks) {
        print_notice(&private.key_set());
        return Ok(());
    }
    let (Some(subject), Some(role)) = (arguments.sub, arguments.role) else {
        bail!("`--sub` and `--role` are needed");
    };
    let request = TokenRequest {
        subject,
        role,
        scope: arguments.scope,
        act: arguments.act,
        amr: arguments.amr,
        ttl: arguments.ttl,
        jti: arguments.jti,
    };
    let claims = request.claims(&settings)?;
    let token = match private {
        Some(private) => private.sign(&claims)?,
        None => {
            let secrets = wiring::load_secrets(&settings, &sources.environment)?;
            let Some(key) = secrets.development_secret else {
                bail!("the local key signs in development only: give a private key with `--key`");
            };
            sign(&claims, key.expose_secret()).context("could not sign the token")?
        }
    };
    print_notice(&token);
    Ok(())
}

/// Returns the role with this name.
pub(super) fn parse_role(name: &str) -> Result<Role, &'static str> {
    Role::parse(name).ok_or("allowed: self, service, admin, auditor, agent")
}

/// The claims to put into a token.
pub(super) struct TokenRequest {
    pub(super) subject: String,
    pub(super) role: Role,
    pub(super) scope: String,
    pub(super) act: Option<String>,
    pub(super) amr: Vec<String>,
    pub(super) ttl: Duration,
    /// The id of the token; random without it.
    pub(super) jti: Option<String>,
}

impl TokenRequest {
    /// Returns the claims of a token that is issued now. Fails if the server would refuse it.
    pub(super) fn claims(self, settings: &Settings) -> anyhow::Result<Claims> {
        let prefix = self.role.subject_prefix();
        if !self.subject.starts_with(prefix) {
            bail!("`--sub` of the role `{}` must start with `{prefix}`", self.role.name());
        }
        let longest = if self.role == Role::Service { settings.auth.max_service_life } else { settings.auth.max_life };
        if self.ttl > longest || self.ttl.is_zero() {
            bail!("`--ttl` of the role `{}` must be from 1 to {} seconds", self.role.name(), longest.as_secs());
        }
        if self.role == Role::Agent && self.act.is_none() {
            bail!("an agent acts for a citizen: add `--act` with the user id");
        }
        let now = wiring::wall_clock().now_micros().div_euclid(1_000_000);
        let claims = Claims {
            iss: settings.auth.issuer.clone(),
            aud: Audience::One(settings.auth.audience.clone()),
            sub: self.subject,
            role: self.role.name().to_owned(),
            scope: self.scope,
            exp: NumericDate::from_seconds(now.saturating_add_unsigned(self.ttl.as_secs())),
            nbf: NumericDate::from_seconds(now),
            iat: NumericDate::from_seconds(now),
            jti: self.jti.unwrap_or_else(random_id),
            auth_time: (!self.amr.is_empty()).then_some(NumericDate::from_seconds(now)),
            amr: self.amr,
            act: self.act.map(|sub| JsonObject(Act { sub })),
            tenant: None,
        };
        claims.check().map_err(|refusal| anyhow!("the server would refuse this token: {}", refusal.0))?;
        Ok(claims)
    }
}

fn random_id() -> String {
    let mut id = [0; 16];
    wiring::entropy().fill(&mut id);
    Uuid::from_bytes(id).simple().to_string()
}

/// Signs a token with the local development key. Fails if the server would refuse it.
pub(super) fn sign_token(request: TokenRequest, settings: &Settings, key: &[u8; 32]) -> anyhow::Result<String> {
    sign(&request.claims(settings)?, key).context("could not sign the token")
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
