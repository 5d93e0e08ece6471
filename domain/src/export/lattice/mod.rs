//! The lattice of generalisation levels, and packed keys.

use super::QuasiIdentifier;
use super::hierarchy::{CodeLevel, CodeLevels};

mod translation;

pub use translation::KeyTranslation;
use translation::TranslatedColumn;

/// Maximum number of nodes of a lattice.
pub const MAX_NODES: usize = 1 << 16;

/// A level for each quasi-identifier of an export. The order of nodes is that of their levels, the first column first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// The level of each column; 0 beyond the last column.
    levels: [u8; QuasiIdentifier::COUNT],
}

impl Node {
    /// Returns the level of a column.
    #[must_use]
    pub fn level(&self, column: usize) -> usize {
        usize::from(self.levels[column])
    }

    /// Returns the node with another level of a column.
    #[must_use]
    pub(crate) fn with_level(&self, column: usize, level: usize) -> Self {
        let mut levels = self.levels;
        levels[column] = level as u8;
        Self { levels }
    }

    /// Returns whether each level is at least that of `other`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.levels.iter().zip(&other.levels).all(|(own, other)| own >= other)
    }

    /// Returns the finest node that covers both.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut levels = self.levels;
        levels.iter_mut().zip(&other.levels).for_each(|(own, other)| *own = (*own).max(*other));
        Self { levels }
    }

    /// Returns the sum of all levels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.levels.iter().map(|level| u32::from(*level)).sum()
    }
}

/// A quasi-identifier of an export.
#[derive(Debug, Clone)]
pub struct LatticeColumn {
    /// The quasi-identifier.
    pub quasi_identifier: QuasiIdentifier,
    /// Its levels over the codes of the dictionary.
    pub levels: CodeLevels,
    /// The finest level that the export may have.
    pub finest: usize,
}

/// Why there is no lattice of some columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LatticeError {
    /// The codes do not fit into one key.
    #[error("the quasi-identifiers need {0} bits, and a key has 64")]
    KeyTooWide(u32),
    /// There are too many combinations of levels.
    #[error("the hierarchies have more than {MAX_NODES} combinations of levels")]
    TooManyNodes,
    /// There is a column too many, or its finest level does not exist.
    #[error("a column occurs twice, or its finest level does not exist")]
    Columns,
}

/// All combinations of the levels of an export's quasi-identifiers.
///
/// A key holds the group of each column, the first column in the highest bits. The width of a column is what its groups on
/// the finest level need, on all nodes: for a lattice whose finest levels are exact, keys of the finest node are those of
/// the crate `kernels`.
#[derive(Debug, Clone)]
pub struct Lattice {
    columns: Vec<LatticeColumn>,
    /// Shift and mask of each column.
    fields: Vec<(u32, u64)>,
}

impl Lattice {
    /// Creates the lattice of some columns, which may be none.
    ///
    /// # Errors
    /// The codes do not fit into 64 bits, there are more than [`MAX_NODES`] nodes, or a column is not valid.
    pub fn new(columns: Vec<LatticeColumn>) -> Result<Self, LatticeError> {
        if !columns.is_sorted_by(|a, b| a.quasi_identifier < b.quasi_identifier)
            || columns.iter().any(|column| column.finest >= column.levels.levels().len())
        {
            return Err(LatticeError::Columns);
        }
        let widths: Vec<u32> = columns.iter().map(|column| width(column.groups(column.finest))).collect();
        let bits = widths.iter().sum();
        if bits > u64::BITS {
            return Err(LatticeError::KeyTooWide(bits));
        }
        let counts = columns.iter().map(|column| column.levels.levels().len() - column.finest);
        if counts.fold(1_usize, usize::saturating_mul) > MAX_NODES {
            return Err(LatticeError::TooManyNodes);
        }
        let mut shift = bits;
        let fields = widths.iter().map(|width| {
            shift -= width;
            // A field of 64 bits is the only one, and then all codes are in it.
            (shift, u64::MAX.checked_shr(u64::BITS - width).unwrap_or(0))
        });
        Ok(Self { fields: fields.collect(), columns })
    }

    /// Returns the columns, in the order of their fields in a key.
    #[must_use]
    pub fn columns(&self) -> &[LatticeColumn] {
        &self.columns
    }

    /// Returns the finest node.
    #[must_use]
    pub fn finest(&self) -> Node {
        self.node(|column| column.finest)
    }

    /// Returns the coarsest node.
    #[must_use]
    pub fn coarsest(&self) -> Node {
        self.node(|column| column.levels.levels().len() - 1)
    }

    /// Returns the node with a level for each quasi-identifier, within what the lattice has.
    pub fn node(&self, level: impl Fn(&LatticeColumn) -> usize) -> Node {
        let mut levels = [0; QuasiIdentifier::COUNT];
        for (own, column) in levels.iter_mut().zip(&self.columns) {
            *own = level(column).clamp(column.finest, column.levels.levels().len() - 1) as u8;
        }
        Node { levels }
    }

    /// Returns every node, in ascending order.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let mut nodes = vec![Node { levels: [0; QuasiIdentifier::COUNT] }];
        for (number, column) in self.columns.iter().enumerate() {
            let levels = column.finest..column.levels.levels().len();
            nodes = nodes
                .into_iter()
                .flat_map(|node| levels.clone().map(move |level| node.with_level(number, level)))
                .collect();
        }
        nodes
    }

    /// Returns the nodes that are coarser by one level of one column.
    pub fn parents<'l>(&'l self, node: &'l Node) -> impl Iterator<Item = Node> + 'l {
        let coarser = |(number, column): (usize, &LatticeColumn)| {
            let mut levels = node.levels;
            levels[number] += 1;
            (usize::from(levels[number]) < column.levels.levels().len()).then_some(Node { levels })
        };
        self.columns.iter().enumerate().filter_map(coarser)
    }

    /// Returns the level of a column at a node.
    #[must_use]
    pub fn level(&self, node: &Node, column: usize) -> &CodeLevel {
        &self.columns[column].levels.levels()[node.level(column)]
    }

    /// Returns the key of the groups of a row at a node.
    #[must_use]
    pub fn key(&self, groups: &[u16]) -> u64 {
        groups
            .iter()
            .zip(&self.fields)
            .fold(0, |key, (group, (shift, _))| key | u64::from(*group).checked_shl(*shift).unwrap_or(0))
    }

    /// Returns the key at a node of a row with these codes of the dictionaries, one of each column.
    #[must_use]
    pub fn key_of_codes(&self, node: &Node, codes: &[u16]) -> u64 {
        let group = |column: usize, code: u16| self.level(node, column).groups[usize::from(code)];
        let groups: Vec<u16> = codes.iter().enumerate().map(|(column, code)| group(column, *code)).collect();
        self.key(&groups)
    }

    /// Returns the group of a column in a key.
    #[must_use]
    pub fn group(&self, key: u64, column: usize) -> u16 {
        let (shift, mask) = self.fields[column];
        (key.checked_shr(shift).unwrap_or(0) & mask) as u16
    }

    /// Returns the penalties of a node by column, for many keys.
    #[must_use]
    pub fn penalties(&self, node: &Node) -> NodePenalties<'_> {
        let column = |number| (self.fields[number], self.level(node, number).penalties.as_slice());
        NodePenalties((0..self.columns.len()).map(column).collect())
    }

    /// Returns tables that turn keys of `from` into keys of `to`, which must cover it.
    #[must_use]
    pub fn translation(&self, from: &Node, to: &Node) -> KeyTranslation {
        let columns = self.columns.iter().enumerate().map(|(number, column)| TranslatedColumn {
            shift: self.fields[number].0,
            width: self.fields[number].1.count_ones(),
            groups: column.levels.translation(from.level(number), to.level(number)),
            groups_after: self.level(to, number).labels.len() as u64,
        });
        KeyTranslation::new(&columns.collect::<Vec<_>>())
    }
}

/// The penalties of all groups of a node.
#[derive(Debug)]
pub struct NodePenalties<'l>(Vec<((u32, u64), &'l [u32])>);

impl NodePenalties<'_> {
    /// Returns the sum of the penalties of a row with this key, in units of [`PENALTY_UNIT`](super::PENALTY_UNIT).
    #[must_use]
    pub fn sum(&self, key: u64) -> u64 {
        let penalty = |((shift, mask), penalties): &((u32, u64), &[u32])| {
            u64::from(penalties[(key.checked_shr(*shift).unwrap_or(0) & mask) as usize])
        };
        self.0.iter().map(penalty).sum()
    }
}

impl LatticeColumn {
    fn groups(&self, level: usize) -> usize {
        self.levels.levels()[level].labels.len()
    }
}

/// Returns the bits that the codes of so many groups need.
fn width(groups: usize) -> u32 {
    usize::BITS - groups.saturating_sub(1).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::{Random, lattice};

    #[test]
    fn keys_are_packed_with_the_first_column_highest() {
        let lattice = lattice(&[(5, 0), (4, 0), (1, 0)]);
        let key = lattice.key_of_codes(&lattice.finest(), &[4, 2, 0]);
        assert_eq!(key, 4 << 2 | 2, "three bits, two bits and none");
        assert_eq!([0, 1, 2].map(|column| lattice.group(key, column)), [4, 2, 0]);
    }

    #[test]
    fn a_translated_key_is_that_of_the_codes() {
        let lattice = lattice(&[(7, 0), (12, 1), (3, 0)]);
        let nodes = lattice.nodes();
        for seed in 0..500 {
            let mut random = Random(seed);
            let (from, to) = (nodes[random.below(nodes.len())], nodes[random.below(nodes.len())]);
            let to = from.join(&to);
            let codes = [7, 12, 3].map(|count| random.below(count) as u16);
            let translated = lattice.translation(&from, &to).translate(lattice.key_of_codes(&from, &codes));
            assert_eq!(translated, lattice.key_of_codes(&to, &codes), "seed {seed}");
        }
    }

    #[test]
    fn nodes_are_all_combinations_and_parents_are_one_level_above() {
        let lattice = lattice(&[(8, 0), (4, 1), (1, 0)]);
        let nodes = lattice.nodes();
        assert!(
            nodes.is_sorted() && nodes.first() == Some(&lattice.finest()) && nodes.last() == Some(&lattice.coarsest())
        );
        for node in &nodes {
            let parents: Vec<_> = lattice.parents(node).collect();
            let above = |other: &&Node| other.covers(node) && other.height() == node.height() + 1;
            let mut expected: Vec<_> = nodes.iter().filter(above).copied().collect();
            expected.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!(parents, expected);
        }
    }

    #[test]
    fn what_fits_no_key_is_refused() {
        let column = |quasi_identifier| lattice(&[(8, 0)]).columns[0].levels.clone().into_column(quasi_identifier, 0);
        let twice = vec![column(QuasiIdentifier::Gender), column(QuasiIdentifier::Gender)];
        assert_eq!(Lattice::new(twice).err(), Some(LatticeError::Columns));
    }

    impl CodeLevels {
        fn into_column(self, quasi_identifier: QuasiIdentifier, finest: usize) -> LatticeColumn {
            LatticeColumn { quasi_identifier, levels: self, finest }
        }
    }
}
