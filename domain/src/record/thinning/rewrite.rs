//! Writes the blocks anew in which something is dropped.

use std::collections::BTreeMap;

use super::plan::Plan;
use crate::port::journal::RecordKind;
use crate::port::retention::SideRecords;
use crate::port::store::{SideChanges, SideKey, SideKind, SideRecord, StoreError};
use crate::record::block::{BlockRecord, GrowingBlock, records};
use crate::record::cause::Cause;
use crate::record::codec::DecodeError;
use crate::record::history::{BLOCK_BYTES, BLOCKS_PER_BASE};
use crate::record::history_step::HistoryStep;
use crate::record::merged::{RunContext, encode_run};
use crate::record::{pack, unpack};
use crate::state::UserState;

/// Returns the changes of the side records that the plan demands.
pub(super) fn rewrite(side: &dyn SideRecords, plan: &Plan) -> Result<SideChanges, StoreError> {
    let Some(first) = plan.dirty.first().copied() else { return Ok(SideChanges::default()) };
    let bases = side.keys(SideKind::BASE)?;
    // A base is in front of the block with its number, and all of the earlier blocks lead to it.
    let base = bases.iter().rev().find(|base| base.number <= first && plan.blocks.contains(&base.number)).copied();
    let mut rewriter = Rewriter {
        plan,
        state: None,
        kept: None,
        run: Run::default(),
        range: None,
        out: None,
        changes: Changes::default(),
    };
    if let Some(key) = base {
        let state = side.read(key)?.ok_or(DecodeError::Unknown { what: "base" })?;
        rewriter.begin(unpack(state)?);
    }
    let start = base.map_or(0, |base| base.number);
    for (index, block) in plan.blocks.iter().enumerate().filter(|(_, block)| **block >= start) {
        if *block > *plan.dirty.last().unwrap_or(&0) {
            break;
        }
        let key = SideKey { kind: SideKind::HISTORY, number: *block };
        let body = side.read(key)?.ok_or(DecodeError::Unknown { what: "block" })?;
        rewriter.block(*block, &body)?;
        let is_last = plan.blocks.get(index + 1).is_none_or(|next| !plan.dirty.contains(next));
        if plan.dirty.contains(block) && is_last {
            rewriter.end_range();
        }
    }
    Ok(rewriter.changes.finish(&bases))
}

/// The side records that are written, and the ranges of sequences whose bases are not valid any more.
#[derive(Default)]
struct Changes {
    put: BTreeMap<SideKey, Vec<u8>>,
    read: Vec<SideKey>,
    /// Bases behind the first number and up to the second one are removed.
    ranges: Vec<(u64, u64)>,
}

impl Changes {
    fn finish(self, bases: &[SideKey]) -> SideChanges {
        let is_invalid =
            |base: &&SideKey| self.ranges.iter().any(|(after, to)| (after + 1..=*to).contains(&base.number));
        let removed = self.read.iter().chain(bases.iter().filter(is_invalid));
        let remove = removed.filter(|key| !self.put.contains_key(key)).copied().collect();
        SideChanges { put: self.put.into_iter().map(|(key, body)| SideRecord { key, body }).collect(), remove }
    }
}

/// The records since the last one that stays.
#[derive(Default)]
struct Run {
    /// When the first of the revisions was generated that are dropped.
    dropped_from: Option<i64>,
    has_dropped: bool,
}

struct Rewriter<'a> {
    plan: &'a Plan,
    /// The state after the last record that was read.
    state: Option<UserState>,
    /// The state at the last record that stays.
    kept: Option<UserState>,
    run: Run,
    /// The place of the first of the blocks that are written anew one after the other.
    range: Option<Place>,
    out: Option<Output>,
    changes: Changes,
}

/// Where a block stands.
#[derive(Clone, Copy)]
struct Place {
    number: u64,
    /// Bytes of the blocks before since the last base.
    bytes_before: u64,
}

/// Blocks that are written.
struct Output {
    /// The number of the first block.
    first: u64,
    number: u64,
    block: GrowingBlock,
    /// The sequence of the last record.
    last: u64,
}

impl Output {
    /// Begins with a block in the place of another one.
    fn new(Place { number, bytes_before }: Place, generation: u32) -> Self {
        Self { first: number, number, block: GrowingBlock::new(generation, bytes_before), last: 0 }
    }
}

impl Rewriter<'_> {
    /// Begins with a base.
    fn begin(&mut self, state: UserState) {
        self.kept = Some(state.clone());
        self.state = Some(state);
    }

    /// Reads a block, and writes what stays of it if it changes.
    fn block(&mut self, number: u64, body: &[u8]) -> Result<(), DecodeError> {
        let is_dirty = self.plan.dirty.contains(&number);
        if is_dirty {
            self.changes.read.push(SideKey { kind: SideKind::HISTORY, number });
            if self.range.is_none() {
                self.range = Some(Place { number, bytes_before: GrowingBlock::bytes_before(body)? });
            }
        }
        for record in records(body)? {
            let step = HistoryStep::decode(record)?;
            let state = step.apply(self.state.take())?;
            let index = self.plan.points.binary_search_by_key(&record.sequence, |point| point.sequence);
            let stays = index.is_ok_and(|index| self.plan.points[index].stays);
            if self.run.dropped_from.is_none() && step.revision().is_some() {
                // A record that was merged before has dropped what it says.
                self.run.dropped_from = step.dropped().map(|dropped| dropped.from).or(step.generated_at());
            }
            if stays {
                if let Some(place) = self.range {
                    // A block of which nothing stays has no successor of its own. What follows takes its place, so that the
                    // bases of all blocks of the range are removed: they hold states that the history has no more.
                    self.out.get_or_insert_with(|| Output::new(place, record.generation));
                    self.write(record, &step, &state)?;
                }
                (self.kept, self.run) = (Some(state.clone()), Run::default());
            } else {
                self.run.has_dropped = true;
            }
            self.state = Some(state);
        }
        Ok(())
    }

    /// Writes the record, or one that also stands for those that were dropped before it. `state` is the state after it.
    fn write(&mut self, record: BlockRecord<'_>, step: &HistoryStep, state: &UserState) -> Result<(), DecodeError> {
        if !self.run.has_dropped {
            self.append(record, state);
            return Ok(());
        }
        let kept = self.kept.as_ref();
        let base_revision = kept.map_or(state.salts.first_revision - 1, |kept| kept.envelope.revision);
        let is_jump = state.envelope.revision > base_revision + 1;
        let cause = step.origin().map_or(Cause::Roll, |origin| origin.cause);
        let context = RunContext { dropped_from: self.run.dropped_from.filter(|_| is_jump), cause };
        let body = encode_run(kept, state, &context);
        let merged = BlockRecord { kind: RecordKind::MERGED, body: &body, ..record };
        let again = HistoryStep::decode(merged)?.apply(kept.cloned())?;
        if pack(&again) != pack(state) {
            return Err(DecodeError::Unknown { what: "difference between two states" });
        }
        self.append(merged, state);
        Ok(())
    }

    /// Appends a record to the blocks that are written. `state` is the state after it.
    fn append(&mut self, record: BlockRecord<'_>, state: &UserState) {
        let Some(out) = &mut self.out else { return };
        out.block.append(record);
        out.last = record.sequence;
        let since_base = out.block.since_base();
        // A base takes the packed state, which is made only if there may be one.
        let packed = (since_base >= BLOCK_BYTES as u64).then(|| pack(state));
        let base = packed.filter(|packed| since_base >= (BLOCKS_PER_BASE * packed.len()) as u64);
        if out.block.len() < BLOCK_BYTES && base.is_none() {
            return;
        }
        let before = if base.is_some() { 0 } else { since_base };
        let full = std::mem::replace(&mut out.block, GrowingBlock::new(record.generation, before));
        let key = SideKey { kind: SideKind::HISTORY, number: out.number };
        self.changes.put.insert(key, full.into_body());
        out.number = record.sequence + 1;
        if let Some(base) = base {
            self.changes.put.insert(SideKey { kind: SideKind::BASE, number: out.number }, base);
        }
    }

    /// Ends a range of blocks that are written anew.
    fn end_range(&mut self) {
        self.range = None;
        let Some(Output { first, number, block, last }) = self.out.take() else { return };
        self.changes.ranges.push((first, last));
        if number <= last {
            self.changes.put.insert(SideKey { kind: SideKind::HISTORY, number }, block.into_body());
        }
    }
}
