//! A hierarchy as operators write it: levels from the exact value to "any".

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::export::QuasiIdentifier;

/// Maximum number of levels of a hierarchy.
pub const MAX_LEVELS: usize = 8;

/// The label of a value on the last level.
const ANY: &str = "any";

/// How a level turns a value into a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LevelRule {
    /// The value itself.
    Exact,
    /// The state of a place.
    State,
    /// The region of a place, by its state.
    Region(BTreeMap<String, String>),
    /// The label of each value.
    Groups(BTreeMap<String, String>),
    /// The same label for all values, also for missing ones.
    Any,
}

/// A level of a hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HierarchyLevel {
    /// The name of the level, such as `district`.
    pub name: String,
    /// How it turns a value into a label.
    pub rule: LevelRule,
}

/// The levels of a quasi-identifier from the finest to the coarsest. Each level merges groups of the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    quasi_identifier: QuasiIdentifier,
    levels: Vec<HierarchyLevel>,
}

/// Why a hierarchy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HierarchyFault {
    /// The number of levels is out of range.
    #[error("has from 2 to {MAX_LEVELS} levels")]
    LevelCount,
    /// The first level changes values.
    #[error("begins with a level without groups, which keeps the values")]
    FirstLevel,
    /// The last level keeps a difference.
    #[error("ends with the level `any`, which has no groups, and has it nowhere else")]
    LastLevel,
    /// Two levels have the same name.
    #[error("has two levels with the name `{0}`")]
    RepeatedName(String),
    /// A level does not give a label to each value.
    #[error("level `{level}` has no group with `{value}`")]
    Incomplete {
        /// The name of the level.
        level: String,
        /// The value.
        value: String,
    },
    /// A level names what is no value.
    #[error("level `{level}` names `{value}`, which is not a value")]
    UnknownValue {
        /// The name of the level.
        level: String,
        /// The text.
        value: String,
    },
    /// A level separates values that the level below has merged.
    #[error("level `{level}` separates `{first}` and `{second}`, which the level below merges")]
    NotCoarser {
        /// The name of the level.
        level: String,
        /// One of the values.
        first: String,
        /// The other one.
        second: String,
    },
    /// A level has as many groups as the level below.
    #[error("level `{level}` merges nothing")]
    MergesNothing {
        /// The name of the level.
        level: String,
    },
}

impl Hierarchy {
    /// Creates a hierarchy. Values are those of the field table; for places they are the states that the regions name.
    ///
    /// # Errors
    /// The hierarchy does not go from the exact value to "any" in steps that only merge, or leaves a value out.
    pub fn new(quasi_identifier: QuasiIdentifier, levels: Vec<HierarchyLevel>) -> Result<Self, HierarchyFault> {
        let hierarchy = Self { quasi_identifier, levels };
        hierarchy.check_shape()?;
        let values = hierarchy.checked_values();
        hierarchy.check_values(&values)?;
        for (below, level) in hierarchy.levels.iter().zip(&hierarchy.levels[1..]) {
            check_coarser(below, level, &values)?;
        }
        Ok(hierarchy)
    }

    /// Returns the quasi-identifier.
    #[must_use]
    pub const fn quasi_identifier(&self) -> QuasiIdentifier {
        self.quasi_identifier
    }

    /// Returns the levels, from the finest to the coarsest.
    #[must_use]
    pub fn levels(&self) -> &[HierarchyLevel] {
        &self.levels
    }

    fn check_shape(&self) -> Result<(), HierarchyFault> {
        if !(2..=MAX_LEVELS).contains(&self.levels.len()) {
            return Err(HierarchyFault::LevelCount);
        }
        let (last, before) = self.levels.split_last().ok_or(HierarchyFault::LevelCount)?;
        if before[0].rule != LevelRule::Exact || before[1..].iter().any(|level| level.rule == LevelRule::Exact) {
            return Err(HierarchyFault::FirstLevel);
        }
        if last.rule != LevelRule::Any || last.name != ANY || before.iter().any(|level| level.rule == LevelRule::Any) {
            return Err(HierarchyFault::LastLevel);
        }
        let mut names = BTreeSet::new();
        match self.levels.iter().find(|level| !names.insert(level.name.as_str())) {
            Some(level) => Err(HierarchyFault::RepeatedName(level.name.clone())),
            None => Ok(()),
        }
    }

    /// Returns the values that the levels are checked with. Each state has two places, so that merging them counts.
    fn checked_values(&self) -> Vec<String> {
        let regions = self.levels.iter().find_map(|level| match &level.rule {
            LevelRule::Region(regions) => Some(regions),
            _ => None,
        });
        match regions {
            Some(regions) => regions.keys().flat_map(|state| [state.clone(), format!("{state}/x")]).collect(),
            None => self.quasi_identifier.values(),
        }
    }

    fn check_values(&self, values: &[String]) -> Result<(), HierarchyFault> {
        for level in &self.levels {
            let name = || level.name.clone();
            if let Some(value) = values.iter().find(|value| level.label(value).is_none()) {
                return Err(HierarchyFault::Incomplete { level: name(), value: value.clone() });
            }
            if let LevelRule::Groups(groups) = &level.rule
                && let Some(value) = groups.keys().find(|value| !values.contains(value))
            {
                return Err(HierarchyFault::UnknownValue { level: name(), value: value.clone() });
            }
        }
        Ok(())
    }
}

fn check_coarser(below: &HierarchyLevel, level: &HierarchyLevel, values: &[String]) -> Result<(), HierarchyFault> {
    let mut seen: BTreeMap<Cow<'_, str>, (&String, Cow<'_, str>)> = BTreeMap::new();
    let mut labels = BTreeSet::new();
    for value in values {
        let (Some(fine), Some(coarse)) = (below.label(value), level.label(value)) else { continue };
        labels.insert(coarse.clone());
        let (first, expected) = seen.entry(fine).or_insert_with(|| (value, coarse.clone()));
        if *expected != coarse {
            let (first, second) = ((*first).clone(), value.clone());
            return Err(HierarchyFault::NotCoarser { level: level.name.clone(), first, second });
        }
    }
    if labels.len() < seen.len() { Ok(()) } else { Err(HierarchyFault::MergesNothing { level: level.name.clone() }) }
}

impl HierarchyLevel {
    /// Creates a level.
    #[must_use]
    pub fn new(name: impl Into<String>, rule: LevelRule) -> Self {
        Self { name: name.into(), rule }
    }

    /// Returns the label of a value; `None` if the level does not know the value.
    #[must_use]
    pub fn label<'a>(&'a self, value: &'a str) -> Option<Cow<'a, str>> {
        let state = || value.split('/').next().unwrap_or(value);
        match &self.rule {
            LevelRule::Exact => Some(value.into()),
            LevelRule::State => Some(state().into()),
            LevelRule::Region(regions) => regions.get(state()).map(|region| region.as_str().into()),
            LevelRule::Groups(groups) => groups.get(value).map(|label| label.as_str().into()),
            LevelRule::Any => Some(ANY.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(groups: &[(&str, &[&str])]) -> LevelRule {
        let pairs =
            groups.iter().flat_map(|(label, values)| values.iter().map(|value| ((*value).into(), (*label).into())));
        LevelRule::Groups(pairs.collect())
    }

    fn gender(middle: Vec<LevelRule>) -> Result<Hierarchy, HierarchyFault> {
        let mut levels = vec![HierarchyLevel::new("exact", LevelRule::Exact)];
        levels.extend(middle.into_iter().zip(["one", "two"]).map(|(rule, name)| HierarchyLevel::new(name, rule)));
        levels.push(HierarchyLevel::new(ANY, LevelRule::Any));
        Hierarchy::new(QuasiIdentifier::Gender, levels)
    }

    #[test]
    fn each_level_covers_all_values_and_only_merges() {
        let binary = groups(&[("m", &["male"]), ("f", &["female"]), ("o", &["other", "undisclosed"])]);
        assert_eq!(gender(vec![binary.clone()]).expect("valid").levels().len(), 3);
        let missing = groups(&[("m", &["male"]), ("o", &["other", "undisclosed"])]);
        let fault = gender(vec![missing]).expect_err("female is missing");
        assert_eq!(fault, HierarchyFault::Incomplete { level: "one".into(), value: "female".into() });
        let unknown = groups(&[("m", &["male", "man"]), ("o", &["female", "other", "undisclosed"])]);
        assert!(matches!(gender(vec![unknown]), Err(HierarchyFault::UnknownValue { .. })));
        let across = groups(&[("a", &["male", "other"]), ("b", &["female", "undisclosed"])]);
        assert!(matches!(gender(vec![binary.clone(), across]), Err(HierarchyFault::NotCoarser { .. })));
        assert!(matches!(gender(vec![binary.clone(), binary]), Err(HierarchyFault::MergesNothing { .. })));
    }

    #[test]
    fn a_hierarchy_goes_from_the_exact_value_to_any() {
        let level = |name: &str, rule| HierarchyLevel::new(name, rule);
        let new = |levels| Hierarchy::new(QuasiIdentifier::Gender, levels).expect_err("refused");
        assert_eq!(new(vec![level("any", LevelRule::Any)]), HierarchyFault::LevelCount);
        assert_eq!(new(vec![level("x", LevelRule::Any), level("any", LevelRule::Any)]), HierarchyFault::FirstLevel);
        assert_eq!(new(vec![level("x", LevelRule::Exact), level("all", LevelRule::Any)]), HierarchyFault::LastLevel);
    }

    #[test]
    fn a_place_goes_from_district_to_state_to_region() {
        let regions = [("goa", "west"), ("gujarat", "west"), ("kerala", "south")];
        let regions = regions.map(|(state, region)| (state.to_owned(), region.to_owned())).into();
        let levels = vec![
            HierarchyLevel::new("district", LevelRule::Exact),
            HierarchyLevel::new("state", LevelRule::State),
            HierarchyLevel::new("region", LevelRule::Region(regions)),
            HierarchyLevel::new(ANY, LevelRule::Any),
        ];
        let place = Hierarchy::new(QuasiIdentifier::Place, levels).expect("valid");
        let labels = |value| place.levels().iter().map(|level| level.label(value).expect("known")).collect::<Vec<_>>();
        assert_eq!(labels("goa/north_goa"), ["goa/north_goa", "goa", "west", "any"]);
        assert_eq!(labels("kerala"), ["kerala", "kerala", "south", "any"]);
        assert_eq!(place.levels()[2].label("delhi"), None);
    }
}
