//! The calendar of tax and renewal deadlines: `facts/deadlines.toml`.

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer};

use crate::condition::Conditions;
use crate::day::{Day, MonthDay};
use crate::person::Person;
use crate::scheme::{month_days, schemes};
use crate::verdict;
use crate::words::{Priority, Status};

/// Something that falls due every year.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// The deadline's id without its year: `dl_itr`.
    pub id: String,
    /// The kind of deadline, such as `tax_filing`.
    #[serde(rename = "type")]
    pub sort: String,
    /// The required action.
    pub description: String,
    /// Where to do it, as a path within the site.
    pub action_url: String,
    /// The priority, until the last week.
    pub priority: Priority,
    /// Where the date is published.
    pub source: String,
    #[serde(deserialize_with = "due")]
    due: Due,
    /// The scheme that a person must have for the obligation to apply.
    pub(crate) scheme: Option<String>,
    who: Conditions,
}

/// When it falls due.
#[derive(Debug, Clone)]
enum Due {
    Yearly(Vec<MonthDay>),
    /// On the person's own date.
    Birthday,
}

#[derive(Deserialize)]
struct File {
    deadline: Vec<Obligation>,
}

static OBLIGATIONS: LazyLock<Vec<Obligation>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
    let file: File = toml::from_str(include_str!("../facts/deadlines.toml")).expect("deadlines.toml is well-formed");
    file.deadline
});

/// Returns every obligation of the calendar.
#[must_use]
pub fn obligations() -> &'static [Obligation] {
    &OBLIGATIONS
}

/// An obligation of a person, with its date.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Duty {
    pub(crate) obligation: &'static Obligation,
    pub(crate) due: Day,
}

impl Duty {
    /// Returns `dl_itr_2026`, or `dl_advance_tax_2026_06` for an obligation that falls due several times a year.
    pub(crate) fn id(&self) -> String {
        let (year, month, _) = self.due.civil();
        match &self.obligation.due {
            Due::Yearly(days) if days.len() > 1 => format!("{}_{year}_{month:02}", self.obligation.id),
            _ => format!("{}_{year}", self.obligation.id),
        }
    }

    /// Returns the priority, which is critical in the last week.
    pub(crate) fn priority(&self, today: Day) -> Priority {
        if self.due.0 - today.0 <= 7 { Priority::Critical } else { self.obligation.priority }
    }
}

/// Returns the next deadlines of a person, in the order of the calendar's file: a position means the same from day to
/// day. Deadlines of a scheme that is launched in these days (`new`, its position) are left out, because no application
/// to it is active yet.
pub(crate) fn duties(person: &Person, today: Day, new: Option<usize>) -> Vec<Duty> {
    let concern = |obligation: &&'static Obligation| {
        let is_new = |id: &String| new.is_some_and(|scheme| schemes()[scheme].id == *id);
        let has = |id: &String| !is_new(id) && verdict::status_of(person, id) == Some(Status::Active);
        obligation.who.hold(person) && obligation.scheme.as_ref().is_none_or(has)
    };
    let next = |obligation: &'static Obligation| {
        let due = match &obligation.due {
            Due::Yearly(days) => days.iter().map(|day| today.next(*day)).min().unwrap_or(today),
            Due::Birthday => today.next(person.birthday),
        };
        Duty { obligation, due }
    };
    obligations().iter().filter(concern).map(next).collect()
}

fn due<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Due, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Birthday,
    }
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of days, as [\"07-31\"], or \"birthday\"")]
    enum Raw {
        Word(Word),
        Days(#[serde(deserialize_with = "month_days")] Vec<MonthDay>),
    }
    Ok(match Raw::deserialize(deserializer)? {
        Raw::Word(Word::Birthday) => Due::Birthday,
        Raw::Days(days) => Due::Yearly(days),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_deadline_is_complete_and_names_its_source() {
        let ids: BTreeSet<&str> = obligations().iter().map(|obligation| obligation.id.as_str()).collect();
        assert_eq!(ids.len(), obligations().len(), "ids are unique");
        for obligation in obligations() {
            assert!(obligation.id.starts_with("dl_") && obligation.action_url.starts_with('/'), "{obligation:?}");
            assert!(obligation.source.len() > 10 && !obligation.who.is_empty(), "{obligation:?}");
            if let Some(id) = &obligation.scheme {
                assert!(crate::schemes().iter().any(|scheme| scheme.id == *id), "{obligation:?}");
            }
        }
    }

    #[test]
    fn children_renew_their_aadhaar_at_five_and_fifteen_and_not_in_between() {
        for person in (0..5_000).map(|index| Person::new(5, index)) {
            let duties = duties(&person, Day::from_civil(2026, 1, 21), None);
            let of_aadhaar = duties.iter().filter(|duty| duty.obligation.id.starts_with("dl_child_aadhaar"));
            let ids: Vec<&str> = of_aadhaar.map(|duty| duty.obligation.id.as_str()).collect();
            let expected: &[&str] = match person.age {
                5 | 6 => &["dl_child_aadhaar_5"],
                15 | 16 => &["dl_child_aadhaar_15"],
                _ => &[],
            };
            assert_eq!(ids, expected, "{person:?}");
        }
    }

    #[test]
    fn the_next_due_date_is_the_nearest_and_ids_distinguish_years_and_quarters() {
        let obligation = |id: &str| obligations().iter().find(|obligation| obligation.id == id).unwrap();
        let duty = |id: &str, due| Duty { obligation: obligation(id), due };
        let day = Day::from_civil(2026, 6, 15);
        assert_eq!(duty("dl_itr", day).id(), "dl_itr_2026");
        assert_eq!(duty("dl_advance_tax", day).id(), "dl_advance_tax_2026_06");
        assert_eq!(duty("dl_itr", day).priority(day.plus(-8)), Priority::High);
        assert_eq!(duty("dl_itr", day).priority(day.plus(-7)), Priority::Critical);
    }
}
