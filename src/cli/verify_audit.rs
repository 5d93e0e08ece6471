//! `verify-audit`: checks an audit log offline.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use config::{Settings, Sources};
use domain::port::audit::AuditCategory;
use serde_json::{Map, json};
use store::audit::{self, AuditKeys, VerifyOptions, VerifyReport, log_id};

use super::output::{print_error, print_line};
use super::settings::SettingsArguments;
use crate::wiring;

/// Checks an audit log, and names the first bad entry if there is one.
///
/// With the keys of the data directory everything is checked. With the public key alone, chain values are not; changes,
/// truncation and replacement of entries that a tree head covers are found all the same. Nothing is changed, and the server may
/// be running.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server verify-audit --data-dir var
  profile-server verify-audit --data-dir var --print-public-key
  profile-server verify-audit --dir copy/audit --public-key audit.pub --anchors anchors.log")]
pub(super) struct VerifyAuditArguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// Directory of the log, to check it without a data directory
    #[arg(long, value_name = "DIR", requires = "public_key")]
    dir: Option<PathBuf>,
    /// Public key of the log: 64 hexadecimal digits, or a file with them
    #[arg(long, value_name = "KEY")]
    public_key: Option<String>,
    /// File of anchors; may be repeated [default: `audit.anchor_file` of the settings, with a data directory]
    #[arg(long, value_name = "FILE")]
    anchors: Vec<PathBuf>,
    /// Prints the public key and checks nothing
    #[arg(long, conflicts_with_all = ["dir", "public_key", "anchors"])]
    print_public_key: bool,
}

pub(super) fn run(arguments: &VerifyAuditArguments) -> anyhow::Result<()> {
    let given_key = arguments.public_key.as_deref().map(read_public_key).transpose()?;
    if let (Some(directory), Some(public_key)) = (&arguments.dir, given_key) {
        return check(directory.clone(), public_key, None, arguments.anchors.clone());
    }
    let sources = arguments.settings.sources();
    let settings = Settings::load(&sources)?;
    let keys = read_keys(&settings, &sources)?;
    if arguments.print_public_key {
        let keys = keys.ok_or_else(no_keys)?;
        print_line(&hex::encode(keys.public_key()))?;
        return Ok(());
    }
    let public_key = match (given_key, &keys) {
        (Some(given), Some(keys)) if given != keys.public_key() => {
            bail!("the public key is not the one of this data directory: check which log the key belongs to")
        }
        (Some(given), _) => given,
        (None, Some(keys)) => keys.public_key(),
        (None, None) => return Err(no_keys()),
    };
    let anchors = if arguments.anchors.is_empty() { anchors(&settings) } else { arguments.anchors.clone() };
    check(audit::directory(&settings.data_dir), public_key, keys.as_ref(), anchors)
}

/// Reads the keys of a data directory; `None` if its master key is not at hand.
fn read_keys(settings: &Settings, sources: &Sources) -> anyhow::Result<Option<AuditKeys>> {
    let Some(secrets) = wiring::look_at_secrets(settings, &sources.environment)? else {
        return Ok(None);
    };
    Ok(Some(AuditKeys::read(&settings.data_dir, &wiring::master_key(&secrets))?))
}

fn no_keys() -> anyhow::Error {
    anyhow!("the master key of the data directory is not there: name the log's public key with `--public-key`")
}

/// Returns the anchor files that the settings name, if they are there.
fn anchors(settings: &Settings) -> Vec<PathBuf> {
    let path = settings.audit.anchor_file.clone().unwrap_or_else(|| audit::default_anchor_file(&settings.data_dir));
    Some(path).filter(|path| path.exists()).into_iter().collect()
}

/// Reads a public key: 64 hexadecimal digits, or a file with them.
///
/// # Errors
/// The text is neither.
pub(super) fn read_public_key(given: &str) -> anyhow::Result<[u8; 32]> {
    let text = match hex::decode(given) {
        Ok(_) => given.to_owned(),
        Err(_) => fs::read_to_string(Path::new(given))
            .with_context(|| format!("`{given}` is neither 64 hexadecimal digits nor a file that can be read"))?,
    };
    let bytes = hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| anyhow!("the public key must be 64 hexadecimal digits"))
}

fn check(
    directory: PathBuf,
    public_key: [u8; 32],
    keys: Option<&AuditKeys>,
    anchors: Vec<PathBuf>,
) -> anyhow::Result<()> {
    if !directory.is_dir() {
        bail!("there is no audit log in `{}`: check the path", directory.display());
    }
    if anchors.is_empty() {
        print_error("no anchors were given: a log that was cut together with its tree heads is not found");
    }
    let options = VerifyOptions { directory, public_key, keys, anchors };
    let report = audit::verify(&options).context("the audit log is not what was written")?;
    report.notes.iter().for_each(|note| print_error(note));
    if !report.chains_checked {
        print_error("chain values were not checked, since the chain key is not at hand");
    }
    print_line(&render(&report, &public_key))?;
    Ok(())
}

/// Returns what was checked, as a JSON line.
fn render(report: &VerifyReport, public_key: &[u8; 32]) -> String {
    let by_category = |counts: &[u64]| {
        let counts = AuditCategory::ALL.iter().zip(counts);
        counts.map(|(category, count)| (category.name().to_owned(), json!(count))).collect::<Map<_, _>>()
    };
    json!({
        "entries": by_category(&report.entries),
        "removed": by_category(&report.removed),
        "tree_heads": report.tree_heads,
        "signed_entries": report.signed,
        "chains_checked": report.chains_checked,
        "log": log_id(public_key),
    })
    .to_string()
}
