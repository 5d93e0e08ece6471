//! The epochs that a store had before it was restored. What was appended there after the backup is no part of this store: the same
//! sequences and revisions have other contents here.

use domain::port::registry::{Registry, RegistryEntry, RegistryError, RegistryKind};

use crate::journal::Position;
use crate::registry::DurableRegistry;

/// Notes that a store has the records of another one, whose epoch is `epoch`, before `position`. Durable when it returns.
pub(super) fn note_past_epoch(registry: &DurableRegistry, epoch: u64, position: Position) -> Result<(), RegistryError> {
    let entry = RegistryEntry { value: position.to_u64().to_le_bytes().to_vec(), expires_at: None };
    registry.put(RegistryKind::PAST_EPOCH, &epoch.to_le_bytes(), entry)
}

/// Returns the position before which a store has the records of the one with an epoch; `None` if it has none of them.
pub(crate) fn past_position(registry: &DurableRegistry, epoch: u64) -> Option<Position> {
    let entry = registry.get(RegistryKind::PAST_EPOCH, &epoch.to_le_bytes(), i64::MIN)?;
    entry.value.first_chunk().map(|position| Position::from_u64(u64::from_le_bytes(*position)))
}
