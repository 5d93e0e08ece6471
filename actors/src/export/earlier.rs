//! Earlier exports, with which a new one could single persons out.

use std::collections::BTreeMap;

use domain::export::{
    ComparedRow, Difference, ExportRules, FilterRelation, Lattice, LatticeColumn, LeftOutClasses, Node,
    PrivacyRequirement, SensitiveLayout, class_fingerprint, compare as compare_exports,
};
use serde_json::{Map, Value};

use super::classes;
use super::coded::{self, CodedColumn};
use super::job_context::{JobEnd, NOT_PROTECTED};
use super::rows::ExportRows;
use super::run::{EarlierExport, Run};

/// A new export of records: the rows that meet its filter, and its levels.
pub(super) struct NewExport<'n> {
    pub(super) selected: &'n [u32],
    /// The node of its lattice. Lattices of other dictionaries have the same nodes.
    pub(super) node: &'n Node,
}

/// Maximum number of classes that are left out because of earlier exports: the record of the job names them.
const MAX_LEFT_OUT: usize = 300;

/// Leaves out rows of the new export that an earlier one would single out together with it, and returns their classes. What is
/// left out because of one can make another one matter, so all are compared until nothing changes.
pub(super) fn compare(
    run: &Run<'_>,
    rows: &ExportRows,
    new: &NewExport<'_>,
    is_kept: &mut [bool],
) -> Result<Vec<LeftOutClasses>, JobEnd> {
    let (mut others, mut left_out) = (Vec::new(), Vec::new());
    if run.earlier.is_empty() {
        return Ok(left_out);
    }
    for earlier in run.earlier {
        if earlier.request.filter.excludes(&run.request.filter) {
            continue;
        }
        let positions = rows.select(&earlier.request.filter);
        let mut is_in_earlier = vec![false; rows.rows.len()];
        for (position, is_written) in positions.iter().zip(written_by(earlier, &positions, rows, run.rules)?) {
            is_in_earlier[*position as usize] = is_written;
        }
        others.push((earlier, is_in_earlier));
    }
    // Rows of earlier exports have places that the new one lacks, so classes are compared in a lattice of all rows.
    let coded = coded::quasi_identifiers(run.request, run.rules, rows, &rows.positions())?;
    loop {
        let before = is_kept.iter().filter(|kept| **kept).count();
        for (earlier, is_in_earlier) in &others {
            run.job.check_cancelled()?;
            left_out.extend(compare_with(run, &coded, new, earlier, is_in_earlier, is_kept)?);
        }
        if left_out.iter().map(|left_out: &LeftOutClasses| left_out.classes.len()).sum::<usize>() > MAX_LEFT_OUT {
            return Err(NOT_PROTECTED);
        }
        if is_kept.iter().filter(|kept| **kept).count() == before {
            return Ok(left_out);
        }
    }
}

fn compare_with(
    run: &Run<'_>,
    (lattice, quasi): &(Lattice, Vec<CodedColumn>),
    new: &NewExport<'_>,
    earlier: &EarlierExport,
    is_in_earlier: &[bool],
    is_kept: &mut [bool],
) -> Result<Option<LeftOutClasses>, JobEnd> {
    let NewExport { selected, node } = *new;
    let earlier_node = lattice.node(|column| level_of(&earlier.levels, column));
    let mut is_in_new = vec![false; is_in_earlier.len()];
    for (position, is_in) in selected.iter().zip(is_kept.iter()) {
        is_in_new[*position as usize] = *is_in;
    }
    let compared = (0..).zip(is_in_earlier.iter().zip(&is_in_new)).filter(|(_, (earlier, new))| **earlier || **new);
    let compared = compared.map(|(row, (is_in_earlier, is_in_new))| ComparedRow {
        key: finest_key(lattice, quasi, row),
        is_in_earlier: *is_in_earlier,
        is_in_new: *is_in_new,
    });
    let k = run.request.k.max(earlier.request.k);
    let filters = FilterRelation::between(&earlier.request.filter, &run.request.filter);
    match compare_exports(lattice, (&earlier_node, node), filters, k, compared) {
        Difference::Harmless => Ok(None),
        Difference::LeaveOut { node, keys, .. } => {
            let translation = lattice.translation(&lattice.finest(), &node);
            for (kept, row) in is_kept.iter_mut().zip(selected) {
                let key = translation.translate(finest_key(lattice, quasi, *row));
                *kept &= keys.binary_search(&key).is_err();
            }
            Ok(Some(LeftOutClasses::new(lattice, &node, &keys)))
        }
        Difference::Isolates { .. } => Err(NOT_PROTECTED),
    }
}

/// Returns which of its rows an earlier export would write: those in classes that meet its own requirement, by its own
/// quasi-identifiers and sensitive columns, and that were not left out of it because of those before it.
fn written_by(
    earlier: &EarlierExport,
    positions: &[u32],
    rows: &ExportRows,
    rules: &ExportRules,
) -> Result<Vec<bool>, JobEnd> {
    let (lattice, quasi) = coded::quasi_identifiers(&earlier.request, rules, rows, positions)?;
    let sensitive = coded::sensitive_columns(&earlier.request, rules, rows);
    let cardinalities: Vec<u32> = sensitive.iter().map(|(_, column)| column.words.len() as u32).collect();
    let layout = SensitiveLayout::new(&cardinalities);
    let layout =
        layout.map_err(|_| JobEnd::Failed("an earlier export cannot be compared with under the rules of now"))?;
    let node = lattice.node(|column| level_of(&earlier.levels, column));
    let translation = lattice.translation(&lattice.finest(), &node);
    let keys: Vec<u64> = positions.iter().map(|row| finest_key(&lattice, &quasi, *row)).collect();
    let class = |(row, key): (&u32, &u64)| {
        let codes: Vec<u32> = sensitive.iter().map(|(_, column)| column.codes[*row as usize]).collect();
        (translation.translate(*key), layout.row(&codes))
    };
    let classes: Vec<(u64, u64)> = positions.iter().zip(&keys).map(class).collect();
    let requirement: PrivacyRequirement = earlier.request.requirement(rules.privacy.max_suppression_pct);
    let mut is_written: Vec<bool> =
        classes::too_small(&classes, &layout, &requirement).into_iter().map(|too_small| !too_small).collect();
    for left_out in &earlier.left_out {
        let node = lattice.node(|column| level_of(&left_out.levels, column));
        let translation = lattice.translation(&lattice.finest(), &node);
        let mut is_left_out: BTreeMap<u64, bool> = BTreeMap::new();
        for (is_written, key) in is_written.iter_mut().zip(&keys) {
            let is_left_out = is_left_out
                .entry(translation.translate(*key))
                .or_insert_with_key(|key| left_out.classes.contains(&class_fingerprint(&lattice, &node, *key)));
            *is_written &= !*is_left_out;
        }
    }
    Ok(is_written)
}

/// Returns the key of a row at the finest node.
fn finest_key(lattice: &Lattice, quasi: &[CodedColumn], row: u32) -> u64 {
    let codes: Vec<u16> = quasi.iter().map(|column| column.codes[row as usize] as u16).collect();
    lattice.key_of_codes(&lattice.finest(), &codes)
}

/// Returns the level that an earlier export had for a column; the coarsest for one that it did not have.
fn level_of(names: &Map<String, Value>, column: &LatticeColumn) -> usize {
    let levels = column.levels.levels();
    match names.get(column.quasi_identifier.name()).and_then(Value::as_str) {
        // The names are those of the rules, or the export is not compared. With a finer level more differences count.
        Some(name) => levels.iter().position(|level| level.name == name).unwrap_or(0),
        None => levels.len() - 1,
    }
}
