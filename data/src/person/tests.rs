use super::*;
use crate::words::{Income, Marital};
use crate::{districts, schemes, verdicts};

fn people() -> impl Iterator<Item = Person> {
    (0..60_000).map(|index| Person::new(7, index))
}

/// Returns the share of `fits` among those in `base`.
fn share(base: impl Fn(&Person) -> bool, fits: impl Fn(&Person) -> bool) -> f64 {
    let (mut all, mut fitting) = (0_u32, 0_u32);
    for person in people().filter(|person| base(person)) {
        all += 1;
        fitting += u32::from(fits(&person));
    }
    assert!(all > 100, "too few people");
    f64::from(fitting) / f64::from(all)
}

#[test]
fn a_person_follows_from_seed_and_number() {
    let printed = |seed, index| format!("{:?}", Person::new(seed, index));
    assert_eq!(printed(3, 12), printed(3, 12));
    assert_ne!(printed(3, 12), printed(3, 13));
    assert_ne!(printed(3, 12), printed(4, 12));
}

#[test]
fn a_home_is_one_place() {
    for person in people() {
        let home = &person.home;
        assert!(districts(home.state()).is_some_and(|slugs| slugs.contains(&home.district)), "{person:?}");
        assert!((110_001..=855_999).contains(&home.pincode), "{person:?}");
        assert!(home.residency_years <= person.age, "{person:?}");
    }
    let pin = |district, firsts: &[u32]| {
        let mut there = people().filter(|person| person.home.district == district);
        assert!(there.all(|person| firsts.contains(&(person.home.pincode / 1_000))), "{district}");
    };
    pin("bengaluru_urban", &[560, 562]);
    pin("kolkata", &[700]);
    assert_eq!(share(|p| p.home.district == "mumbai_suburban", |p| p.home.settlement == Settlement::Urban), 1.0);
}

#[test]
fn work_fits_the_age() {
    for person in people() {
        match person.work.employment {
            None => assert!(person.age < 6, "{person:?}"),
            Some(Employment::Pension) => assert!(person.age >= 60, "{person:?}"),
            Some(Employment::Student) => assert!((6..30).contains(&person.age), "{person:?}"),
            Some(_) => assert!(person.age >= 6, "{person:?}"),
        }
        assert!(!person.work.is_working() || person.age >= 15, "{person:?}");
    }
    assert!(share(|p| (6..15).contains(&p.age), |p| p.work.employment == Some(Employment::Student)) > 0.95);
}

#[test]
fn income_goes_with_work_and_tax() {
    let works_as = |employment| move |p: &Person| p.work.employment == Some(employment);
    let at = |income| move |p: &Person| p.work.is_working() && p.means.income == income;
    for (employment, grows) in
        [(Employment::Salaried, true), (Employment::Business, true), (Employment::Agriculture, false)]
    {
        let (low, high) =
            (share(at(Income::UpTo2_5), works_as(employment)), share(at(Income::UpTo20), works_as(employment)));
        assert_eq!(high > 2.0 * low, grows, "{employment:?}: {low} to {high}");
        assert_eq!(low > 1.5 * high, !grows, "{employment:?}: {low} to {high}");
    }
    let filing = Income::ALL.iter().map(|income| share(at(*income), |p| p.work.pays_tax()));
    assert!(filing.collect::<Vec<_>>().is_sorted_by(|a, b| a < b), "more income, more returns");
    for person in people().filter(|person| !person.work.is_working() && person.age < 60) {
        assert_eq!(person.work.tax_regime, None, "{person:?}");
    }
}

#[test]
fn ration_cards_go_with_poverty() {
    let subsidised = |p: &Person| matches!(p.means.ration_card, RationCard::Aay | RationCard::Phh | RationCard::Bpl);
    assert!(share(|p| p.means.poor, subsidised) > 0.93);
    assert!(share(|p| p.means.income == Income::Over20, subsidised) < 0.05);
    let aay = |p: &Person| p.means.ration_card == RationCard::Aay;
    assert!(share(|p| p.means.poor, aay) > 5.0 * share(|p| !p.means.poor, aay));
    assert!(people().filter(|p| p.means.poor).all(|p| p.means.income <= Income::UpTo5));
}

#[test]
fn a_family_fits_the_age() {
    for person in people() {
        let family = &person.family;
        assert!(person.age >= 18 || (family.marital == Marital::Single && family.dependents == 0), "{person:?}");
        assert!(family.children().all(|child| child + 15 < person.age), "{person:?}");
        assert!(family.school_children() + family.elders <= family.dependents, "{person:?}");
        assert!(family.dependents < family.members && family.members <= 20, "{person:?}");
    }
    let has_children = |p: &Person| p.family.children().next().is_some();
    let of_age = |from, to| move |p: &Person| (from..=to).contains(&p.age);
    let (young, middle, old) = (
        share(of_age(18, 22), has_children),
        share(of_age(30, 38), has_children),
        share(of_age(62, 120), has_children),
    );
    assert!(middle > 0.75 && young < 0.3 && old < 0.05, "{young} {middle} {old}");
}

#[test]
fn every_scheme_accepts_some_and_none_accepts_most() {
    let mut accepted = vec![0_u32; schemes().len()];
    let mut count = 0;
    for person in people() {
        count += 1;
        for (scheme, accepted) in schemes().iter().zip(&mut accepted) {
            *accepted += u32::from(scheme.accepts(&person));
        }
    }
    for (scheme, accepted) in schemes().iter().zip(accepted) {
        assert!((5..count * 3 / 4).contains(&accepted), "`{}` accepts {accepted} of {count}", scheme.id);
    }
}

#[test]
fn eligibility_follows_the_rules() {
    let with = |id: &str, person: &Person| verdicts(person).iter().any(|verdict| verdict.scheme.id == id);
    for person in people().take(20_000) {
        let elder = person.age >= 60 && person.means.poor;
        assert_eq!(with("sch_ignoaps", &person), elder, "{person:?}");
        let farmer = person.traits.has_trait(Trait::OwnsLand) && !person.work.pays_tax();
        assert_eq!(with("sch_pm_kisan", &person), farmer, "{person:?}");
        let card = matches!(person.means.ration_card, RationCard::Aay | RationCard::Phh);
        assert_eq!(with("sch_pmgkay", &person), card, "{person:?}");
        for verdict in verdicts(&person) {
            assert!((40..=97).contains(&verdict.confidence), "{verdict:?}");
        }
    }
}
