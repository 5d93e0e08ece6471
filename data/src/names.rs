//! Given names by region, gender and generation: `facts/names.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::places::states;
use crate::random::Random;
use crate::words::Gender;

/// Age from which people have the names of the older generation (born before about 1985).
const OLDER: u8 = 41;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNames {
    initials: String,
    men_older: String,
    men_younger: String,
    women_older: String,
    women_younger: String,
}

/// The names of a region.
struct Names {
    initials: Vec<char>,
    /// Names of men and of women, each of the older and of the younger generation.
    given: [[Vec<&'static str>; 2]; 2],
}

static NAMES: LazyLock<Vec<Names>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
    let raw: BTreeMap<String, RawNames> =
        toml::from_str(include_str!("../facts/names.toml")).expect("names.toml is well-formed");
    // A state's own list takes precedence over its region's.
    let of_state = |state: &crate::State| raw.get(state.slug).or_else(|| raw.get(state.region)).map(Names::from);
    states().iter().filter_map(of_state).collect()
});

impl From<&RawNames> for Names {
    fn from(raw: &RawNames) -> Self {
        // The tables live as long as the program.
        let list = |text: &String| text.clone().leak().split(' ').collect();
        Self {
            initials: raw.initials.chars().filter(|letter| *letter != ' ').collect(),
            given: [[list(&raw.men_older), list(&raw.men_younger)], [list(&raw.women_older), list(&raw.women_younger)]],
        }
    }
}

/// Draws a given name, and an initial that stands for the rest of the name.
pub(crate) fn draw(state: usize, gender: Gender, age: u8, random: &mut Random) -> (&'static str, char) {
    let names = &NAMES[state];
    let women = match gender {
        Gender::Male => 0,
        Gender::Female => 1,
        Gender::Other | Gender::Undisclosed => random.below(2) as usize,
    };
    let given = random.pick(&names.given[women][usize::from(age < OLDER)]);
    (given, random.pick(&names.initials))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_names_of_letters_alone() {
        assert_eq!(NAMES.len(), states().len());
        for name in NAMES.iter().flat_map(|names| names.given.iter().flatten().flatten()) {
            assert!(name.len() > 1 && name.chars().all(|letter| letter.is_ascii_alphabetic()), "{name}");
        }
        assert!(NAMES.iter().all(|names| names.initials.iter().all(char::is_ascii_uppercase)));
    }
}
