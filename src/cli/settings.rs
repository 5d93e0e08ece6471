//! The options that say where settings come from.

use std::path::PathBuf;

use clap::Args;
use config::Sources;

/// The data directory and the settings file.
#[derive(Args)]
pub(super) struct SettingsArguments {
    /// Data directory [default: `data_dir` of the settings, which is `var`]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings file that overrides the built-in defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl SettingsArguments {
    /// Puts these options over the environment of the process.
    pub(super) fn sources(&self) -> Sources {
        let sources = Sources { file: self.config.clone(), ..Sources::from_process() };
        match &self.data_dir {
            Some(data_dir) => sources.with("data_dir", data_dir.display(), "--data-dir"),
            None => sources,
        }
    }
}

/// Puts options that were given over `sources`; each has its key in the settings, its value and its name.
pub(super) fn with_options<const N: usize>(
    sources: Sources,
    options: [(&'static str, Option<String>, &'static str); N],
) -> Sources {
    options.into_iter().fold(sources, |sources, (key, value, option)| match value {
        Some(value) => sources.with(key, value, option),
        None => sources,
    })
}
