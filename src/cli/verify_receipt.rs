//! `verify-receipt`: checks the receipt of an erasure offline.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use domain::day::format_instant;
use domain::erasure_receipt::{ErasureReceipt, MAX_RECEIPT_BYTES};
use domain::id::UserId;
use domain::json::{self, Json};
use serde_json::json;

use super::output::{print_error, print_line};
use super::verify_audit::read_public_key;
use crate::erasure::{ReceiptCheck, check_receipt};

/// Levels of an answer with a tree head.
const DEPTH: usize = 5;

/// Checks the receipt of an erasure, and names the first fault if there is one.
///
/// Signatures are checked with the public key of the audit log. Without one from elsewhere, the key in the receipt is used:
/// then everything is checked but who has signed. Nothing is sent anywhere.
#[derive(Args)]
#[command(after_help = "Examples:
  profile-server verify-receipt receipt.json --key audit.pub
  profile-server verify-receipt receipt.json --tree-head head.json --user usr_7Qm2Xr9TzKpA
  curl … | profile-server verify-receipt - --key 5b1f…")]
pub(super) struct VerifyReceiptArguments {
    /// File of the receipt, or `-` for stdin
    file: PathBuf,
    /// Public key of the audit log: 64 hexadecimal digits, or a file with them
    #[arg(long, value_name = "KEY", conflicts_with = "tree_head")]
    key: Option<String>,
    /// File with an answer of GET /api/v2/audit/tree-head that was saved before
    #[arg(long, value_name = "FILE")]
    tree_head: Option<PathBuf>,
    /// Whom the receipt must be about
    #[arg(long, value_name = "ID", value_parser = parse_user)]
    user: Option<UserId>,
}

fn parse_user(text: &str) -> Result<UserId, String> {
    UserId::parse(text).map_err(|error| error.to_string())
}

/// What was saved of the audit log before.
struct SavedHead {
    line: String,
    public_key: Option<[u8; 32]>,
}

pub(super) fn run(arguments: &VerifyReceiptArguments) -> anyhow::Result<()> {
    let text = read_receipt(&arguments.file)?;
    let saved = arguments.tree_head.as_deref().map(read_head).transpose()?;
    let given = arguments.key.as_deref().map(read_public_key).transpose()?;
    let public_key = given.or(saved.as_ref().and_then(|saved| saved.public_key));
    let tree_head = saved.as_ref().map(|saved| saved.line.as_str());
    let against = ReceiptCheck { public_key, tree_head, user: arguments.user };
    let receipt = check_receipt(text.trim_end_matches(['\n', '\r']), &against).context("the receipt is not valid")?;
    if public_key.is_none() && tree_head.is_none() {
        print_error("who has signed was not checked: name the public key of the audit log with `--key`");
    }
    if arguments.user.is_none() {
        print_error("whom the receipt is about was not checked: name the user with `--user`");
    }
    print_line(&render(&receipt, &against))?;
    Ok(())
}

fn read_receipt(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    // A byte more shows that there are more.
    let most = MAX_RECEIPT_BYTES as u64 + 2;
    let read = if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.with_context(|| format!("the receipt could not be read from `{}`", path.display()))?;
    Ok(text)
}

/// Reads a tree head by itself, or an answer of the API that has one and the public key.
fn read_head(path: &Path) -> anyhow::Result<SavedHead> {
    let text = fs::read_to_string(path).with_context(|| format!("`{}` could not be read", path.display()))?;
    let no_head = || anyhow!("`{}` holds no tree head: save an answer of GET /api/v2/audit/tree-head", path.display());
    let object = json::parse(text.trim().as_bytes(), DEPTH).map_err(|_| no_head())?;
    let head = object.get("tree_head").unwrap_or(&object);
    if head.get("signature").is_none() {
        bail!(no_head());
    }
    let mut line = String::new();
    head.write_canonical(&mut line);
    let public_key = object.get("public_key").and_then(Json::as_str).map(read_public_key).transpose()?;
    Ok(SavedHead { line, public_key })
}

/// Returns what the receipt says, as a JSON line.
fn render(receipt: &ErasureReceipt, against: &ReceiptCheck<'_>) -> String {
    json!({
        "erased_at": format_instant(receipt.erased_at),
        "generation": receipt.generation,
        "keyring_backup_until": receipt.keyring_backup_until.map(format_instant),
        "log": hex::encode(receipt.log_id),
        "leaf": receipt.leaf,
        "signer_checked": against.public_key.is_some() || against.tree_head.is_some(),
        "user_checked": against.user.is_some(),
    })
    .to_string()
}
