//! Where people live, and known figures about them by place: `facts/census.csv`, `districts.csv` and `pincodes.csv`.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::places::{districts, states};
use crate::random::Random;

/// A district, with the people who live there.
#[derive(Debug)]
pub(crate) struct CensusDistrict {
    /// The position of its state in [`states`].
    pub(crate) state: usize,
    /// The slug of the district.
    pub(crate) district: &'static str,
    /// The share of its people who live in towns.
    pub(crate) urban: f64,
    /// Its postal index numbers.
    pub(crate) pincodes: Vec<u32>,
}

/// Known figures about the people of a state, as shares from 0 to 1.
#[derive(Debug)]
pub(crate) struct StateFacts {
    /// People in 2011, in thousands.
    pub(crate) people: f64,
    /// Share of people who live in towns.
    pub(crate) urban: f64,
    /// Share of women and girls.
    pub(crate) women: f64,
    /// Scheduled castes, scheduled tribes, other backward classes.
    pub(crate) sc: f64,
    pub(crate) st: f64,
    pub(crate) obc: f64,
    /// Share of multidimensionally poor people.
    pub(crate) poor: f64,
}

/// All places, and how many people live up to and in each.
#[derive(Debug)]
pub(crate) struct Census {
    pub(crate) states: Vec<StateFacts>,
    pub(crate) places: Vec<CensusDistrict>,
    cumulative: Vec<f64>,
}

#[expect(clippy::expect_used, reason = "the files are compiled in, and tests read them")]
static CENSUS: LazyLock<Census> = LazyLock::new(|| Census::read().expect("the facts are well-formed"));

/// Returns the census figures, parsed once.
pub(crate) fn census() -> &'static Census {
    &CENSUS
}

impl Census {
    /// Draws a district, weighted by its people.
    pub(crate) fn draw(&self, random: &mut Random) -> &CensusDistrict {
        let all = self.cumulative.last().copied().unwrap_or_default();
        let at = random.unit() * all;
        let index = self.cumulative.partition_point(|people| *people <= at);
        &self.places[index.min(self.places.len() - 1)]
    }

    /// Draws another district of the state; the same one if it has no other.
    pub(crate) fn neighbour(&self, state: usize, random: &mut Random) -> &'static str {
        random.pick(districts(states()[state].slug).unwrap_or_default())
    }

    fn read() -> Option<Self> {
        let states: Vec<StateFacts> =
            rows(include_str!("../facts/census.csv")).map(state_facts).collect::<Option<_>>()?;
        let known: HashMap<(&str, &str), (f64, f64)> = rows(include_str!("../facts/districts.csv"))
            .map(|row| {
                let people: f64 = row[2].parse().ok()?;
                Some(((row[0], row[1]), (people, people * percent(row[3])?)))
            })
            .collect::<Option<_>>()?;
        let mut pincodes: HashMap<(&str, &str), Vec<u32>> = rows(include_str!("../facts/pincodes.csv"))
            .map(|row| Some(((row[0], row[1]), ranges(row[2])?)))
            .collect::<Option<_>>()?;
        let (mut places, mut cumulative, mut all) = (Vec::new(), Vec::new(), 0.0);
        for (index, (state, facts)) in crate::states().iter().zip(&states).enumerate() {
            let slugs = districts(state.slug)?;
            let counted = |slug: &&str| known.get(&(state.slug, *slug)).copied();
            let (of_known, towns_of_known) =
                slugs.iter().filter_map(counted).fold((0.0, 0.0), |sum, known| (sum.0 + known.0, sum.1 + known.1));
            let others = slugs.iter().filter(|slug| counted(slug).is_none()).count().max(1) as f64;
            let rest = ((facts.people - of_known) / others, (facts.people * facts.urban - towns_of_known) / others);
            for district in slugs {
                let (people, towns) = counted(district).unwrap_or(rest);
                let pincodes = pincodes.remove(&(state.slug, *district))?;
                all += people;
                cumulative.push(all);
                places.push(CensusDistrict { state: index, district, urban: towns / people, pincodes });
            }
        }
        Some(Self { states, places, cumulative })
    }
}

/// Returns the cells of each line; comments are left out.
fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(',').map(str::trim).collect())
}

fn state_facts(row: Vec<&str>) -> Option<StateFacts> {
    let number = |column: usize| row.get(column)?.parse::<f64>().ok();
    let women = number(3)?;
    Some(StateFacts {
        people: number(1)?,
        urban: number(2)? / 100.0,
        women: women / (1_000.0 + women),
        sc: number(4)? / 100.0,
        st: number(5)? / 100.0,
        obc: number(6)? / 100.0,
        poor: number(7)? / 100.0,
    })
}

fn percent(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().map(|percent| percent / 100.0)
}

/// Returns the numbers in a list of ranges such as `110001 110003-110005`.
fn ranges(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for range in text.split(' ') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        numbers.extend(first.parse::<u32>().ok()?..=last.parse().ok()?);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The totals are those of the Census of India 2011, from its Primary Census Abstract.
    #[test]
    fn the_states_add_up_to_the_published_totals() {
        let census = census();
        let people: f64 = census.states.iter().map(|state| state.people).sum();
        let share =
            |of: fn(&StateFacts) -> f64| census.states.iter().map(|state| state.people * of(state)).sum::<f64>();
        assert!((people - 1_210_855.0).abs() < 10.0, "{people}");
        for (published, of) in
            [(0.3115, (|state| state.urban) as fn(&StateFacts) -> f64), (0.1663, |s| s.sc), (0.0863, |s| s.st)]
        {
            let computed = share(of) / people;
            assert!((computed - published).abs() < 0.001, "{computed} is not {published}");
        }
        let slugs: Vec<&str> = rows(include_str!("../facts/census.csv")).map(|row| row[0]).collect();
        assert!(slugs.into_iter().eq(states().iter().map(|state| state.slug)), "a line for each state, in order");
    }

    #[test]
    fn every_line_is_about_a_district_that_exists() {
        let files = [include_str!("../facts/districts.csv"), include_str!("../facts/pincodes.csv")];
        for row in files.into_iter().flat_map(rows) {
            let known = districts(row[0]).unwrap_or_else(|| panic!("{row:?}"));
            assert!(known.contains(&row[1]), "{row:?}");
        }
    }

    #[test]
    fn places_have_people_shares_and_pincodes_of_their_circle() {
        let census = census();
        assert!(census.cumulative.is_sorted_by(|a, b| a < b));
        for place in &census.places {
            assert!((0.0..=1.0).contains(&place.urban), "{place:?}");
            assert!(place.pincodes.iter().all(|pincode| (110_001..=855_999).contains(pincode)), "{place:?}");
        }
        // General post offices, by the postal guide.
        for (state, district, pincode) in [
            ("delhi", "new_delhi", 110_001),
            ("karnataka", "bengaluru_urban", 560_001),
            ("jammu_and_kashmir", "srinagar", 190_001),
            ("maharashtra", "mumbai", 400_001),
            ("west_bengal", "kolkata", 700_001),
            ("puducherry", "yanam", 533_464),
        ] {
            let holders = census.places.iter().filter(|place| place.pincodes.contains(&pincode));
            let named = |place: &&CensusDistrict| (states()[place.state].slug, place.district) == (state, district);
            assert!(holders.clone().any(|place| named(&place)), "{pincode} is in {district}");
            assert!(holders.count() <= 2, "{pincode} is nowhere else, but across a border");
        }
    }
}
