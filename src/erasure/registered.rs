//! Jobs and receipts in the registry.

use std::sync::Arc;

use domain::erasure_receipt::MAX_RECEIPT_BYTES;
use domain::id::UserId;
use domain::port::clock::Clock;
use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::job::{ErasureJob, InvalidJob};

/// How long a receipt is kept: about as long as the entry of the audit log that it proves, 7 years.
const RECEIPT_LIFE_MICROS: i64 = 7 * 366 * 24 * 3_600 * 1_000_000;
/// Receipts that make room for a new one when all together have reached their bound of bytes.
const ROOM: usize = 64;
/// Level of the compression of receipts.
const COMPRESSION: i32 = 9;

/// Reads and writes the entries of erasures.
pub(super) struct RegisteredErasures {
    registry: Arc<dyn Registry>,
    /// The wall clock.
    clock: Arc<dyn Clock>,
    /// The key of the hashes under which entries stand: no key of an entry names a person.
    key: Hmac<Sha256>,
}

impl RegisteredErasures {
    pub(super) fn new(registry: Arc<dyn Registry>, clock: Arc<dyn Clock>, key: &[u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        Self { registry, clock, key: Hmac::new(&block.into()) }
    }

    /// Returns the jobs that are not finished.
    ///
    /// # Errors
    /// One of them cannot be read. Without it, a profile that is to be hidden would be shown.
    pub(super) fn jobs(&self) -> Result<Vec<ErasureJob>, InvalidJob> {
        let entries = self.registry.list(RegistryKind::ERASURE_JOB, self.clock.now_micros());
        entries.iter().map(|(_, entry)| ErasureJob::from_bytes(&entry.value)).collect()
    }

    /// Stores a job in place of the user's one before. Durable when it returns. Blocks.
    pub(super) fn store_job(&self, job: &ErasureJob) -> Result<(), RegistryError> {
        let entry = RegistryEntry { value: job.to_bytes(), expires_at: None };
        self.registry.put(RegistryKind::ERASURE_JOB, &self.job_key(&job.user), entry)
    }

    /// Removes a user's job. Blocks.
    pub(super) fn remove_job(&self, user: &UserId) -> Result<(), RegistryError> {
        self.registry.remove(RegistryKind::ERASURE_JOB, &self.job_key(user)).map(drop)
    }

    /// Returns the receipt of a generation's erasure.
    pub(super) fn receipt(&self, user: &UserId, generation: u32) -> Option<String> {
        let key = self.receipt_key(user, generation);
        let entry = self.registry.get(RegistryKind::ERASURE_RECEIPT, &key, self.clock.now_micros())?;
        let text = zstd::bulk::decompress(&entry.value, MAX_RECEIPT_BYTES).ok()?;
        String::from_utf8(text).ok()
    }

    /// Stores a receipt. When there is no room, the oldest ones go: an erasure is never refused for them. Blocks.
    pub(super) fn store_receipt(&self, user: &UserId, generation: u32, receipt: &str) -> Result<(), RegistryError> {
        let now = self.clock.now_micros();
        let key = self.receipt_key(user, generation);
        let expires_at = Some(now.saturating_add(RECEIPT_LIFE_MICROS));
        // Most of it is hexadecimal digits. The registry keeps all of its entries in memory.
        let value = zstd::bulk::compress(receipt.as_bytes(), COMPRESSION)
            .map_err(|error| RegistryError::Unavailable { source: error.into() })?;
        let entry = RegistryEntry { value, expires_at };
        match self.registry.put(RegistryKind::ERASURE_RECEIPT, &key, entry.clone()) {
            Err(RegistryError::Full) => {}
            outcome => return outcome,
        }
        let mut receipts = self.registry.list(RegistryKind::ERASURE_RECEIPT, i64::MIN);
        receipts.sort_by_key(|(_, entry)| entry.expires_at);
        for (oldest, _) in receipts.iter().take(ROOM) {
            self.registry.remove(RegistryKind::ERASURE_RECEIPT, oldest)?;
        }
        tracing::warn!("the oldest receipts of erasures were removed, since the registry has no room for more");
        self.registry.put(RegistryKind::ERASURE_RECEIPT, &key, entry)
    }

    fn job_key(&self, user: &UserId) -> Vec<u8> {
        self.hash(user, 0)
    }

    /// Generations count from 1.
    fn receipt_key(&self, user: &UserId, generation: u32) -> Vec<u8> {
        self.hash(user, generation)
    }

    fn hash(&self, user: &UserId, number: u32) -> Vec<u8> {
        let mac = self.key.clone().chain_update(number.to_le_bytes()).chain_update(user.as_str().as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}
