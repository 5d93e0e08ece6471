//! Laws of rewinding: any revision is restored, however checkpoints cut the history, and one patch leads from it to the
//! head under any mask.
//!
//! `LAW_SEED` repeats one history.

mod random_histories;

use std::sync::Arc;

use domain::access::Consent;
use domain::day::Day;
use domain::delta::Delta;
use domain::id::{ProfileId, UserId};
use domain::mask_class::MaskClass;
use domain::past::PastProfile;
use domain::pipeline::{ApplyOutcome, AssemblyContext, FinishedChange, NewUser, RollOutcome, apply, mask, roll};
use domain::port::journal::Record;
use domain::record::{Rewind, RewindResult, pack, records, unpack};
use domain::state::UserState;
use domain::table::LeafSet;
use serde_json::Value;

use crate::random_histories::{Random, Stored, document, event, masks, rules};

const HISTORIES: u64 = 120;

/// Members that `operations` do not contain: they are sent beside a patch.
const CHANGING: [&str; 4] = ["assembly_latency_ms", "generated_at", "profile_hash", "revision"];

/// Returns a user's steps, in order.
fn history(random: &mut Random) -> Vec<FinishedChange> {
    let rules = rules();
    let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
    let mut context = AssemblyContext { rules: &rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let new_user = || NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
    let mut steps: Vec<FinishedChange> = Vec::new();
    let mut state: Option<Arc<UserState>> = None;
    // Some histories are long enough for several blocks.
    let events = if random.below(12) == 0 { 400 } else { random.below(60) + 1 };
    for _ in 0..events {
        if let Some(before) = state.as_ref().filter(|_| random.below(8) == 0) {
            context.day.0 += random.below(40) as i32;
            match roll(before, &context) {
                RollOutcome::Same(same) => state = Some(same),
                RollOutcome::Changed(change) => {
                    steps.push(change.finish(&user, 0, 7));
                    state = steps.last().map(|step| step.state.clone());
                }
            }
        }
        let event = event(user, random);
        if event.writes.is_empty() {
            continue;
        }
        if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
            steps.push(change.finish(&user, event.time, 1234));
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
        let cut = random.below(frames.len() as u64 + 1) as usize;
        let rest = frames.split_off(cut);
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

/// Returns the profile at `revision`, if it is reachable, after asking for it in both ways.
fn rewind(stored: &Stored, revision: u64) -> RewindResult {
    let (mut past, mut with_consents) = (Rewind::new(revision), Rewind::with_later_consents(revision));
    stored.visit(&mut past);
    stored.visit(&mut with_consents);
    let rewound = with_consents.finish();
    let packed = |result: &RewindResult| result.state.as_ref().map(pack);
    assert_eq!(packed(&past.finish()), packed(&rewound));
    rewound
}

fn past(stored: &Stored, revision: u64) -> Option<PastProfile> {
    rewind(stored, revision).past()
}

/// Returns the consents of the steps after `revision`; of a run of equal ones, the first.
fn later_consents(steps: &[FinishedChange], revision: u64) -> Vec<(u64, Consent)> {
    let revisions = steps.iter().filter(|step| step.delta.is_some()).map(|step| &step.state);
    let later = revisions.filter(|state| state.envelope.revision > revision);
    let mut consents: Vec<_> = later.map(|state| (state.envelope.revision, state.consent())).collect();
    consents.dedup_by_key(|(_, consent)| *consent);
    consents
}

fn follow(past: &UserState, patch: &Delta, head: &UserState, mask: LeafSet) {
    let mut followed = document(past, mask);
    let operations = mask::patch(patch, MaskClass::for_profile(mask));
    json_patch::patch(&mut followed, &operations).unwrap_or_else(|error| panic!("{error}: {operations}"));
    let mut expected = document(head, mask);
    for name in CHANGING {
        followed[name] = Value::Null;
        expected[name] = Value::Null;
    }
    assert_eq!(followed, expected, "the patch leads from {past:?} to {head:?}");
}

/// Asserts that the state is exactly that of a step that led to its revision or followed it without a new one.
fn check_state(state: &UserState, steps: &[FinishedChange]) {
    let step = steps.iter().find(|step| step.state.sequence == state.sequence).expect("a step");
    assert_eq!(pack(state), pack(&step.state), "sequence {} is restored", state.sequence);
    assert_eq!((state.profile_hash(), state.envelope), (step.state.profile_hash(), step.state.envelope));
}

/// Returns how many bases the history had.
fn run(seed: u64) -> usize {
    let mut random = Random(seed);
    let steps = history(&mut random);
    let Some(head) = steps.last().map(|step| &step.state) else { return 0 };
    let stored = store(&steps, &mut random);
    let mut without_base = stored.clone();
    let missing = random.below(stored.bases.len() as u64 + 1) as usize;
    without_base.bases.retain(|number, _| stored.bases.keys().nth(missing) != Some(number));
    for step in &steps {
        let state = &step.state;
        let revision = state.envelope.revision;
        let rewound = rewind(&stored, revision);
        assert_eq!(rewound.later, later_consents(&steps, revision), "consents after {revision}");
        let past = rewound.past().expect("the revision is reachable");
        let restored = rewound.state.expect("the revision is reachable");
        check_state(&restored, &steps);
        let older = rewind(&without_base, revision);
        check_state(&older.state.expect("an older base leads there, too"), &steps);
        assert_eq!(older.later, rewound.later);
        assert_eq!((past.revision, past.profile_id), (revision, state.envelope.profile_id));
        assert_eq!(past.profile, state.profile, "revision {revision} is restored");
        assert_eq!(past.profile_hash(), state.profile_hash());
        let between = Delta::between(&past, head);
        assert_eq!((between.base, between.revision), (revision, head.envelope.revision));
        assert!(between.changes.iter().all(|change| change.old != change.new), "only leaves that differ are listed");
        for mask in masks(&mut random) {
            follow(state, &between, head, mask);
        }
    }
    for beyond in [0, head.envelope.revision + 1, u64::MAX] {
        assert_eq!(past(&stored, beyond), None);
    }
    stored.bases.len()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment")]
fn any_revision_is_restored_and_one_patch_leads_to_the_head() {
    if let Ok(seed) = std::env::var("LAW_SEED") {
        run(seed.parse().expect("LAW_SEED is a number"));
        return;
    }
    let mut bases = 0;
    for seed in 0..HISTORIES {
        let run = std::panic::catch_unwind(|| run(seed));
        bases += run.unwrap_or_else(|_| panic!("the laws do not hold: repeat with LAW_SEED={seed}"));
    }
    assert!(bases > 0, "some histories are long enough for a base");
}

#[test]
fn a_gap_in_the_history_makes_only_older_revisions_unreachable() {
    let seed = (0..HISTORIES).find(|seed| {
        let mut random = Random(*seed);
        let steps = history(&mut random);
        store(&steps, &mut random).blocks.len() > 1
    });
    let mut random = Random(seed.expect("a history with two blocks"));
    let steps = history(&mut random);
    let mut stored = store(&steps, &mut random);
    stored.blocks.pop_first();
    let folded_to = unpack(stored.state.clone().expect("a state")).expect("it unpacks").envelope.revision;
    let first = records(&stored.blocks.values().next().expect("a block").body).expect("it reads")[0].sequence;
    let first_base = steps.iter().find(|step| step.state.sequence + 1 == first).expect("a step");
    for step in &steps {
        let state = &step.state;
        let revision = state.envelope.revision;
        let rewound = rewind(&stored, revision);
        assert_eq!(rewound.state.is_some(), revision >= first_base.state.envelope.revision, "{revision}");
        let known = rewound.later.first().map_or(u64::MAX, |(from, _)| *from);
        let expected = later_consents(&steps, if rewound.state.is_some() { revision } else { folded_to - 1 });
        assert!(rewound.later == expected, "from {known}");
    }
}

#[test]
fn without_its_blocks_only_revisions_in_the_frames_are_reachable() {
    let mut random = Random(11);
    let steps = history(&mut random);
    let records: Vec<Record> = steps.iter().map(|step| step.record.clone()).collect();
    let (old, new) = records.split_at(records.len() / 2);
    let mut stored = Stored::default();
    stored.fold(old);
    stored = Stored { blocks: Default::default(), bases: Default::default(), frames: new.to_vec(), ..stored };
    let reachable = |revision| past(&stored, revision).is_some();
    let folded_to = steps[old.len() - 1].state.envelope.revision;
    let head = steps.last().expect("a history").state.envelope.revision;
    assert!(folded_to > 1 && head > folded_to);
    for revision in 1..=head {
        assert_eq!(reachable(revision), revision >= folded_to, "{revision}");
    }
}
