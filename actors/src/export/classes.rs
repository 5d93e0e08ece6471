//! The classes of an export: rows that are alike in all quasi-identifiers.

use domain::export::{ClassTable, Lattice, Node, PrivacyRequirement, SensitiveLayout};
use kernels::{Generalisation, Level, SensitiveColumn};
use rayon::prelude::*;

use super::coded::CodedColumn;
use super::device::Device;
use super::job_context::{JobContext, JobEnd};

/// The classes of the selected rows at the finest node.
pub(super) struct Classes {
    pub(super) layout: SensitiveLayout,
    pub(super) table: ClassTable,
    /// The key of each selected row at the finest node.
    pub(super) keys: Vec<u64>,
    /// The sensitive values of each selected row, as the layout has them.
    pub(super) sensitive: Vec<u64>,
}

/// Counts the classes of the selected rows on the device, batch by batch.
pub(super) fn count(
    lattice: &Lattice,
    quasi: &[CodedColumn],
    sensitive: &[&CodedColumn],
    selected: &[u32],
    device: &Device,
    job: &JobContext<'_>,
) -> Result<Classes, JobEnd> {
    let cardinalities: Vec<u32> = sensitive.iter().map(|column| column.words.len() as u32).collect();
    let layout = SensitiveLayout::new(&cardinalities);
    let layout =
        layout.map_err(|_| JobEnd::Failed("the sensitive columns have too many values together: ask for fewer"))?;
    if quasi.is_empty() {
        return Ok(one_class(layout, sensitive, selected));
    }
    let generalisation = finest_generalisation(lattice)?;
    let batches = device.in_batches(
        selected.len(),
        |batch| {
            let batch = &selected[batch];
            let gather = |column: &CodedColumn| batch.iter().map(|row| column.codes[*row as usize]).collect();
            let columns: Vec<Vec<u32>> = quasi.par_iter().map(gather).collect();
            let values: Vec<Vec<u32>> = sensitive.par_iter().map(|column| gather(column)).collect();
            let table = device.compute(|backend| {
                let columns: Vec<&[u32]> = columns.iter().map(Vec::as_slice).collect();
                let values = values.iter().zip(&cardinalities);
                let values = values.map(|(codes, &cardinality)| SensitiveColumn { codes, cardinality });
                backend.row_classes(&generalisation, &columns, &values.collect::<Vec<_>>())
            });
            Ok((table.map_err(not_computed)?, values))
        },
        |rows| job.done(rows),
    )?;
    let (mut keys, mut sets) = (Vec::with_capacity(selected.len()), Vec::with_capacity(selected.len()));
    let mut tables = Vec::with_capacity(batches.len());
    for (table, values) in batches {
        let of_class = &table.classes.keys;
        keys.par_extend(table.classes.class_of_row.par_iter().map(|class| of_class[*class as usize]));
        let codes = || values.iter().enumerate();
        let set = |row: usize| codes().fold(0, |set, (column, codes)| set | layout.bit(column, codes[row]));
        sets.par_extend((0..table.classes.class_of_row.len()).into_par_iter().map(set));
        tables.push(ClassTable {
            sensitive: class_sets(&table, &cardinalities, &layout),
            keys: table.classes.keys,
            sizes: table.classes.sizes,
        });
    }
    let table = if tables.len() == 1 { tables.remove(0) } else { ClassTable::merge(&tables) };
    Ok(Classes { layout, table, keys, sensitive: sets })
}

/// Returns the classes of an export without quasi-identifiers, in which all rows are alike.
fn one_class(layout: SensitiveLayout, sensitive: &[&CodedColumn], selected: &[u32]) -> Classes {
    let set = |row: &u32| layout.row(&sensitive.iter().map(|column| column.codes[*row as usize]).collect::<Vec<_>>());
    let sets: Vec<u64> = selected.iter().map(set).collect();
    let table = ClassTable::from_rows(sets.iter().map(|set| (0, *set)));
    Classes { layout, table, keys: vec![0; selected.len()], sensitive: sets }
}

/// Returns the generalisation of the finest node. Its keys are those of the lattice.
fn finest_generalisation(lattice: &Lattice) -> Result<Generalisation, JobEnd> {
    let node = lattice.finest();
    let level = |column| {
        let level = lattice.level(&node, column);
        Level::new(level.groups.iter().map(|group| u32::from(*group)).collect(), level.labels.len() as u32)
    };
    let levels = (0..lattice.columns().len()).map(level).collect::<Result<_, _>>().map_err(not_computed)?;
    Generalisation::new(levels).map_err(not_computed)
}

/// Returns the set of sensitive values of each class, as the layout has it.
fn class_sets(table: &kernels::RowClasses, cardinalities: &[u32], layout: &SensitiveLayout) -> Vec<u64> {
    let set = |class: usize| {
        let mut set = 0;
        for (column, values) in table.values.iter().enumerate() {
            set |= (0..cardinalities[column])
                .filter(|code| values.contains(class, *code))
                .fold(0, |set, code| set | layout.bit(column, code));
        }
        set
    };
    (0..table.classes.len()).map(set).collect()
}

/// Fewest classes for which several threads are worth it.
const PARALLEL_CLASSES: usize = 1 << 14;

/// Rolls classes up as [`ClassTable::roll_up`] does, on all threads of the pool.
pub(super) fn roll_up(table: &ClassTable, lattice: &Lattice, from: &Node, to: &Node) -> ClassTable {
    let threads = rayon::current_num_threads();
    if table.len() < PARALLEL_CLASSES || threads == 1 {
        return table.roll_up(lattice, from, to);
    }
    let (translation, step) = (lattice.translation(from, to), table.len().div_ceil(threads));
    let parts = (0..threads).into_par_iter().map(|part| {
        let part = (part * step).min(table.len())..((part + 1) * step).min(table.len());
        table.roll_up_part(part, &translation)
    });
    ClassTable::merge_parts(&parts.collect::<Vec<_>>(), lattice, to)
}

/// Returns which of the rows with these keys and sensitive values are in classes that do not meet the requirement.
pub(super) fn too_small(rows: &[(u64, u64)], layout: &SensitiveLayout, requirement: &PrivacyRequirement) -> Vec<bool> {
    let small = small_keys(&ClassTable::from_rows(rows.iter().copied()), layout, requirement);
    rows.iter().map(|(key, _)| small.binary_search(key).is_ok()).collect()
}

/// Returns the keys of the classes that do not meet the requirement, ascending.
pub(super) fn small_keys(table: &ClassTable, layout: &SensitiveLayout, requirement: &PrivacyRequirement) -> Vec<u64> {
    let small = table.classes(layout).filter(|class| !requirement.is_met_by(class));
    let mut small: Vec<u64> = small.map(|class| class.key).collect();
    small.sort_unstable();
    small
}

/// Returns the key of each row at a node.
pub(super) fn keys_at(lattice: &Lattice, node: &Node, finest: &[u64]) -> Vec<u64> {
    let translation = lattice.translation(&lattice.finest(), node);
    finest.par_iter().map(|key| translation.translate(*key)).collect()
}

pub(super) fn not_computed(error: kernels::KernelError) -> JobEnd {
    tracing::error!("a kernel refused the columns of an export: {error}");
    JobEnd::Failed("a kernel refused the columns: this is a fault of the server, see its log")
}
