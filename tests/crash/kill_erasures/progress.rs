//! How far an erasure has come when the server was killed, as a copy of its files says.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::erasure_receipt::commitment;
use domain::id::UserId;
use domain::port::clock::Entropy;
use domain::port::erasure::StoredUser;
use domain::port::registry::RegistryKind;
use domain::record::Replay;
use serde_json::Value;
use store::{MasterKey, StoreOptions};
use tempfile::TempDir;

use crate::harness::Harness;

const KEYRING_HEADER_BYTES: usize = 8192;
const SLOT_BYTES: usize = 64;
const SLOT_DESTROYED: u8 = 2;
/// In these bytes of a slot a wrapped key ends, and a destroyed slot has zeros.
const KEY_END: std::ops::Range<usize> = 51..56;

/// What there is of a person and of the person's erasure, in the order of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    /// The person lives, and there is no job.
    Living,
    /// There is a job, which can be undone.
    Scheduled,
    /// The job has begun.
    Begun,
    /// The entry is in the audit log.
    Recorded,
    /// The tombstone is there.
    Ended,
    /// The job holds the tombstone.
    Noted,
    /// The key is destroyed.
    Forgotten,
    /// The receipt is there.
    Proved,
    /// The person is erased, and there is no job.
    Erased,
}

/// What the copy is opened with. Nothing that is written to it is kept.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(1);
    }
}

/// Returns the commitments in the complete entries of the audit log.
pub(super) fn recorded_commitments(data_dir: &Path) -> Vec<String> {
    let names = fs::read_dir(data_dir.join("audit")).expect("the audit log");
    let paths = names.map(|item| item.expect("an item").path());
    let segments = paths.filter(|path| {
        path.to_string_lossy().contains("compliance-") && path.extension().is_some_and(|ending| ending == "log")
    });
    let commitments = segments.flat_map(|path| {
        let bytes = fs::read(path).expect("a segment");
        // A line that was cut off states nothing.
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let entries = lines.map(|line| serde_json::from_slice::<Value>(line).expect("an entry"));
        entries.filter_map(|entry| Some(entry.get("commitment")?.as_str()?.to_owned())).collect::<Vec<_>>()
    });
    commitments.collect()
}

/// Returns how far the erasure of a user has come in the files of a server that is not running. Before, there were so many
/// receipts.
pub(super) fn progress(harness: &Harness, user: &str, receipts_before: usize) -> Progress {
    let copied = TempDir::new().expect("a directory");
    copy(&harness.data_dir(), copied.path());
    // The start destroys keys.
    let keyring = fs::read(copied.path().join("keyring")).expect("a keyring");
    let options = StoreOptions { segment_bytes: 1 << 20, ..StoreOptions::new(copied.path()) };
    let store = store::open(options, &master_key(copied.path()), Arc::new(Replay), Arc::new(NoEntropy));
    let store = store.expect("the store opens");
    let id = UserId::parse(user).expect("an id");
    let found = store.users.find(&id).expect("the store reads");
    let is_erased = matches!(found, Some(StoredUser::Erased { .. }));
    let list = |kind| store.registry.list(kind, i64::MIN);
    let jobs = list(RegistryKind::ERASURE_JOB);
    let mut jobs = jobs.iter().map(|(_, entry)| serde_json::from_slice::<Value>(&entry.value).expect("a job"));
    let Some(job) = jobs.find(|job| job["user"] == user) else {
        return if is_erased { Progress::Erased } else { Progress::Living };
    };
    let running = &job["running"];
    if running.is_null() {
        return Progress::Scheduled;
    }
    if running["tombstone"].is_null() {
        let mut nonce = [0; 32];
        hex::decode_to_slice(running["nonce"].as_str().expect("text"), &mut nonce).expect("a nonce");
        let is_recorded = recorded_commitments(copied.path()).contains(&hex::encode(commitment(&nonce, &id)));
        return match (is_recorded, is_erased) {
            (false, _) => Progress::Begun,
            (true, false) => Progress::Recorded,
            (true, true) => Progress::Ended,
        };
    }
    let row = job["slot"].as_u64().expect("a slot") as usize;
    let slot = &keyring[KEYRING_HEADER_BYTES + row * SLOT_BYTES..][..SLOT_BYTES];
    if slot[0] != SLOT_DESTROYED || slot[KEY_END].iter().any(|byte| *byte != 0) {
        return Progress::Noted;
    }
    let has_receipt = list(RegistryKind::ERASURE_RECEIPT).len() > receipts_before;
    if has_receipt { Progress::Proved } else { Progress::Forgotten }
}

fn master_key(data_dir: &Path) -> MasterKey {
    let secrets = fs::read_to_string(data_dir.join(".env")).expect("the secrets");
    let key = secrets.lines().find_map(|line| line.strip_prefix("PROFILE_SERVER_MASTER_KEY=")).expect("the master key");
    MasterKey::new(1, STANDARD.decode(key).expect("base64").try_into().expect("32 bytes"))
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let from = entry.expect("an entry").path();
        let to = to.join(from.file_name().expect("a name"));
        if from.is_dir() {
            fs::create_dir(&to).expect("made");
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("copied");
        }
    }
}
