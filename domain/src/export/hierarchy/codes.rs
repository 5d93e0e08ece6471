//! A hierarchy over the codes of a dictionary: tables instead of text.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::Hierarchy;

/// A penalty of 1 in fixed point: a value that is generalised to "any".
pub const PENALTY_UNIT: u32 = 1_000_000;

/// A value of a dictionary that a level of the hierarchy does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("level `{level}` of `{quasi_identifier}` has no group for a value that profiles have")]
pub struct UncoveredValue {
    /// The name of the quasi-identifier.
    pub quasi_identifier: &'static str,
    /// The name of the level.
    pub level: String,
}

/// One level over the codes of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeLevel {
    /// The name of the level.
    pub name: SmolStr,
    /// The group of each code of the dictionary.
    pub groups: Vec<u16>,
    /// The label of each group; `None` where the value is missing.
    pub labels: Vec<Option<SmolStr>>,
    /// The penalty of each group in units of [`PENALTY_UNIT`]: the share of the dictionary's values that the group covers,
    /// and 0 for a group of one value. It is the normalised certainty penalty of Xu, Wang, Pei, Wang, Shi and Fu,
    /// "Utility-based anonymization using local recoding", KDD 2006, rounded down.
    pub penalties: Vec<u32>,
    /// A code of each group.
    representatives: Vec<u16>,
}

/// All levels over the codes of a dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeLevels {
    levels: Vec<CodeLevel>,
}

impl CodeLevels {
    /// Creates the levels over a dictionary, whose entries are the values by code; `None` is the missing value, which is a
    /// group of its own on every level but the last. A dictionary has at most 65,536 entries.
    ///
    /// # Errors
    /// A level has no group for a value.
    pub fn new(hierarchy: &Hierarchy, dictionary: &[Option<SmolStr>]) -> Result<Self, UncoveredValue> {
        let last = hierarchy.levels().len() - 1;
        let mut levels = Vec::with_capacity(last + 1);
        for (number, level) in hierarchy.levels().iter().enumerate() {
            let mut builder = LevelBuilder::default();
            for (code, value) in dictionary.iter().enumerate() {
                let label = match value {
                    // A missing value is merged with the others by "any" only.
                    None if number < last => None,
                    None => level.label("").map(SmolStr::from),
                    Some(value) => Some(level.label(value).map(SmolStr::from).ok_or_else(|| UncoveredValue {
                        quasi_identifier: hierarchy.quasi_identifier().name(),
                        level: level.name.clone(),
                    })?),
                };
                builder.add(code as u16, label);
            }
            levels.push(builder.finish(level.name.as_str().into()));
        }
        Ok(Self { levels })
    }

    /// Returns the levels, from the finest to the coarsest.
    #[must_use]
    pub fn levels(&self) -> &[CodeLevel] {
        &self.levels
    }

    /// Returns the group on level `to` of each group on level `from`, which must not be coarser.
    #[must_use]
    pub fn translation(&self, from: usize, to: usize) -> Vec<u16> {
        let target = &self.levels[to].groups;
        self.levels[from].representatives.iter().map(|code| target[usize::from(*code)]).collect()
    }
}

#[derive(Default)]
struct LevelBuilder {
    numbers: BTreeMap<Option<SmolStr>, u16>,
    groups: Vec<u16>,
    labels: Vec<Option<SmolStr>>,
    sizes: Vec<u64>,
    representatives: Vec<u16>,
}

impl LevelBuilder {
    fn add(&mut self, code: u16, label: Option<SmolStr>) {
        let next = self.labels.len() as u16;
        let group = *self.numbers.entry(label.clone()).or_insert(next);
        if group == next {
            self.labels.push(label);
            self.sizes.push(0);
            self.representatives.push(code);
        }
        self.groups.push(group);
        self.sizes[usize::from(group)] += 1;
    }

    fn finish(self, name: SmolStr) -> CodeLevel {
        let values = self.groups.len() as u64;
        let penalty = |size: &u64| if *size > 1 { (u64::from(PENALTY_UNIT) * size / values) as u32 } else { 0 };
        let penalties = self.sizes.iter().map(penalty).collect();
        let Self { groups, labels, representatives, .. } = self;
        CodeLevel { name, groups, labels, penalties, representatives }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing;

    #[test]
    fn levels_over_codes_merge_as_the_hierarchy_does() {
        let rules = testing::rules();
        let place = &rules.hierarchies[2];
        let dictionary = [None, Some("goa/north_goa"), Some("goa/south_goa"), Some("kerala/kollam"), Some("gujarat")];
        let dictionary = dictionary.map(|value| value.map(SmolStr::from));
        let codes = CodeLevels::new(place, &dictionary).expect("covered");
        let groups: Vec<_> = codes.levels().iter().map(|level| level.groups.clone()).collect();
        assert_eq!(groups, [vec![0, 1, 2, 3, 4], vec![0, 1, 1, 2, 3], vec![0, 1, 1, 2, 1], vec![0; 5]]);
        assert_eq!(codes.levels()[1].penalties, [0, 400_000, 0, 0]);
        assert_eq!(codes.levels()[2].penalties, [0, 600_000, 0]);
        assert_eq!(codes.levels()[3].penalties, [PENALTY_UNIT]);
        assert_eq!(codes.levels()[2].labels, [None, Some("west".into()), Some("south".into())]);
        assert_eq!(codes.translation(1, 2), [0, 1, 2, 1]);
        let unknown = [Some(SmolStr::from("atlantis/x"))];
        assert!(CodeLevels::new(place, &unknown).is_err());
    }

    #[test]
    fn penalties_never_fall_from_a_level_to_the_next() {
        for hierarchy in &testing::rules().hierarchies {
            let values = hierarchy.quasi_identifier().values();
            let dictionary: Vec<_> =
                std::iter::once(None).chain(values.iter().map(|v| Some(SmolStr::from(v)))).collect();
            let codes = CodeLevels::new(hierarchy, &dictionary).expect("covered");
            for code in 0..dictionary.len() {
                let penalty = |level: &CodeLevel| level.penalties[usize::from(level.groups[code])];
                assert!(codes.levels().is_sorted_by_key(penalty));
            }
        }
    }
}
