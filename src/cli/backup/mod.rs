//! `backup`: a backup of a data directory, whether a server runs or not.

mod from_server;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use config::{Settings, Sources};
use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog};
use domain::record::Replay;
use serde_json::json;
use store::Store;
use store::audit::{self, AuditKeys, AuditStore};
use store::backup::BackupOptions;
use store::inspect::is_in_use;

use self::from_server::BrokeOff;
use crate::cli::admin_client::AdminArguments;
use crate::cli::output::print_line;
use crate::cli::output_file::{OutputFile, STANDARD};
use crate::cli::progress::progress_bar;
use crate::cli::restore::master_secrets;
use crate::cli::settings::SettingsArguments;
use crate::{options, wiring};

/// Longer than the command runs: it makes the one checkpoint that it needs.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Bytes that are read from the server at once.
const PIECE: usize = 256 << 10;
const BAR: &str = "{bytes} {bytes_per_sec} {elapsed}";

/// Makes a backup of a data directory, as of now.
///
/// If a server uses the directory, the backup comes from its admin listener, and the server goes on. Nothing in a backup can be
/// read without the keyring, which is not in it: back it up apart, after the data, with `keyring backup`. Exports and columns are
/// not in it either. If the connection breaks, the command goes on where it was. If the command itself is killed, `--resume` goes on
/// within ten minutes; later, make a new backup.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server backup --data-dir var --out monday.backup
  profile-server backup --data-dir var --out - --rate 20 | ssh store 'cat > monday.backup'
  profile-server backup --data-dir var --out monday.backup --resume")]
pub(in crate::cli) struct BackupArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    server: AdminArguments,
    /// File to write, or `-` for stdout
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Maximum number of megabytes a second [default: no limit]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: Option<u64>,
    /// Continues a backup of a running server that was killed or cut off, from what is in `FILE.part`
    #[arg(long, conflicts_with = "rate")]
    resume: bool,
}

pub(in crate::cli) fn run(arguments: &BackupArguments) -> anyhow::Result<()> {
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    let rate = arguments.rate.map(|megabytes| megabytes * 1_000_000);
    if is_in_use(&settings.data_dir)? {
        return from_server::run(arguments, &settings, &sources, rate);
    }
    if arguments.resume {
        bail!(
            "no server uses `{}`, so there is no backup to continue: make one without `--resume`",
            settings.data_dir.display()
        );
    }
    let (store, log) = open(&settings, &sources, "backup.make")?;
    let now = wiring::wall_clock().now_micros();
    let mut backup = store.backups.begin(BackupOptions { bytes_per_second: rate, now })?;
    let written = write(&arguments.out, || Ok(backup.next_bytes()?));
    drop(backup);
    log.close();
    store.closer.close().context("the backup is made, but the store could not be closed")?;
    written
}

/// Opens the store and the audit log of a data directory that no server uses, and records what is done.
pub(in crate::cli) fn open(
    settings: &Settings,
    sources: &Sources,
    action: &'static str,
) -> anyhow::Result<(Store, AuditStore)> {
    open_with(settings, sources, AuditEntry::new(AuditCategory::Compliance, action, AuditActor::System))
}

/// Opens the store and the audit log of a data directory that no server uses, and writes an entry.
pub(in crate::cli) fn open_with(
    settings: &Settings,
    sources: &Sources,
    entry: AuditEntry,
) -> anyhow::Result<(Store, AuditStore)> {
    if !settings.data_dir.join("keyring").exists() {
        bail!("there is no data in `{}`: check the path", settings.data_dir.display());
    }
    let secrets = master_secrets(settings, sources)?;
    let options = store::StoreOptions {
        clock: Some(wiring::wall_clock()),
        retention: None,
        checkpoint_interval: NEVER,
        checkpoint_journal_bytes: u64::MAX / 4,
        ..options::store_options(settings)
    };
    let store = store::open(options, &wiring::master_key(&secrets), Arc::new(Replay), wiring::entropy())?;
    let keys = AuditKeys::derive(&store.system_keys);
    let log = audit::open(&options::audit_options(settings, wiring::wall_clock()), keys)?;
    log.write_blocking(entry).context("the audit log could not be written")?;
    Ok((store, log))
}

/// Writes what a server sends.
pub(in crate::cli) fn copy(mut reader: impl Read, out: &Path) -> anyhow::Result<()> {
    let mut piece = vec![0; PIECE];
    write(out, || {
        let filled = reader.read(&mut piece).context("the backup broke off: make it again")?;
        Ok((filled > 0).then(|| piece[..filled].to_vec()))
    })
}

/// Writes pieces to a file or to stdout, and prints what was written unless stdout is taken.
pub(in crate::cli) fn write(out: &Path, next: impl FnMut() -> anyhow::Result<Option<Vec<u8>>>) -> anyhow::Result<()> {
    write_to(OutputFile::create(out)?, out, 0, next)
}

/// Writes further pieces to an output that has so many bytes.
fn write_to(
    mut output: OutputFile,
    out: &Path,
    mut bytes: u64,
    mut next: impl FnMut() -> anyhow::Result<Option<Vec<u8>>>,
) -> anyhow::Result<()> {
    let bar = progress_bar(0, BAR);
    let mut write = || {
        while let Some(piece) = next()? {
            output.write(&piece)?;
            bytes += piece.len() as u64;
            bar.set_position(bytes);
        }
        anyhow::Ok(())
    };
    let written = write();
    bar.finish_and_clear();
    match written {
        Ok(()) => output.finish()?,
        // What there is of it can be continued.
        Err(error) if error.is::<BrokeOff>() => return Err(error),
        Err(error) => {
            output.discard();
            return Err(error);
        }
    }
    if out != Path::new(STANDARD) {
        print_line(&json!({ "file": out.display().to_string(), "bytes": bytes }).to_string())?;
    }
    Ok(())
}
