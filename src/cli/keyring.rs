//! `keyring backup` and `keyring restore`: backups of the keyring, which are kept apart from those of the data, and for a shorter
//! time.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use config::Settings;
use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditValue};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::backup::{KeyringRestore, restore_keyring};
use store::inspect::is_in_use;

use super::admin_client::{AdminArguments, AdminClient};
use super::backup::{copy, open, open_with, write};
use super::output::print_line;
use super::restore::master_secrets;
use super::settings::SettingsArguments;
use crate::{options, wiring};

/// How long a backup may be kept if nothing else is said.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Backs up the keyring, or puts it back.
#[derive(Args)]
pub(super) struct KeyringArguments {
    #[command(subcommand)]
    command: KeyringCommand,
}

#[derive(Subcommand)]
enum KeyringCommand {
    Backup(KeyringBackupArguments),
    Restore(KeyringRestoreArguments),
}

/// Makes a backup of the keyring.
///
/// Make it after a backup of the data, and keep it elsewhere. Its keys are wrapped by the master key. Delete it when its time is
/// over: until then, the data of users who are erased meanwhile can be decrypted with it, and receipts of erasures say so.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server keyring backup --data-dir var --out keyring.backup
  profile-server keyring backup --data-dir var --out keyring.backup --keep-until 2026-12-01T00:00:00Z")]
struct KeyringBackupArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    server: AdminArguments,
    /// File to write, or `-` for stdout
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Time until which the backup may be kept, at most 35 days from now [default: 7 days from now]
    #[arg(long, value_name = "RFC3339")]
    keep_until: Option<Timestamp>,
}

/// Puts the keyring back into a data directory that has lost it.
///
/// Erasures that the audit log knows are applied again. To restore the data as well, use `restore --keyring`.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server keyring restore --from keyring.backup --data-dir var")]
struct KeyringRestoreArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Directory of a newer audit log than that of the data directory
    #[arg(long, value_name = "DIR")]
    audit: Option<PathBuf>,
    /// Accepts an audit log that is older than the backup: erasures in between are undone
    #[arg(long)]
    accept_older_audit_log: bool,
}

pub(super) fn run(arguments: &KeyringArguments) -> anyhow::Result<()> {
    match &arguments.command {
        KeyringCommand::Backup(arguments) => back_up(arguments),
        KeyringCommand::Restore(arguments) => put_back(arguments),
    }
}

fn back_up(arguments: &KeyringBackupArguments) -> anyhow::Result<()> {
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    let now = wiring::wall_clock().now_micros();
    let default = Timestamp::from_microsecond(now).and_then(|now| now.checked_add(KEPT));
    let until = arguments.keep_until.map_or(default, Ok).map_err(|_| anyhow!("the clock shows no valid time"))?;
    if is_in_use(&settings.data_dir)? {
        let client = AdminClient::new(&arguments.server, &settings, &sources)?;
        let body = json!({ "keep_until": until.to_string() });
        let answer = client.call("POST", "/admin/keyring-backup", Some(&body))?;
        return copy(answer.into_body().into_reader(), &arguments.out);
    }
    let longest = 5 * KEPT.as_micros();
    let from_now = i128::from(until.as_microsecond()) - i128::from(now);
    if !(1..=longest).contains(&from_now) {
        return Err(anyhow!("`--keep-until` must be in the future, and at most 35 days from now"));
    }
    let entry = AuditEntry::new(AuditCategory::Compliance, "keyring.back_up", AuditActor::System)
        .with("keep_until", AuditValue::Text(until.to_string().into()));
    let (store, log) = open_with(&settings, &sources, entry)?;
    let mut backup = store.backups.back_up_keyring(now, until.as_microsecond())?;
    let written = write(&arguments.out, || Ok(backup.next_bytes()?));
    drop(backup);
    log.close();
    store.closer.close().context("the backup is made, but the store could not be closed")?;
    written
}

fn put_back(arguments: &KeyringRestoreArguments) -> anyhow::Result<()> {
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    let secrets = master_secrets(&settings, &sources)?;
    let applied = restore_keyring(
        &KeyringRestore {
            store: options::store_options(&settings),
            from: arguments.from.clone(),
            audit: arguments.audit.clone(),
            accept_older_log: arguments.accept_older_audit_log,
            now: wiring::wall_clock().now_micros(),
        },
        &wiring::master_key(&secrets),
        &wiring::entropy(),
    )?;
    let action = if arguments.accept_older_audit_log { "keyring.restore_with_older_log" } else { "keyring.restore" };
    let (store, log) = open(&settings, &sources, action)?;
    log.close();
    store.closer.close().context("the keyring is restored, but the store could not be closed")?;
    print_line(&json!({ "erasures_applied": applied }).to_string())?;
    Ok(())
}
