//! Classes of rows on the device. The host only sorts the groups by key.

use super::driver::Buffer;
use super::error::CudaError;
use super::lane::Lane;
use super::program::Program;
use crate::generalisation::BadCode;
use crate::row_classes::{ValueSets, check_sensitive, sensitive_error};
use crate::{Classes, Generalisation, KernelError, RowClasses, SensitiveColumn};
use rayon::prelude::*;

/// Rows that a thread of `count_rows` counts, as in `class_sizes.cu`.
const ROWS_PER_THREAD: usize = 8;

/// Returns how many slots the table of so many rows has: a power of two, with one more slot than rows at least.
pub(super) fn slots(rows: usize, most_fill_percent: u32) -> usize {
    let slots = rows.saturating_mul(100) / most_fill_percent.clamp(1, 100) as usize;
    (slots.max(rows) + 1).next_power_of_two()
}

/// Bytes on the device: columns, keys, slots and classes of rows; four words for each slot; the groups.
pub(super) fn bytes(rows: usize, columns: usize, slots: usize, sensitive: &[SensitiveColumn<'_>]) -> u64 {
    let words = sensitive.iter().map(SensitiveColumn::words).max().unwrap_or_default();
    // In the worst case each row is a group.
    (rows * (columns * 4 + 8 + 4 + 4 + 4 + 20 + words * 4) + slots * 16) as u64
}

pub(super) fn row_classes(
    lane: &mut Lane,
    program: &Program,
    generalisation: &Generalisation,
    columns: &[&[u32]],
    sensitive: &[SensitiveColumn<'_>],
    most_fill_percent: u32,
) -> Result<RowClasses, KernelError> {
    let rows = generalisation.check(columns)?;
    check_sensitive(rows, sensitive)?;
    if rows == 0 {
        let values = sensitive.iter().map(|column| ValueSets::new(column.words(), 0)).collect();
        return Ok(RowClasses { values, ..RowClasses::default() });
    }
    let keys = pack(lane, program, generalisation, columns, rows)?;
    let slots = slots(rows, most_fill_percent);
    let groups = group(lane, program, &keys, rows, slots)?;
    drop(keys);

    let mut order: Vec<(u64, u32)> = groups.keys.iter().copied().zip(0..).collect();
    order.par_sort_unstable();
    let mut class_of_group = vec![0_u32; order.len()];
    for (class, &(_, group)) in (0..).zip(&order) {
        class_of_group[group as usize] = class;
    }
    let class_of_group = lane.upload(&class_of_group)?;
    let class_of_row = Buffer::<u32>::new(rows)?;
    lane.launch(
        &program.number_rows,
        rows,
        1,
        [
            (&groups.slot_of_row).into(),
            (rows as u32).into(),
            (&groups.group_of_slot).into(),
            (&class_of_group).into(),
            (&class_of_row).into(),
        ],
    )?;
    let mut values = Vec::new();
    for column in 0..sensitive.len() {
        values.push(mark(lane, program, &class_of_row, sensitive, column, order.len())?);
    }
    Ok(RowClasses {
        first_rows: order.iter().map(|&(_, group)| groups.first_rows[group as usize]).collect(),
        classes: Classes {
            sizes: order.iter().map(|&(_, group)| groups.sizes[group as usize]).collect(),
            keys: order.into_iter().map(|(key, _)| key).collect(),
            class_of_row: lane.download(&class_of_row, rows)?,
        },
        values,
    })
}

/// Returns the key of each row.
fn pack(
    lane: &mut Lane,
    program: &Program,
    generalisation: &Generalisation,
    columns: &[&[u32]],
    rows: usize,
) -> Result<Buffer<u64>, KernelError> {
    let codes = Buffer::<u32>::new(rows * columns.len())?;
    for (number, column) in columns.iter().enumerate() {
        lane.upload_into(column, &codes, number * rows)?;
    }
    let mut starts = vec![0_u32];
    let mut lookups = Vec::new();
    for level in generalisation.levels() {
        lookups.extend_from_slice(level.lookup());
        starts
            .push(u32::try_from(lookups.len()).map_err(|_| CudaError::WrongResult { what: "hierarchies too large" })?);
    }
    let widths: Vec<u32> = generalisation.packing().widths().collect();
    let (starts, lookups, widths) = (lane.upload(&starts)?, lane.upload(&lookups)?, lane.upload(&widths)?);
    let keys = Buffer::<u64>::new(rows)?;
    let first_error = lane.filled::<u64>(1, 0xff)?;
    lane.launch(
        &program.pack_keys,
        rows,
        1,
        [
            (&codes).into(),
            (columns.len() as u32).into(),
            (rows as u32).into(),
            (&starts).into(),
            (&lookups).into(),
            (&widths).into(),
            (&keys).into(),
            (&first_error).into(),
        ],
    )?;
    let bad = lane.download(&first_error, 1)?[0];
    if bad != u64::MAX {
        let bad = BadCode { column: (bad >> 32) as usize, row: (bad & u64::from(u32::MAX)) as usize };
        if bad.column >= columns.len() || bad.row >= rows {
            return Err(CudaError::WrongResult { what: "an error in a row that is not there" }.into());
        }
        return Err(generalisation.error(columns, bad));
    }
    Ok(keys)
}

/// The groups of equal keys, in no particular order.
struct Groups {
    keys: Vec<u64>,
    sizes: Vec<u32>,
    first_rows: Vec<u32>,
    slot_of_row: Buffer<u32>,
    group_of_slot: Buffer<u32>,
}

fn group(
    lane: &mut Lane,
    program: &Program,
    keys: &Buffer<u64>,
    rows: usize,
    slot_count: usize,
) -> Result<Groups, KernelError> {
    // Fits: the number of rows does, and the memory of the device bounds the table.
    let (row_count, mask) = (rows as u32, (slot_count - 1) as u32);
    let slots = lane.filled::<u32>(slot_count, 0)?;
    let slot_of_row = Buffer::<u32>::new(rows)?;
    lane.launch(
        &program.claim_slots,
        rows,
        1,
        [keys.into(), row_count.into(), (&slots).into(), mask.into(), (&slot_of_row).into()],
    )?;
    let sizes = lane.filled::<u32>(slot_count, 0)?;
    let first_rows = lane.filled::<u32>(slot_count, 0xff)?;
    lane.launch(
        &program.count_rows,
        rows,
        ROWS_PER_THREAD,
        [(&slot_of_row).into(), row_count.into(), (&sizes).into(), (&first_rows).into()],
    )?;
    let group_count = lane.filled::<u32>(1, 0)?;
    let group_of_slot = Buffer::<u32>::new(slot_count)?;
    let (group_keys, group_sizes, group_rows) =
        (Buffer::<u64>::new(rows)?, Buffer::<u32>::new(rows)?, Buffer::<u32>::new(rows)?);
    lane.launch(
        &program.list_groups,
        slot_count,
        1,
        [
            (&slots).into(),
            (slot_count as u32).into(),
            keys.into(),
            (&sizes).into(),
            (&first_rows).into(),
            (&group_count).into(),
            (&group_keys).into(),
            (&group_sizes).into(),
            (&group_rows).into(),
            (&group_of_slot).into(),
        ],
    )?;
    let count = lane.download(&group_count, 1)?[0] as usize;
    if count == 0 || count > rows {
        return Err(CudaError::WrongResult { what: "a number of classes that the rows cannot have" }.into());
    }
    Ok(Groups {
        keys: lane.download(&group_keys, count)?,
        sizes: lane.download(&group_sizes, count)?,
        first_rows: lane.download(&group_rows, count)?,
        slot_of_row,
        group_of_slot,
    })
}

/// Returns the values of a sensitive column that each class holds.
fn mark(
    lane: &mut Lane,
    program: &Program,
    class_of_row: &Buffer<u32>,
    sensitive: &[SensitiveColumn<'_>],
    column: usize,
    classes: usize,
) -> Result<ValueSets, KernelError> {
    let SensitiveColumn { codes, cardinality } = sensitive[column];
    let (rows, words) = (codes.len(), sensitive[column].words());
    let codes = lane.upload(codes)?;
    let marks = lane.filled::<u32>(classes * words, 0)?;
    let first_error = lane.filled::<u64>(1, 0xff)?;
    lane.launch(
        &program.mark_values,
        rows,
        1,
        [
            class_of_row.into(),
            (&codes).into(),
            (rows as u32).into(),
            cardinality.into(),
            (words as u32).into(),
            (&marks).into(),
            (&first_error).into(),
        ],
    )?;
    let bad = lane.download(&first_error, 1)?[0];
    if bad != u64::MAX {
        let row = usize::try_from(bad).ok().filter(|&row| row < rows);
        let row = row.ok_or(CudaError::WrongResult { what: "an error in a row that is not there" })?;
        return Err(sensitive_error(sensitive, column, row));
    }
    Ok(ValueSets::from_bits(words, lane.download(&marks, classes * words)?))
}
