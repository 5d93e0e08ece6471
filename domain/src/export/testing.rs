//! Small hierarchies and random rows for the tests of this module.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{
    BudgetRules, CodeLevels, ColumnSet, ExportRules, Hierarchy, HierarchyLevel, Lattice, LatticeColumn, LevelRule,
    PrivacyDefaults, QuasiIdentifier,
};
use crate::splitmix64;

/// Random numbers from a seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (splitmix64::next(&mut self.0) % bound as u64) as usize
    }
}

impl super::RandomBits for Random {
    fn next_u64(&mut self) -> u64 {
        splitmix64::next(&mut self.0)
    }
}

/// Returns a lattice of columns with so many values and such a finest level. The values of a level are merged in twos or
/// threes, up to "any".
pub(super) fn lattice(columns: &[(u16, usize)]) -> Lattice {
    let columns = columns.iter().zip(QuasiIdentifier::ALL).map(|((values, finest), quasi_identifier)| LatticeColumn {
        quasi_identifier,
        levels: code_levels(*values),
        finest: *finest,
    });
    Lattice::new(columns.collect()).expect("a small lattice")
}

/// The levels over the family sizes from 1 on: exact, in threes, in sixes, any.
fn code_levels(values: u16) -> CodeLevels {
    let merged = |size: u16| {
        let label = |value: u16| (value.to_string(), format!("{}+", value / size * size));
        LevelRule::Groups((1..=60).map(label).collect())
    };
    let hierarchy = hierarchy(QuasiIdentifier::FamilySize, vec![("threes", merged(3)), ("sixes", merged(6))]);
    let dictionary: Vec<_> = (1..=values).map(|value| Some(SmolStr::from(value.to_string()))).collect();
    CodeLevels::new(&hierarchy, &dictionary).expect("all values are known")
}

/// Returns rows of random codes and a sensitive value; low codes are more frequent.
pub(super) fn random_rows(random: &mut Random, columns: &[u16], most: usize, values: usize) -> Vec<(Vec<u16>, u32)> {
    let rows = 1 + random.below(most);
    let code = |random: &mut Random, count: u16| {
        let bound = 1 + random.below(usize::from(count));
        random.below(bound) as u16
    };
    let row = |_| {
        let codes = columns.iter().map(|count| code(random, *count)).collect();
        let bound = 1 + random.below(values);
        (codes, random.below(bound) as u32)
    };
    (0..rows).map(row).collect()
}

fn hierarchy(quasi_identifier: QuasiIdentifier, middle: Vec<(&str, LevelRule)>) -> Hierarchy {
    let mut levels = vec![HierarchyLevel::new("exact", LevelRule::Exact)];
    levels.extend(middle.into_iter().map(|(name, rule)| HierarchyLevel::new(name, rule)));
    levels.push(HierarchyLevel::new("any", LevelRule::Any));
    Hierarchy::new(quasi_identifier, levels).expect("a valid hierarchy")
}

/// Returns rules in which each quasi-identifier has two levels and the place has four, with three states.
pub(super) fn rules() -> ExportRules {
    let regions = [("goa", "west"), ("gujarat", "west"), ("kerala", "south")];
    let regions: BTreeMap<_, _> = regions.map(|(state, region)| (state.to_owned(), region.to_owned())).into();
    let hierarchies = QuasiIdentifier::ALL.into_iter().map(|quasi_identifier| {
        let middle = match quasi_identifier {
            QuasiIdentifier::Place => vec![("state", LevelRule::State), ("region", LevelRule::Region(regions.clone()))],
            _ => Vec::new(),
        };
        hierarchy(quasi_identifier, middle)
    });
    ExportRules {
        hierarchies: hierarchies.collect(),
        columns: ColumnSet::ALL,
        privacy: PrivacyDefaults { k: 10, l: 2, max_suppression_pct: 5 },
        budget: BudgetRules { min_per_job: 10_000, max_per_job: 2_000_000, per_day: 10_000_000 },
    }
}
