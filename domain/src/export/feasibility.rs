//! What an export of everyone would need, from the classes at the finest node.

use serde_json::{Map, Value, json};

use super::Lattice;
use super::classes::RolledUpClasses;
use super::search::{PrivacyRequirement, SearchOutcome, column_losses, search};

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
    /// Computes what an export of the classes of `source` would need. `lattice` is that of the classes.
    #[must_use]
    pub fn of(lattice: &Lattice, mut source: RolledUpClasses<'_>, requirement: PrivacyRequirement) -> Self {
        let rows = source.finest().rows();
        let losses = column_losses(lattice, source.finest());
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
        assert_eq!(answer, json!({"k": 10, "l": 2, "rows": 9, "feasible": false}));
    }
}
