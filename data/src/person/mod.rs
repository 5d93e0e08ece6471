//! A generated person: everything that stays the same while events come in. Each trait is drawn given those before it,
//! so that they agree: income with work, ration card with poverty, family with age. Nobody here is real.

mod family;
mod home;
mod means;
mod work;

pub use family::Family;
pub use home::Home;
pub use means::Means;
pub use work::Work;

use domain::splitmix64::mix;

use crate::census::census;
use crate::names;
use crate::random::{Random, purpose};
use crate::words::{
    AgeBracket, Category, Document, Employment, Gender, RationCard, Settlement, Sharing, Trait, WordSet,
};

/// A generated person: every trait that events are made from.
#[derive(Debug, Clone)]
pub struct Person {
    /// The key of all further draws about the person.
    pub(crate) key: u64,
    /// The given name.
    pub given_name: &'static str,
    /// The letter that stands for the rest of the name.
    pub initial: char,
    /// The age in completed years.
    pub age: u8,
    /// Month and day of the birthday.
    pub birthday: (u8, u8),
    /// The gender.
    pub gender: Gender,
    /// The social category.
    pub category: Category,
    /// Where the person lives.
    pub home: Home,
    /// The means of the household.
    pub means: Means,
    /// The person's work and taxes.
    pub work: Work,
    /// The household and its members.
    pub family: Family,
    /// The documents that identity has checked.
    pub documents: WordSet,
    /// Traits that schemes ask for and no profile holds.
    pub traits: WordSet,
    /// The usual consent.
    pub consent: ConsentChoice,
}

/// The consent that a person gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsentChoice {
    /// How much is shared.
    pub sharing: Sharing,
    /// Whether analytics may use the profile.
    pub analytics: bool,
    /// Whether third parties may know of the profile.
    pub third_parties: bool,
}

/// Census of India 2011, table C-13: people in thousands by the first year of their age group. "Age not stated"
/// (0.4 %) is left out.
const AGES: [(u8, f64); 17] = [
    (0, 112_807.0),
    (5, 126_928.0),
    (10, 132_709.0),
    (15, 120_526.0),
    (20, 111_424.0),
    (25, 101_414.0),
    (30, 88_595.0),
    (35, 85_141.0),
    (40, 72_438.0),
    (45, 62_318.0),
    (50, 49_069.0),
    (55, 39_146.0),
    (60, 37_664.0),
    (65, 26_455.0),
    (70, 19_209.0),
    (75, 9_233.0),
    (80, 11_289.0),
];

/// Of the general category, who counts as economically weaker: Sinho Commission (2010), 18 %, rounded.
const EWS_OF_GENERAL: f64 = 0.18;

/// How much people share. No figure is published: an assumption, shown as such by the statistics.
pub(crate) const SHARING: [f64; 3] = [0.15, 0.60, 0.25];

impl Person {
    /// Returns the person of that number under that seed.
    #[must_use]
    pub fn new(seed: u64, index: u64) -> Self {
        let key = mix(seed ^ mix(index));
        let random = &mut Random::new(key, purpose::PERSON);
        let place = census().draw(random);
        let gender = gender(census().states[place.state].women, random);
        let age = age(random);
        let home = Home::draw(place, age, random);
        let category = category(place.state, random);
        let means = Means::draw(&home, category, random);
        let work = Work::draw(age, gender, home.settlement, means.income, random);
        let family = Family::draw(age, gender, work.employment, random);
        let (given_name, initial) = names::draw(place.state, gender, age, random);
        let birthday = (random.range(1, 12) as u8, random.range(1, 28) as u8);
        let mut person = Self {
            key,
            given_name,
            initial,
            age,
            birthday,
            gender,
            category,
            home,
            means,
            work,
            family,
            documents: WordSet::default(),
            traits: WordSet::default(),
            consent: consent(random),
        };
        person.documents = person.draw_documents(random);
        person.traits = person.draw_traits(random);
        person
    }

    /// Returns the age bracket.
    #[must_use]
    pub const fn age_bracket(&self) -> AgeBracket {
        AgeBracket::for_age(self.age)
    }

    /// Returns whether somebody else acts for them: parents for a child, sometimes a child for parents.
    pub(crate) fn is_delegated(&self) -> bool {
        self.age < 18 || (self.age >= 75 && self.key.is_multiple_of(3))
    }

    /// Shares of holders, ROUNDED from UIDAI, CBDT, ECI, MoRTH and MEA counts of 2023-24.
    fn draw_documents(&self, random: &mut Random) -> WordSet {
        let adult = self.age >= 18;
        let has_income_tax = self.work.pays_tax();
        let mut documents = WordSet::default();
        let mut has = |document, probability: f64| documents.document(document, random.happens(probability));
        has(Document::Aadhaar, if self.age < 5 { 0.5 } else { 0.97 });
        has(
            Document::Pan,
            if has_income_tax {
                1.0
            } else if adult {
                0.55
            } else {
                0.02
            },
        );
        has(Document::VoterId, if adult { 0.93 } else { 0.0 });
        has(Document::RationCard, if self.means.ration_card == RationCard::None { 0.0 } else { 0.9 });
        let drives = if self.gender == Gender::Male { 0.35 } else { 0.08 };
        has(Document::DrivingLicence, if adult { drives } else { 0.0 });
        has(Document::Passport, [0.02, 0.05, 0.12, 0.3, 0.5][self.means.income as usize]);
        documents
    }

    /// Draws the traits. Shares, ROUNDED: land-holders as PM-KISAN's beneficiaries among farmers; disability 2.2 %
    /// (Census 2011); vendors and artisans as registered with their schemes; the others guessed.
    fn draw_traits(&self, random: &mut Random) -> WordSet {
        let working = |employment| self.work.employment == Some(employment);
        let poor = self.means.poor;
        let in_town = self.home.settlement != Settlement::Rural;
        let may_expect = self.gender == Gender::Female && self.family.is_married() && (18..=40).contains(&self.age);
        let mut traits = WordSet::default();
        let mut has = |quality, probability: f64| traits.quality(quality, random.happens(probability));
        has(Trait::OwnsLand, if working(Employment::Agriculture) && self.age >= 25 { 0.55 } else { 0.0 });
        has(Trait::StreetVendor, if working(Employment::SelfEmployed) && in_town { 0.14 } else { 0.0 });
        has(Trait::Artisan, if working(Employment::SelfEmployed) { 0.08 } else { 0.0 });
        has(Trait::Expecting, if may_expect { 0.10 } else { 0.0 });
        has(Trait::Disabled, if self.age >= 60 { 0.052 } else { 0.019 });
        has(Trait::NoPuccaHouse, if poor { 0.6 } else { [0.25, 0.08, 0.02, 0.0, 0.0][self.means.income as usize] });
        has(Trait::OwnsRoof, if self.age >= 25 && !poor { 0.5 } else { 0.0 });
        // 47.5 of 100 births are girls (sex ratio at birth, SRS 2020).
        let small = self.family.children().filter(|age| *age < 10).count() as i32;
        has(Trait::GirlUnder10, 1.0 - 0.525_f64.powi(small));
        traits
    }
}

fn gender(women: f64, random: &mut Random) -> Gender {
    match random.unit() {
        // "Other" 0.04 %: Census 2011. Undisclosed: an assumption.
        ..0.000_4 => Gender::Other,
        ..0.005_4 => Gender::Undisclosed,
        _ if random.happens(women) => Gender::Female,
        _ => Gender::Male,
    }
}

fn age(random: &mut Random) -> u8 {
    let group = random.weighted(&AGES.map(|(_, people)| people));
    let first = AGES[group].0;
    let years = if first == 80 { 15 } else { 5 };
    // Among the oldest, each further year has fewer people.
    let year = if years == 5 { random.below(5) } else { random.below(years).min(random.below(years)) };
    first + year as u8
}

fn category(state: usize, random: &mut Random) -> Category {
    let facts = &census().states[state];
    match random.weighted(&[facts.sc, facts.st, facts.obc, 1.0 - facts.sc - facts.st - facts.obc]) {
        0 => Category::Sc,
        1 => Category::St,
        2 => Category::Obc,
        _ if random.happens(EWS_OF_GENERAL) => Category::Ews,
        _ => Category::General,
    }
}

fn consent(random: &mut Random) -> ConsentChoice {
    let sharing = Sharing::ALL[random.weighted(&SHARING)];
    let (analytics, third_parties) = match sharing {
        Sharing::Minimal => (0.2, 0.0),
        Sharing::Standard => (0.75, 0.12),
        Sharing::Full => (0.95, 0.5),
    };
    ConsentChoice { sharing, analytics: random.happens(analytics), third_parties: random.happens(third_parties) }
}

#[cfg(test)]
mod tests;
