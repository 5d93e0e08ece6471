//! How a user goes on after frames were lost: from the last state that is left, at the sequence of the last frame that is not.

use super::block::{BlockRecord, GrowingBlock};
use super::cause::Cause;
use super::codec::DecodeError;
use super::history_step::HistoryStep;
use super::merged::{RunContext, encode_run};
use super::{pack, unpack};
use crate::event::{RegisterPath, RegisterWrite, SharedText};
use crate::integrity::LazyTree;
use crate::port::journal::RecordKind;
use crate::port::store::{SideChanges, SideKey, SideKind, SideRecord};
use crate::state::UserState;
use crate::table::Member;

/// The id in the stamps of what is withdrawn.
const EVENT_ID: &str = "frames-lost";

/// Returns the greatest revision that records up to `sequence` can have made, whatever a user has lost and gone on from: a record
/// makes one at most, and a loss leads to this one.
pub const fn greatest_revision(sequence: u64) -> u64 {
    2 * sequence
}

/// Returns the packed state at `sequence` after the frames behind the packed `state` were lost, and the history that leads to
/// it: a record that stands for the lost ones, as one does for those that were dropped when history was thinned.
///
/// The revision is greater than any that was made before, so that what clients hold of a lost revision is never taken for a later
/// one, whichever state the user goes on from: revisions of earlier frames are less than [`greatest_revision`] of this one.
/// Consent is withdrawn, because a lost frame may have withdrawn it; the stamps are just behind those that are left, so that
/// lost events can be sent again. `now` is in microseconds since the Unix epoch.
pub(super) fn after_loss(packed: &[u8], sequence: u64, now: i64) -> Result<(Vec<u8>, SideChanges), DecodeError> {
    let before = unpack(packed.to_vec())?;
    let lost = sequence.checked_sub(before.sequence).filter(|lost| *lost > 0);
    let lost = lost.ok_or(DecodeError::Unknown { what: "sequence" })?;
    let mut after = before.clone();
    after.sequence = sequence;
    after.envelope.revision = greatest_revision(sequence).max(before.envelope.revision + lost + 1);
    after.envelope.generated_at = now.max(before.envelope.generated_at);
    withdraw_consent(&mut after);
    // No rules have this fingerprint but by chance: the profile is assembled anew when it is next read.
    after.rules = !before.rules;
    after.tree = LazyTree::default();
    let context = RunContext { dropped_from: Some(before.envelope.generated_at.saturating_add(1)), cause: Cause::Roll };
    let body = encode_run(Some(&before), &after, &context);
    let record = BlockRecord { generation: after.generation, sequence, kind: RecordKind::MERGED, body: &body };
    let packed = pack(&after);
    if pack(&HistoryStep::decode(record)?.apply(Some(before))?) != packed {
        return Err(DecodeError::Unknown { what: "difference between two states" });
    }
    let mut block = GrowingBlock::new(after.generation, 0);
    block.append(record);
    let side_record = |kind, number, body| SideRecord { key: SideKey { kind, number }, body };
    // The base closes the block, so that what follows begins another one.
    let put = vec![
        side_record(SideKind::HISTORY, sequence, block.into_body()),
        side_record(SideKind::BASE, sequence + 1, packed.clone()),
    ];
    Ok((packed, SideChanges { put, remove: Vec::new() }))
}

fn withdraw_consent(state: &mut UserState) {
    let mut held = Vec::new();
    for (source, document) in state.documents.iter() {
        for register in document.registers() {
            if let RegisterPath::Leaf(leaf) = register.path
                && leaf.field().member == Member::Consent
                && register.value.is_some()
            {
                let write = RegisterWrite { path: register.path.clone(), kind: register.kind, value: None };
                held.push((source, register.time, write));
            }
        }
    }
    let id = SharedText::from(EVENT_ID);
    for (source, time, write) in held {
        state.documents.write(source, time.saturating_add(1), &id, &write);
    }
    let shown: Vec<_> = state.profile.present().and(Member::Consent.leaves()).iter().collect();
    for leaf in &shown {
        state.profile.set(*leaf, None);
    }
    if !shown.is_empty() {
        state.salts.changed_at[Member::Consent as usize] = state.envelope.revision;
        state.salts.count += 1;
    }
}
