//! `restore`: makes a data directory from a backup.

use std::fs::File;
use std::io::{BufReader, Read, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use config::{Mode, Secrets, Settings, Sources};
use domain::day::format_instant;
use indicatif::ProgressBar;
use serde_json::json;
use store::backup::{RestoreOptions, RestoreReport, check_backup, restore};

use super::backup::open;
use super::output::{print_error, print_line};
use super::output_file::STANDARD;
use super::progress::progress_bar;
use super::settings::SettingsArguments;
use crate::{options, wiring};

/// The template of the bar that shows how much of a backup was read.
pub(super) const BAR: &str = "{bar:30} {bytes} of {total_bytes} {bytes_per_sec}";

/// Makes a data directory from a backup.
///
/// The directory must be empty, but for a keyring, `.env` and tables that you have put there. The master key comes from `.env`
/// there or from PROFILE_SERVER_MASTER_KEY. Every part of the backup is checked before it is written, and every record is opened
/// afterwards. Clients begin again: ETags and cursors of the server that was backed up are no longer valid.
///
/// With an older keyring, erasures that the audit log knows are applied again. Give the newest audit log that you have with
/// `--audit`: that of the backup ends with the backup.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server restore --from monday.backup --data-dir new --keyring keyring.backup
  profile-server restore --from monday.backup --data-dir new --keyring keyring.backup --audit var/audit
  ssh store cat monday.backup | profile-server restore --from - --data-dir new --keyring keyring.backup
  profile-server restore --from monday.backup --dry-run")]
pub(super) struct RestoreArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The backup, or `-` to read it from stdin
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Backup of the keyring, or a keyring [default: the one in the data directory]
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
    /// Directory of the newest audit log, from which erasures are applied again
    #[arg(long, value_name = "DIR")]
    audit: Option<PathBuf>,
    /// Accepts an audit log that is older than the keyring backup: erasures in between are undone
    #[arg(long)]
    accept_older_audit_log: bool,
    /// Does not open every record after it was written
    #[arg(long)]
    no_verify: bool,
    /// Checks the backup, and writes nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(arguments: &RestoreArguments) -> anyhow::Result<()> {
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    let (mut input, length) = open_input(&arguments.from)?;
    let bar = progress_bar(length, BAR);
    let mut progress = |bytes| bar.set_position(bytes);
    if arguments.dry_run {
        return dry_run(arguments, &settings, &sources, &mut *input, &bar);
    }
    let secrets = master_secrets(&settings, &sources)?;
    let restored = restore(
        &RestoreOptions {
            store: options::store_options(&settings),
            keyring: arguments.keyring.clone(),
            audit: arguments.audit.clone(),
            accept_older_log: arguments.accept_older_audit_log,
            verify: !arguments.no_verify,
            now: wiring::wall_clock().now_micros(),
        },
        &wiring::master_key(&secrets),
        &wiring::entropy(),
        &mut *input,
        &mut progress,
    );
    bar.finish_and_clear();
    let report = restored?;
    if report.users_without_key > 0 {
        print_error(&format!(
            "the keyring is older than {} of the users, who cannot be read: restore again with a newer keyring backup if there is one",
            report.users_without_key
        ));
    }
    // The first start of the directory, with an entry in its audit log.
    let action = if arguments.accept_older_audit_log { "backup.restore_with_older_log" } else { "backup.restore" };
    let opened = open(&settings, &sources, action);
    let (store, log) = opened.context("the directory is restored, but does not open yet")?;
    log.close();
    store.closer.close().context("the directory is restored, but could not be closed")?;
    print_report(&report)
}

fn dry_run(
    arguments: &RestoreArguments,
    settings: &Settings,
    sources: &Sources,
    input: &mut dyn Read,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let keyring = arguments.keyring.clone().unwrap_or_else(|| settings.data_dir.join("keyring"));
    let secrets = if keyring.exists() { Some(master_secrets(settings, sources)?) } else { None };
    let master = secrets.as_ref().map(wiring::master_key);
    let keys = master.as_ref().map(|master| (&*keyring, master));
    let checked = check_backup(input, keys, wiring::wall_clock().now_micros(), &mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let report = checked?;
    if keys.is_none() {
        print_error(
            "without a keyring, damage is found, but not whether somebody has changed the backup: give `--keyring`",
        );
    }
    let has_log = arguments.audit.is_some() || arguments.accept_older_audit_log;
    if arguments.keyring.is_some() && report.keyring_time.is_none() && !has_log {
        print_error(
            "the keyring was not made by `keyring backup`: its restore needs `--audit` or `--accept-older-audit-log`",
        );
    }
    print_report(&report)
}

/// Reads the secrets of a data directory that may have none but the master key.
pub(super) fn master_secrets(settings: &Settings, sources: &Sources) -> anyhow::Result<Secrets> {
    let found = Secrets::look(&settings.data_dir, settings.mode, &settings.keys, &sources.environment)?;
    let found = match found {
        None => Secrets::look(&settings.data_dir, Mode::Production, &settings.keys, &sources.environment)?,
        found => found,
    };
    found.ok_or_else(|| {
        anyhow!("the master key is missing: set PROFILE_SERVER_MASTER_KEY, or put `.env` into the directory")
    })
}

/// Opens a backup, and returns its length; 0 for stdin.
pub(super) fn open_input(path: &Path) -> anyhow::Result<(Box<dyn Read>, u64)> {
    if path == Path::new(STANDARD) {
        return Ok((Box::new(stdin().lock()), 0));
    }
    if path.is_dir() {
        bail!("`{}` is a directory: name the file that `backup` has written", path.display());
    }
    let file = File::open(path).with_context(|| format!("could not open `{}`: check the path", path.display()))?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    Ok((Box::new(BufReader::with_capacity(1 << 20, file)), length))
}

fn print_report(report: &RestoreReport) -> anyhow::Result<()> {
    let line = json!({
        "backup_time": format_instant(report.backup_time),
        "bytes": report.bytes,
        "values": report.values,
        "users": report.users,
        "users_without_key": report.users_without_key,
        "erasures_applied": report.erasures_applied,
    });
    print_line(&line.to_string())?;
    Ok(())
}
