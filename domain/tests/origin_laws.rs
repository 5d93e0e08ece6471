//! Laws of provenance and explanations over random histories: they name the register whose value the profile has, patches with
//! sources name those of the provenance, and the hashes of members verify what a viewer sees.
//!
//! `LAW_SEED` repeats one history.

mod random_histories;

use std::sync::Arc;

use domain::day::Day;
use domain::delta::Delta;
use domain::id::{ProfileId, UserId};
use domain::mask_class::MaskClass;
use domain::pipeline::explain::{DecidingRule, ExplainedCandidate, explain, provenance};
use domain::pipeline::mask::{self, SourcedOperation};
use domain::pipeline::{ApplyOutcome, AssemblyContext, NewUser, apply, serialize};
use domain::schema_version::SchemaVersion;
use domain::state::UserState;
use domain::table::{FIELDS, Leaf, LeafSet, Owner};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::random_histories::{Random, document, event, masks, rules};

const HISTORIES: u64 = 300;

/// A change, the state before it, and the state that it leads to.
type Step = (Arc<Delta>, Arc<UserState>, Arc<UserState>);

/// Returns the last state of a random history, and its steps.
fn history(random: &mut Random) -> (Arc<UserState>, Vec<Step>) {
    let (user, rules) = (UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id"), rules());
    let context = AssemblyContext { rules: &rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let (mut state, mut steps): (Option<Arc<UserState>>, Vec<Step>) = (None, Vec::new());
    for _ in 0..random.below(20) + 1 {
        let new_user = || NewUser { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
        if let ApplyOutcome::Changed(change) = apply(state.as_ref(), new_user, &event(user, random), &context) {
            let finished = change.finish(&user, 1, 1);
            if let (Some(delta), Some(before)) = (finished.delta, state.take()) {
                steps.push((delta, before, Arc::clone(&finished.state)));
            }
            state = Some(finished.state);
        }
    }
    (state.expect("the first event makes a state"), steps)
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

/// Returns the leaf that an operation is about, by the names of a version; `None` for a whole section.
fn leaf_of(path: &str, schema: SchemaVersion) -> Option<Leaf> {
    let is_in = |pointer: &str| path == pointer || path.starts_with(&format!("{pointer}/"));
    let named = FIELDS.iter().filter_map(|field| Some((field.leaf, schema.path(field.leaf)?.replace('.', "/"))));
    named.into_iter().find(|(_, path)| is_in(&format!("/{path}"))).map(|(leaf, _)| leaf)
}

/// Checks that a patch with sources does what the patch without them does, and that each operation names the source that the
/// provenance of its leaf has in the state that the patch leads to.
fn check_sources((delta, before, after): &Step, class: MaskClass) {
    let sourced = mask::patch_with_sources(delta, class, after);
    let told = provenance(after, class.leaves());
    let text = serde_json::to_value(&sourced).expect("JSON");
    for (operation, members) in sourced.iter().zip(text.as_array().expect("a list")) {
        let path = members["path"].as_str().expect("a path");
        let leaf = leaf_of(path, class.schema());
        let source = leaf.and_then(|leaf| told.iter().find(|of| of.leaf == leaf)).map(|of| of.source.name());
        // What is removed has no value any more that a source could have said.
        let source = source.filter(|_| members["op"] != "remove");
        assert_eq!(operation.source, source, "{members}");
        assert_eq!(members.get("x-source").and_then(Value::as_str), source, "{members}");
        let mut plain: Map<String, Value> = members.as_object().expect("an object").clone();
        plain.remove("x-source");
        let SourcedOperation { operation, .. } = operation;
        assert_eq!(serde_json::to_value(operation).expect("JSON"), Value::from(plain), "the rest is the operation");
    }
    let mut expected = view(before, class);
    let mut followed = expected.clone();
    json_patch::patch(&mut expected, &mask::patch(delta, class)).expect("it applies");
    let parsed: json_patch::Patch = serde_json::from_value(text).expect("other members are ignored");
    json_patch::patch(&mut followed, &parsed).expect("it applies, too");
    assert_eq!(followed, expected, "both lead to the same document");
}

fn view(state: &UserState, class: MaskClass) -> Value {
    serde_json::from_slice(&serialize::view(state, class)).expect("JSON")
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let (state, steps) = history(&mut random);
    FIELDS.iter().for_each(|field| check_leaf(&state, field.leaf));
    for mask in masks(&mut random) {
        let leaves: LeafSet = provenance(&state, mask).iter().map(|told| told.leaf).collect();
        assert!(leaves.without(mask.and(state.profile.present())).is_empty(), "only what is seen has provenance");
        check_hashes(&state, mask);
        for step in &steps {
            SchemaVersion::ALL.iter().for_each(|schema| check_sources(step, MaskClass::for_version(mask, *schema)));
        }
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
