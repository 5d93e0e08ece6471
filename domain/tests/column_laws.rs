//! Laws of columns: the row of a state shows what its published profile shows, and a row that follows every change equals one
//! that is made anew.
//!
//! `LAW_SEED` repeats one history.

mod random_histories;

use std::cell::RefCell;
use std::sync::Arc;

use domain::canonical::CanonicalJson;
use domain::columns::{
    ABSENT_COUNT, ABSENT_SUM, Codes, Dictionaries, DictionaryKind, INTEREST, Quasi, Risk, Row, SCHEMES, STATUSES,
    Version,
};
use domain::day::Day;
use domain::event::{FeedEvent, RegisterPath, RegisterWrite};
use domain::id::{ProfileId, UserId};
use domain::pipeline::{ApplyOutcome, AssemblyContext, FinishedChange, NewUser, RollOutcome, apply, roll};
use domain::source::Source;
use domain::state::UserState;
use domain::table::{Leaf, LeafSet};
use serde_json::Value;

use crate::random_histories::{Random, document, event, rules};

const HISTORIES: u64 = 200;

/// Dictionaries that grow with the words that are looked up.
#[derive(Default)]
struct Growing(RefCell<Dictionaries>);

impl Codes for Growing {
    fn code(&self, kind: DictionaryKind, word: &str) -> u16 {
        self.0.borrow_mut().add(kind, word)
    }
}

impl Growing {
    /// Returns the word of a code; `None` for an absent value, `?` for a word without room.
    fn word(&self, kind: DictionaryKind, code: u16) -> Option<String> {
        let known = self.0.borrow().get(kind).word(code).map(str::to_owned);
        known.or_else(|| (code != 0).then(|| "?".to_owned()))
    }
}

/// The columns of a user in words, from a row or from a profile.
#[derive(Debug, PartialEq)]
struct Shown {
    quasi: Vec<Option<String>>,
    district: Option<String>,
    opted_in: bool,
    schemes: Vec<(String, String)>,
    has_more_schemes: bool,
    statuses: Vec<&'static str>,
    tags: Vec<String>,
    has_other_tags: bool,
    risks: Vec<Option<u64>>,
    counts: Vec<Option<u64>>,
    benefit: Option<u64>,
}

fn shown(row: &Row, codes: &Growing) -> Shown {
    let quasi = |quasi: Quasi| {
        let code = row.quasi(quasi);
        match quasi {
            Quasi::State => codes.word(DictionaryKind::State, u16::from(code)),
            Quasi::MembersCount => (code != 0).then(|| code.to_string()),
            _ => (code != 0).then(|| quasi.words()[usize::from(code) - 1].to_owned()),
        }
    };
    let count = |count: u8| (count != ABSENT_COUNT).then_some(u64::from(count));
    let schemes = row.schemes.iter().take_while(|scheme| scheme.code() != 0).map(|scheme| {
        let id = codes.word(DictionaryKind::Scheme, scheme.code()).expect("a code");
        (id, STATUSES[usize::from(scheme.status()) - 1].to_owned())
    });
    let mut tags: Vec<_> = (0..64).filter(|bit| row.cohort_tags & 1_u64 << bit != 0).collect();
    let mut tags: Vec<_> = tags.drain(..).map(|bit| codes.word(DictionaryKind::Tag, bit + 1).expect("a tag")).collect();
    tags.sort();
    let statuses = (0..).zip(STATUSES).filter(|(bit, _)| row.statuses & 1_u8 << bit != 0);
    Shown {
        quasi: Quasi::ALL.into_iter().map(quasi).collect(),
        district: codes.word(DictionaryKind::District, row.district),
        opted_in: row.is_opted_in(),
        schemes: schemes.collect(),
        has_more_schemes: row.has_more_schemes(),
        statuses: statuses.map(|(_, status)| status).collect(),
        tags,
        has_other_tags: row.has_other_tags(),
        risks: Risk::ALL.into_iter().map(|risk| count(row.risk(risk))).collect(),
        counts: [row.completeness_pct, row.total_eligible, row.total_applied, row.total_active, row.completed_last_90d]
            .into_iter()
            .map(count)
            .collect(),
        benefit: (row.potential_annual_benefit != ABSENT_SUM).then_some(u64::from(row.potential_annual_benefit)),
    }
}

/// Returns what the columns must show of a published document.
fn expected(document: &Value) -> Shown {
    let at = |path: &str| document.pointer(path);
    let text = |path: &str| match at(path)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let number = |path: &str| at(path).and_then(Value::as_u64);
    let risk = |name: &str| {
        at(&format!("/risk_scores/{name}")).map(|risk| (risk.as_f64().expect("a number") * 100.0).round() as u64)
    };
    let list = |path: &str| at(path).and_then(Value::as_array).cloned().unwrap_or_default();
    let member = |item: &Value, name: &str| item[name].as_str().expect("a text").to_owned();
    let schemes: Vec<_> = list("/eligibility/eligible_schemes")
        .iter()
        .map(|item| (member(item, "scheme_id"), member(item, "application_status")))
        .collect();
    let is_open = |(_, status): &&(String, String)| status != "not_applied";
    let applied = schemes.iter().filter(is_open);
    let others = schemes.iter().filter(|scheme| !is_open(scheme));
    Shown {
        quasi: [
            "/identity/age_bracket",
            "/identity/gender",
            "/demographics/state",
            "/demographics/urban_rural",
            "/economic/income_bracket",
            "/economic/employment_type",
            "/identity/category",
            "/family/members_count",
        ]
        .into_iter()
        .map(text)
        .collect(),
        district: text("/demographics/district"),
        opted_in: at("/consent/analytics_opt_in") == Some(&Value::Bool(true)),
        schemes: applied.chain(others).take(SCHEMES).cloned().collect(),
        has_more_schemes: schemes.len() > SCHEMES,
        statuses: STATUSES.into_iter().filter(|status| schemes.iter().any(|(_, found)| found == status)).collect(),
        tags: list("/cohort_tags").iter().map(|tag| tag.as_str().expect("a text").to_owned()).collect(),
        has_other_tags: false,
        risks: ["deadline_miss_risk", "benefit_lapse_risk", "tax_penalty_risk", "document_expiry_risk", "overall"]
            .into_iter()
            .map(risk)
            .collect(),
        counts: [
            "/profile_completeness_pct",
            "/eligibility/total_eligible",
            "/eligibility/total_applied",
            "/eligibility/total_active",
            "/deadlines/completed_last_90d",
        ]
        .into_iter()
        .map(number)
        .collect(),
        benefit: number("/eligibility/potential_annual_benefit_inr"),
    }
}

fn new_user() -> NewUser {
    NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] }
}

fn user() -> UserId {
    UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id")
}

/// Calls `check` with each committed step of a random history. Returns how many there were.
fn walk(random: &mut Random, mut check: impl FnMut(&FinishedChange)) -> usize {
    let rules = rules();
    let mut context = AssemblyContext { rules: &rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let (mut state, mut steps): (Option<Arc<UserState>>, _) = (None, 0);
    let mut commit = |step: FinishedChange| {
        check(&step);
        steps += 1;
        step.state
    };
    for _ in 0..random.below(60) + 1 {
        if let Some(before) = state.clone().filter(|_| random.below(8) == 0) {
            context.day.0 += random.below(40) as i32;
            state = Some(match roll(&before, &context) {
                RollOutcome::Same(same) => same,
                RollOutcome::Changed(change) => commit(change.finish(&user(), 0, 7)),
            });
        }
        let event = event(user(), random);
        if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
            state = Some(commit(change.finish(&user(), event.time, 1234)));
        }
    }
    steps
}

#[expect(clippy::disallowed_methods, reason = "the test's own setting: which history")]
fn seeds() -> Vec<u64> {
    match std::env::var("LAW_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (1..=HISTORIES).collect(),
    }
}

/// Returns the row with the version of another one.
fn at_version_of(row: Row, other: &Row) -> Vec<u8> {
    [&other.to_bytes()[..8], &row.to_bytes()[8..]].concat()
}

#[test]
fn a_row_shows_what_the_published_profile_shows_and_follows_its_changes() {
    let (mut steps, mut skipped) = (0, 0);
    for seed in seeds() {
        let codes = Growing::default();
        let mut followed = Row::EMPTY;
        steps += walk(&mut Random(seed), |step| {
            let row = Row::from_state(&step.state, &codes);
            assert_eq!(shown(&row, &codes), expected(&document(&step.state, LeafSet::ALL)), "LAW_SEED={seed}");
            assert_eq!(Row::from_bytes(&row.to_bytes()), Ok(row), "LAW_SEED={seed}");
            assert!(row.is_present() && row.version() == Version::new(1, step.state.sequence));
            // As commits do: the first one makes the row, and later ones change it where they touch it.
            let changed = step.delta.as_ref().map_or(LeafSet::EMPTY, |delta| delta.changed());
            if followed == Row::EMPTY {
                assert!(!changed.and(INTEREST).is_empty(), "LAW_SEED={seed}: a first commit is passed on");
                followed = row;
            } else if changed.and(INTEREST).is_empty() {
                skipped += 1;
            } else {
                assert!(followed.advance(&step.state, changed, &codes), "LAW_SEED={seed}");
                assert!(
                    !followed.clone().advance(&step.state, LeafSet::ALL, &codes),
                    "an equal version is no later one"
                );
            }
            assert_eq!(at_version_of(followed, &row), row.to_bytes(), "LAW_SEED={seed}, {:?}", step.state);
        });
    }
    assert!(steps > 10 && skipped > 0, "{steps} steps, of which {skipped} touch no column");
}

#[test]
fn lists_without_room_are_marked() {
    let rules = rules();
    let context = AssemblyContext { rules: &rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let write = |state: Option<&Arc<UserState>>, source: Source, leaf: Leaf, value: String| {
        let value = Some(CanonicalJson::from_canonical(value));
        let writes = vec![RegisterWrite { path: RegisterPath::Leaf(leaf), kind: source.kinds()[0], value }];
        let (id, time) = ("e".into(), 1_767_225_600_000_000);
        let event = FeedEvent { id, source, user: user(), time, person: None, registration: false, writes };
        match apply(state, new_user, &event, &context) {
            ApplyOutcome::Changed(change) => change.finish(&user(), 0, 0).state,
            other => panic!("{other:?}"),
        }
    };
    let scheme = |(number, status): (usize, &str)| {
        // Names of members within a text are escaped, and are none.
        let name = r#"\"scheme_id\":\"no\",\"application_status\":\"no\""#;
        format!(
            r#"{{"application_status":"{status}","confidence":0.5,"matched_rules":[],"scheme_id":"s{number:02}\"é","scheme_name":"{name}"}}"#
        )
    };
    let statuses = (0..).zip(["not_applied", "active", "lapsed"].into_iter().cycle()).take(SCHEMES + 5);
    let list = format!("[{}]", statuses.clone().map(scheme).collect::<Vec<_>>().join(","));
    let state = write(None, Source::Eligibility, Leaf::EligibilityEligibleSchemes, list);
    let tags: Vec<_> = (0..66).map(|number| format!("\"t{number:02}\"")).collect();
    let state = write(Some(&state), Source::Analytics, Leaf::CohortTags, format!("[{}]", tags.join(",")));

    let codes = Growing::default();
    let row = Row::from_state(&state, &codes);
    let Shown { schemes, has_more_schemes, statuses: found, tags, has_other_tags, .. } = shown(&row, &codes);
    let open: Vec<_> = statuses.filter(|(_, status)| *status != "not_applied").collect();
    let expected = open.iter().map(|(number, status)| (format!("s{number:02}\\\"é"), (*status).to_owned()));
    assert!(has_more_schemes && open.len() == SCHEMES);
    assert_eq!(schemes, expected.collect::<Vec<_>>(), "those without an application give way");
    assert_eq!(found, ["not_applied", "active", "lapsed"]);
    assert_eq!(codes.0.borrow().get(DictionaryKind::Scheme).words().len(), SCHEMES, "others need no code");
    assert_eq!((tags.len(), row.cohort_tags, has_other_tags), (64, u64::MAX, true));
}
