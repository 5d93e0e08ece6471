//! Earlier exports, with which a new one could single persons out.

use domain::export::{
    ComparedRow, Difference, ExportRules, FilterRelation, Lattice, LatticeColumn, Node, PrivacyRequirement,
    SensitiveLayout, compare as compare_exports,
};

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

/// Leaves out rows of the new export that an earlier one would single out together with it. What is left out because of one
/// can make another one matter, so all are compared until nothing changes.
pub(super) fn compare(
    run: &Run<'_>,
    rows: &ExportRows,
    new: &NewExport<'_>,
    is_kept: &mut [bool],
) -> Result<(), JobEnd> {
    let mut others = Vec::new();
    if run.earlier.is_empty() {
        return Ok(());
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
            compare_with(run, &coded, new, earlier, is_in_earlier, is_kept)?;
        }
        if is_kept.iter().filter(|kept| **kept).count() == before {
            return Ok(());
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
) -> Result<(), JobEnd> {
    let NewExport { selected, node } = *new;
    let earlier_node = lattice.node(|column| level_of(earlier, column));
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
        Difference::Harmless => {}
        Difference::LeaveOut { node, keys, .. } => {
            let translation = lattice.translation(&lattice.finest(), &node);
            for (kept, row) in is_kept.iter_mut().zip(selected) {
                let key = translation.translate(finest_key(lattice, quasi, *row));
                *kept &= keys.binary_search(&key).is_err();
            }
        }
        Difference::Isolates { .. } => return Err(NOT_PROTECTED),
    }
    Ok(())
}

/// Returns which of its rows an earlier export would write: those in classes that meet its own requirement, by its own
/// quasi-identifiers and sensitive columns.
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
    let node = lattice.node(|column| level_of(earlier, column));
    let translation = lattice.translation(&lattice.finest(), &node);
    let classes: Vec<(u64, u64)> = positions
        .iter()
        .map(|row| {
            let key = finest_key(&lattice, &quasi, *row);
            let codes: Vec<u32> = sensitive.iter().map(|(_, column)| column.codes[*row as usize]).collect();
            (translation.translate(key), layout.row(&codes))
        })
        .collect();
    let requirement: PrivacyRequirement = earlier.request.requirement(rules.privacy.max_suppression_pct);
    Ok(classes::too_small(&classes, &layout, &requirement).into_iter().map(|too_small| !too_small).collect())
}

/// Returns the key of a row at the finest node.
fn finest_key(lattice: &Lattice, quasi: &[CodedColumn], row: u32) -> u64 {
    let codes: Vec<u16> = quasi.iter().map(|column| column.codes[row as usize] as u16).collect();
    lattice.key_of_codes(&lattice.finest(), &codes)
}

/// Returns the level that an earlier export had for a column; the coarsest for one that it did not have.
fn level_of(earlier: &EarlierExport, column: &LatticeColumn) -> usize {
    let name = earlier.levels.get(column.quasi_identifier.name()).and_then(serde_json::Value::as_str);
    let levels = column.levels.levels();
    name.and_then(|name| levels.iter().position(|level| level.name == name)).unwrap_or(levels.len() - 1)
}
