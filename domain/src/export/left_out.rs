//! Classes that the guard against differencing has left out of an export, as its job remembers them: later exports are compared
//! with what the file holds.

use serde_json::{Map, Value};

use super::{Lattice, Node, level_names};
use crate::splitmix64::mix;

/// Classes that were left out of an export, because it would have differed from an earlier one in few people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOutClasses {
    /// The name of the level of each quasi-identifier at which they are classes, as [`level_names`] gives them.
    pub levels: Map<String, Value>,
    /// The fingerprint of each class, see [`class_fingerprint`].
    pub classes: Vec<u64>,
}

impl LeftOutClasses {
    /// Returns the classes with these keys at a node.
    #[must_use]
    pub fn new(lattice: &Lattice, node: &Node, keys: &[u64]) -> Self {
        let classes = keys.iter().map(|key| class_fingerprint(lattice, node, *key)).collect();
        Self { levels: level_names(lattice, node), classes }
    }
}

/// Returns a number that stands for a class at a node: it depends on the labels of its groups alone. Keys depend on the words
/// that the rows of an export have, so the same class has others in another export.
#[must_use]
pub fn class_fingerprint(lattice: &Lattice, node: &Node, key: u64) -> u64 {
    let mut fingerprint = 1;
    let mut add = |part: u64| fingerprint = mix(fingerprint ^ part);
    for column in 0..lattice.columns().len() {
        let label = &lattice.level(node, column).labels[usize::from(lattice.group(key, column))];
        // A missing value is no empty word.
        add(label.as_ref().map_or(u64::MAX, |label| label.len() as u64));
        label.iter().flat_map(|label| label.bytes()).for_each(|byte| add(byte.into()));
    }
    fingerprint
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::export::testing::lattice;

    #[test]
    fn each_class_has_a_fingerprint_of_its_own_that_other_words_of_an_export_do_not_change() {
        let (small, large) = (lattice(&[(6, 0), (4, 0)]), lattice(&[(12, 0), (9, 0)]));
        let mut found = BTreeSet::new();
        for codes in (0..6).flat_map(|first| (0..4).map(move |second| [first, second])) {
            let fingerprint = |lattice: &Lattice| {
                class_fingerprint(lattice, &lattice.finest(), lattice.key_of_codes(&lattice.finest(), &codes))
            };
            assert_eq!(fingerprint(&small), fingerprint(&large), "{codes:?}");
            assert!(found.insert(fingerprint(&small)), "{codes:?}");
        }
    }
}
