//! Laws of users whose last frames were lost: what is left of history stays as it was published, what was lost is gone, nothing
//! that was published is taken for anything later, and consent does not come back.
//!
//! `LAW_SEED` repeats one history.

mod random_histories;

use std::sync::Arc;

use domain::access::{Consent, SharingLevel};
use domain::day::Day;
use domain::id::{ProfileId, UserId};
use domain::pipeline::{ApplyOutcome, AssemblyContext, FinishedChange, NewUser, RollOutcome, apply, roll};
use domain::port::store::Fold;
use domain::record::{PastOutcome, PastSearch, PastTarget, Replay, ReplayCheck, RevisionList, pack, unpack};
use domain::rules::Rules;
use domain::state::UserState;

use crate::random_histories::{Random, Stored, event, rules};

const HISTORIES: u64 = 60;
const MINIMAL: Consent = Consent { level: SharingLevel::Minimal, third_party_sharing: false };

fn user() -> UserId {
    UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id")
}

/// Makes `events` random events of a user, and returns the steps. A state of another day or of other rules is rolled first.
fn grow(state: &mut Option<Arc<UserState>>, events: u64, rules: &Rules, random: &mut Random) -> Vec<FinishedChange> {
    let context = AssemblyContext { rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let new_user = || NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
    let (mut steps, mut now) = (Vec::new(), 1_000);
    for _ in 0..events {
        now += 10;
        if let Some(before) = state.as_ref() {
            match roll(before, &context) {
                RollOutcome::Same(same) => *state = Some(same),
                RollOutcome::Changed(change) => {
                    let step = change.finish(&user(), now, 7);
                    *state = Some(step.state.clone());
                    steps.push(step);
                }
            }
        }
        let event = event(user(), random);
        if event.writes.is_empty() {
            continue;
        }
        if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event, &context) {
            let step = change.finish(&user(), now, 9);
            *state = Some(step.state.clone());
            steps.push(step);
        }
    }
    steps
}

fn fold(stored: &mut Stored, steps: &[FinishedChange]) {
    let frames: Vec<_> = steps.iter().map(|step| step.record.clone()).collect();
    if !frames.is_empty() {
        stored.fold(&frames);
    }
}

fn search(stored: &Stored, revision: u64) -> PastOutcome {
    let mut search = PastSearch::new(PastTarget::Revision(revision));
    stored.visit(&mut search);
    search.finish()
}

fn check_found(stored: &Stored, steps: &[FinishedChange]) {
    for step in steps.iter().filter(|step| step.delta.is_some()) {
        match search(stored, step.state.envelope.revision) {
            PastOutcome::Found(state) => assert_eq!(state.profile_hash(), step.state.profile_hash()),
            other => panic!("revision {}: {other:?}", step.state.envelope.revision),
        }
    }
}

fn check_history(seed: u64) {
    let (mut random, rules) = (Random(seed), rules());
    let mut state = None;
    let events = 1 + random.below(if seed.is_multiple_of(7) { 300 } else { 30 });
    let left = grow(&mut state, events, &rules, &mut random);
    let Some(state_left) = state.clone() else { return };
    let mut stored = Stored::default();
    fold(&mut stored, &left);
    let events = 1 + random.below(6);
    let lost = grow(&mut state, events, &rules, &mut random);
    let Some(last) = lost.last() else { return };
    let sequence = last.state.sequence;

    let packed = stored.state.clone().expect("a state");
    let (after, changes) = Replay.after_loss(&packed, sequence, 5_000).expect("a state of ours");
    stored.state = Some(after.clone());
    stored.apply(changes);
    let after = unpack(after).expect("a state of ours");
    let newest_lost = last.state.envelope.revision;
    assert!(after.sequence == sequence && after.envelope.revision > newest_lost, "seed {seed}: {after:?}");
    assert_eq!((after.consent(), after.envelope.generated_at), (MINIMAL, 5_000), "seed {seed}");
    let others = |state: &UserState| {
        let leaves = state.profile.leaves().filter(|(leaf, _)| !leaf.field().path.starts_with("consent"));
        leaves.map(|(leaf, value)| (leaf, value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(others(&after), others(&state_left), "seed {seed}: nothing else has changed");

    check_found(&stored, &left);
    for revision in state_left.envelope.revision + 1..after.envelope.revision {
        assert!(matches!(search(&stored, revision), PastOutcome::Gone { .. }), "seed {seed}: revision {revision}");
    }

    // The user goes on, and its history stays whole.
    let mut state = Some(Arc::new(after.clone()));
    let later = grow(&mut state, 1 + random.below(20), &rules, &mut random);
    let cut = random.below(later.len() as u64 + 1) as usize;
    fold(&mut stored, &later[..cut]);
    stored.frames = later[cut..].iter().map(|step| step.record.clone()).collect();
    check_found(&stored, &left);
    check_found(&stored, &later);
    let mut list = RevisionList::new(1, u64::MAX, usize::MAX);
    stored.visit(&mut list);
    let mut listed: Vec<_> = list.finish().iter().map(|entry| entry.revision).collect();
    listed.reverse();
    let made = |steps: &[FinishedChange]| {
        steps.iter().filter(|step| step.delta.is_some()).map(|step| step.state.envelope.revision).collect::<Vec<_>>()
    };
    assert_eq!(listed, [made(&left), vec![after.envelope.revision], made(&later)].concat(), "seed {seed}");
    let mut check = ReplayCheck::default();
    stored.visit(&mut check);
    let report = check.finish();
    assert!(report.faults.is_empty(), "seed {seed}: {:?}", report.faults);
    if let Some(last) = later.last() {
        assert_eq!(pack(&last.state), pack(state.as_deref().expect("a state")));
    }
}

#[test]
fn a_user_goes_on_after_frames_were_lost() {
    #[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment")]
    let given = std::env::var("LAW_SEED").ok().and_then(|seed| seed.parse().ok());
    match given {
        Some(seed) => check_history(seed),
        None => (0..HISTORIES).for_each(check_history),
    }
}

/// Lets a user lose frames again and again, and go on from the last state or from that of any backup so far.
fn check_revisions(seed: u64) {
    let (mut random, rules, mut state) = (Random(seed), rules(), None);
    grow(&mut state, 3, &rules, &mut random);
    let mut backups: Vec<Arc<UserState>> = state.iter().cloned().collect();
    let mut greatest = 0;
    for _ in 0..40 {
        let Some(before) = state.clone() else { return };
        backups.push(before);
        // A loss takes at least one frame.
        let steps = loop {
            let steps = grow(&mut state, 1 + random.below(3), &rules, &mut random);
            if !steps.is_empty() {
                break steps;
            }
        };
        for step in steps.iter().filter(|step| step.delta.is_some()) {
            let revision = step.state.envelope.revision;
            assert!(revision > greatest, "seed {seed}: revision {revision} comes after {greatest}");
            greatest = revision;
        }
        if random.below(3) > 0 {
            let left = &backups[random.below(backups.len() as u64) as usize];
            let sequence = state.as_ref().expect("a state").sequence;
            let (after, _) = Replay.after_loss(&pack(left), sequence, 5_000).expect("a state of ours");
            let after = unpack(after).expect("a state of ours");
            assert!(after.envelope.revision > greatest, "seed {seed}: a loss leads to a revision that was made");
            greatest = after.envelope.revision;
            state = Some(Arc::new(after));
        }
    }
}

#[test]
fn no_revision_comes_twice_whichever_backups_a_user_goes_on_from() {
    (0..HISTORIES).for_each(check_revisions);
}

#[test]
fn nothing_is_lost_where_no_frame_is() {
    let (mut random, rules, mut state) = (Random(1), rules(), None);
    grow(&mut state, 20, &rules, &mut random);
    let packed = pack(state.as_deref().expect("a state"));
    let sequence = state.expect("a state").sequence;
    assert!(Replay.after_loss(&packed, sequence, 0).is_err());
    assert!(Replay.after_loss(&packed, sequence - 1, 0).is_err());
    assert!(Replay.after_loss(b"no state", 9, 0).is_err());
}
