//! Measures one re-merge of an unpacked actor, stage by stage.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use domain::day::Day;
use domain::event::FeedEvent;
use domain::id::ProfileId;
use domain::mask_class::MaskClass;
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply, mask, serialize};
use domain::record;
use domain::state::UserState;

use crate::ports::{NOW, accept, population, rules};

const USERS: u64 = 300;
const UPDATES: u64 = 60;

/// The duration of each run of one stage, in nanoseconds.
struct Stage(&'static str, Vec<u64>);

impl Stage {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = black_box(work());
        self.1.push(started.elapsed().as_nanos() as u64);
        result
    }

    fn print(mut self) {
        self.1.sort_unstable();
        let at = |share: usize| self.1.get(self.1.len() * share / 100).copied().unwrap_or(0);
        println!("  {:<46} {:>8} ns   p99 {:>8} ns   ({} runs)", self.0, at(50), at(99), self.1.len());
    }
}

pub(crate) fn measure() {
    let rules = rules();
    let context = AssemblyContext {
        rules: &rules,
        rules_fingerprint: rules.fingerprint(),
        policy_version: 1,
        day: Day::at(NOW, &rules.zone),
    };
    let population = population(USERS);
    let mut validate = Stage("validate", Vec::new());
    let mut merge = Stage("merge, enrich, diff, hash", Vec::new());
    let mut finish = Stage("record for the journal", Vec::new());
    let mut unchanged = Stage("merge of an event that is already applied", Vec::new());
    let mut masking = Stage("mask the patch", Vec::new());
    let mut text = Stage("patch to JSON", Vec::new());
    let mut view = Stage("serialize the whole view", Vec::new());
    let mut pack = Stage("pack the state", Vec::new());
    let mut unpack = Stage("unpack the state", Vec::new());
    let (mut patch_bytes, mut record_bytes, mut packed_bytes, mut view_bytes) = (vec![], vec![], vec![], vec![]);
    for index in 0..USERS {
        let mut state: Option<Arc<UserState>> = None;
        for event in population.first_events(index) {
            state = step(state, &accept(&event, &rules), &context);
        }
        for n in 0..UPDATES {
            let event = population.update(index, n);
            let event = validate.time(|| accept(&event, &rules));
            let outcome = merge.time(|| apply(state.as_ref(), new_user, &event, &context));
            let ApplyOutcome::Changed(change) = outcome else { continue };
            let finished = finish.time(|| change.finish(&event.user, NOW, 1));
            record_bytes.push(finished.record.body.len());
            state = Some(finished.state);
            unchanged.time(|| apply(state.as_ref(), new_user, &event, &context));
            if let Some(delta) = finished.delta {
                let patch = masking.time(|| mask::patch(&delta, MaskClass::UNMASKED));
                patch_bytes.push(text.time(|| serde_json::to_vec(&patch)).map_or(0, |text| text.len()));
            }
        }
        let Some(state) = state else { continue };
        view_bytes.push(view.time(|| serialize::view(&state, MaskClass::UNMASKED)).len());
        let packed = pack.time(|| record::pack(&state));
        packed_bytes.push(packed.len());
        let unpacked = unpack.time(|| record::unpack(packed));
        assert!(unpacked.is_ok(), "what was packed unpacks");
    }
    println!(
        "re-merge of a hot actor over the population's changes, {USERS} users of {UPDATES} updates each, medians:"
    );
    for stage in [validate, merge, finish, unchanged, masking, text, view, pack, unpack] {
        stage.print();
    }
    println!(
        "sizes, means: operations of a patch {} B, record {} B, view {} B, packed state {} B",
        mean(&patch_bytes),
        mean(&record_bytes),
        mean(&view_bytes),
        mean(&packed_bytes)
    );
}

fn step(state: Option<Arc<UserState>>, event: &FeedEvent, context: &AssemblyContext<'_>) -> Option<Arc<UserState>> {
    match apply(state.as_ref(), new_user, event, context) {
        ApplyOutcome::Changed(change) => Some(change.finish(&event.user, NOW, 1).state),
        ApplyOutcome::Unchanged | ApplyOutcome::Duplicate | ApplyOutcome::BeforeErasure => state,
    }
}

fn new_user() -> NewUser {
    NewUser { profile_id: ProfileId::from_random([7; 16]), integrity_key: [7; 16] }
}

fn mean(values: &[usize]) -> usize {
    values.iter().sum::<usize>() / values.len().max(1)
}
