//! `config check` and `config print`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use config::{AccessTable, Secrets, Settings, Sources};

/// Checks or prints the resolved configuration.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server config check --config production.toml
  profile-server config print --data-dir var")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Says whether the server would accept its configuration
    Check(Place),
    /// Prints every value with its origin; secrets are hidden
    Print(Place),
}

#[derive(Args)]
struct Place {
    /// The data directory, whose `config.local.toml` and tables count too
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// More settings, over the embedded defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let (Action::Check(place) | Action::Print(place)) = &arguments.action;
    let mut sources = Sources { file: place.config.clone(), ..Sources::from_process() };
    if let Some(data_dir) = &place.data_dir {
        sources = sources.with("data_dir", data_dir.display(), "--data-dir");
    }
    let settings = Settings::load(&sources)?;
    AccessTable::load(&settings.data_dir)?;
    config::load_completeness(&settings.data_dir)?;
    // Secrets are made at the first start: asking for the configuration must not make them.
    let secrets = Secrets::look(&settings.data_dir, settings.mode, &sources.environment)?;
    match arguments.action {
        Action::Check(_) => super::say("the configuration is valid"),
        Action::Print(_) => {
            super::say(settings.print().trim_end());
            match secrets {
                Some(secrets) => super::say(secrets.print().trim_end()),
                None => super::say("# secrets are made in `.env` of the data directory at the first start"),
            }
        }
    }
    Ok(())
}
