//! `replay`: rebuilds every revision of a user from the history and the journal, and compares.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use config::Settings;
use domain::id::UserId;
use domain::record::{Replay, ReplayCheck, ReplayReport};
use serde_json::json;

use super::output::{print_error, print_line};
use super::settings::SettingsArguments;
use crate::{options, wiring};

/// Longer than the command runs: it makes no checkpoint.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Rebuilds every revision of a user from the history and the journal, and compares the result with every state that is stored.
///
/// States are compared byte for byte: those between blocks of history, that of the last checkpoint, and the newest one. Nothing
/// that is printed is a value of the profile.
///
/// The server must not be running, since the command takes the lock of the data directory (`LOCK`). Like every start, it writes
/// a proof to sled and begins a segment of the journal, and it changes nothing else.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server replay --data-dir var --user usr_7Qm2Xr9TzKpA")]
pub(super) struct ReplayArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The user to rebuild
    #[arg(long, value_name = "USER")]
    user: String,
}

pub(super) fn run(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let user = UserId::parse(&arguments.user).map_err(|error| anyhow!("`--user`: {error}"))?;
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    let no_data = || anyhow!("there is no data in `{}`: check the path", settings.data_dir.display());
    let secrets = wiring::look_at_secrets(&settings, &sources.environment)?.ok_or_else(no_data)?;
    if !settings.data_dir.join("keyring").exists() {
        return Err(no_data());
    }
    let options = store::StoreOptions {
        clock: None,
        retention: None,
        checkpoint_interval: NEVER,
        checkpoint_journal_bytes: u64::MAX / 4,
        ..options::store_options(&settings)
    };
    let store = store::open(options, &wiring::master_key(&secrets), Arc::new(Replay), wiring::entropy())?;
    let mut check = ReplayCheck::default();
    if store.reader.load_history(&user, 0, &mut check)?.is_none() {
        bail!("the user is not in `{}`: check the id and the path", settings.data_dir.display());
    }
    let report = check.finish();
    print_line(&render(&report))?;
    // Without a last checkpoint, which would write.
    drop(store);
    match report.faults.split_first() {
        None => Ok(()),
        Some((first, more)) => {
            more.iter().for_each(|fault| print_error(fault));
            bail!("the history is not what was written: {first}")
        }
    }
}

/// Returns what was compared, as a JSON line.
fn render(report: &ReplayReport) -> String {
    let (first, newest) = report.range;
    json!({
        "records": report.records,
        "revisions": report.revisions,
        "dropped_revisions": report.dropped,
        "first_revision": first,
        "newest_revision": newest,
        "compared_states": report.compared,
        "profile_hash": report.profile_hash,
        "faults": report.faults.len(),
    })
    .to_string()
}
