//! Adds up classes with equal keys: in an array of all possible keys where these are few, else in a hash table.

use std::ops::Range;

use super::ClassTable;
use crate::export::{KeyTranslation, Lattice, Node};
use crate::splitmix64::mix;

/// An entry that is not used.
const FREE: u32 = u32::MAX;

/// How many entries of the array a class may cost: clearing and reading them is cheaper than hashing.
const CELLS_OF_A_CLASS: u64 = 8;

impl ClassTable {
    /// Counts the classes of rows at the finest node of a lattice. `rows` gives the key and the sensitive values of each.
    pub fn from_rows(rows: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut builder = ClassBuilder::hashed(1 << 10);
        rows.into_iter().for_each(|(key, sensitive)| builder.add(key, 1, sensitive));
        builder.finish()
    }

    /// Returns the classes of several tables of different rows at the same node.
    #[must_use]
    pub fn merge(tables: &[Self]) -> Self {
        let mut builder = ClassBuilder::hashed(tables.iter().map(Self::len).max().unwrap_or(0));
        for table in tables {
            for ((key, size), sensitive) in table.keys.iter().zip(&table.sizes).zip(&table.sensitive) {
                builder.add(*key, *size, *sensitive);
            }
        }
        builder.finish()
    }

    /// Returns the classes at a coarser node. Exact: sizes are added, and sets of values are united.
    #[must_use]
    pub fn roll_up(&self, lattice: &Lattice, from: &Node, to: &Node) -> Self {
        self.roll_up_part(0..self.len(), &lattice.translation(from, to))
    }

    /// Returns the classes at a coarser node of a part of these classes. `translation` leads from their node to the coarser
    /// one. The parts of a table, each rolled up by itself and merged in their order, give what the whole table gives.
    #[must_use]
    pub fn roll_up_part(&self, part: Range<usize>, translation: &KeyTranslation) -> Self {
        let mut builder = ClassBuilder::for_keys(translation, part.len());
        builder.add_all(self, part, translation);
        builder.finish()
    }

    /// Returns the classes of parts that [`Self::roll_up_part`] gave at a node.
    #[must_use]
    pub fn merge_parts(parts: &[Self], lattice: &Lattice, node: &Node) -> Self {
        let numbering = lattice.translation(node, node);
        let mut builder = ClassBuilder::for_keys(&numbering, parts.iter().map(Self::len).sum());
        parts.iter().for_each(|part| builder.add_all(part, 0..part.len(), &numbering));
        builder.finish()
    }
}

/// Collects classes.
struct ClassBuilder {
    table: ClassTable,
    /// The number of the class in `table`, by cell or by hash.
    index: Vec<u32>,
    /// Whether `index` is an array by cell.
    is_dense: bool,
}

impl ClassBuilder {
    /// Returns a builder that hashes keys. `classes` is the number of classes that it has room for at first.
    fn hashed(classes: usize) -> Self {
        let slots = (classes.max(8) * 2).next_power_of_two();
        Self { table: ClassTable::default(), index: vec![FREE; slots], is_dense: false }
    }

    /// Returns a builder for the keys that a translation gives for at most `classes` classes.
    fn for_keys(translation: &KeyTranslation, classes: usize) -> Self {
        let cells = translation.cells();
        if cells <= CELLS_OF_A_CLASS * classes as u64 {
            return Self { table: ClassTable::default(), index: vec![FREE; cells as usize], is_dense: true };
        }
        Self::hashed(classes / 4)
    }

    /// Adds a part of the classes of a table, whose keys are translated first.
    fn add_all(&mut self, table: &ClassTable, part: Range<usize>, translation: &KeyTranslation) {
        let keys = table.keys[part.clone()].iter().zip(&table.sizes[part.clone()]).zip(&table.sensitive[part]);
        for ((key, size), sensitive) in keys {
            self.add_translated(translation, *key, *size, *sensitive);
        }
    }

    /// Adds rows whose key is translated first.
    fn add_translated(&mut self, translation: &KeyTranslation, key: u64, rows: u32, sensitive: u64) {
        if !self.is_dense {
            return self.add(translation.translate(key), rows, sensitive);
        }
        let (after, cell) = translation.translate_to_cell(key);
        self.add_at(cell as usize, after, rows, sensitive);
    }

    /// Adds rows of a key to a builder that hashes.
    fn add(&mut self, key: u64, rows: u32, sensitive: u64) {
        if self.table.len() * 2 > self.index.len() {
            self.grow();
        }
        let slot = self.slot(key);
        self.add_at(slot, key, rows, sensitive);
    }

    fn finish(self) -> ClassTable {
        self.table
    }

    fn add_at(&mut self, slot: usize, key: u64, rows: u32, sensitive: u64) {
        let table = &mut self.table;
        match self.index[slot] {
            FREE => {
                self.index[slot] = table.len() as u32;
                table.keys.push(key);
                table.sizes.push(rows);
                table.sensitive.push(sensitive);
            }
            class => {
                table.sizes[class as usize] = table.sizes[class as usize].saturating_add(rows);
                table.sensitive[class as usize] |= sensitive;
            }
        }
    }

    /// Returns the slot that holds the key, or the free one for it. At least half of the slots are free.
    fn slot(&self, key: u64) -> usize {
        let mask = self.index.len() - 1;
        let mut slot = mix(key) as usize & mask;
        while self.index[slot] != FREE && self.table.keys[self.index[slot] as usize] != key {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        self.index = vec![FREE; self.index.len() * 2];
        for class in 0..self.table.len() {
            let slot = self.slot(self.table.keys[class]);
            self.index[slot] = class as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::SensitiveLayout;
    use super::*;
    use crate::export::testing::{Random, lattice, random_rows};

    #[test]
    fn a_roll_up_counts_what_the_rows_give() {
        let lattice = lattice(&[(9, 0), (5, 0), (30, 0), (2, 0)]);
        let nodes = lattice.nodes();
        for seed in 0..300 {
            let mut random = Random(seed);
            let rows = random_rows(&mut random, &[9, 5, 30, 2], 400, 6);
            let layout = SensitiveLayout::new(&[6]).expect("few");
            let lattice_key = |node, codes: &[u16]| lattice.key_of_codes(node, codes);
            let finest = lattice.finest();
            let middle = nodes[random.below(nodes.len())];
            let coarse = middle.join(&nodes[random.below(nodes.len())]);
            let of_rows = |node| {
                let mut classes = BTreeMap::new();
                for (codes, value) in &rows {
                    let class = classes.entry(lattice_key(node, codes)).or_insert((0_u32, 0_u64));
                    *class = (class.0 + 1, class.1 | 1 << value);
                }
                classes
            };
            let table =
                ClassTable::from_rows(rows.iter().map(|(codes, value)| (lattice_key(&finest, codes), 1 << value)));
            let stepwise = table.roll_up(&lattice, &finest, &middle).roll_up(&lattice, &middle, &coarse);
            let direct = table.roll_up(&lattice, &finest, &coarse);
            let (cut, translation) = (random.below(table.len() + 1), lattice.translation(&finest, &coarse));
            let parts = [0..cut, cut..table.len()].map(|part| table.roll_up_part(part, &translation));
            assert_eq!(ClassTable::merge_parts(&parts, &lattice, &coarse), direct, "seed {seed}");
            for rolled in [stepwise, direct] {
                let pairs =
                    rolled.keys.iter().copied().zip(rolled.sizes.iter().copied().zip(rolled.sensitive.iter().copied()));
                assert_eq!(rolled.len(), of_rows(&coarse).len(), "seed {seed}");
                assert_eq!(pairs.collect::<BTreeMap<_, _>>(), of_rows(&coarse), "seed {seed}");
                assert_eq!(rolled.rows(), rows.len() as u64);
                let distinct = rolled.classes(&layout).map(|class| class.distinct());
                assert!(distinct.zip(&rolled.sensitive).all(|(count, set)| count == set.count_ones()));
            }
        }
    }
}
