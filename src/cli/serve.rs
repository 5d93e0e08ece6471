//! `serve`: runs the server.

use clap::Args;
use config::{Settings, Sources};

use super::output::print_notice;
use super::settings::{SettingsArguments, with_options};
use crate::application::Application;

/// Runs the server until SIGTERM or SIGINT.
///
/// The data directory is created if it is missing. When the server is ready it prints a line of JSON with the addresses
/// that it listens on.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server serve --data-dir var
  profile-server serve --data-dir var --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0
  profile-server serve --data-dir var --fixed-clock 2026-01-21T12:00:00Z")]
pub(super) struct ServeArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// Address of the API; port 0 picks a free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Address for metrics and administration [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Assembles all profiles as of this time instead of now (development only)
    #[arg(long, value_name = "RFC3339")]
    fixed_clock: Option<String>,
}

impl ServeArguments {
    fn sources(&self) -> Sources {
        with_options(
            self.settings.sources(),
            [
                ("listen", self.listen.clone(), "--listen"),
                ("admin_listen", self.admin_listen.clone(), "--admin-listen"),
                ("time.fixed_clock", self.fixed_clock.clone(), "--fixed-clock"),
            ],
        )
    }
}

pub(super) fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    let sources = arguments.sources();
    let settings = Settings::load(&sources)?;
    actix::System::new().block_on(async {
        let application = Application::build(settings, &sources.environment).await?;
        print_notice(&application.ready_line());
        application.run_until_stopped().await?;
        Ok(())
    })
}
