//! Generalisation hierarchies of quasi-identifiers, and their form over the codes of a dictionary.

mod codes;
mod definition;

pub use codes::{CodeLevel, CodeLevels, PENALTY_UNIT, UncoveredValue};
pub use definition::{Hierarchy, HierarchyFault, HierarchyLevel, LevelRule, MAX_LEVELS};
