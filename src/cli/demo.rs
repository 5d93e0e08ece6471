//! `demo`: a server on embedded defaults with the example citizen in it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::rt;
use anyhow::{Context, bail};
use clap::Args;
use config::{Settings, Sources};
use domain::source::Source;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::{http_client, token};
use crate::application::Application;
use crate::http::caller::Role;
use crate::wiring;

const HOUR: Duration = Duration::from_secs(3_600);

/// Starts a server with the example citizen in it, and says what to try.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server demo
  profile-server demo --data-dir /tmp/demo --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0")]
pub(super) struct Arguments {
    /// Where it keeps its data; a second start finds it there
    #[arg(long, value_name = "DIR", default_value = "var/demo")]
    data_dir: PathBuf,
    /// Where the API listens; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where metrics and administration listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    admin_listen: String,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let sources = Sources::default()
        .with("mode", "development", "demo")
        .with("log.level", "warn", "demo")
        .with("data_dir", arguments.data_dir.display(), "--data-dir")
        .with("listen", arguments.listen, "--listen")
        .with("admin_listen", arguments.admin_listen, "--admin-listen");
    let settings = Settings::load(&sources)?;
    actix::System::new().block_on(async {
        let application = Application::build(settings.clone(), &[]).await?;
        let tokens = Tokens::make(&settings)?;
        let stage = Stage { listen: application.listen(), admin_listen: application.admin_listen(), settings, tokens };
        rt::spawn(async move {
            match stage.fill().await {
                Ok(news) => super::say(&stage.banner(&news)),
                Err(error) => super::complain(&format!("the example could not be posted: {}", super::line_of(&error))),
            }
        });
        application.run_until_stopped().await?;
        Ok(())
    })
}

/// One ready-made token for each kind of caller.
struct Tokens {
    citizen: String,
    service: String,
    admin: String,
    auditor: String,
}

impl Tokens {
    fn make(settings: &Settings) -> anyhow::Result<Self> {
        let secrets = wiring::load_secrets(settings, &[])?;
        let key = secrets.development_secret.context("a demo needs the local development key")?;
        let make = |role, subject: &str, scope: &str, ttl| {
            let (subject, scope) = (subject.to_owned(), scope.to_owned());
            token::make(
                token::Request { subject, role, scope, act: None, amr: Vec::new(), ttl },
                settings,
                key.expose_secret(),
            )
        };
        let feeds: Vec<_> = Source::ALL.iter().map(|source| format!("feed:{}", source.name())).collect();
        let service_scope = format!("profile:read live:many {}", feeds.join(" "));
        Ok(Self {
            citizen: make(Role::SelfCitizen, data::EXAMPLE_USER, "", HOUR)?,
            service: make(Role::Service, "svc:demo", &service_scope, HOUR * 24)?,
            admin: make(Role::Admin, "adm:demo", "profile:read", HOUR)?,
            auditor: make(Role::Auditor, "aud:demo", "", HOUR)?,
        })
    }
}

/// A running server to show.
struct Stage {
    listen: SocketAddr,
    admin_listen: SocketAddr,
    settings: Settings,
    tokens: Tokens,
}

impl Stage {
    /// Posts the example citizen's events through the feed endpoint, and says what became of them.
    async fn fill(&self) -> anyhow::Result<String> {
        let mut applied = 0;
        for event in data::example_events().lines() {
            let source = serde_json::from_str::<Value>(event)?["source"].as_str().unwrap_or_default().to_owned();
            let path = format!("/api/v2/feeds/{}", source.rsplit('/').next().unwrap_or_default());
            let token = &self.tokens.service;
            let (status, body) =
                http_client::post(self.listen, &path, token, "application/cloudevents+json", event).await?;
            if status != 200 {
                bail!("`{path}` answered {status}: {body}");
            }
            applied += serde_json::from_str::<Value>(&body)?["applied"].as_u64().unwrap_or(0);
        }
        Ok(match applied {
            0 => "The example citizen was here already: all events were known.".to_owned(),
            applied => format!("{applied} events of the example citizen were applied."),
        })
    }

    fn banner(&self, news: &str) -> String {
        let Self { listen, admin_listen, settings, tokens } = self;
        let user = data::EXAMPLE_USER;
        format!(
            r#"
{news}

  API        http://{listen}/api/v2
  metrics    http://{admin_listen}/metrics
  data       {data_dir}

Tokens, good for an hour (paste them into a second terminal):

  export CITIZEN={citizen}
  export SERVICE={service}
  export ADMIN={admin}
  export AUDITOR={auditor}

Read the profile, as the citizen or as a service sees it:

  curl -s -H "Authorization: Bearer $CITIZEN" http://{listen}/api/v2/profile/{user}
  curl -s -H "Authorization: Bearer $SERVICE" http://{listen}/api/v2/profile/{user}
  curl -s -H "Authorization: Bearer $ADMIN" -H "X-Access-Reason: demo" http://{listen}/api/v2/profile/{user}

Watch it live:

  PROFILE_SERVER_TOKEN="$CITIZEN" {program} watch {user} --server {listen}

Post an event:

  curl -s -H "Authorization: Bearer $SERVICE" -H "Content-Type: application/cloudevents+json" \
    http://{listen}/api/v2/feeds/metadata -d '{{"specversion":"1.0","id":"demo-'$(date +%s)'","source":"/engines/metadata",
    "type":"user.metadata.updated","subject":"{user}","time":"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'",
    "data":{{"fields":{{"family":{{"dependents":'$((RANDOM % 10))'}}}}}}}}'

Ctrl-C stops the server; a second start finds the same data.
"#,
            data_dir = settings.data_dir.display(),
            citizen = tokens.citizen,
            service = tokens.service,
            admin = tokens.admin,
            auditor = tokens.auditor,
            program = program(),
        )
    }
}

/// This program as it can be called again.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| env!("CARGO_PKG_NAME").to_owned(), |path| path.display().to_string())
}
