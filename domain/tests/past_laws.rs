//! Laws of reads through history: a search by revision or by instant finds what was published, and where its values came
//! from then, however checkpoints cut the history; a difference leads from one view to the other under any mask; and the list of revisions says what each changed.
//!
//! `LAW_SEED` repeats one history.

mod random_histories;

use std::sync::Arc;

use domain::access::Viewer;
use domain::day::Day;
use domain::id::{ProfileId, UserId};
use domain::mask_class::MaskClass;
use domain::pipeline::explain::{explain, provenance};
use domain::pipeline::{ApplyOutcome, AssemblyContext, FinishedChange, NewUser, RollOutcome, apply, roll, serialize};
use domain::port::journal::Record;
use domain::publication::operations_between;
use domain::record::{Cause, PastOutcome, PastSearch, PastTarget, RevisionList, VisibleCause, pack};
use domain::schema_version::SchemaVersion;
use domain::state::UserState;
use domain::table::{FIELDS, LeafSet};
use serde_json::Value;

use crate::random_histories::{Random, Stored, event, masks, rules};

const HISTORIES: u64 = 120;
const SERVICE: Viewer = Viewer::Service { profile_read: true, third_party: false, ai_context: true };

fn user() -> UserId {
    UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id")
}

/// Returns a user's steps, in order. Some of them are generated at the same instant.
fn history(random: &mut Random) -> Vec<FinishedChange> {
    let rules = rules();
    let mut context = AssemblyContext { rules: &rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let new_user = || NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
    let mut steps: Vec<FinishedChange> = Vec::new();
    let mut state: Option<Arc<UserState>> = None;
    let mut now = 1_000;
    // Some histories are long enough for several blocks.
    let events = if random.below(12) == 0 { 300 } else { random.below(50) + 1 };
    for _ in 0..events {
        now += random.below(4) as i64 * 10;
        if let Some(before) = state.as_ref().filter(|_| random.below(8) == 0) {
            context.day.0 += random.below(40) as i32;
            match roll(before, &context) {
                RollOutcome::Same(same) => state = Some(same),
                RollOutcome::Changed(change) => {
                    steps.push(change.finish(&user(), now, 7));
                    state = steps.last().map(|step| step.state.clone());
                }
            }
        }
        let event = event(user(), random);
        if event.writes.is_empty() {
            continue;
        }
        if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
            steps.push(change.finish(&user(), now, 1234));
            state = steps.last().map(|step| step.state.clone());
        }
    }
    steps
}

/// Cuts the frames at random places, and folds all runs but the last, as checkpoints do.
fn store(steps: &[FinishedChange], random: &mut Random) -> Stored {
    let mut frames: Vec<Record> = steps.iter().map(|step| step.record.clone()).collect();
    let mut stored = Stored::default();
    while random.below(4) > 0 {
        let rest = frames.split_off(random.below(frames.len() as u64 + 1) as usize);
        if !frames.is_empty() {
            stored.fold(&frames);
        }
        frames = rest;
    }
    if random.below(4) == 0 && stored.state.is_some() && !frames.is_empty() {
        // A checkpoint ran after the state was read, and added newer revisions to the blocks.
        let mut later = stored.clone();
        later.fold(&frames);
        (stored.blocks, stored.bases) = (later.blocks, later.bases);
    }
    Stored { frames, ..stored }
}

fn search(stored: &Stored, target: PastTarget) -> PastOutcome {
    let mut search = PastSearch::new(target);
    stored.visit(&mut search);
    search.finish()
}

#[track_caller]
fn found(stored: &Stored, target: PastTarget) -> UserState {
    match search(stored, target) {
        PastOutcome::Found(state) => *state,
        other => panic!("{target:?}: {other:?}"),
    }
}

/// The steps that made a revision.
fn revisions(steps: &[FinishedChange]) -> Vec<&FinishedChange> {
    steps.iter().filter(|step| step.delta.is_some()).collect()
}

/// Asserts that a state is exactly that of a step that led to its revision or followed it without a new one.
fn check_state(state: &UserState, expected: u64, steps: &[FinishedChange]) {
    let step = steps.iter().find(|step| step.state.sequence == state.sequence).expect("a step");
    assert_eq!(state.envelope.revision, expected);
    assert_eq!(pack(state), pack(&step.state), "sequence {} is restored", state.sequence);
    assert_eq!((state.profile_hash(), state.envelope), (step.state.profile_hash(), step.state.envelope));
}

/// Asserts that each revision is found with the sources that it was read with when it was made, whatever events have followed
/// without a revision.
fn check_sources(stored: &Stored, steps: &[FinishedChange]) {
    for step in revisions(steps) {
        let made = found(stored, PastTarget::Made(step.state.envelope.revision));
        assert_eq!(pack(&made), pack(&step.state), "revision {}", made.envelope.revision);
        assert_eq!(provenance(&made, LeafSet::ALL), provenance(&step.state, LeafSet::ALL));
        for field in &FIELDS {
            assert_eq!(explain(&made, field.leaf), explain(&step.state, field.leaf));
        }
    }
}

/// Returns how many events changed where a value comes from, and made no revision.
fn changes_of_sources(steps: &[FinishedChange]) -> usize {
    let changes = |pair: &[FinishedChange]| {
        let [before, after] = [0, 1].map(|place: usize| provenance(&pair[place].state, LeafSet::ALL));
        pair[1].delta.is_none() && before != after
    };
    steps.windows(2).filter(|pair| changes(pair)).count()
}

fn check_instants(stored: &Stored, steps: &[FinishedChange]) {
    let revisions = revisions(steps);
    let first = revisions[0].state.envelope.generated_at;
    assert!(matches!(search(stored, PastTarget::AsOf(first - 1)), PastOutcome::BeforeFirst));
    assert!(matches!(search(stored, PastTarget::AsOf(i64::MIN)), PastOutcome::BeforeFirst));
    for instant in revisions.iter().flat_map(|step| [0, 1, 5].map(|later| step.state.envelope.generated_at + later)) {
        let is_due = |step: &&&FinishedChange| step.state.envelope.generated_at <= instant;
        let expected = revisions.iter().rfind(is_due).expect("the first is due");
        check_state(&found(stored, PastTarget::AsOf(instant)), expected.state.envelope.revision, steps);
    }
}

/// Applies the difference of two states to the view of the first, in every schema version.
fn check_difference(from: &UserState, to: &UserState, mask: LeafSet) {
    for schema in SchemaVersion::ALL {
        let class = MaskClass::for_version(mask, *schema);
        let view = |state| serde_json::from_slice::<Value>(&serialize::view(state, class)).expect("a view is JSON");
        let text = operations_between(from, to, class);
        let operations: json_patch::Patch =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let mut patched = view(from);
        json_patch::patch(&mut patched, &operations).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(patched, view(to), "from {from:?} to {to:?}");
        // Every revision has a hash of its own.
        assert_eq!(operations.is_empty(), from.envelope.revision == to.envelope.revision, "{text}");
    }
}

fn check_list(stored: &Stored, steps: &[FinishedChange], random: &mut Random) {
    let revisions = revisions(steps);
    let newest = revisions.len() as u64;
    for _ in 0..4 {
        let (first, limit) = (1 + random.below(newest), 1 + random.below(20) as usize);
        let last = first + random.below(newest + 3 - first);
        let mut list = RevisionList::new(first, last, limit);
        stored.visit(&mut list);
        let entries = list.finish();
        let in_range = revisions.iter().filter(|step| (first..=last).contains(&step.state.envelope.revision));
        let expected: Vec<_> = in_range.rev().take(limit).collect();
        assert_eq!(entries.len(), expected.len(), "{first} to {last}, {limit}");
        for (entry, step) in entries.iter().zip(expected) {
            let envelope = &step.state.envelope;
            assert_eq!((entry.revision, entry.generated_at), (envelope.revision, envelope.generated_at));
            assert_eq!(Some(entry.changed), step.delta.as_ref().map(|delta| delta.changed()));
            assert_eq!(entry.cause_for(&Viewer::SelfCitizen(user()), LeafSet::ALL), VisibleCause::Whole(&entry.cause));
            for mask in masks(random) {
                let hidden = entry.changed.and(mask).is_empty();
                match entry.cause_for(&SERVICE, mask) {
                    VisibleCause::Whole(_) => panic!("ids are for the citizen"),
                    VisibleCause::Source(cause) => assert!(!hidden, "{cause:?}"),
                    VisibleCause::Hidden => assert!(hidden || entry.cause != Cause::Roll),
                }
            }
        }
    }
}

/// Returns how many bases the history had, and how many events that changed nothing but sources.
fn run(seed: u64) -> (usize, usize) {
    let mut random = Random(seed);
    let steps = history(&mut random);
    let Some(head) = steps.last().map(|step| &step.state) else { return (0, 0) };
    let stored = store(&steps, &mut random);
    let newest = head.envelope.revision;
    for revision in 1..=newest {
        check_state(&found(&stored, PastTarget::Revision(revision)), revision, &steps);
    }
    for beyond in [newest + 1, u64::MAX] {
        assert!(matches!(search(&stored, PastTarget::Revision(beyond)), PastOutcome::NotReached));
        assert!(matches!(search(&stored, PastTarget::Made(beyond)), PastOutcome::NotReached));
    }
    check_sources(&stored, &steps);
    check_instants(&stored, &steps);
    check_list(&stored, &steps, &mut random);
    for _ in 0..6 {
        let [from, to] = [(); 2].map(|()| found(&stored, PastTarget::Revision(1 + random.below(newest))));
        for mask in masks(&mut random) {
            check_difference(&from, &to, mask);
            check_difference(&to, &from, mask);
            check_difference(&from, head, mask);
        }
    }
    (stored.bases.len(), changes_of_sources(&steps))
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment")]
fn what_was_published_is_found_by_revision_and_by_instant_and_differences_lead_there() {
    if let Ok(seed) = std::env::var("LAW_SEED") {
        run(seed.parse().expect("LAW_SEED is a number"));
        return;
    }
    let (mut bases, mut sources) = (0, 0);
    for seed in 0..HISTORIES {
        let run = std::panic::catch_unwind(|| run(seed));
        let run = run.unwrap_or_else(|_| panic!("the laws do not hold: repeat with LAW_SEED={seed}"));
        (bases, sources) = (bases + run.0, sources + run.1);
    }
    assert!(bases > 0, "some histories are long enough for a base");
    assert!(sources > 100, "some events change nothing but where a value comes from: {sources}");
}

#[test]
fn what_history_does_not_reach_is_gone_and_says_how_far_it_reaches() {
    let seed = (0..HISTORIES).find(|seed| {
        let mut random = Random(*seed);
        let steps = history(&mut random);
        let stored = store(&steps, &mut random);
        !stored.bases.is_empty() && stored.blocks.len() > 1
    });
    let mut random = Random(seed.expect("a history with a base and a block after it"));
    let steps = history(&mut random);
    let mut stored = store(&steps, &mut random);
    // All that comes before the first base is lost.
    let (number, base) = stored.bases.first_key_value().expect("a base");
    let base = domain::record::unpack(base.clone()).expect("it unpacks");
    stored.blocks = stored.blocks.split_off(number);
    let (revision, generated_at) = (base.envelope.revision, base.envelope.generated_at);
    for step in revisions(&steps) {
        let envelope = step.state.envelope;
        let target = PastTarget::Revision(envelope.revision);
        if envelope.revision < revision {
            assert!(
                matches!(search(&stored, target), PastOutcome::Gone { retained_from } if retained_from == generated_at)
            );
        } else {
            check_state(&found(&stored, target), envelope.revision, &steps);
        }
        // The first one that is left may have got other documents since it was made.
        let made = search(&stored, PastTarget::Made(envelope.revision));
        let is_gone = matches!(made, PastOutcome::Gone { retained_from } if retained_from == generated_at);
        assert_eq!(is_gone, envelope.revision <= revision, "{made:?}");
        let instant = search(&stored, PastTarget::AsOf(envelope.generated_at));
        let is_gone = matches!(instant, PastOutcome::Gone { retained_from } if retained_from == generated_at);
        assert_eq!(is_gone, envelope.generated_at < generated_at, "{instant:?}");
    }
    assert!(
        matches!(search(&stored, PastTarget::AsOf(0)), PastOutcome::Gone { .. }),
        "perhaps there was an earlier one"
    );
}
