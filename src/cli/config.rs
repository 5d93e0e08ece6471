//! `config check` and `config print`.

use clap::{Args, Subcommand};
use config::{AccessTable, Settings};

use super::output::print_notice;
use super::settings::SettingsArguments;
use crate::wiring;

/// Checks or prints the configuration that the server would use.
///
/// The configuration comes from the built-in defaults, the file given with --config, `config.local.toml` in the data
/// directory, the environment and the command line; the later ones override the earlier ones.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server config check --config production.toml
  profile-server config print --data-dir var")]
pub(super) struct ConfigArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Checks whether the server would start with this configuration
    #[command(after_help = "Example:
  profile-server config check --config production.toml")]
    Check(SettingsArguments),
    /// Prints every setting with its origin; secrets are hidden
    #[command(after_help = "Example:
  profile-server config print --data-dir var")]
    Print(SettingsArguments),
}

pub(super) fn run(arguments: ConfigArguments) -> anyhow::Result<()> {
    let (Action::Check(from) | Action::Print(from)) = &arguments.action;
    let sources = from.sources();
    let settings = Settings::load(&sources)?;
    AccessTable::load(&settings.data_dir)?;
    config::load_limits(&settings.data_dir)?;
    config::load_completeness(&settings.data_dir)?;
    // The server creates secrets at its first start; this command must not.
    let secrets = wiring::look_at_secrets(&settings, &sources.environment)?;
    match arguments.action {
        Action::Check(_) => print_notice("the configuration is valid"),
        Action::Print(_) => {
            print_notice(settings.print().trim_end());
            match secrets {
                Some(secrets) => print_notice(secrets.print().trim_end()),
                None => print_notice("# secrets are created in `.env` of the data directory at the first start"),
            }
        }
    }
    Ok(())
}
