//! Ready-made tokens for each kind of caller, in a file that a shell can read.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use config::Settings;
use domain::source::Source;
use secrecy::{ExposeSecret, SecretBox};

use super::super::token;
use super::{Hero, Stage};
use crate::http::caller::Role;

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
    pub(super) fn make(settings: &Settings, key: &SecretBox<[u8; 32]>, citizen: &str) -> anyhow::Result<Self> {
        let make = |role, subject: &str, scope: &str, act: Option<&str>, ttl| {
            let (subject, scope, act) = (subject.to_owned(), scope.to_owned(), act.map(str::to_owned));
            let request = token::Request { subject, role, scope, act, amr: Vec::new(), ttl };
            token::make(request, settings, key.expose_secret())
        };
        let feeds: Vec<_> = Source::ALL.iter().map(|source| format!("feed:{}", source.name())).collect();
        let service = format!("profile:read live:many events:read {}", feeds.join(" "));
        let day = HOUR * 24;
        Ok(Self {
            citizen: make(Role::SelfCitizen, citizen, "", None, HOUR)?,
            service: make(Role::Service, "svc:demo", &service, None, day)?,
            third_party: make(Role::Service, "svc:third-party", "profile:read third_party", None, day)?,
            agent: make(Role::Agent, "agt:demo", "section:eligibility section:deadlines", Some(citizen), HOUR)?,
            admin: make(Role::Admin, "adm:demo", "profile:read", None, HOUR)?,
            auditor: make(Role::Auditor, "aud:demo", "", None, HOUR)?,
        })
    }

    /// Where the file lies.
    pub(super) fn path(settings: &Settings) -> PathBuf {
        settings.data_dir.join(FILE_NAME)
    }

    /// Writes the file that a shell reads, for its owner alone.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, stage: &Stage, hero: &Hero) -> anyhow::Result<()> {
        let path = Self::path(&stage.settings);
        let Self { citizen, service, third_party, agent, admin, auditor } = self;
        let text = format!(
            "export API=http://{}/api/v2\nexport WHO={}\nexport CITIZEN={citizen}\nexport SERVICE={service}\n\
             export THIRD_PARTY={third_party}\nexport AGENT={agent}\nexport ADMIN={admin}\nexport AUDITOR={auditor}\n\
             # What `profile-server watch` uses.\nexport PROFILE_SERVER_TOKEN=$SERVICE\n",
            stage.listen, hero.id,
        );
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.with_context(|| format!("`{}` cannot be written", path.display()))
    }
}
