//! States, union territories and their districts, parsed once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// A state or union territory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct State {
    /// The value of `demographics.state`, e.g. `karnataka`.
    pub slug: &'static str,
    /// The official name in English.
    pub name: &'static str,
    /// Whether it is a state or a union territory.
    pub kind: StateKind,
    /// The region it is generalised to in exports: `north south east west central north_east`.
    pub region: &'static str,
}

/// The kind of a [`State`] under the constitution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateKind {
    /// One of the 28 states.
    State,
    /// One of the 8 union territories.
    UnionTerritory,
}

type Districts = BTreeMap<&'static str, Vec<&'static str>>;

#[expect(clippy::expect_used, reason = "the file is compiled in, and a test parses it")]
static STATES: LazyLock<Vec<State>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../states.json")).expect("states.json is well-formed"));

#[expect(clippy::expect_used, reason = "the file is compiled in, and a test parses it")]
static DISTRICTS: LazyLock<Districts> =
    LazyLock::new(|| serde_json::from_str(include_str!("../districts.json")).expect("districts.json is well-formed"));

/// Returns all states and union territories, by slug.
#[must_use]
pub fn states() -> &'static [State] {
    &STATES
}

/// Returns the slugs of a state's districts, sorted; `None` for an unknown state.
#[must_use]
pub fn districts(state: &str) -> Option<&'static [&'static str]> {
    DISTRICTS.get(state).map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_slug(text: &str) -> bool {
        let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        text.split('_').all(word)
    }

    #[test]
    fn there_are_28_states_and_8_union_territories() {
        let count = |kind| states().iter().filter(|state| state.kind == kind).count();
        assert_eq!((count(StateKind::State), count(StateKind::UnionTerritory)), (28, 8));
        assert!(states().is_sorted_by(|a, b| a.slug < b.slug), "sorted, so unique");
        let regions = ["north", "south", "east", "west", "central", "north_east"];
        for state in states() {
            assert!(is_slug(state.slug) && regions.contains(&state.region), "{state:?}");
            let words = |text: &str| text.to_lowercase().replace(' ', "_");
            assert_eq!(words(state.name), state.slug);
        }
    }

    #[test]
    fn every_state_has_its_districts_and_no_other_has() {
        let with_districts: Vec<_> = DISTRICTS.keys().copied().collect();
        let slugs: Vec<_> = states().iter().map(|state| state.slug).collect();
        assert_eq!(with_districts, slugs);
        for state in slugs {
            let districts = districts(state).unwrap();
            assert!(!districts.is_empty() && districts.iter().all(|slug| is_slug(slug)), "{state}: {districts:?}");
            assert!(districts.is_sorted_by(|a, b| a < b), "{state}: sorted, so unique");
        }
        assert!((750..850).contains(&DISTRICTS.values().map(Vec::len).sum::<usize>()));
        assert_eq!(districts("atlantis"), None);
    }
}
