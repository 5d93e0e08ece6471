//! The lasting traits of a made-up person: the same in the first events and in every later one.

use super::random::Random;
use super::words::{
    AGES, CATEGORIES, EMPLOYMENTS, GENDERS, GIVEN_NAMES, INCOMES, MARITAL, RATION_CARDS, SCHEMES, SETTLEMENTS, Scheme,
    TAX_REGIMES,
};
use crate::{districts, states};

/// Traits that agree with each other: the district lies in the state, a child does not pay tax.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) display_name: String,
    pub(super) state: &'static str,
    pub(super) district: &'static str,
    pub(super) pincode: i64,
    pub(super) settlement: &'static str,
    pub(super) residency_years: i64,
    pub(super) age: &'static str,
    pub(super) gender: &'static str,
    pub(super) category: &'static str,
    pub(super) income: &'static str,
    pub(super) employment: &'static str,
    pub(super) tax_regime: Option<&'static str>,
    pub(super) below_poverty_line: bool,
    pub(super) ration_card: &'static str,
    pub(super) marital: &'static str,
    pub(super) dependents: i64,
    pub(super) children: i64,
    pub(super) seniors: i64,
    pub(super) schemes: Vec<Scheme>,
}

impl Person {
    pub(super) fn new(seed: u64, index: u64) -> Self {
        let mut random = Random::new(seed, index, 0);
        let state = states()[random.below(states().len() as u64) as usize].slug;
        let age = random.pick(&AGES);
        let employment = employment(age, &mut random);
        let income = match employment {
            "unemployed" | "student" => INCOMES[0],
            _ => random.pick(&INCOMES),
        };
        let below_poverty_line = income == INCOMES[0] && random.chance(70);
        let dependents = if age == "0-17" { 0 } else { random.range(0, 6) };
        let children = random.range(0, dependents);
        let initial = char::from(b'A' + random.below(26) as u8);
        let scheme_count = random.range(2, 8) as usize;
        Self {
            display_name: format!("{} {initial}.", random.pick(&GIVEN_NAMES)),
            state,
            district: random.pick(districts(state).unwrap_or_default()),
            pincode: random.range(110_000, 859_999),
            settlement: random.pick(&SETTLEMENTS),
            residency_years: random.range(0, 60),
            age,
            gender: random.pick(&GENDERS),
            category: random.pick(&CATEGORIES),
            income,
            employment,
            tax_regime: (!matches!(employment, "unemployed" | "student")).then(|| random.pick(&TAX_REGIMES)),
            below_poverty_line,
            ration_card: if below_poverty_line { random.pick(&RATION_CARDS[1..4]) } else { random.pick(&RATION_CARDS) },
            marital: if age == "0-17" { "single" } else { random.pick(&MARITAL) },
            dependents,
            children,
            seniors: random.range(0, dependents - children),
            schemes: random.some(&SCHEMES, scheme_count),
        }
    }
}

fn employment(age: &str, random: &mut Random) -> &'static str {
    match age {
        "0-17" => "student",
        "60+" if random.chance(60) => "pension",
        _ => random.pick(&EMPLOYMENTS),
    }
}
