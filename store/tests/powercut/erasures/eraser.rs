//! Erases users as the server does, in the same order, through the ports of the store and the audit log.

use std::sync::Arc;

use domain::erasure::{ErasureReason, TOMBSTONE_BYTES, Tombstone};
use domain::erasure_receipt::{COMMITMENT_MEMBER, ERASE_ACTION, ErasureReceipt, SLOT_MEMBER, commitment};
use domain::json::{self, Json};
use domain::port::audit::{AuditActor, AuditCategory, AuditEntry, AuditLog, AuditValue};
use domain::port::audit_trail::{AuditQuery, AuditRecord, AuditTrail};
use domain::port::erasure::{ErasedUser, ErasureParticipant, StoredUser, UserDirectory};
use domain::port::journal::{Record, RowId};
use domain::port::registry::{Registry, RegistryEntry, RegistryKind};
use sha2::{Digest, Sha256};
use store::Store;
use store::audit::AuditStore;

use super::promises::{Note, Step};
use crate::kit::erasing::{GENERATION_RECORDS, erasing_record};
use crate::kit::user;

/// A time before everything expires.
const EARLY: i64 = i64::MIN;

/// The content of a record.
pub(super) fn body(number: usize, sequence: u64) -> Vec<u8> {
    format!("{number}/{sequence}/").repeat(1 + (number + sequence as usize) % 8).into_bytes()
}

/// An erasure that is not finished, as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) number: usize,
    pub(super) generation: u32,
    row: RowId,
    /// What remains of the user, once that is known to be durable.
    pub(super) tombstone: Option<Tombstone>,
    /// The signed tree head before the audit entry.
    head_before: String,
}

impl Job {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [self.number as u32, self.generation, self.row.0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.push(u8::from(self.tombstone.is_some()));
        bytes.extend_from_slice(&self.tombstone.map_or([0; TOMBSTONE_BYTES], |tombstone| tombstone.encode()));
        bytes.extend_from_slice(self.head_before.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[4 * at..4 * at + 4].try_into().expect("four bytes"));
        let (generation, rest) = (word(1), &bytes[12..]);
        let (tombstone, head) = rest[1..].split_at(TOMBSTONE_BYTES);
        Self {
            number: word(0) as usize,
            generation,
            row: RowId(word(2)),
            tombstone: (rest[0] == 1).then(|| Tombstone::decode(tombstone, generation).expect("a tombstone")),
            head_before: String::from_utf8(head.to_vec()).expect("text"),
        }
    }
}

/// Returns the erasures that are not finished.
pub(super) fn jobs(registry: &dyn Registry) -> Vec<Job> {
    registry.list(RegistryKind::ERASURE_JOB, EARLY).iter().map(|(_, entry)| Job::decode(&entry.value)).collect()
}

/// Returns the receipts, each with the number of its user and the generation that has ended.
pub(super) fn receipts(registry: &dyn Registry) -> Vec<(usize, u32, String)> {
    let word = |key: &[u8], at: usize| u32::from_le_bytes(key[at..at + 4].try_into().expect("four bytes"));
    let all = registry.list(RegistryKind::ERASURE_RECEIPT, EARLY);
    let text = |entry: &RegistryEntry| String::from_utf8(entry.value.clone()).expect("text");
    all.iter().map(|(key, entry)| (word(key, 0) as usize, word(key, 4), text(entry))).collect()
}

fn job_key(number: usize) -> [u8; 4] {
    (number as u32).to_le_bytes()
}

fn receipt_key(number: usize, generation: u32) -> Vec<u8> {
    [job_key(number), generation.to_le_bytes()].concat()
}

fn nonce(number: usize, generation: u32) -> [u8; 32] {
    let mut nonce = [7; 32];
    nonce[..8].copy_from_slice(&receipt_key(number, generation));
    nonce
}

/// Returns what stands for an erasure in the audit log.
pub(super) fn commitment_to(number: usize, generation: u32) -> [u8; 32] {
    commitment(&nonce(number, generation), &user(number))
}

/// Returns the commitment in an entry of an erasure.
pub(super) fn commitment_in(record: &AuditRecord) -> Option<String> {
    let entry = json::parse(record.line.as_bytes(), 4).expect("an entry");
    entry.get(COMMITMENT_MEMBER).and_then(Json::as_str).map(str::to_owned)
}

/// Returns the entries of the erasures of one user, or of all.
pub(super) fn entries(audit: &AuditStore, of: Option<usize>) -> Vec<AuditRecord> {
    let mut query = AuditQuery {
        categories: vec![AuditCategory::Compliance],
        subject: of.map(user),
        action: Some(ERASE_ACTION.to_owned()),
        ..AuditQuery::newest(1_000)
    };
    let mut all = Vec::new();
    loop {
        let page = audit.query(&query).expect("a page");
        all.extend(page.records);
        query.cursor = page.next;
        if query.cursor.is_none() {
            return all;
        }
    }
}

/// The ports that erasures use.
pub(super) struct Ports<'a> {
    registry: Arc<dyn Registry>,
    users: Arc<dyn UserDirectory>,
    keys: Arc<dyn ErasureParticipant>,
    pub(super) audit: &'a AuditStore,
}

impl<'a> Ports<'a> {
    pub(super) fn of(store: &Store, audit: &'a AuditStore) -> Self {
        Self { registry: store.registry.clone(), users: store.users.clone(), keys: store.keys.clone(), audit }
    }
}

/// Erases users of its own one after the other, with a job and a receipt each.
pub(super) struct Eraser<'a> {
    pub(super) ports: Ports<'a>,
    /// Makes a record durable.
    pub(super) commit: Box<dyn Fn(Record) -> RowId + 'a>,
    /// Writes down what was acknowledged.
    pub(super) note: Box<dyn Fn(Note) + 'a>,
}

impl Eraser<'_> {
    /// Adds records until the next one ends the life of a user. Returns the sequence of the last one, which begins as
    /// `sequence`.
    pub(super) fn live(&self, number: usize, mut sequence: u64) -> u64 {
        while !(sequence + 1).is_multiple_of(GENERATION_RECORDS) {
            sequence += 1;
            self.append(number, sequence);
        }
        sequence
    }

    fn append(&self, number: usize, sequence: u64) {
        (self.commit)(erasing_record(number, sequence, body(number, sequence)));
        (self.note)(Note::Appended { number, sequence });
    }

    /// Erases a user who lives. With `lives_again` the next life begins while the erasure is not finished.
    pub(super) fn erase(&self, number: usize, lives_again: bool) {
        let found = self.ports.users.find(&user(number)).expect("the store reads");
        let Some(StoredUser::Living { row, generation }) = found else { panic!("user {number} is {found:?}") };
        let head_before = self.ports.audit.sign_tree_head().expect("a head").line;
        let job = Job { number, generation, row, tombstone: None, head_before };
        self.put(&job);
        self.reached(&job, Step::Begun, 0);
        self.take_steps(job, true, lives_again);
    }

    /// Goes on with the erasures of some users that were begun by an earlier process. Returns them.
    pub(super) fn resume(&self, is_own: impl Fn(usize) -> bool) -> Vec<Job> {
        let own: Vec<Job> = jobs(&*self.ports.registry).into_iter().filter(|job| is_own(job.number)).collect();
        own.iter().for_each(|job| self.take_steps(job.clone(), false, false));
        own
    }

    fn take_steps(&self, mut job: Job, is_new: bool, lives_again: bool) {
        if is_new || self.entry(&job).is_none() {
            let entry = AuditEntry {
                subject: Some(user(job.number)),
                generation: Some(job.generation),
                ..AuditEntry::new(AuditCategory::Compliance, ERASE_ACTION, AuditActor::System)
            };
            let commitment = AuditValue::Digest(commitment_to(job.number, job.generation));
            let entry = entry.with(SLOT_MEMBER, AuditValue::Integer(job.row.0.into()));
            self.ports.audit.write_blocking(entry.with(COMMITMENT_MEMBER, commitment)).expect("an entry");
        }
        self.reached(&job, Step::Recorded, 0);
        let tombstone = match job.tombstone {
            Some(tombstone) => tombstone,
            None => {
                let tombstone = self.end_generation(&job);
                self.reached(&job, Step::Ended, 0);
                job.tombstone = Some(tombstone);
                self.put(&job);
                tombstone
            }
        };
        self.reached(&job, Step::Noted, 0);
        if lives_again {
            self.append(job.number, tombstone.last_sequence + 1);
        }
        self.ports.keys.forget(&ErasedUser { user: user(job.number), row: job.row, tombstone }).expect("forgotten");
        self.reached(&job, Step::Forgotten, 0);
        let receipt = self.prove(&job, &tombstone);
        self.reached(&job, Step::Proved, crc32c::crc32c(&receipt));
        self.reached(&job, Step::Removing, 0);
        self.ports.registry.remove(RegistryKind::ERASURE_JOB, &job_key(job.number)).expect("removed");
        self.reached(&job, Step::Removed, 0);
    }

    fn entry(&self, job: &Job) -> Option<AuditRecord> {
        let commitment = hex::encode(commitment_to(job.number, job.generation));
        let own = entries(self.ports.audit, Some(job.number));
        own.into_iter().find(|record| commitment_in(record).as_ref() == Some(&commitment))
    }

    /// Ends the user's generation, unless that has happened.
    fn end_generation(&self, job: &Job) -> Tombstone {
        match self.ports.users.find(&user(job.number)).expect("the store reads").expect("a user") {
            StoredUser::Living { generation, .. } if generation > job.generation => Tombstone {
                generation: job.generation,
                erased_at: 0,
                reason: ErasureReason::Citizen,
                last_revision: 0,
                last_sequence: 0,
                was_shared: false,
            },
            StoredUser::Living { .. } => {
                let record = erasing_record(job.number, u64::from(job.generation) * GENERATION_RECORDS, Vec::new());
                let tombstone = Tombstone::decode(&record.body, job.generation).expect("a tombstone");
                assert_eq!((self.commit)(record), job.row);
                tombstone
            }
            StoredUser::Erased { tombstone, .. } => tombstone,
        }
    }

    /// Makes and stores the receipt, unless that has happened.
    fn prove(&self, job: &Job, tombstone: &Tombstone) -> Vec<u8> {
        let key = receipt_key(job.number, job.generation);
        if let Some(stored) = self.ports.registry.get(RegistryKind::ERASURE_RECEIPT, &key, EARLY) {
            return stored.value.clone();
        }
        let entry = self.entry(job).expect("the entry is in the log");
        let (leaf, after) = (entry.receipt.leaf.expect("a leaf"), self.ports.audit.sign_tree_head().expect("a head"));
        let key_id = self.ports.audit.public_key();
        let before = json::parse(job.head_before.as_bytes(), 4).expect("a head");
        let before = before.get("size").and_then(Json::as_i64).expect("a size") as u64;
        let receipt = ErasureReceipt {
            log_id: Sha256::digest(key_id).into(),
            key_id,
            nonce: nonce(job.number, job.generation),
            commitment: commitment_to(job.number, job.generation),
            slot: job.row.0,
            generation: tombstone.generation,
            erased_at: tombstone.erased_at,
            keyring_backup_until: None,
            audit_entry: entry.line,
            leaf,
            inclusion: self.ports.audit.inclusion(leaf, after.size).expect("a proof"),
            consistency: self.ports.audit.consistency(before, after.size).expect("a proof"),
            tree_head_before: job.head_before.clone(),
            tree_head_after: after.line,
        };
        let value = receipt.to_json().into_bytes();
        let entry = RegistryEntry { value: value.clone(), expires_at: None };
        self.ports.registry.put(RegistryKind::ERASURE_RECEIPT, &key, entry).expect("stored");
        value
    }

    fn put(&self, job: &Job) {
        let entry = RegistryEntry { value: job.encode(), expires_at: None };
        self.ports.registry.put(RegistryKind::ERASURE_JOB, &job_key(job.number), entry).expect("stored");
    }

    fn reached(&self, job: &Job, step: Step, receipt: u32) {
        let Job { number, generation, .. } = *job;
        (self.note)(Note::Reached { number, generation, step, receipt });
    }
}
