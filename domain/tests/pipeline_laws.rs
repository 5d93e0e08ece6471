//! Laws of the pipeline over random histories: patches apply under every mask, records replay, packing is lossless.
//!
//! `LAW_SEED` repeats one history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::canonical::CanonicalJson;
use domain::day::Day;
use domain::event::{FeedEvent, RegisterPath, Write};
use domain::id::{ProfileId, UserId};
use domain::pipeline::{Birth, Context, Finished, Outcome, Rolled, apply, mask, roll, serialize};
use domain::port::store::{Fold, Stored};
use domain::record::{Replay, entries, hydrate, pack, replay, unpack};
use domain::rules::{Limits, NotApplicable, Rules};
use domain::source::{Kind, Source};
use domain::state::UserState;
use domain::table::{FIELDS, Leaf, LeafSet, Owner, SetOf, ValueType};
use serde_json::Value;

const HISTORIES: u64 = 400;

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

fn rules() -> Rules {
    let districts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    Rules {
        zone: jiff::tz::TimeZone::get("Asia/Kolkata").expect("the zone is bundled"),
        districts: BTreeMap::from([
            ("karnataka".to_owned(), districts(&["mysuru", "udupi"])),
            ("kerala".to_owned(), districts(&["kochi"])),
        ]),
        not_applicable: vec![NotApplicable {
            leaf: Leaf::EconomicTaxRegime,
            when: Leaf::EconomicEmploymentType,
            is_one_of: vec!["\"unemployed\"".to_owned()],
        }],
        limits: Limits::default(),
    }
}

/// A random value of a leaf, in the form that validation would give it.
fn value(leaf: Leaf, random: &mut Random) -> CanonicalJson {
    let text = match leaf.field().value {
        ValueType::Bool => return CanonicalJson::bool(random.below(2) == 0),
        ValueType::Integer { min, .. } => return CanonicalJson::integer(min + random.below(4) as i64),
        ValueType::Fraction => return CanonicalJson::number(random.below(5) as f64 / 10.0),
        ValueType::Enum(words) => return CanonicalJson::string(words[random.below(words.len() as u64) as usize]),
        ValueType::State => *random.pick(&["\"karnataka\"", "\"kerala\"", "\"goa\""]),
        ValueType::Slug => *random.pick(&["\"mysuru\"", "\"udupi\"", "\"kochi\""]),
        ValueType::Pincode => *random.pick(&["\"560001\"", "\"682001\""]),
        ValueType::Token => *random.pick(&["\"tok_1\"", "\"tok_2\""]),
        ValueType::DisplayName => *random.pick(&["\"Rajesh K.\"", "\"Éva \\\"Q\\\" S.\""]),
        ValueType::Set(SetOf::Documents) => *random.pick(&["[\"aadhaar\"]", "[\"aadhaar\",\"pan\"]", "[]"]),
        ValueType::Set(SetOf::Tags) => *random.pick(&["[\"a\"]", "[\"a\",\"b\"]"]),
        ValueType::PredictedEvents => {
            r#"[{"confidence":0.5,"estimated_date":"2026-06-01","event":"x","related_schemes":[]}]"#
        }
        ValueType::RecommendedActions => r#"[{"action":"apply","priority":1,"reason":"r"}]"#,
        ValueType::SourceTrace => {
            *random.pick(&["{\"identity\":\"verified_2026-01-10\"}", "{\"schemes\":\"x\",\"zeta\":\"y\"}"])
        }
        ValueType::Schemes => return schemes(random),
        other => panic!("{other:?} is derived"),
    };
    CanonicalJson::from_canonical(text)
}

/// Lists that differ in an item or two, with names long enough for fine operations to pay.
fn schemes(random: &mut Random) -> CanonicalJson {
    let mut list = Vec::new();
    for id in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        if random.below(4) > 0 {
            let status = if random.below(6) == 0 { "active" } else { "not_applied" };
            let benefit = if random.below(6) == 0 { "\"annual_benefit_inr\":6000," } else { "" };
            let name = format!("A scheme, [called] {{{id}}}, {}", "x".repeat(150));
            list.push(format!(
                "{{{benefit}\"application_status\":\"{status}\",\"confidence\":0.5,\"matched_rules\":[\"r\"],\"scheme_id\":\"{id}\",\"scheme_name\":\"{name}\"}}"
            ));
        }
    }
    CanonicalJson::from_canonical(format!("[{}]", list.join(",")))
}

fn leaf_writes(source: Source, random: &mut Random) -> Vec<Write> {
    let writable = |leaf: &Leaf| match leaf.field().owner {
        Owner::Source(owner) => owner == source,
        Owner::Shared => matches!(source, Source::Identity | Source::Metadata | Source::SelfEdit),
        Owner::Derived => false,
    };
    let leaves: Vec<Leaf> = FIELDS.iter().map(|field| field.leaf).filter(writable).collect();
    let kind = *random.pick(source.kinds());
    let mut writes: Vec<Write> = Vec::new();
    for leaf in leaves {
        if random.below(3) == 0 {
            let path = RegisterPath::Leaf(leaf);
            if random.below(6) == 0 {
                writes.extend(source.kinds().iter().map(|kind| Write { path: path.clone(), kind: *kind, value: None }));
            } else {
                writes.push(Write { path, kind, value: Some(value(leaf, random)) });
            }
        }
    }
    writes
}

fn event(user: UserId, random: &mut Random) -> FeedEvent {
    let source = *random.pick(&Source::ALL);
    let one = |path, value: &str| {
        vec![Write { path, kind: Kind::Inferred, value: Some(CanonicalJson::from_canonical(value.to_owned())) }]
    };
    let writes = match source {
        Source::Schemes => one(RegisterPath::SchemeStatus((*random.pick(&["a", "b", "z"])).into()), "\"approved\""),
        Source::Deadlines => {
            let id = *random.pick(&["d1", "d2", "d3"]);
            if random.below(3) == 0 {
                one(RegisterPath::DeadlineCompletion(id.into()), "\"2026-01-20T06:58:00Z\"")
            } else {
                let due = *random.pick(&["2025-01-25", "2026-01-15", "2026-01-21", "2026-01-23", "2026-03-01"]);
                let details = format!(
                    "{{\"action_url\":\"/x?\\\"deadline_id\\\":\",\"deadline_id\":\"{id}\",\"description\":\"D\",\"due_date\":\"{due}\",\"priority\":\"low\",\"type\":\"t\"}}"
                );
                one(RegisterPath::DeadlineDetails(id.into()), &details)
            }
        }
        Source::Trust if random.below(2) == 0 => one(
            RegisterPath::SourceConfidence,
            "{\"metadata\":{\"confidence\":0.9,\"fields\":[\"economic.*\",\"family.dependents\"]}}",
        ),
        Source::Analytics if random.below(3) == 0 => one(RegisterPath::AggregatedMetrics, "{\"n\":1}"),
        _ => leaf_writes(source, random),
    };
    let base = 1_767_225_600_000_000; // 2026-01-01T00:00:00Z
    FeedEvent {
        id: format!("e{}", random.below(20)).into(),
        source,
        user,
        time: base + (random.below(40) * 13 * 3_600) as i64 * 1_000_000,
        registration: false,
        writes,
    }
}

/// A few masks, from nothing to everything.
fn masks(random: &mut Random) -> Vec<LeafSet> {
    let some =
        |random: &mut Random| FIELDS.iter().map(|f| f.leaf).filter(|_| random.below(2) == 0).collect::<LeafSet>();
    vec![LeafSet::EMPTY, LeafSet::ALL, some(random), some(random), LeafSet::only(random.pick(&FIELDS).leaf)]
}

fn document(state: &UserState, mask: LeafSet) -> Value {
    serde_json::from_slice(&serialize::view(state, mask)).expect("a view is JSON")
}

/// Applies a masked patch and the envelope as a client would.
fn follow(before: &UserState, finished: &Finished, mask: LeafSet) -> Value {
    let mut followed = document(before, mask);
    if let Some(delta) = &finished.delta {
        let patch = mask::patch(delta, mask);
        json_patch::patch(&mut followed, &patch).unwrap_or_else(|error| panic!("{error}: {patch}"));
        let envelope: Value = serde_json::from_str(&serialize::envelope(&finished.state)).expect("an envelope is JSON");
        for (name, value) in envelope.as_object().expect("an object") {
            followed[name] = value.clone();
        }
    }
    followed
}

fn check_step(before: Option<&Arc<UserState>>, finished: &Finished, random: &mut Random) {
    let after = &finished.state;
    let replayed = replay(before.map(|state| UserState::clone(state)), &finished.body).expect("a record replays");
    assert_eq!(pack(&replayed), pack(after), "replay gives the state");
    let unpacked = unpack(pack(after)).expect("a packed state unpacks");
    assert_eq!(pack(&unpacked), pack(after), "packing is lossless");
    assert_eq!((&unpacked.profile, &unpacked.documents), (&after.profile, &after.documents));
    let view = serialize::view(after, LeafSet::ALL);
    let canonical = serde_json_canonicalizer::to_vec(&document(after, LeafSet::ALL)).expect("canonical");
    assert_eq!(String::from_utf8(view), String::from_utf8(canonical), "a view is its own canonical form");
    let Some(before) = before else { return };
    for mask in masks(random) {
        assert_eq!(follow(before, finished, mask), document(after, mask), "a masked patch gives the next masked view");
    }
}

fn run_history(seed: u64) {
    let mut random = Random(seed);
    let rules = rules();
    let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
    let mut context = Context { rules: &rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let mut state: Option<Arc<UserState>> = None;
    let mut frames: Vec<Vec<u8>> = Vec::new();
    for _ in 0..random.below(40) + 1 {
        let turn = random.below(8) == 0;
        context.day.0 += i32::from(turn) * random.below(40) as i32;
        if let Some(before) = state.as_ref().filter(|_| turn) {
            match roll(before, &context) {
                Rolled::Same(same) => {
                    assert_eq!((same.day, same.sequence), (context.day, before.sequence));
                    assert_eq!(same.profile, before.profile);
                    state = Some(same);
                }
                Rolled::Changed(change) => {
                    let finished = change.finish(0, 7);
                    check_step(Some(before), &finished, &mut random);
                    frames.push(finished.body);
                    state = Some(finished.state);
                }
            }
        }
        let event = event(user, &mut random);
        if event.writes.is_empty() {
            continue;
        }
        let birth = || Birth { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
        match apply(state.as_ref(), birth, &event, &context) {
            Outcome::Changed(change) => {
                let finished = change.finish(event.time, 1234);
                check_step(state.as_ref(), &finished, &mut random);
                frames.push(finished.body);
                state = Some(finished.state);
                let again = apply(state.as_ref(), birth, &event, &context);
                assert!(matches!(again, Outcome::Duplicate), "the same event again is a duplicate");
            }
            Outcome::Duplicate | Outcome::Unchanged => {}
        }
    }
    check_history(state, &frames, &mut random);
}

/// Hydration from any split into checkpoint and frames gives the same state, and history leads back to the beginning.
fn check_history(state: Option<Arc<UserState>>, frames: &[Vec<u8>], random: &mut Random) {
    let Some(state) = state else { return };
    let split = random.below(frames.len() as u64 + 1) as usize;
    let mut stored = Stored { generation: 1, sequence: state.sequence, state: None, frames: frames[split..].to_vec() };
    let mut tail = Vec::new();
    let mut history = Vec::new();
    if split > 0 {
        let folded = Replay.fold(None, None, &frames[..split]).expect("frames fold");
        history.extend(folded.closed.iter().flat_map(|block| entries(&block.body).expect("a block reads")));
        (stored.state, tail) = (Some(folded.state), folded.tail);
    }
    let hydrated = hydrate(stored.clone()).expect("bodies are ours").expect("there is a state");
    assert_eq!((&hydrated.profile, &hydrated.documents), (&state.profile, &state.documents));
    assert_eq!((hydrated.envelope, hydrated.changed_at), (state.envelope, state.changed_at));
    if split < frames.len() {
        let folded = Replay.fold(stored.state.as_deref(), Some(&tail), &frames[split..]).expect("frames fold");
        history.extend(folded.closed.iter().flat_map(|block| entries(&block.body).expect("a block reads")));
        tail = folded.tail;
    }
    history.extend(entries(&tail).expect("a tail reads"));
    let revisions: Vec<u64> = history.iter().map(|entry| entry.revision).collect();
    assert_eq!(revisions, (1..=state.envelope.revision).collect::<Vec<_>>(), "no revision is missing");
    let mut profile = state.profile.clone();
    for entry in history.iter().rev() {
        for (leaf, value) in &entry.before {
            profile.set(*leaf, value.clone());
        }
    }
    assert_eq!(profile.present(), LeafSet::EMPTY, "undoing everything leaves nothing");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test takes its seed from the environment")]
fn random_histories_keep_the_laws() {
    if let Ok(seed) = std::env::var("LAW_SEED") {
        return run_history(seed.parse().expect("LAW_SEED is a number"));
    }
    for seed in 0..HISTORIES {
        let failed = std::panic::catch_unwind(|| run_history(seed)).is_err();
        assert!(!failed, "the laws do not hold: repeat with LAW_SEED={seed}");
    }
}

#[test]
fn the_root_hash_is_the_same_incrementally_and_from_scratch() {
    let rules = rules();
    let user = UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id");
    let context = Context { rules: &rules, rules_fingerprint: 1, policy_version: 1, day: Day(20_470) };
    let birth = || Birth { profile_id: ProfileId::from_random([3; 16]), integrity_key: [9; 16] };
    for seed in 0..50 {
        let mut random = Random(seed);
        let (mut warm, mut cold): (Option<Arc<UserState>>, Option<Arc<UserState>>) = (None, None);
        for _ in 0..20 {
            let event = event(user, &mut random);
            let step = |state: Option<&Arc<UserState>>| match apply(state, birth, &event, &context) {
                Outcome::Changed(change) => Some(change.finish(event.time, 0).state),
                _ => state.cloned(),
            };
            if event.writes.is_empty() {
                continue;
            }
            warm = step(warm.as_ref());
            cold = step(cold.as_ref()).map(|state| Arc::new(unpack(pack(&state)).expect("unpacks")));
            let hash = |state: &Option<Arc<UserState>>| state.as_ref().map(|state| state.envelope.profile_hash);
            assert_eq!(hash(&warm), hash(&cold), "seed {seed}");
        }
    }
}
