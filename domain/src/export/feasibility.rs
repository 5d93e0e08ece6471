//! What an export of everyone would need, from the classes at the finest node.
//!
//! The answer costs no budget and can be asked for again and again, also just before and just after one person decides. So it has
//! no exact number of people, and none can be found by trying numbers ([ADR 0033]).
//!
//! [ADR 0033]: ../../../docs/adr/0033-anonymity-of-exports.md

use serde_json::{Map, Value, json};

use super::Lattice;
use super::classes::RolledUpClasses;
use super::search::{PrivacyRequirement, column_losses, search};

/// The numbers of people that answers tell apart: a k between two of them is taken as the greater one. With every k, a caller who
/// tries them would find the size of the smallest class, and the number of all people, exactly.
const STEPS: [u32; 17] =
    [5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000];
/// What numbers of people are rounded down to a multiple of.
const UNIT: u64 = 100;

/// Returns a number of people as callers may see it, rounded down to a multiple of 100.
#[must_use]
pub const fn coarse_count(people: u64) -> u64 {
    people / UNIT * UNIT
}

/// What an export of all rows would need now.
#[derive(Debug, Clone)]
pub struct Feasibility {
    /// What the answer is for: at least what was asked for.
    requirement: PrivacyRequirement,
    /// The number of rows, rounded down.
    rows: u64,
    /// The name of the level of each quasi-identifier at the best node; `None` if no export is possible.
    levels: Option<Map<String, Value>>,
}

impl Feasibility {
    /// Returns the k that an answer is for: the one that was asked for, rounded up to 5, 10, 20, 50 and so on.
    #[must_use]
    pub fn rounded_k(asked: u32) -> u32 {
        STEPS.into_iter().find(|step| *step >= asked).unwrap_or(u32::MAX)
    }

    /// Computes what an export of the classes of `source` would need. `lattice` is that of the classes. The k is rounded up as by
    /// [`Self::rounded_k`].
    #[must_use]
    pub fn of(lattice: &Lattice, mut source: RolledUpClasses<'_>, asked: PrivacyRequirement) -> Self {
        let requirement = PrivacyRequirement { k: Self::rounded_k(asked.k), ..asked };
        let rows = coarse_count(source.finest().rows());
        let losses = column_losses(lattice, source.finest());
        // The source cannot fail, so a search without a result says that there is none.
        let outcome = search(lattice, &losses, &requirement, &mut source).ok();
        let levels = outcome.map(|outcome| level_names(lattice, &outcome.node));
        Self { requirement, rows, levels }
    }

    /// Returns the answer of the API.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut answer = json!({
            "k": self.requirement.k,
            "l": self.requirement.l,
            "rows": self.rows,
            "feasible": self.levels.is_some(),
        });
        if let Some(levels) = &self.levels {
            answer["levels"] = Value::Object(levels.clone());
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
    use crate::export::testing::lattice;
    use crate::export::{ClassTable, SensitiveLayout};

    #[test]
    fn the_answer_names_the_levels_or_says_that_there_are_none() {
        let lattice = lattice(&[(6, 0), (4, 0)]);
        let layout = SensitiveLayout::default();
        let rows = |count: u16| {
            let keys = (0..count).map(|row| lattice.key_of_codes(&lattice.finest(), &[row % 6, row % 4]));
            RolledUpClasses::new(&lattice, &layout, ClassTable::from_rows(keys.map(|key| (key, 0))))
        };
        let requirement = PrivacyRequirement { k: 10, l: 2, max_suppression_pct: 5 };
        let answer = Feasibility::of(&lattice, rows(60), requirement).to_json();
        assert_eq!(answer["feasible"], true);
        // Four genders are merged by "sixes" as by "any", which is a higher level.
        assert_eq!(answer["levels"], json!({"age_bracket": "exact", "gender": "sixes"}));
        let answer = Feasibility::of(&lattice, rows(9), requirement).to_json();
        assert_eq!(answer, json!({"k": 10, "l": 2, "rows": 0, "feasible": false}));
    }

    /// Returns the answers about so many people who are all alike, for every k from 5 to 400.
    fn answers(lattice: &Lattice, people: u64) -> Vec<Value> {
        let layout = SensitiveLayout::default();
        let key = lattice.key_of_codes(&lattice.finest(), &[1, 1]);
        let table = ClassTable::from_rows((0..people).map(|_| (key, 0)));
        let answer = |k| {
            let source = RolledUpClasses::new(lattice, &layout, table.clone());
            Feasibility::of(lattice, source, PrivacyRequirement { k, l: 1, max_suppression_pct: 5 }).to_json()
        };
        (5..=400).map(answer).collect()
    }

    #[test]
    fn trying_every_k_does_not_tell_whether_one_person_has_joined() {
        let lattice = lattice(&[(6, 0), (4, 0)]);
        let among_a_hundred = answers(&lattice, 100);
        for people in 101..200 {
            assert_eq!(answers(&lattice, people), among_a_hundred, "{people} people");
        }
        assert_ne!(answers(&lattice, 200), among_a_hundred);
    }

    #[test]
    fn an_answer_is_for_at_least_the_k_that_was_asked_for() {
        let lattice = lattice(&[(6, 0), (4, 0)]);
        let answered = |k: usize| answers(&lattice, 100)[k - 5]["k"].clone();
        for (asked, k) in [(5, 5), (6, 10), (10, 10), (11, 20), (21, 50), (99, 100), (100, 100), (101, 200), (400, 500)]
        {
            assert_eq!(answered(asked), k, "{asked}");
        }
        assert!(STEPS.is_sorted_by(|a, b| a < b) && STEPS[0] == crate::export::MIN_K);
        assert_eq!([0, 99, 100, 1_234].map(coarse_count), [0, 0, 100, 1_200]);
    }
}
