//! The household that a person lives in.

use crate::random::Random;
use crate::words::{Employment, Gender, Marital};

/// A household as one of its members sees it.
#[derive(Debug, Clone)]
pub struct Family {
    /// The marital status.
    pub marital: Marital,
    /// Number of people in the household.
    pub members: u8,
    /// Number of people who depend on the person: children, elders, a spouse without work.
    pub dependents: u8,
    /// Number of dependents of 60 and over.
    pub elders: u8,
    /// Ages of the person's own children under 18, the eldest first.
    ages: [u8; MOST_CHILDREN],
    count: u8,
}

const MOST_CHILDREN: usize = 5;

/// The age from which they apply, and who is or was married by then: men and women. Fitted to Census 2011, table C-2:
/// 46.0 % of men and boys and 49.9 % of women and girls are married.
const EVER_MARRIED: [(u8, f64, f64); 8] = [
    (18, 0.04, 0.28),
    (20, 0.17, 0.60),
    (22, 0.37, 0.80),
    (25, 0.66, 0.93),
    (28, 0.87, 0.97),
    (32, 0.95, 0.985),
    (40, 0.98, 0.99),
    (50, 0.985, 0.99),
];

/// The share that is widowed: men and women. Fitted to Census 2011: 2.0 % of all men, 7.4 % of all women.
const WIDOWED: [(u8, f64, f64); 6] =
    [(18, 0.003, 0.01), (40, 0.015, 0.07), (50, 0.04, 0.18), (60, 0.11, 0.40), (70, 0.22, 0.65), (80, 0.38, 0.82)];

/// Divorced or separated: Census 2011, 0.4 % of all people.
const DIVORCED: f64 = 0.008;

/// Children ever born to a couple, from none to five: NFHS-5, a total fertility of 2.0, older couples more.
const CHILDREN: [f64; 6] = [8.0, 20.0, 42.0, 20.0, 7.0, 3.0];

impl Family {
    pub(super) fn draw(age: u8, gender: Gender, employment: Option<Employment>, random: &mut Random) -> Self {
        let marital = marital(age, gender, random);
        let mut family = Self { marital, members: 1, dependents: 0, elders: 0, ages: [0; MOST_CHILDREN], count: 0 };
        if marital == Marital::Single {
            family.stay_with_parents(age, random);
        } else {
            family.found_household(age, gender, employment, random);
        }
        // Joint families: brothers who stay together.
        if random.happens(0.32) {
            family.members += random.range(2, 6) as u8;
        }
        family
    }

    /// Returns whether the person is married.
    #[must_use]
    pub fn is_married(&self) -> bool {
        self.marital == Marital::Married
    }

    /// Returns the ages of the children under 18, the eldest first.
    pub fn children(&self) -> impl Iterator<Item = u8> {
        self.ages.into_iter().take(usize::from(self.count))
    }

    /// Returns the number of children of 6 to 17.
    #[must_use]
    pub fn school_children(&self) -> u8 {
        self.children().filter(|age| *age >= 6).count() as u8
    }

    fn stay_with_parents(&mut self, age: u8, random: &mut Random) {
        let parents = match age {
            0..=35 => 2,
            36..=55 => random.range(0, 2) as u8,
            _ => 0,
        };
        let siblings =
            if age < 26 { random.weighted(&[15.0, 44.0, 28.0, 13.0]) as u8 } else { random.range(0, 2) as u8 };
        let grandparents = if age < 18 && random.happens(0.28) { random.range(1, 2) as u8 } else { 0 };
        self.members += parents + siblings + grandparents;
        if age >= 32 {
            self.depend_elders(parents);
        }
    }

    fn found_household(&mut self, age: u8, gender: Gender, employment: Option<Employment>, random: &mut Random) {
        self.members += u8::from(self.is_married());
        // Women marry and have children about four years earlier.
        let mother = if gender == Gender::Female { age } else { age.saturating_sub(4) };
        let mut at_birth = 19 + random.below(7) as u8;
        let born = random.weighted(&CHILDREN);
        for _ in 0..born {
            match mother.checked_sub(at_birth) {
                Some(child) if child < 18 => {
                    self.ages[usize::from(self.count)] = child;
                    self.count += 1;
                }
                // Most of the adult children still live at home until they marry.
                Some(child) if child < 25 => self.members += u8::from(random.happens(0.6)),
                _ => {}
            }
            at_birth += random.range(2, 4) as u8;
        }
        self.members += self.count;
        self.dependents += self.count;
        if (22..=58).contains(&age) && random.happens(0.30) {
            let elders = random.range(1, 2) as u8;
            self.members += elders;
            self.depend_elders(elders);
        }
        // The old live with a son's family more often than not.
        if age >= 60 && random.happens(0.68) {
            self.members += random.range(2, 5) as u8;
        }
        let earns = !matches!(employment, Some(Employment::Unemployed | Employment::Student) | None);
        let spouse_at_home = if gender == Gender::Female { 0.08 } else { 0.55 };
        self.dependents += u8::from(earns && self.is_married() && random.happens(spouse_at_home));
    }

    fn depend_elders(&mut self, elders: u8) {
        self.elders = elders;
        self.dependents += elders;
    }
}

fn marital(age: u8, gender: Gender, random: &mut Random) -> Marital {
    let share = |table: &[(u8, f64, f64)]| {
        let row = table.iter().rev().find(|(from, ..)| age >= *from);
        row.map_or(0.0, |(_, men, women)| if gender == Gender::Female { *women } else { *men })
    };
    if !random.happens(share(&EVER_MARRIED)) {
        return Marital::Single;
    }
    match random.unit() {
        draw if draw < share(&WIDOWED) => Marital::Widowed,
        draw if draw > 1.0 - DIVORCED => Marital::Divorced,
        _ => Marital::Married,
    }
}
