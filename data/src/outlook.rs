//! Predictions about a person: life events from age and family, risks, advice and cohorts.

use crate::day::Day;
use crate::obligation::Duty;
use crate::person::Person;
use crate::scheme::{Scheme, schemes};
use crate::verdict::{SchemeVerdict, missing_documents};
use crate::words::{Document, Employment, Gender, Income, Marital, RationCard, Settlement, Sharing, Status, Trait};

/// A life event that is likely.
#[derive(Debug)]
pub(crate) struct PredictedEvent {
    pub(crate) event: &'static str,
    pub(crate) day: Day,
    pub(crate) schemes: Vec<&'static str>,
    /// The confidence, in hundredths.
    pub(crate) confidence: u8,
}

/// A recommended action, with its reason.
#[derive(Debug)]
pub(crate) struct Advice {
    pub(crate) action: &'static str,
    pub(crate) scheme: Option<&'static str>,
    pub(crate) reason: &'static str,
}

/// The four risks in hundredths: a deadline missed, a benefit lapsed, a tax penalty, a document expired.
pub(crate) type Risks = [u8; 4];

/// Returns the likely events, the most certain first.
pub(crate) fn ahead(person: &Person, today: Day) -> Vec<PredictedEvent> {
    let mut ahead = Vec::new();
    let mut add = |event, day, schemes: &[&'static str], confidence| {
        ahead.push(PredictedEvent { event, day, schemes: schemes.to_vec(), confidence });
    };
    let birthday = today.plus(1).next(person.birthday);
    let school_year = today.next((6, 1));
    let work = person.work.employment;
    let married = person.family.is_married();
    let opening = opening(person);
    match person.age + 1 {
        18 => add("turns_18", birthday, &opening, 99),
        60 => add("turns_60", birthday, &opening, 99),
        70 => add("turns_70", birthday, &opening, 99),
        _ if !opening.is_empty() => add("birthday_opens_schemes", birthday, &opening, 95),
        _ => {}
    }
    if person.age == 5 || person.family.children().any(|age| age == 5) {
        add("child_school_admission", school_year, &["sch_pm_poshan", "sch_rte"], 92);
    }
    if person.family.children().any(|age| age == 17) {
        add("child_college_admission", school_year.plus(30), &["sch_csss"], 71);
    }
    if person.traits.has_trait(Trait::Expecting) {
        add("childbirth", today.plus(60 + (person.key % 180) as i32), &["sch_jsy", "sch_matru_vandana"], 93);
    } else if married && person.gender == Gender::Female && person.age < 31 && person.family.children().count() < 2 {
        add("childbirth", today.plus(500), &["sch_matru_vandana"], 34);
    }
    if person.family.marital == Marital::Single && (20..=31).contains(&person.age) {
        add("marriage", today.plus(720), &[], 30 + (person.age - 20) * 2);
    }
    if work == Some(Employment::Agriculture) && person.age >= 18 {
        let sowing = today.next((6, 15)).min(today.next((11, 1)));
        add("crop_season_start", sowing, &["sch_fasal_bima", "sch_kcc"], 88);
    }
    if work == Some(Employment::Salaried) && (57..=59).contains(&person.age) {
        add("retirement", birthday.plus(365 * i32::from(59 - person.age)), &[], 86);
    }
    if work == Some(Employment::Student) && (20..=22).contains(&person.age) {
        add("graduation", school_year, &["sch_pm_internship"], 64);
    }
    ahead.sort_by_key(|event| std::cmp::Reverse(event.confidence));
    ahead
}

/// Returns the schemes that will accept the person from the next birthday on.
fn opening(person: &Person) -> Vec<&'static str> {
    let older = Person { age: person.age + 1, ..person.clone() };
    let opens = |scheme: &&Scheme| scheme.accepts(&older) && !scheme.accepts(person);
    schemes().iter().filter(opens).map(|scheme| scheme.id.as_str()).collect()
}

/// Returns at most four recommendations, the most useful first.
pub(crate) fn advice(person: &Person, verdicts: &[SchemeVerdict], duties: &[Duty], today: Day) -> Vec<Advice> {
    let mut advice = Vec::new();
    let soon = duties.iter().filter(|duty| duty.due <= today.plus(45)).count();
    if soon > 0 {
        advice.push(Advice { action: "meet_deadline", scheme: None, reason: "a deadline is near" });
    }
    let mut open: Vec<&SchemeVerdict> =
        verdicts.iter().filter(|verdict| verdict.status == Status::NotApplied).collect();
    open.sort_by_key(|verdict| std::cmp::Reverse(verdict.scheme.annual_benefit_inr.unwrap_or(0)));
    for verdict in open.into_iter().take(2) {
        let lacking = missing_documents(verdict.scheme, person).next().is_some();
        let (action, reason) = if lacking {
            ("verify_document", "a document that the scheme needs is missing")
        } else {
            ("apply_scheme", "all rules match")
        };
        advice.push(Advice { action, scheme: Some(&verdict.scheme.id), reason });
    }
    if verdicts.iter().any(|verdict| verdict.status == Status::Lapsed) {
        advice.push(Advice { action: "renew_benefit", scheme: None, reason: "a benefit has lapsed" });
    }
    advice
}

/// Returns the risks on a day. `jitter` (0 to 9) is what the engine's model adds from run to run.
pub(crate) fn risks(person: &Person, duties: &[Duty], today: Day, jitter: u8) -> Risks {
    let due_within = |days, sort: &str| {
        let near = duties.iter().filter(|duty| duty.due <= today.plus(days) && duty.obligation.sort.contains(sort));
        near.count().min(5) as u8
    };
    let lone_elder = u8::from(person.age >= 60) * 8;
    let active = if person.means.poor { 10 } else { 3 };
    let tax = if person.work.pays_tax() { 6 + 12 * due_within(60, "tax") } else { 1 };
    let papers = if person.documents.has_document(Document::Aadhaar) { 4 } else { 38 };
    [
        4 + 7 * due_within(30, "") + lone_elder + jitter,
        active + 9 * due_within(60, "renewal") + jitter / 2,
        tax + jitter / 3,
        papers + lone_elder / 2 + jitter,
    ]
}

/// Returns the cohorts that a person belongs to.
pub(crate) fn cohorts(person: &Person) -> impl Iterator<Item = &'static str> {
    use Employment::{Agriculture, Business, Pension, Salaried, Student};
    let work = |employment| person.work.employment == Some(employment);
    let rural = person.home.settlement == Settlement::Rural;
    let low_income = person.means.income == Income::UpTo2_5;
    let moved = person.home.residency_years < 5 && person.age > 15;
    let small_children = person.family.children().any(|age| age < 6);
    [
        ("below_poverty_line", person.means.poor),
        ("digital_first", person.consent.sharing == Sharing::Full && person.age < 45),
        ("farm_household", work(Agriculture)),
        ("food_security", matches!(person.means.ration_card, RationCard::Aay | RationCard::Phh)),
        ("low_income_rural", rural && low_income),
        ("low_income_urban", !rural && low_income),
        ("migrant", moved),
        ("pensioner", work(Pension)),
        ("senior", person.age >= 60),
        ("small_business", work(Business)),
        ("student", work(Student)),
        ("tax_payer", person.work.pays_tax()),
        ("urban_professional", !rural && work(Salaried) && person.means.income >= Income::UpTo10),
        ("young_family", small_children),
    ]
    .into_iter()
    .filter_map(|(tag, fits)| fits.then_some(tag))
}
