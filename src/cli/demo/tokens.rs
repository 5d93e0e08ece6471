//! Tokens for each kind of caller, in a file that a shell can read.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use config::Settings;
use domain::source::Source;
use secrecy::{ExposeSecret, SecretBox};

use super::super::token::{TokenRequest, sign_token};
use crate::http::request::caller::Role;

const FILE_NAME: &str = "demo.env";
const HOUR: Duration = Duration::from_secs(3_600);

/// One token for each kind of caller.
pub(super) struct Tokens {
    pub(super) citizen: String,
    pub(super) service: String,
    third_party: String,
    agent: String,
    admin: String,
    auditor: String,
}

impl Tokens {
    /// Signs the tokens; `citizen` is the user id of the sample citizen.
    pub(super) fn sign(settings: &Settings, key: &SecretBox<[u8; 32]>, citizen: &str) -> anyhow::Result<Self> {
        let sign = |role, subject: &str, scope: &str, act: Option<&str>, ttl| {
            let (subject, scope, act) = (subject.to_owned(), scope.to_owned(), act.map(str::to_owned));
            let request = TokenRequest { subject, role, scope, act, amr: Vec::new(), ttl, jti: None };
            sign_token(request, settings, key.expose_secret())
        };
        let feeds: Vec<_> = Source::ALL.iter().map(|source| format!("feed:{}", source.name())).collect();
        let service = format!("profile:read live:many events:read {}", feeds.join(" "));
        let day = HOUR * 24;
        Ok(Self {
            citizen: sign(Role::SelfCitizen, citizen, "", None, HOUR)?,
            service: sign(Role::Service, "svc:demo", &service, None, day)?,
            third_party: sign(Role::Service, "svc:third-party", "profile:read third_party", None, day)?,
            agent: sign(Role::Agent, "agt:demo", "section:eligibility section:deadlines", Some(citizen), HOUR)?,
            admin: sign(Role::Admin, "adm:demo", "profile:read", None, HOUR)?,
            auditor: sign(Role::Auditor, "aud:demo", "", None, HOUR)?,
        })
    }

    /// The path of the file.
    pub(super) fn path(settings: &Settings) -> PathBuf {
        settings.data_dir.join(FILE_NAME)
    }

    /// Writes the file, which only its owner may read.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, settings: &Settings, listen: SocketAddr, citizen_id: &str) -> anyhow::Result<()> {
        let path = Self::path(settings);
        let Self { citizen, service, third_party, agent, admin, auditor } = self;
        let text = format!(
            "export API=http://{listen}/api/v2\nexport WHO={citizen_id}\nexport CITIZEN={citizen}\n\
             export SERVICE={service}\nexport THIRD_PARTY={third_party}\nexport AGENT={agent}\nexport ADMIN={admin}\n\
             export AUDITOR={auditor}\n# `profile-server watch` reads its token from this variable.\n\
             export PROFILE_SERVER_TOKEN=$SERVICE\n",
        );
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("could not write `{}`", path.display()))
    }
}
