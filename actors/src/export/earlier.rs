//! Earlier exports, with which a new one could single persons out.

use domain::export::{
    ComparedRow, Difference, ExportRequest, Lattice, Node, PrivacyRequirement, SensitiveLayout,
    compare as compare_exports,
};

use super::classes;
use super::coded::CodedColumn;
use super::job_context::JobEnd;
use super::rows::ExportRows;
use super::run::Run;

/// An export of records that was made before, as the registry remembers it.
#[derive(Debug, Clone)]
pub(super) struct EarlierExport {
    pub(super) request: ExportRequest,
    /// The name of the level of each quasi-identifier that it had.
    pub(super) levels: serde_json::Map<String, serde_json::Value>,
}

/// Leaves out rows of the new export that an earlier one would single out together with it.
#[expect(clippy::too_many_arguments, reason = "the parts of a run that both exports share")]
pub(super) fn compare(
    run: &Run<'_>,
    rows: &ExportRows,
    lattice: &Lattice,
    quasi: &[CodedColumn],
    sensitive: &[&CodedColumn],
    selected: &[u32],
    node: &Node,
    is_kept: &mut [bool],
) -> Result<(), JobEnd> {
    let finest = lattice.finest();
    let key_of = |row: u32| {
        let codes: Vec<u16> = quasi.iter().map(|column| column.codes[row as usize] as u16).collect();
        lattice.key_of_codes(&finest, &codes)
    };
    for earlier in run.earlier {
        run.job.done(1)?;
        if earlier.request.filter.excludes(&run.request.filter) {
            continue;
        }
        let earlier_node = lattice.node(|column| level_of(earlier, column));
        let positions = rows.select(&earlier.request.filter);
        let finest_keys: Vec<u64> = positions.iter().map(|row| key_of(*row)).collect();
        let is_in_earlier = written_by(earlier, lattice, &earlier_node, &finest_keys, &positions, sensitive, run);
        let mut union = vec![(false, false); rows.rows.len()];
        for (position, is_in) in positions.iter().zip(&is_in_earlier) {
            union[*position as usize].0 = *is_in;
        }
        for (position, is_in) in selected.iter().zip(is_kept.iter()) {
            union[*position as usize].1 = *is_in;
        }
        let compared = (0..).zip(&union).filter(|(_, (earlier, new))| *earlier || *new);
        let compared = compared.map(|(row, (is_in_earlier, is_in_new))| ComparedRow {
            key: key_of(row),
            is_in_earlier: *is_in_earlier,
            is_in_new: *is_in_new,
        });
        let k = run.request.k.max(earlier.request.k);
        match compare_exports(lattice, (&earlier_node, node), k, compared) {
            Difference::Harmless => {}
            Difference::LeaveOut { node, keys, .. } => {
                let translation = lattice.translation(&finest, &node);
                for (kept, row) in is_kept.iter_mut().zip(selected) {
                    *kept &= keys.binary_search(&translation.translate(key_of(*row))).is_err();
                }
            }
            Difference::Isolates { .. } => {
                return Err(JobEnd::Failed(
                    "this export and an earlier one differ in fewer people than k: use the same filter, or a quite different one",
                ));
            }
        }
    }
    Ok(())
}

/// Returns which of its rows an earlier export would write: those in classes that meet its requirement.
fn written_by(
    earlier: &EarlierExport,
    lattice: &Lattice,
    node: &Node,
    finest_keys: &[u64],
    positions: &[u32],
    sensitive: &[&CodedColumn],
    run: &Run<'_>,
) -> Vec<bool> {
    let cardinalities: Vec<u32> = sensitive.iter().map(|column| column.words.len() as u32).collect();
    // The new export's sensitive columns were counted before, so they fit.
    let layout = SensitiveLayout::new(&cardinalities).unwrap_or_default();
    let keys = classes::keys_at(lattice, node, finest_keys);
    let sets = positions.iter().map(|row| {
        let codes: Vec<u32> = sensitive.iter().map(|column| column.codes[*row as usize]).collect();
        layout.row(&codes)
    });
    let requirement: PrivacyRequirement = earlier.request.requirement(run.rules.privacy.max_suppression_pct);
    let rows: Vec<(u64, u64)> = keys.into_iter().zip(sets).collect();
    classes::too_small(&rows, &layout, &requirement).into_iter().map(|too_small| !too_small).collect()
}

/// Returns the level that an earlier export had for a column; the coarsest for one that it did not have.
fn level_of(earlier: &EarlierExport, column: &domain::export::LatticeColumn) -> usize {
    let name = earlier.levels.get(column.quasi_identifier.name()).and_then(serde_json::Value::as_str);
    let levels = column.levels.levels();
    name.and_then(|name| levels.iter().position(|level| level.name == name)).unwrap_or(levels.len() - 1)
}
