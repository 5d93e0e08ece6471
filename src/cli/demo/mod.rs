//! `demo`: a living server: a made-up population in it, and events that go on.

mod banner;
mod fill;
mod memory;
mod tokens;
mod trickle;

use std::net::SocketAddr;
use std::path::PathBuf;

use actix_web::rt;
use anyhow::{Context, bail};
use clap::Args;
use config::{Settings, Sources};
use data::Population;
use secrecy::SecretBox;

use super::http_client::{self, Call};
use crate::application::Application;
use crate::wiring;
use memory::{Memory, Progress};
use tokens::Tokens;

/// Starts a server with a made-up population in it, and says what to try.
///
/// The population is posted through the server's own feeds at the first start; later starts find it there. Nobody in
/// it is real.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server demo
  profile-server demo --users 50000 --events-per-second 500 --data-dir var/crowd
  profile-server demo --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --events-per-second 0")]
pub(super) struct Arguments {
    /// Where it keeps its data; a second start finds it there
    #[arg(long, value_name = "DIR", default_value = "var/demo")]
    data_dir: PathBuf,
    /// Where the API listens; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where metrics and administration listen [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// How many citizens there are [default: 2000, or as many as there are already]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    users: Option<u64>,
    /// How many events go on to come in a second; 0 for none
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=10_000))]
    events_per_second: u32,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut sources = Sources::from_process()
        .with("mode", "development", "demo")
        .with("log.level", "warn", "demo")
        .with("data_dir", arguments.data_dir.display(), "--data-dir");
    let flags = [("listen", arguments.listen, "--listen"), ("admin_listen", arguments.admin_listen, "--admin-listen")];
    for (key, value, flag) in flags {
        sources = value.into_iter().fold(sources, |sources, value| sources.with(key, value, flag));
    }
    let settings = Settings::load(&sources)?;
    let memory = Memory::of(&settings.data_dir, arguments.users)?;
    actix::System::new().block_on(async {
        let application = Application::build(settings.clone(), &sources.environment).await?;
        // Made by now, if it was not there.
        let secrets = wiring::load_secrets(&settings, &sources.environment)?;
        let stage = Stage {
            key: secrets.development_secret.context("a demo needs the local development key")?,
            listen: application.listen(),
            admin_listen: application.admin_listen(),
            events_per_second: arguments.events_per_second,
            population: memory.population(),
            settings,
        };
        let mut closing = application.closing();
        rt::spawn(async move {
            // A call that fails because the server stops is no news.
            tokio::select! {
                biased;
                _ = closing.changed() => {}
                Err(error) = stage.play(memory) => {
                    super::complain(&format!("the demo cannot go on, but the server does: {}", super::line_of(&error)));
                }
            }
        });
        application.run_until_stopped().await?;
        Ok(())
    })
}

/// A running server to show.
struct Stage {
    listen: SocketAddr,
    admin_listen: SocketAddr,
    settings: Settings,
    /// What signs the tokens.
    key: SecretBox<[u8; 32]>,
    events_per_second: u32,
    population: Population,
}

impl Stage {
    async fn play(&self, mut memory: Memory) -> anyhow::Result<()> {
        let hero = self.hero();
        let news = if memory.is_complete() {
            format!("{} citizens were here already.", self.population.users())
        } else {
            memory.reach(Progress::Begun)?;
            let news = self.fill(&self.tokens(&hero)?).await?;
            self.share_all(&hero).await?;
            memory.reach(Progress::Complete)?;
            news
        };
        self.tokens(&hero)?.write(self, &hero)?;
        super::say(&self.banner(&hero, &news));
        self.trickle(&hero, &mut memory).await
    }

    fn tokens(&self, hero: &Hero) -> anyhow::Result<Tokens> {
        Tokens::make(&self.settings, &self.key, &hero.id)
    }

    /// The citizen to show: the grown-up of whom most is told.
    fn hero(&self) -> Hero {
        let traffic = self.population.traffic(self.events());
        let told =
            |index: &u64| traffic.of_person(*index).iter().map(|arrival| arrival.event.json.len()).sum::<usize>();
        let grown_up = |index: &u64| self.population.person(*index).age >= 25;
        let index = (0..self.population.users().min(100)).filter(grown_up).max_by_key(told).unwrap_or(0);
        let person = self.population.person(index);
        let name = format!("{} {}.", person.given_name, person.initial);
        Hero { index, id: self.population.user_id(index), name }
    }

    /// The hero shares everything, so that there is something to take back.
    async fn share_all(&self, hero: &Hero) -> anyhow::Result<()> {
        let token = self.tokens(hero)?.citizen;
        let path = format!("/api/v2/profile/{}/consent", hero.id);
        let consent = br#"{"data_sharing_level":"full","third_party_sharing":true}"#;
        let call = Call { method: "PUT", path: &path, token: &token, body: ("application/json", consent) };
        match http_client::send(self.listen, &call).await? {
            (200, _) => Ok(()),
            (status, body) => bail!("`{path}` answered {status}: {body}"),
        }
    }
}

/// The citizen to show.
struct Hero {
    index: u64,
    id: String,
    name: String,
}
