//! Schemes of the central government and their conditions: `facts/schemes.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use domain::table::{Leaf, LeafSet};
use serde::{Deserialize, Deserializer};

use crate::condition::Conditions;
use crate::day::{MonthDay, parse_month_day};
use crate::person::Person;
use crate::words::Document;

/// A scheme of the central government, simplified.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// The slug of the scheme, such as `sch_pm_kisan`.
    pub id: String,
    /// Its name as people know it.
    pub name: String,
    /// The responsible ministry, without "Ministry of".
    pub ministry: String,
    /// The benefit, in a sentence.
    pub benefit: String,
    /// Cash or subsidy a year for one person, in rupees, where there is one.
    pub annual_benefit_inr: Option<u32>,
    /// Percentage of eligible people who have it, rounded.
    take_up: u8,
    /// Last days of the yearly application windows; empty if applications are open all year.
    #[serde(default, deserialize_with = "month_days")]
    pub(crate) closes: Vec<MonthDay>,
    /// Documents that an application requires.
    #[serde(default)]
    pub needs: Vec<Document>,
    /// The rules by name; all of them must hold.
    pub rules: BTreeMap<String, Conditions>,
}

#[derive(Deserialize)]
struct File {
    scheme: Vec<Scheme>,
}

static SCHEMES: LazyLock<Vec<Scheme>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
    let file: File = toml::from_str(include_str!("../facts/schemes.toml")).expect("schemes.toml is well-formed");
    file.scheme
});

/// Returns how many of [`schemes`] need a leaf of the profile: for one of their rules, or as documents to apply with.
#[must_use]
pub fn schemes_waiting() -> BTreeMap<Leaf, u32> {
    let mut waiting = BTreeMap::new();
    for leaf in schemes().iter().flat_map(|scheme| scheme.leaves().iter()) {
        *waiting.entry(leaf).or_default() += 1;
    }
    waiting
}

/// Returns all schemes, by subject.
#[must_use]
pub fn schemes() -> &'static [Scheme] {
    &SCHEMES
}

impl Scheme {
    /// Returns whether every rule holds for the person.
    #[must_use]
    pub fn accepts(&self, person: &Person) -> bool {
        self.rules.values().all(|conditions| conditions.hold(person))
    }

    /// Returns the leaves of a profile that the rules depend on.
    fn leaves(&self) -> LeafSet {
        let documents = LeafSet::only(Leaf::IdentityVerifiedDocuments);
        let needed = if self.needs.is_empty() { LeafSet::EMPTY } else { documents };
        self.rules.values().map(Conditions::leaves).fold(needed, LeafSet::or)
    }

    /// Returns how many rules the profile alone cannot decide.
    pub(crate) fn inferred_rules(&self) -> usize {
        self.rules.values().filter(|conditions| !conditions.profile_can_tell()).count()
    }

    /// Returns the share of eligible people who have it, from 0 to 1.
    pub(crate) fn take_up(&self) -> f64 {
        f64::from(self.take_up) / 100.0
    }
}

/// Reads a list of `MM-DD`.
pub(crate) fn month_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<MonthDay>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = |text: String| {
        parse_month_day(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a day such as `07-31`")))
    };
    texts.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn as_many_schemes_wait_for_a_leaf_as_name_it() {
        let waiting = schemes_waiting();
        let named = |condition: &str| {
            let asks = |conditions: &Conditions| format!("{conditions:?}").contains(&format!("{condition}: Some"));
            schemes().iter().filter(|scheme| scheme.rules.values().any(asks)).count()
        };
        for (condition, leaf) in [
            ("age", Leaf::IdentityAgeBracket),
            ("category", Leaf::IdentityCategory),
            ("income_bracket", Leaf::EconomicIncomeBracket),
            ("employment_type", Leaf::EconomicEmploymentType),
            ("marital_status", Leaf::FamilyMaritalStatus),
        ] {
            assert_eq!(waiting[&leaf] as usize, named(condition), "{condition}");
            assert!((1..schemes().len()).contains(&named(condition)), "{condition}");
        }
        let with_documents = schemes().iter().filter(|scheme| !scheme.needs.is_empty()).count();
        assert_eq!(waiting[&Leaf::IdentityVerifiedDocuments] as usize, with_documents);
        assert!(!waiting.contains_key(&Leaf::DemographicsPincode), "no scheme asks for it");
    }

    #[test]
    fn there_are_at_least_forty_schemes_each_with_all_that_is_to_know() {
        assert!((40..=64).contains(&schemes().len()), "{}", schemes().len());
        let ids: BTreeSet<&str> = schemes().iter().map(|scheme| scheme.id.as_str()).collect();
        assert_eq!(ids.len(), schemes().len(), "ids are unique");
        for scheme in schemes() {
            assert!(scheme.id.starts_with("sch_") && scheme.benefit.len() > 10, "{scheme:?}");
            assert!(!scheme.ministry.is_empty() && scheme.take_up <= 100, "{scheme:?}");
            assert!((1..=4).contains(&scheme.rules.len()), "{scheme:?}");
            assert!(scheme.rules.keys().all(|rule| rule.starts_with("rule_")), "{scheme:?}");
            assert!(scheme.rules.values().all(|rule| !rule.is_empty()), "{}: a rule that asks for nothing", scheme.id);
        }
    }
}
