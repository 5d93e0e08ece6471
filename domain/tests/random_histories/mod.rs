//! Random events over the whole field table, for the laws.

#![allow(dead_code, reason = "each test binary takes what it needs")]

use std::collections::{BTreeMap, BTreeSet};

use domain::canonical::CanonicalJson;
use domain::event::{FeedEvent, RegisterPath, RegisterWrite};
use domain::id::UserId;
use domain::mask_class::MaskClass;
use domain::pipeline::serialize;
use domain::port::journal::Record;
use domain::port::retention::SideRecords;
use domain::port::store::{Fold, LoadVisitor, SideChanges, SideKey, SideKind, SideRecord, StoreError};
use domain::record::Replay;
use domain::rules::{Limits, NotApplicable, Rules};
use domain::source::{Source, ValueKind};
use domain::splitmix64;
use domain::state::UserState;
use domain::table::{FIELDS, Leaf, LeafSet, Owner, SetOf, ValueType};
use serde_json::Value;

/// A random generator with a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        splitmix64::next(&mut self.0)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

/// The stored data of one user.
#[derive(Clone, Default)]
pub(crate) struct Stored {
    pub(crate) state: Option<Vec<u8>>,
    /// The history blocks, and the bases of those but the first.
    pub(crate) blocks: BTreeMap<u64, SideRecord>,
    pub(crate) bases: BTreeMap<u64, Vec<u8>>,
    /// Side records of other kinds.
    pub(crate) others: BTreeMap<SideKey, Vec<u8>>,
    pub(crate) frames: Vec<Record>,
}

impl Stored {
    /// Folds `frames` into state, blocks and bases, as a checkpoint does.
    pub(crate) fn fold(&mut self, frames: &[Record]) {
        let open = self.blocks.values().next_back().filter(|block| {
            let is_closed = self.bases.keys().next_back().is_some_and(|number| *number > block.key.number);
            !is_closed
        });
        let state = Replay.replay(self.state.as_deref(), frames).expect("frames replay");
        let changes = Replay.keep_history(&state, open.cloned(), frames).expect("frames are kept");
        assert!(changes.put.is_sorted_by(|one, next| one.key < next.key));
        self.state = Some(state);
        self.apply(changes);
    }

    /// Changes side records as a store does.
    pub(crate) fn apply(&mut self, changes: SideChanges) {
        let SideChanges { put, remove } = changes;
        for key in remove {
            match key.kind {
                SideKind::HISTORY => drop(self.blocks.remove(&key.number)),
                SideKind::BASE => drop(self.bases.remove(&key.number)),
                _ => drop(self.others.remove(&key)),
            }
        }
        for record in put {
            match record.key.kind {
                SideKind::HISTORY => drop(self.blocks.insert(record.key.number, record)),
                SideKind::BASE => drop(self.bases.insert(record.key.number, record.body)),
                _ => drop(self.others.insert(record.key, record.body)),
            }
        }
    }

    /// Passes everything to a visitor, as a store does.
    pub(crate) fn visit(&self, visitor: &mut dyn LoadVisitor) {
        visitor.checkpoint(self.state.clone()).expect("bodies are ours");
        let kind = visitor.side_kind();
        if kind == Some(SideKind::BASE) {
            for (number, body) in &self.bases {
                let record = SideRecord { key: SideKey { kind: SideKind::BASE, number: *number }, body: body.clone() };
                visitor.side_record(record).expect("bodies are ours");
            }
        }
        for (key, body) in self.others.iter().filter(|(key, _)| Some(key.kind) == kind) {
            let record = SideRecord { key: *key, body: body.clone() };
            visitor.side_record(record).expect("bodies are ours");
        }
        if visitor.needs_history() {
            let mut accepts = |body: &Vec<u8>| visitor.base(body.clone()).expect("bodies are ours");
            let start = self.bases.iter().rev().find_map(|(number, body)| accepts(body).then_some(*number));
            for block in self.blocks.range(start.unwrap_or(0)..).map(|(_, block)| block) {
                visitor.block(&block.body).expect("bodies are ours");
            }
        }
        for frame in &self.frames {
            if !visitor.is_done() {
                visitor.frame(frame).expect("bodies are ours");
            }
        }
    }
}

impl SideRecords for Stored {
    fn keys(&self, kind: SideKind) -> Result<Vec<SideKey>, StoreError> {
        let key = |number: &u64| SideKey { kind, number: *number };
        Ok(match kind {
            SideKind::HISTORY => self.blocks.keys().map(key).collect(),
            SideKind::BASE => self.bases.keys().map(key).collect(),
            _ => self.others.keys().filter(|key| key.kind == kind).copied().collect(),
        })
    }

    fn read(&self, key: SideKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match key.kind {
            SideKind::HISTORY => self.blocks.get(&key.number).map(|block| block.body.clone()),
            SideKind::BASE => self.bases.get(&key.number).cloned(),
            _ => self.others.get(&key).cloned(),
        })
    }
}

/// Returns rules with a few districts, and one leaf that is not required.
pub(crate) fn rules() -> Rules {
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
        schemes_waiting: Default::default(),
        limits: Limits::default(),
    }
}

/// Returns a random value of a leaf, in the form that validation would give it.
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

/// Returns lists that differ in an item or two, with names long enough for fine operations to be shorter.
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

fn leaf_writes(source: Source, random: &mut Random) -> Vec<RegisterWrite> {
    let writable = |leaf: &Leaf| match leaf.field().owner {
        Owner::Source(owner) => owner == source,
        Owner::Shared => matches!(source, Source::Identity | Source::Metadata | Source::SelfEdit),
        Owner::Derived => false,
    };
    let leaves: Vec<Leaf> = FIELDS.iter().map(|field| field.leaf).filter(writable).collect();
    let kind = *random.pick(source.kinds());
    let mut writes: Vec<RegisterWrite> = Vec::new();
    for leaf in leaves {
        if random.below(3) == 0 {
            let path = RegisterPath::Leaf(leaf);
            if random.below(6) == 0 {
                writes.extend(source.kinds().iter().map(|kind| RegisterWrite {
                    path: path.clone(),
                    kind: *kind,
                    value: None,
                }));
            } else {
                writes.push(RegisterWrite { path, kind, value: Some(value(leaf, random)) });
            }
        }
    }
    writes
}

/// Returns a random event of any source.
pub(crate) fn event(user: UserId, random: &mut Random) -> FeedEvent {
    let source = *random.pick(&Source::ALL);
    let one = |path, value: &str| {
        vec![RegisterWrite {
            path,
            kind: ValueKind::Inferred,
            value: Some(CanonicalJson::from_canonical(value.to_owned())),
        }]
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
        person: (random.below(4) == 0).then(|| user.as_str().into()),
        registration: false,
        writes,
    }
}

/// Returns a few masks, from nothing to everything.
pub(crate) fn masks(random: &mut Random) -> Vec<LeafSet> {
    let some =
        |random: &mut Random| FIELDS.iter().map(|f| f.leaf).filter(|_| random.below(2) == 0).collect::<LeafSet>();
    vec![LeafSet::EMPTY, LeafSet::ALL, some(random), some(random), LeafSet::only(random.pick(&FIELDS).leaf)]
}

/// Returns the masked document, parsed.
pub(crate) fn document(state: &UserState, mask: LeafSet) -> Value {
    serde_json::from_slice(&serialize::view(state, MaskClass::for_profile(mask))).expect("a view is JSON")
}
