//! Laws of provenance and explanations over random histories: they name the register whose value the profile has, and the
//! hashes of members verify what a viewer sees.
//!
//! `LAW_SEED` repeats one history.

mod random_histories;

use std::sync::Arc;

use domain::day::Day;
use domain::id::{ProfileId, UserId};
use domain::pipeline::explain::{DecidingRule, ExplainedCandidate, explain, provenance};
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply};
use domain::state::UserState;
use domain::table::{FIELDS, Leaf, LeafSet, Owner};
use sha2::{Digest, Sha256};

use crate::random_histories::{Random, document, event, masks, rules};

const HISTORIES: u64 = 300;

fn history(random: &mut Random) -> Arc<UserState> {
    let (user, rules) = (UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id"), rules());
    let context = AssemblyContext { rules: &rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let mut state: Option<Arc<UserState>> = None;
    for _ in 0..random.below(20) + 1 {
        let new_user = || NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
        if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event(user, random), &context) {
            state = Some(change.finish(&user, 1, 1).state);
        }
    }
    state.expect("the first event makes a state")
}

/// Returns the sort key that decides, as the contract has it: rank, confidence, then the stamp.
fn precedes(one: &ExplainedCandidate, other: &ExplainedCandidate, rule: DecidingRule) -> bool {
    match rule {
        DecidingRule::Rank => one.rank > other.rank,
        DecidingRule::Confidence => one.rank == other.rank && one.confidence > other.confidence,
        DecidingRule::Newest => {
            one.rank == other.rank && one.confidence == other.confidence && one.observed_at >= other.observed_at
        }
        DecidingRule::Owner | DecidingRule::OnlyCandidate => false,
    }
}

fn check_leaf(state: &UserState, leaf: Leaf) {
    let value = state.profile.get(leaf);
    let Some(explanation) = explain(state, leaf) else { return assert!(value.is_none(), "{leaf:?} is not explained") };
    assert_eq!(explanation.leaf, leaf);
    let told = provenance(state, LeafSet::only(leaf));
    let candidates: Vec<_> = explanation.candidates.iter().filter(|candidate| candidate.value.is_some()).collect();
    match leaf.field().owner {
        Owner::Derived => assert!(told.is_empty() && explanation.candidates.is_empty() && explanation.rule.is_none()),
        Owner::Source(source) => {
            assert_eq!(explanation.rule, Some(DecidingRule::Owner));
            assert!(candidates.iter().all(|candidate| candidate.source == source));
        }
        Owner::Shared => {
            assert_eq!(candidates[0].value.as_ref(), value, "{leaf:?}: the winner's value is the profile's");
            assert_eq!(told[0].overrides, candidates.len() - 1);
            let rule = explanation.rule.expect("a contest has a rule");
            match candidates.get(1) {
                Some(next) => assert!(precedes(candidates[0], next, rule), "{leaf:?} by {rule:?}: {candidates:?}"),
                None => assert_eq!(rule, DecidingRule::OnlyCandidate),
            }
        }
    }
    if let ([told], Some(winner)) = (&told[..], candidates.first()) {
        assert_eq!((told.source, told.kind, told.observed_at), (winner.source, winner.kind, winner.observed_at));
        assert_eq!(told.event_id, winner.event_id);
    }
}

fn check_hashes(state: &UserState, mask: LeafSet) {
    let proofs = state.member_proofs(mask);
    assert!(proofs.is_sorted_by(|one, next| one.name < next.name));
    let view = document(state, mask);
    for proof in &proofs {
        let Some(salt) = proof.salt else { continue };
        let value = serde_json_canonicalizer::to_vec(&view[proof.name]).expect("canonical");
        let hash: [u8; 32] = Sha256::new().chain_update(salt).chain_update(value).finalize().into();
        assert_eq!(hash, proof.hash, "the view verifies `{}`", proof.name);
    }
    let named = proofs.iter().map(|proof| (proof.name.to_owned(), hex::encode(proof.hash).into()));
    let object: serde_json::Map<String, serde_json::Value> = named.collect();
    let root: [u8; 32] = Sha256::digest(serde_json_canonicalizer::to_vec(&object).expect("canonical")).into();
    assert_eq!(root, state.profile_hash());
    let shown = |member: domain::table::Member| member.leaves().without(mask).is_empty();
    let salted = proofs.iter().filter(|proof| proof.salt.is_some()).count();
    assert_eq!(salted, 2 + state.profile.present().members().filter(|member| shown(*member)).count());
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let state = history(&mut random);
    FIELDS.iter().for_each(|field| check_leaf(&state, field.leaf));
    for mask in masks(&mut random) {
        let leaves: LeafSet = provenance(&state, mask).iter().map(|told| told.leaf).collect();
        assert!(leaves.without(mask.and(state.profile.present())).is_empty(), "only what is seen has provenance");
        check_hashes(&state, mask);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no settings to take its seed from")]
fn values_come_from_the_registers_that_are_named_and_hashes_verify_them() {
    if let Some(seed) = std::env::var("LAW_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return check(seed);
    }
    for seed in 0..HISTORIES {
        let outcome = std::panic::catch_unwind(|| check(seed));
        assert!(outcome.is_ok(), "LAW_SEED={seed} repeats it");
    }
}
