//! Counters of all classes at one node, kept up to date with each change, which say at once what an export would need.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value, json};

use super::Lattice;
use super::classes::{ClassTable, RolledUpClasses, SensitiveLayout};
use super::search::{PrivacyRequirement, SearchOutcome, column_losses, search};

/// Counters of the classes at the finest node of a lattice.
///
/// Each sensitive value of a class has a counter of its own, so that a value that the last row loses is forgotten. A class
/// costs about 48 bytes, and 8 for each different sensitive value.
#[derive(Debug, Clone, Default)]
pub struct ClassCounters {
    classes: HashMap<u64, ClassCounter>,
    rows: u64,
}

#[derive(Debug, Clone, Default)]
struct ClassCounter {
    rows: u32,
    /// Bits of the set of sensitive values, each with its number of rows.
    values: Vec<(u8, u32)>,
}

/// A row that is removed was never added: the counters do not agree with the rows, and must be counted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the class counters do not know a row that is removed")]
pub struct UnknownRow;

/// What a row counts for: its key at the node, and its sensitive values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedRow {
    /// The key at the finest node of the lattice.
    pub key: u64,
    /// The sensitive values, as [`SensitiveLayout::row`] gives them.
    pub sensitive: u64,
}

impl ClassCounters {
    /// Adds a row.
    pub fn add(&mut self, row: CountedRow) {
        self.rows += 1;
        let class = self.classes.entry(row.key).or_default();
        class.rows += 1;
        for bit in bits(row.sensitive) {
            match class.values.iter_mut().find(|(own, _)| *own == bit) {
                Some((_, rows)) => *rows += 1,
                None => class.values.push((bit, 1)),
            }
        }
    }

    /// Removes a row that was added.
    ///
    /// # Errors
    /// There is no such row. The counters have not changed.
    pub fn remove(&mut self, row: CountedRow) -> Result<(), UnknownRow> {
        let Entry::Occupied(mut entry) = self.classes.entry(row.key) else { return Err(UnknownRow) };
        let class = entry.get_mut();
        if !bits(row.sensitive).all(|bit| class.values.iter().any(|(own, _)| *own == bit)) {
            return Err(UnknownRow);
        }
        for (_, rows) in class.values.iter_mut().filter(|(bit, _)| row.sensitive & 1 << bit != 0) {
            *rows -= 1;
        }
        class.values.retain(|(_, rows)| *rows > 0);
        class.rows -= 1;
        if class.rows == 0 {
            entry.remove();
        }
        self.rows -= 1;
        Ok(())
    }

    /// Replaces a row; `None` stands for a row that is not counted, before it joined or after it left.
    ///
    /// # Errors
    /// As [`Self::remove`].
    pub fn change(&mut self, before: Option<CountedRow>, after: Option<CountedRow>) -> Result<(), UnknownRow> {
        if before != after {
            before.map_or(Ok(()), |row| self.remove(row))?;
            after.into_iter().for_each(|row| self.add(row));
        }
        Ok(())
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the classes, in ascending order of their keys.
    #[must_use]
    pub fn table(&self) -> ClassTable {
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_unstable_by_key(|(key, _)| **key);
        let values = |class: &ClassCounter| class.values.iter().fold(0, |set, (bit, _)| set | 1 << bit);
        ClassTable {
            keys: classes.iter().map(|(key, _)| **key).collect(),
            sizes: classes.iter().map(|(_, class)| class.rows).collect(),
            sensitive: classes.iter().map(|(_, class)| values(class)).collect(),
        }
    }
}

/// Returns the numbers of the bits of a set.
fn bits(set: u64) -> impl Iterator<Item = u8> {
    let mut rest = set;
    std::iter::from_fn(move || {
        (rest != 0).then(|| {
            let bit = rest.trailing_zeros() as u8;
            rest &= rest - 1;
            bit
        })
    })
}

/// What an export of all rows would need now.
#[derive(Debug, Clone)]
pub struct Feasibility {
    /// What was asked for.
    pub requirement: PrivacyRequirement,
    /// The number of rows.
    pub rows: u64,
    /// The best node; `None` if no export is possible.
    pub outcome: Option<SearchOutcome>,
    /// The name of the level of each quasi-identifier at the best node.
    levels: Map<String, Value>,
}

impl Feasibility {
    /// Computes what an export of these classes would need. `lattice` is that of the classes.
    #[must_use]
    pub fn of(lattice: &Lattice, layout: &SensitiveLayout, table: ClassTable, requirement: PrivacyRequirement) -> Self {
        let rows = table.rows();
        let losses = column_losses(lattice, &table);
        let mut source = RolledUpClasses::new(lattice, layout, table);
        // The source cannot fail, so a search without a result says that there is none.
        let outcome = search(lattice, &losses, &requirement, &mut source).ok();
        let levels = outcome.map(|outcome| level_names(lattice, &outcome.node)).unwrap_or_default();
        Self { requirement, rows, outcome, levels }
    }

    /// Returns the answer of the API.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut answer = json!({
            "k": self.requirement.k,
            "l": self.requirement.l,
            "rows": self.rows,
            "feasible": self.outcome.is_some(),
        });
        if let Some(outcome) = &self.outcome {
            answer["levels"] = Value::Object(self.levels.clone());
            answer["rows_suppressed"] = json!(outcome.suppressed_rows);
            answer["classes"] = json!(outcome.classes);
            answer["information_loss_ppm"] = json!(outcome.loss.parts_per_million());
        }
        answer
    }
}

/// Returns the name of the level of each quasi-identifier at a node.
#[must_use]
pub fn level_names(lattice: &Lattice, node: &super::Node) -> Map<String, Value> {
    let columns = lattice.columns().iter().enumerate();
    let name = |column| json!(lattice.level(node, column).name.as_str());
    columns.map(|(number, column)| (column.quasi_identifier.name().to_owned(), name(number))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::{Random, lattice};

    #[test]
    fn counters_that_follow_changes_equal_a_recount() {
        let lattice = lattice(&[(6, 0), (4, 0)]);
        let layout = SensitiveLayout::new(&[3, 2]).expect("few");
        for seed in 0..200 {
            let mut random = Random(seed);
            let mut rows: Vec<Option<CountedRow>> = vec![None; 40];
            let mut counters = ClassCounters::default();
            for _ in 0..300 {
                let at = random.below(rows.len());
                let codes = [6, 4].map(|count| random.below(count) as u16);
                let values = [3, 2].map(|count| random.below(count) as u32);
                let row =
                    CountedRow { key: lattice.key_of_codes(&lattice.finest(), &codes), sensitive: layout.row(&values) };
                let after = (random.below(4) > 0).then_some(row);
                counters.change(rows[at], after).expect("a row that was counted");
                rows[at] = after;
            }
            let mut recount = ClassCounters::default();
            rows.iter().flatten().for_each(|row| recount.add(*row));
            assert_eq!(counters.table(), recount.table(), "seed {seed}");
            assert_eq!(counters.rows(), rows.iter().flatten().count() as u64);
            let direct = ClassTable::from_rows(rows.iter().flatten().map(|row| (row.key, row.sensitive)));
            assert_eq!((direct.len(), direct.rows()), (counters.table().len(), counters.rows()), "seed {seed}");
        }
    }

    #[test]
    fn a_row_that_was_never_added_is_refused_and_changes_nothing() {
        let mut counters = ClassCounters::default();
        let row = CountedRow { key: 3, sensitive: 0b101 };
        counters.add(row);
        let before = counters.table();
        assert_eq!(counters.remove(CountedRow { key: 4, ..row }), Err(UnknownRow));
        assert_eq!(counters.remove(CountedRow { sensitive: 0b110, ..row }), Err(UnknownRow));
        assert_eq!(counters.table(), before);
        assert_eq!(counters.remove(row), Ok(()));
        assert!(counters.table().is_empty());
    }

    #[test]
    fn the_answer_names_the_levels_or_says_that_there_are_none() {
        let lattice = lattice(&[(6, 0), (4, 0)]);
        let layout = SensitiveLayout::default();
        let rows = |count: u16| {
            let keys = (0..count).map(|row| lattice.key_of_codes(&lattice.finest(), &[row % 6, row % 4]));
            ClassTable::from_rows(keys.map(|key| (key, 0)))
        };
        let requirement = PrivacyRequirement { k: 10, l: 2, max_suppression_pct: 5 };
        let answer = Feasibility::of(&lattice, &layout, rows(60), requirement).to_json();
        assert_eq!(answer["feasible"], true);
        // Four genders are merged by "sixes" as by "any", which is a higher level.
        assert_eq!(answer["levels"], json!({"age_bracket": "exact", "gender": "sixes"}));
        let answer = Feasibility::of(&lattice, &layout, rows(9), requirement).to_json();
        assert_eq!(answer, json!({"k": 10, "l": 2, "rows": 9, "feasible": false}));
    }
}
