//! `serve`: the server.

use std::path::PathBuf;

use clap::Args;
use config::{Settings, Sources};

use crate::application::Application;

/// Runs the server until SIGTERM or SIGINT.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server serve --data-dir var
  profile-server serve --data-dir var --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0
  profile-server serve --data-dir var --fixed-clock 2026-01-21T12:00:00Z")]
pub(super) struct Arguments {
    /// Where everything lies that the server keeps; made where it is missing
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the API listens; port 0 picks a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where metrics and administration listen [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// More settings, over the embedded defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Holds the time that assembly reads still (development only)
    #[arg(long, value_name = "RFC3339")]
    fixed_clock: Option<String>,
}

impl Arguments {
    /// What is set, over the process's environment.
    fn sources(&self) -> Sources {
        let sources = Sources { file: self.config.clone(), ..Sources::from_process() };
        let flags = [
            ("data_dir", self.data_dir.as_ref().map(|path| path.display().to_string()), "--data-dir"),
            ("listen", self.listen.clone(), "--listen"),
            ("admin_listen", self.admin_listen.clone(), "--admin-listen"),
            ("time.fixed_clock", self.fixed_clock.clone(), "--fixed-clock"),
        ];
        flags.into_iter().fold(sources, |sources, (key, value, flag)| match value {
            Some(value) => sources.with(key, value, flag),
            None => sources,
        })
    }
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let sources = arguments.sources();
    let settings = Settings::load(&sources)?;
    actix::System::new().block_on(async {
        let application = Application::build(settings, &sources.environment).await?;
        super::say(&application.ready_line());
        application.run_until_stopped().await?;
        Ok(())
    })
}
