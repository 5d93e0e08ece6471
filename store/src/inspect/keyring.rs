//! The slots of the keyring.

use super::report::{InspectReport, InspectedKind, StoreFault};
use crate::keyring::{Keyring, SlotContent};

/// Unwraps the key in every slot.
pub(super) fn check(keyring: &Keyring, report: &mut InspectReport) -> Result<(), StoreFault> {
    let mut kind = InspectedKind::default();
    let fault = |slot: u32, detail: &str| Err(StoreFault::new("the keyring", format!("slot {slot} {detail}")));
    for slot in 0..keyring.slots() {
        match keyring.slot_content(slot) {
            Ok(SlotContent::Live(generation)) => {
                if keyring.data_key(slot, generation).is_err() {
                    return fault(slot, "does not unwrap");
                }
                kind.opened += 1;
            }
            Ok(SlotContent::Destroyed(_)) => kind.destroyed += 1,
            Ok(SlotContent::Missing) => kind.without_key += 1,
            Ok(SlotContent::Damaged) => return fault(slot, "has a wrong checksum"),
            Err(error) => return fault(slot, &format!("cannot be read: {error}")),
        }
    }
    report.add("keyring, slots", kind);
    Ok(())
}
