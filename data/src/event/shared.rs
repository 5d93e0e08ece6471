//! Sections that several sources write: identity, the metadata store and the citizen, who may disagree.

use super::json::Json;
use crate::census::census;
use crate::content::Topic;
use crate::person::Person;
use crate::random::{Random, purpose};
use crate::words::{Document, Employment, Income, RationCard, Settlement};

/// How often a record of the metadata store lacks a field, at worst; the mean is a third of it. How often identity
/// could not check the category. Both are assumed, so that profiles differ in completeness.
const WORST_GAPS: f64 = 0.8;
const UNCHECKED_CATEGORY: f64 = 0.15;

impl Topic {
    /// Writes the true value, or a value close to it if the source is wrong.
    pub(super) fn write(self, person: &Person, wrong: bool, json: &mut Json<'_>) {
        let (home, family) = (&person.home, &person.family);
        let off = u64::from(wrong);
        // No source mistakes a child for an adult who works or supports a family.
        let off_of_adults = if person.age < 18 { 0 } else { off };
        match self {
            Self::District if wrong => json.text(former_district(person)),
            Self::District => json.text(home.district),
            Self::Settlement => json.text(near_settlement(home.settlement, wrong).name()),
            // Residency cannot be longer than the person's age.
            Self::ResidencyYears if home.residency_years == person.age => {
                json.number(u64::from(home.residency_years).saturating_sub(off));
            }
            Self::ResidencyYears => json.number(u64::from(home.residency_years) + off),
            Self::Income => json.text(near(Income::ALL, person.means.income as usize, wrong).name()),
            // A child before school age has no employment; the closest word is `student`.
            Self::Employment => {
                let word = person.work.employment.unwrap_or(Employment::Student);
                json.text(near_employment(word, off_of_adults > 0).name());
            }
            Self::RationCard => json.text(near(RationCard::ALL, person.means.ration_card as usize, wrong).name()),
            Self::Dependents => json.number(u64::from(family.dependents) + off_of_adults),
            Self::Members => json.number(u64::from(family.members) + off),
            Self::SchoolChildren => json.number(u64::from(family.school_children()) + off_of_adults),
        }
    }
}

/// Returns the word at `index`, or a neighbour if the source is wrong: the next one, or the one before the last.
fn near<T: Copy>(words: &[T], index: usize, wrong: bool) -> T {
    match (wrong, index + 1 < words.len()) {
        (false, _) => words[index],
        (true, true) => words[index + 1],
        (true, false) => words[index - 1],
    }
}

/// Returns the settlement, or one that it may be mistaken for.
const fn near_settlement(settlement: Settlement, wrong: bool) -> Settlement {
    match settlement {
        _ if !wrong => settlement,
        Settlement::Urban | Settlement::Rural => Settlement::SemiUrban,
        Settlement::SemiUrban => Settlement::Urban,
    }
}

/// Returns the employment, or one that it may be mistaken for; the words have no order.
const fn near_employment(employment: Employment, wrong: bool) -> Employment {
    match employment {
        _ if !wrong => employment,
        Employment::SelfEmployed => Employment::Business,
        Employment::Salaried | Employment::Business | Employment::Agriculture => Employment::SelfEmployed,
        Employment::Pension | Employment::Student => Employment::Unemployed,
        Employment::Unemployed => Employment::SelfEmployed,
    }
}

/// Returns the district of an old document.
fn former_district(person: &Person) -> &'static str {
    census().neighbour(person.home.state_index, &mut Random::new(person.key, purpose::FORMER_HOME))
}

/// Writes a merge patch of one topic.
pub(super) fn patch(topic: Topic, json: &mut Json<'_>, value: impl FnOnce(&mut Json<'_>)) {
    let (section, name) = topic.section_and_name();
    json.section("fields", |json| {
        json.section(section, |json| {
            json.key(name);
            value(json);
        });
    });
}

/// Writes a merge patch that withdraws one topic.
pub(super) fn withdrawal(topic: Topic, json: &mut Json<'_>) {
    patch(topic, json, |json| json.null());
}

pub(super) fn identity(person: &Person, stale: bool, json: &mut Json<'_>) {
    json.key("identity_token");
    json.text(&token(person));
    json.section("identity", |json| {
        json.word("display_name", &format!("{} {}.", person.given_name, person.initial));
        json.word("age_bracket", person.age_bracket().name());
        json.word("gender", person.gender.name());
        if !Random::new(person.key, purpose::CHECKS).happens(UNCHECKED_CATEGORY) {
            json.word("category", person.category.name());
        }
        json.key("verified_documents");
        json.array(|json| {
            let shown = Document::ALL.iter().filter(|document| person.documents.has_document(**document));
            shown.for_each(|document| json.text(document.name()));
        });
        json.key("delegation_active");
        json.flag(person.is_delegated());
    });
    json.section("address", |json| {
        json.word("state", person.home.state());
        json.word("district", if stale { former_district(person) } else { person.home.district });
        if !stale {
            json.key("pincode");
            json.text(&person.home.pincode.to_string());
        }
    });
}

/// Returns a token of letters only: a run of digits could look like a phone number.
fn token(person: &Person) -> String {
    let mut random = Random::new(person.key, purpose::TOKEN);
    let letters = (0..12).map(|_| char::from(b'a' + random.below(26) as u8));
    "tok_".chars().chain(letters).collect()
}

/// Writes what the metadata store knows: nearly everything about some people, little about others.
pub(super) fn metadata(person: &Person, json: &mut Json<'_>) {
    let mut random = Random::new(person.key, purpose::GAPS);
    let gaps = WORST_GAPS * random.unit().powi(2);
    let mut known = || !random.happens(gaps);
    let (means, work, family) = (&person.means, &person.work, &person.family);
    let topics = |topics: &[Topic], known: &mut dyn FnMut() -> bool, json: &mut Json<'_>| {
        for topic in topics.iter().filter(|_| known()) {
            json.key(topic.section_and_name().1);
            topic.write(person, false, json);
        }
    };
    json.section("fields", |json| {
        json.section("demographics", |json| {
            topics(&[Topic::Settlement, Topic::ResidencyYears], &mut known, json);
        });
        json.section("economic", |json| {
            topics(&[Topic::Income, Topic::RationCard], &mut known, json);
            if let Some(employment) = work.employment.filter(|_| known()) {
                json.word("employment_type", employment.name());
            }
            if let Some(regime) = work.tax_regime {
                json.word("tax_regime", regime.name());
            }
            if known() {
                json.key("bpl_status");
                json.flag(means.poor);
            }
        });
        json.section("family", |json| {
            // The size of the household is what every record has.
            topics(&[Topic::Members], &mut || true, json);
            topics(&[Topic::Dependents, Topic::SchoolChildren], &mut known, json);
            if person.age >= 18 && known() {
                json.word("marital_status", family.marital.name());
            }
            if known() {
                json.key("senior_citizen_dependents");
                json.number(family.elders.into());
            }
        });
    });
}

#[cfg(test)]
mod tests;
