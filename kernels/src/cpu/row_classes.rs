//! Classes of rows: chunks are grouped in parallel, their groups are sorted by key and merged.

use super::chunk::{Chunk, rows_per_chunk};
use super::radix::buckets;
use crate::error::{check_length, check_rows};
use crate::row_classes::{ValueSets, check_sensitive, sensitive_error};
use crate::{Classes, Generalisation, KernelError, RowClasses, SensitiveColumn};
use rayon::prelude::*;

/// Groups n rows by their packed quasi-identifiers.
///
/// # Errors
/// [`KernelError::TooManyRows`] when n does not fit into 32 bits.
pub fn class_sizes(keys: &[u64]) -> Result<Classes, KernelError> {
    check_rows(keys.len())?;
    let rows = rows_per_chunk(keys.len());
    let chunks = keys.par_chunks(rows).enumerate();
    let chunks: Vec<Chunk> = chunks.map(|(number, keys)| Chunk::of_keys(keys, number * rows)).collect();
    Ok(merge(&chunks, &[], keys.len()).classes)
}

/// Counts how many different values of a sensitive column each class holds; one entry per class.
///
/// # Errors
/// [`KernelError::ColumnLength`] when the column has another number of rows than the classes were made from.
pub fn distinct_values(classes: &Classes, codes: &[u32]) -> Result<Vec<u32>, KernelError> {
    check_length(classes.class_of_row.len(), codes.len())?;
    // Pairs of class and value are keys like any other: each different pair is one value of its class.
    let pairs = classes.class_of_row.par_iter().zip(codes);
    let pairs: Vec<u64> = pairs.map(|(&class, &code)| (u64::from(class) << 32) | u64::from(code)).collect();
    let mut distinct = vec![0; classes.len()];
    for pair in class_sizes(&pairs)?.keys {
        distinct[(pair >> 32) as usize] += 1;
    }
    Ok(distinct)
}

/// Computes [`Backend::row_classes`](crate::Backend::row_classes).
pub(super) fn row_classes(
    generalisation: &Generalisation,
    columns: &[&[u32]],
    sensitive: &[SensitiveColumn<'_>],
) -> Result<RowClasses, KernelError> {
    let rows = generalisation.check(columns)?;
    check_sensitive(rows, sensitive)?;
    let chunk = rows_per_chunk(rows);
    let starts: Vec<usize> = (0..rows).step_by(chunk).collect();
    let grouped: Vec<_> = starts
        .into_par_iter()
        .map(|first| Chunk::of_rows(generalisation, columns, sensitive, first, chunk.min(rows - first)))
        .collect();
    if let Some(bad) = grouped.iter().filter_map(|chunk| chunk.as_ref().err()).min() {
        return Err(generalisation.error(columns, *bad));
    }
    let chunks: Vec<Chunk> = grouped.into_iter().flatten().collect();
    if let Some(bad) = chunks.iter().filter_map(|chunk| chunk.bad_value).min() {
        return Err(sensitive_error(sensitive, bad.column, bad.row));
    }
    let words: Vec<usize> = sensitive.iter().map(SensitiveColumn::words).collect();
    Ok(merge(&chunks, &words, rows))
}

/// A group of a chunk.
#[derive(Clone, Copy)]
struct Entry {
    key: u64,
    chunk: u32,
    group: u32,
}

/// Sorts entries by key, and those of a key by row.
fn sort(entries: &mut Vec<Entry>) {
    let in_order = |entry: &Entry| (entry.key, entry.chunk, entry.group);
    let buckets = buckets(entries, |entry| entry.key);
    buckets.into_par_iter().for_each(|bucket| bucket.sort_unstable_by_key(in_order));
}

/// Merges the groups of all chunks. `words` are the words of a set of each sensitive column.
fn merge(chunks: &[Chunk], words: &[usize], rows: usize) -> RowClasses {
    let entries = chunks.iter().zip(0..).flat_map(|(chunk, number)| {
        chunk.keys.iter().zip(0..).map(move |(&key, group)| Entry { key, chunk: number, group })
    });
    let mut entries: Vec<Entry> = entries.collect();
    sort(&mut entries);

    let mut merged =
        RowClasses { values: words.iter().map(|&words| ValueSets::new(words, 0)).collect(), ..<_>::default() };
    let mut class_of_group: Vec<Vec<u32>> = chunks.iter().map(|chunk| vec![0; chunk.keys.len()]).collect();
    for Entry { key, chunk, group } in entries {
        let (number, group) = (chunk as usize, group as usize);
        let chunk = &chunks[number];
        if merged.classes.keys.last() != Some(&key) {
            merged.classes.keys.push(key);
            merged.classes.sizes.push(0);
            // Entries of a key are still in the order of their rows, so this is the least row.
            merged.first_rows.push(chunk.first_rows[group]);
            merged.values.iter_mut().for_each(ValueSets::push);
        }
        let class = merged.classes.keys.len() - 1;
        merged.classes.sizes[class] += chunk.sizes[group];
        for (sets, more) in merged.values.iter_mut().zip(&chunk.values) {
            sets.merge(class, more, group);
        }
        class_of_group[number][group] = class as u32;
    }

    let mut class_of_row = vec![0; rows];
    let rows_per_chunk = chunks.first().map_or(1, |chunk| chunk.group_of_row.len());
    let places = class_of_row.par_chunks_mut(rows_per_chunk).zip(chunks).zip(&class_of_group);
    places.for_each(|((places, chunk), class_of_group)| {
        for (place, &group) in places.iter_mut().zip(&chunk.group_of_row) {
            *place = class_of_group[group as usize];
        }
    });
    merged.classes.class_of_row = class_of_row;
    merged
}
