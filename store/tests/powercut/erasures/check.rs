//! What must be true of a disk after a power cut.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use domain::erasure_receipt::ErasureReceipt;
use domain::port::audit_trail::{AuditRecord, AuditTrail};
use domain::port::erasure::StoredUser;
use domain::port::journal::{RecordKind, RowId};
use domain::port::store::LoadedUser;
use store::Store;
use store::audit::{
    self, AuditKeys, AuditStore, SignedTreeHead, VerifyOptions, leaf_hash, log_id, verify_consistency, verify_inclusion,
};

use super::audit_options;
use super::eraser::{Eraser, Job, Ports, body, commitment_in, commitment_to, entries, jobs, receipts};
use super::promises::{Promises, Step, UserPromises};
use crate::kit::erasing::{GENERATION_RECORDS, check_user, is_erased_often};
use crate::kit::layout::{KEYRING_HEADER_BYTES, SLOT_BYTES, SLOT_LIVE};
use crate::kit::{Loaded, check_history, options, split, try_open, user};

/// An image that is checked.
pub(super) struct Image<'i> {
    /// What it is, for messages.
    pub(super) what: &'i str,
    pub(super) data: &'i Path,
    /// What was acknowledged before the cut.
    pub(super) promises: &'i Promises,
    /// The day of the audit log's clock, since the Unix epoch.
    pub(super) day: i64,
}

/// The erasures by user and generation.
type Erasures<T> = BTreeMap<(usize, u32), T>;

impl Image<'_> {
    /// Opens the image, checks that everything is there that was acknowledged, and that the next start finishes every erasure
    /// that had begun. Returns how many had. With `starts_again` it is started a second time.
    pub(super) fn check(&self, starts_again: bool) -> usize {
        let what = self.what;
        let keyring = self.keyring();
        let has_anchors = audit::default_anchor_file(self.data).exists();
        assert!(has_anchors || !self.promises.is_anchored, "{what}: the anchors of the audit log are lost");
        let mut store = try_open(options(self.data), 1).unwrap_or_else(|error| panic!("{what}: {error}"));
        let audit = self.open_audit(&store);
        // What the log does at its start has ended when it answers.
        let recorded = self.recorded(&audit);
        self.check_sound(&store);
        self.check_users(&store);
        self.check_log(&store);
        self.check_slots(&store, &keyring, Step::Forgotten);
        self.check_slots(&store, &self.keyring(), Step::Ended);
        let begun = self.check_jobs(&store, &recorded);
        self.check_receipts(&store, &audit, &recorded);

        let resumed = self.resume(&mut store, &audit);
        assert_eq!(resumed.len(), begun, "{what}: the erasures that were resumed");
        self.check_finished(&store, &audit, &resumed);
        drop(audit);
        self.check_sound(&store);
        drop(store);
        if starts_again {
            let store = try_open(options(self.data), 2).unwrap_or_else(|error| panic!("{what}, again: {error}"));
            let audit = self.open_audit(&store);
            self.check_users(&store);
            self.check_finished(&store, &audit, &resumed);
        }
        begun
    }

    fn open_audit(&self, store: &Store) -> AuditStore {
        let opened = audit::open(&audit_options(self.data, self.day), AuditKeys::derive(&store.system_keys));
        opened.unwrap_or_else(|error| panic!("{}: {error}", self.what))
    }

    /// Checks chains, tree, heads and anchors of the audit log, by its public key and with its keys.
    fn check_sound(&self, store: &Store) {
        let keys = AuditKeys::derive(&store.system_keys);
        let anchors = Some(audit::default_anchor_file(self.data)).filter(|path| path.exists());
        for keys_or_none in [None, Some(&keys)] {
            let verified = audit::verify(&VerifyOptions {
                directory: audit::directory(self.data),
                public_key: keys.public_key(),
                keys: keys_or_none,
                anchors: anchors.clone().into_iter().collect(),
            });
            let by = if keys_or_none.is_some() { "with its keys" } else { "by its public key" };
            verified.unwrap_or_else(|fault| panic!("{}: the audit log, {by}: {fault}", self.what));
        }
    }

    /// Checks that each user has everything that was acknowledged, and nothing but the one record that may have been under way;
    /// and that nothing of a life is readable whose end was acknowledged.
    fn check_users(&self, store: &Store) {
        let what = self.what;
        for (&number, user) in &self.promises.users {
            let (found, sequence) = (check_user(store, number, body, what), user.sequence);
            let is_right = (sequence..=sequence + 1).contains(&found);
            assert!(is_right, "{what}: user {number} has {found} of {sequence} acknowledged records");
            if is_erased_often(number) {
                self.check_ended_lives(store, number, user);
            } else {
                check_history(store, number, what);
            }
        }
    }

    fn check_ended_lives(&self, store: &Store, number: usize, promises: &UserPromises) {
        let Some(ended) = ended(promises, Step::Ended) else { return };
        let mut loaded = Loaded::default();
        let found = store.reader.load_history(&user(number), 0, &mut loaded);
        let found = found.unwrap_or_else(|error| panic!("{}: {number}: {error}", self.what)).expect("a user");
        let states = loaded.state.iter().chain(&loaded.base).chain(&loaded.blocks);
        let old = states.flat_map(|state| split(state).expect("frames"));
        let readable: Vec<Vec<u8>> = old.chain(loaded.frames.iter().cloned()).collect();
        let last = u64::from(ended) * GENERATION_RECORDS;
        for sequence in 1..last {
            let gone = body(number, sequence);
            assert!(!readable.contains(&gone), "{}: record {sequence} of user {number} is readable", self.what);
        }
        let is_erased = matches!(found, LoadedUser::Erased { .. });
        assert!(!is_erased || readable.is_empty(), "{}: user {number} is erased, and has records", self.what);
    }

    /// Checks that no frame of the journal opens that belongs to a life whose end was acknowledged.
    fn check_log(&self, store: &Store) {
        let ids = self.promises.users.iter().map(|(number, promises)| (user(*number), ended(promises, Step::Ended)));
        let ended: HashMap<_, _> = ids.collect();
        let (mut from, end) = (store.log.oldest(), store.log.end());
        while from < end {
            let batch = store.log.read(from, end, 1 << 20).expect("the log is read");
            for entry in &batch.entries {
                let ended = ended.get(&entry.record.user).copied().flatten().unwrap_or(0);
                let is_gone = entry.record.kind != RecordKind::ERASURE && entry.record.generation <= ended;
                assert!(!is_gone, "{}: a frame of {} opens", self.what, entry.record.user.as_str());
            }
            from = batch.next;
        }
    }

    /// Checks that a keyring has no key of a generation whose erasure has taken a step.
    fn check_slots(&self, store: &Store, keyring: &[u8], step: Step) {
        for (&number, promises) in &self.promises.users {
            let Some(ended) = ended(promises, step) else { continue };
            let slot = slot(keyring, row_of(store, number));
            let generation = u32::from_le_bytes(slot[4..8].try_into().expect("four bytes"));
            let is_gone = generation > ended || generation == ended && slot[0] != SLOT_LIVE;
            let what = self.what;
            assert!(is_gone, "{what}: after {step:?} the keyring has the key of generation {ended} of user {number}");
        }
    }

    /// Returns the content of the keyring, if there is one yet. A power cut may come between the two renames of a rotation.
    fn keyring(&self) -> Vec<u8> {
        let read = |name| std::fs::read(self.data.join(name));
        read("keyring").or_else(|_| read("keyring.replaced")).unwrap_or_default()
    }

    /// Returns the entries of erasures in the audit log. None has two.
    fn recorded(&self, audit: &AuditStore) -> BTreeMap<String, AuditRecord> {
        let mut recorded = BTreeMap::new();
        for record in entries(audit, None) {
            let commitment = commitment_in(&record).expect("a commitment");
            let before = recorded.insert(commitment, record);
            assert!(before.is_none(), "{}: an erasure has two entries", self.what);
        }
        recorded
    }

    /// Checks that every erasure that was begun has its job and its entry. Returns how many jobs there are.
    fn check_jobs(&self, store: &Store, recorded: &BTreeMap<String, AuditRecord>) -> usize {
        let what = self.what;
        let jobs = jobs(&*store.registry);
        for (&number, promises) in &self.promises.users {
            for (&generation, erasure) in &promises.erasures {
                let step = erasure.step;
                let job = jobs.iter().find(|job| (job.number, job.generation) == (number, generation));
                let erasure = format!("{what}: generation {generation} of user {number}, after {step:?}");
                assert!(step >= Step::Removing || job.is_some(), "{erasure}: the job is lost");
                assert!(step < Step::Removed || job.is_none(), "{erasure}: the job is there again");
                let has_tombstone = job.is_none_or(|job| job.tombstone.is_some());
                assert!(step < Step::Noted || has_tombstone, "{erasure}: the job has lost the tombstone");
                let is_recorded = recorded.contains_key(&hex::encode(commitment_to(number, generation)));
                assert!(step < Step::Recorded || is_recorded, "{erasure}: the entry of the audit log is lost");
            }
        }
        jobs.len()
    }

    /// Checks that the receipts that were acknowledged are there, and that all of them are valid. Returns all.
    fn check_receipts(
        &self,
        store: &Store,
        audit: &AuditStore,
        recorded: &BTreeMap<String, AuditRecord>,
    ) -> Erasures<String> {
        let receipts = receipts(&*store.registry).into_iter();
        let receipts: Erasures<String> =
            receipts.map(|(number, generation, text)| ((number, generation), text)).collect();
        for (&number, promises) in &self.promises.users {
            for (&generation, erasure) in promises.erasures.iter().filter(|(_, erasure)| erasure.step >= Step::Proved) {
                let found = receipts.get(&(number, generation)).map(|text| crc32c::crc32c(text.as_bytes()));
                let what = self.what;
                assert_eq!(found, erasure.receipt, "{what}: the receipt of generation {generation} of user {number}");
            }
        }
        for ((number, generation), text) in &receipts {
            let what = format!("{}: the receipt of generation {generation} of user {number}", self.what);
            let receipt = ErasureReceipt::parse(text).unwrap_or_else(|error| panic!("{what}: {error}"));
            let entry = recorded.get(&hex::encode(commitment_to(*number, *generation)));
            let entry = entry.unwrap_or_else(|| panic!("{what}: its entry is not in the audit log"));
            assert_eq!((receipt.generation, receipt.slot), (*generation, row_of(store, *number).0), "{what}");
            assert_eq!((&receipt.audit_entry, Some(receipt.leaf)), (&entry.line, entry.receipt.leaf), "{what}");
            check_proofs(&receipt, &audit.public_key(), &what);
        }
        receipts
    }

    /// Finishes the erasures that had begun, as a start does.
    fn resume(&self, store: &mut Store, audit: &AuditStore) -> Vec<Job> {
        let ports = Ports::of(store, audit);
        let journal = RefCell::new(&mut store.journal);
        let eraser = Eraser {
            ports,
            commit: Box::new(|record| journal.borrow_mut().append(&[record]).expect("taken")[0].expect("in sequence")),
            note: Box::new(|_| {}),
        };
        let resumed = eraser.resume(|_| true);
        drop(eraser);
        resumed
    }

    /// Checks that no erasure is unfinished, and that each has its entry, its receipt and its end.
    fn check_finished(&self, store: &Store, audit: &AuditStore, resumed: &[Job]) {
        let what = self.what;
        assert_eq!(jobs(&*store.registry), [], "{what}: a job is left");
        let recorded = self.recorded(audit);
        let receipts = self.check_receipts(store, audit, &recorded);
        let promised = self
            .promises
            .users
            .iter()
            .flat_map(|(number, promises)| promises.erasures.keys().map(move |generation| (*number, *generation)));
        let keyring = self.keyring();
        for (number, generation) in promised.chain(resumed.iter().map(|job| (job.number, job.generation))) {
            let erasure = format!("{what}: generation {generation} of user {number}, at the end");
            assert!(receipts.contains_key(&(number, generation)), "{erasure}: there is no receipt");
            let last = match store.users.find(&user(number)).expect("the store reads").expect("a user") {
                StoredUser::Living { generation, .. } => generation - 1,
                StoredUser::Erased { tombstone, .. } => tombstone.generation,
            };
            assert!(last >= generation, "{erasure}: the user lives");
            let slot = slot(&keyring, row_of(store, number));
            let in_slot = u32::from_le_bytes(slot[4..8].try_into().expect("four bytes"));
            assert!(in_slot > generation || slot[0] != SLOT_LIVE, "{erasure}: the keyring has the key");
        }
    }
}

/// Returns the newest generation whose erasure has taken a step.
fn ended(promises: &UserPromises, step: Step) -> Option<u32> {
    let ended = promises.erasures.iter().rev().find(|(_, erasure)| erasure.step >= step);
    ended.map(|(generation, _)| *generation)
}

fn row_of(store: &Store, number: usize) -> RowId {
    let (StoredUser::Living { row, .. } | StoredUser::Erased { row, .. }) =
        store.users.find(&user(number)).expect("the store reads").expect("a user");
    row
}

/// Returns the slot of a row.
fn slot(keyring: &[u8], row: RowId) -> &[u8] {
    &keyring[KEYRING_HEADER_BYTES + row.0 as usize * SLOT_BYTES..][..SLOT_BYTES]
}

/// Checks the signatures and proofs of a receipt.
fn check_proofs(receipt: &ErasureReceipt, key: &[u8; 32], what: &str) {
    assert_eq!((receipt.key_id, hex::encode(receipt.log_id)), (*key, log_id(key)), "{what}");
    let head = |line: &str| SignedTreeHead::verify(line, key).unwrap_or_else(|| panic!("{what}: a signature")).head;
    let (before, after) = (head(&receipt.tree_head_before), head(&receipt.tree_head_after));
    assert!((before.size..after.size).contains(&receipt.leaf), "{what}: the leaf is between the heads");
    let leaf = leaf_hash(receipt.audit_entry.as_bytes());
    let is_included = verify_inclusion(&leaf, receipt.leaf, after.size, &receipt.inclusion, &after.root);
    assert!(is_included, "{what}: the entry is in the tree");
    let is_consistent = verify_consistency(before.size, after.size, &receipt.consistency, &before.root, &after.root);
    assert!(is_consistent, "{what}: the tree was continued");
}
