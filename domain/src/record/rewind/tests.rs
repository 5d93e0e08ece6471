use super::*;
use crate::canonical::CanonicalJson;
use crate::day::Day;
use crate::id::ProfileId;
use crate::profile::Profile;
use crate::record::codec::Writer;
use crate::record::entry::write_entry;
use crate::record::leaf_value::LeafValue;
use crate::record::{Cause, HistoryEntry, pack};
use crate::state::NewGeneration;
use crate::table::{Leaf, LeafSet};

/// Returns a profile whose list of schemes has a status that changes, and whose tax regime comes and goes.
fn profile(revision: u64) -> Profile {
    let scheme = |id: &str, status: &str| {
        let name = id.repeat(40);
        format!(r#"{{"application_status":"{status}","scheme_id":"{id}","scheme_name":"{name}"}}"#)
    };
    let status = ["active", "applied", "rejected"][revision as usize % 3];
    let list = format!("[{},{},{}]", scheme("a", "active"), scheme("b", status), scheme("c", "applied"));
    let mut profile = Profile::default();
    profile.set(Leaf::EligibilityEligibleSchemes, Some(CanonicalJson::from_canonical(list)));
    profile.set(Leaf::EconomicTaxRegime, revision.is_multiple_of(2).then(|| CanonicalJson::string("old")));
    profile
}

/// Returns the entry that leads from one revision to another, which need not be the next one.
fn entry(base: u64, revision: u64) -> HistoryEntry {
    let (old, new) = (profile(base), profile(revision));
    let differing = LeafSet::ALL.iter().filter(|leaf| old.get(*leaf) != new.get(*leaf));
    HistoryEntry {
        base,
        revision,
        cause: Cause::Roll,
        generated_at: 0,
        assembly_latency_micros: 0,
        day: Day(0),
        salt_count_before: 0,
        before: differing.clone().map(|leaf| (leaf, LeafValue::between(leaf, &new, old.get(leaf)))).collect(),
        changed_before: differing.collect::<LeafSet>().members().map(|member| (member, 0)).collect(),
    }
}

/// Merges two neighbours, as the history's form allows: of each leaf, the oldest value stays.
fn merge(older: &HistoryEntry, newer: &HistoryEntry) -> HistoryEntry {
    assert_eq!(older.revision, newer.base);
    let made = profile(newer.revision);
    let mut past = PastProfile::from_state(&state(newer.revision));
    newer.undo(&mut past).expect("the newest revision");
    older.undo(&mut past).expect("the one before");
    let before = past.profile;
    let leaves: LeafSet = older.before.iter().chain(&newer.before).map(|(leaf, _)| *leaf).collect();
    let before = leaves.iter().map(|leaf| (leaf, LeafValue::between(leaf, &made, before.get(leaf)))).collect();
    let changed_before = leaves.members().map(|member| (member, 0)).collect();
    HistoryEntry { base: older.base, before, changed_before, ..newer.clone() }
}

/// Returns the state at a revision.
fn state(revision: u64) -> UserState {
    let generation = NewGeneration {
        profile_id: ProfileId::from_random([1; 16]),
        integrity_key: [2; 16],
        generation: 1,
        first_revision: 1,
        day: Day(0),
        rules: 1,
        policy: 1,
    };
    let mut state = UserState { profile: profile(revision), ..UserState::new(generation) };
    state.envelope.revision = revision;
    state
}

fn rewind(head: u64, history: &[HistoryEntry], revision: u64) -> Option<Profile> {
    let mut rewind = Rewind::new(revision);
    rewind.checkpoint(Some(pack(&state(head)))).expect("a state");
    for entry in history.iter().rev() {
        let mut block = Writer(Vec::new());
        write_entry(&mut block, entry);
        rewind.block(&block.0).expect("a block");
    }
    rewind.finish().past.map(|past| past.profile)
}

#[test]
fn merged_entries_lead_to_their_base_and_over_the_revisions_between() {
    let all: Vec<_> = (1..=6).map(|revision| entry(revision - 1, revision)).collect();
    let merged = merge(&merge(&all[2], &all[3]), &all[4]);
    assert_eq!((merged.base, merged.revision), (2, 5));
    let thinned = [all[0].clone(), all[1].clone(), merged, all[5].clone()];
    for revision in 1..=6 {
        assert_eq!(rewind(6, &all, revision), Some(profile(revision)), "{revision}");
        let expected = (!(3..=4).contains(&revision)).then(|| profile(revision));
        assert_eq!(rewind(6, &thinned, revision), expected, "{revision}");
    }
    // An entry that is missing between two others is not taken for a merged one.
    let gap = [all[0].clone(), all[1].clone(), all[4].clone(), all[5].clone()];
    assert_eq!((rewind(6, &gap, 4), rewind(6, &gap, 3), rewind(6, &gap, 2)), (Some(profile(4)), None, None));
}

#[test]
fn an_entry_without_a_base_before_it_is_refused() {
    let mut block = Writer(Vec::new());
    write_entry(&mut block, &entry(0, 1));
    for steps in [0, 2] {
        // The format, the revision and its distance from the base take a byte each.
        block.0[2] = steps;
        assert_eq!(entries(&block.0), Err(DecodeError::Unknown { what: "base of a revision" }));
    }
}
