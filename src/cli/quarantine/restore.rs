//! `quarantine restore`: a user in quarantine goes on from a backup.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use store::UserKey;
use store::backup::find_user;

use super::{Target, client, key};
use crate::cli::output::print_line;
use crate::cli::output_file::STANDARD;
use crate::cli::progress::progress_bar;
use crate::cli::restore::{BAR, open_input};

/// Puts what a backup has of a user in place of what the store has: the state and the history.
///
/// The whole backup is read here and checked, and only the user's records go to the server, sealed as they are. The server opens
/// them with the user's key. If the frames in quarantine follow the records and fold, the user has everything that was
/// acknowledged. Otherwise what came after the backup is lost, which `--accept-loss` must allow: revisions go on behind it, and
/// consent is withdrawn until the citizen gives it again.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server quarantine restore 5f0c21d7a9b3e8461c7d2e9054ab83f1 --from monday.backup --dry-run --data-dir var --token - < admin.token
  profile-server quarantine restore 5f0c21d7a9b3e8461c7d2e9054ab83f1 --from monday.backup --accept-loss --data-dir var --token - < admin.token")]
pub(super) struct RestoreArguments {
    /// Key of the user, as `quarantine list` prints it
    #[arg(value_parser = key)]
    key: UserKey,
    /// The backup, or `-` to read it from stdin
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Goes on without the changes that came after the backup
    #[arg(long)]
    accept_loss: bool,
    /// Says what would be restored and lost, and changes nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(arguments: &RestoreArguments) -> anyhow::Result<()> {
    let RestoreArguments { key, from, accept_loss, dry_run, target } = arguments;
    if from == Path::new(STANDARD) && target.server.reads_stdin() {
        bail!("stdin cannot be both the backup and the token: give the token in PROFILE_SERVER_TOKEN");
    }
    let client = client(target)?;
    // Before a backup is read that may be large.
    client.get(&format!("/admin/quarantine/{key}"))?;
    let (mut input, length) = open_input(from)?;
    let bar = progress_bar(length, BAR);
    let found = find_user(&mut *input, *key, &mut |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let path = format!("/admin/quarantine/{key}/restore?dry_run={dry_run}&accept_loss={accept_loss}");
    let restored = client.post_bytes(&path, found?.encode())?;
    Ok(print_line(&restored.to_string())?)
}
