//! `verify-store`: opens everything that a data directory stores, and changes nothing.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use config::Settings;
use store::inspect::{InspectOptions, InspectReport, inspect};

use super::output::{print_error, print_line};
use super::restore::master_secrets;
use super::settings::SettingsArguments;
use crate::{options, wiring};

/// Opens everything that a data directory stores: frames, records, history, dead letters, quarantine, keys and the registry.
///
/// Seals, chains, sequences, checksums and counts are checked. Nothing in the directory changes; the server must not be running.
/// sled writes whenever it is opened, so its files are copied to a temporary directory first, which takes as much disk space as
/// `sled/` has, unless the file system shares the space of copies. Keys that were destroyed are no fault. The audit log has a
/// check of its own, `verify-audit`.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server verify-store --data-dir var
  profile-server verify-store --data-dir var --temporary-dir /big/tmp")]
pub(super) struct VerifyStoreArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// Where the copy of sled is made, which is removed afterwards [default: the temporary directory of the system]
    #[arg(long, value_name = "DIR")]
    temporary_dir: Option<PathBuf>,
}

pub(super) fn run(arguments: &VerifyStoreArguments) -> anyhow::Result<()> {
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    let secrets = master_secrets(&settings, &sources)?;
    let scratch = match &arguments.temporary_dir {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    let scratch = scratch.context("could not make a temporary directory: name one with `--temporary-dir`")?;
    let options = InspectOptions { store: options::store_options(&settings), scratch: scratch.path().to_owned() };
    let report = inspect(&options, &wiring::master_key(&secrets), &wiring::entropy())?;
    print_table(&report)?;
    let without_key: u64 = report.kinds.iter().map(|(_, kind)| kind.without_key).sum();
    if without_key > 0 {
        print_error("the keyring does not have the keys of some records: it is older than they are");
    }
    match report.fault {
        None => Ok(()),
        Some(fault) => bail!("the store is not what was written: {fault}; check the disk, then restore from a backup"),
    }
}

fn print_table(report: &InspectReport) -> anyhow::Result<()> {
    print_line(&format!("{:<20} {:>12} {:>12} {:>12}", "", "opened", "destroyed", "without key"))?;
    for (name, kind) in &report.kinds {
        print_line(&format!("{name:<20} {:>12} {:>12} {:>12}", kind.opened, kind.destroyed, kind.without_key))?;
    }
    Ok(())
}
