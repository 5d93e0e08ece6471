//! `demo`: runs a server with a synthetic population and a stream of new events.

mod banner;
mod history;
mod sample_citizen;
mod server;
mod state;
mod tokens;
mod trickle;

use std::path::PathBuf;

use actix_web::rt;
use anyhow::Context;
use clap::Args;
use config::{Settings, Sources};

use super::output::{error_line, print_error, print_notice};
use super::settings::with_options;
use crate::application::Application;
use crate::wiring;
use sample_citizen::SampleCitizen;
use server::DemoServer;
use state::{DemoState, HistoryProgress};

/// Events of a citizen's history, repeated deliveries included.
const EVENTS_PER_CITIZEN: u64 = 25;

/// Runs a server with a synthetic population, and prints commands to try.
///
/// At the first start the population's history is posted through the server's own feeds. Later starts find it in the
/// data directory. No citizen in it is real.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server demo
  profile-server demo --users 50000 --events-per-second 500 --data-dir var/crowd
  profile-server demo --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --events-per-second 0")]
pub(super) struct DemoArguments {
    /// Data directory of the demo; a later start continues with the same data
    #[arg(long, value_name = "DIR", default_value = "var/demo")]
    data_dir: PathBuf,
    /// Address of the API; port 0 picks a free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address for metrics and administration [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Number of citizens [default: 2000, or those of the first start]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    users: Option<u64>,
    /// Number of new events to post every second; 0 for none
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=10_000))]
    events_per_second: u32,
}

impl DemoArguments {
    fn sources(&self) -> Sources {
        let data_dir = self.data_dir.display().to_string();
        with_options(
            Sources::from_process().with("mode", "development", "demo").with("log.level", "warn", "demo"),
            [
                ("data_dir", Some(data_dir), "--data-dir"),
                ("listen", self.listen.clone(), "--listen"),
                ("admin_listen", self.admin_listen.clone(), "--admin-listen"),
            ],
        )
    }
}

pub(super) fn run(arguments: DemoArguments) -> anyhow::Result<()> {
    let sources = arguments.sources();
    let settings = Settings::load(&sources)?;
    let state = DemoState::load_or_plan(&settings.data_dir, arguments.users)?;
    actix::System::new().block_on(async {
        let application = Application::build(settings.clone(), &sources.environment).await?;
        // The server has created the secrets by now.
        let secrets = wiring::load_secrets(&settings, &sources.environment)?;
        let population = state.population();
        let history_events = population.users() * EVENTS_PER_CITIZEN;
        let server = DemoServer {
            key: secrets.development_secret.context("a demo needs the local development key")?,
            listen: application.listen(),
            admin_listen: application.admin_listen(),
            events_per_second: arguments.events_per_second,
            sample_citizen: SampleCitizen::choose(&population, history_events),
            history_events,
            population,
            settings,
        };
        let mut closing = application.closing();
        rt::spawn(async move {
            // Requests that fail because the server stops are not reported.
            tokio::select! {
                biased;
                _ = closing.changed() => {}
                Err(error) = present(&server, state) => {
                    print_error(&format!("the demo has failed, the server still runs: {}", error_line(&error)));
                }
            }
        });
        application.run_until_stopped().await?;
        Ok(())
    })
}

/// Posts the history if this is the first start, prints the banner, and posts new events.
async fn present(server: &DemoServer, mut state: DemoState) -> anyhow::Result<()> {
    let summary = if state.is_complete() {
        format!("Found {} citizens from an earlier start.", server.population.users())
    } else {
        state.set_progress(HistoryProgress::Begun)?;
        let tokens = server.sign_tokens()?;
        let summary = history::post_history(server, &tokens).await?;
        server.give_full_consent(&tokens).await?;
        state.set_progress(HistoryProgress::Complete)?;
        summary
    };
    server.sign_tokens()?.write(&server.settings, server.listen, &server.sample_citizen.id)?;
    print_notice(&banner::render(server, &summary));
    trickle::post_new_events(server, &mut state).await
}
