//! Registers and stamps: which source's value wins.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::time::{micros, rfc_3339};

/// The leaves of the sections that are merged leaf by leaf.
const LEAVES: [(&str, &[&str]); 6] = [
    ("identity", &["display_name", "age_bracket", "gender", "category", "verified_documents", "delegation_active"]),
    ("demographics", &["state", "district", "urban_rural", "pincode", "residency_years"]),
    ("economic", &["income_bracket", "employment_type", "tax_regime", "bpl_status", "ration_card_type"]),
    ("family", &["marital_status", "dependents", "members_count", "senior_citizen_dependents", "children_school_age"]),
    ("risk_scores", &["deadline_miss_risk", "benefit_lapse_risk", "tax_penalty_risk", "document_expiry_risk"]),
    ("consent", &["data_sharing_level", "analytics_opt_in", "third_party_sharing"]),
];

/// Returns the leaves of `section`.
pub(crate) fn leaves(section: &str) -> &'static [&'static str] {
    LEAVES.iter().find(|(name, _)| *name == section).expect("a section that is merged by leaf").1
}

/// Stamps are compared member by member, in this order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    pub(crate) observed_at_micros: i64,
    pub(crate) source: String,
    pub(crate) event_id: String,
    pub(crate) value_hash: [u8; 32],
}

/// The value that one source gave with one kind for one path; `None` if it was withdrawn.
pub(crate) struct Register {
    pub(crate) path: String,
    pub(crate) source: String,
    pub(crate) kind: String,
    pub(crate) stamp: Stamp,
    pub(crate) value: Option<Value>,
}

/// All registers of a user.
pub(crate) struct Registers(pub(crate) Vec<Register>);

impl Registers {
    /// Applies every event, keeps the write with the greatest stamp for each register, then applies the bounds.
    pub(crate) fn from_events(events: &[Value]) -> Self {
        let mut kept = BTreeMap::new();
        for write in events.iter().flat_map(writes) {
            let key = (write.path.clone(), write.source.clone(), write.kind.clone());
            match kept.get(&key) {
                Some(Register { stamp, .. }) if *stamp >= write.stamp => {}
                _ => drop(kept.insert(key, write)),
            }
        }
        let mut registers = Self(kept.into_values().collect());
        registers.keep_greatest("status/", 256);
        registers.keep_greatest("details/", 512);
        registers.keep_greatest("completion/", 512);
        registers
    }

    fn keep_greatest(&mut self, family: &str, bound: usize) {
        let mut stamps: Vec<_> =
            self.family(family).map(|(id, register)| (register.stamp.clone(), id.to_owned())).collect();
        stamps.sort();
        stamps.reverse();
        stamps.truncate(bound);
        self.0.retain(|register| match register.path.strip_prefix(family) {
            Some(id) => stamps.iter().any(|(_, kept)| kept == id),
            None => true,
        });
    }

    /// Returns the registers whose path is `family` followed by an id, with that id.
    pub(crate) fn family<'a>(&'a self, family: &'a str) -> impl Iterator<Item = (&'a str, &'a Register)> {
        self.0.iter().filter_map(move |register| Some((register.path.strip_prefix(family)?, register)))
    }

    /// Returns the candidate for `path` with the greatest (rank, confidence, stamp).
    pub(crate) fn winner(&self, path: &str) -> Option<&Register> {
        let candidates = self.0.iter().filter(|register| register.path == path && register.value.is_some());
        candidates.max_by(|a, b| {
            (rank(&a.kind).cmp(&rank(&b.kind)))
                .then(self.confidence(a).total_cmp(&self.confidence(b)))
                .then(a.stamp.cmp(&b.stamp))
        })
    }

    /// Returns the value that wins `path`.
    pub(crate) fn winning_value(&self, path: &str) -> Option<Value> {
        self.winner(path)?.value.clone()
    }

    fn confidence(&self, candidate: &Register) -> f64 {
        let in_force = self.0.iter().find(|register| register.path == "trust.source_confidence");
        let given = in_force.and_then(|register| register.value.as_ref()?.get(&candidate.source));
        let Some(given) = given else { return 0.5 };
        let (section, _) = candidate.path.split_once('.').unwrap_or((&candidate.path, ""));
        let named = given["fields"].as_array().expect("fields").iter().any(|field| {
            let field = field.as_str().expect("a dotted path");
            field == candidate.path || field == format!("{section}.*")
        });
        if named { given["confidence"].as_f64().expect("a number") } else { 0.5 }
    }
}

fn rank(kind: &str) -> u8 {
    match kind {
        "verified" | "user_provided" => 1,
        _ => 0,
    }
}

/// Returns every kind that `source` may claim; the default is the first.
fn kinds(source: &str) -> &'static [&'static str] {
    match source {
        "identity" => &["verified"],
        "self" => &["user_provided"],
        "metadata" => &["verified", "user_provided", "inferred"],
        _ => &["inferred"],
    }
}

/// Returns the registers that one event writes.
fn writes(event: &Value) -> Vec<Register> {
    let text = |member: &str| event[member].as_str().expect("a string member").to_owned();
    let source = text("source").rsplit('/').next().expect("a last segment").to_owned();
    let claimed = event.get("kind").and_then(Value::as_str).unwrap_or(kinds(&source)[0]);
    let mut writes = Vec::new();
    for (path, value) in assignments(event["type"].as_str().expect("a type"), &event["data"]) {
        let canonical = serde_json_canonicalizer::to_vec(&value).expect("canonical form");
        // A number such as `2.0` is kept in canonical form, as `2`.
        let value: Value = serde_json::from_slice(&canonical).expect("JSON");
        let withdrawn = value.is_null();
        let written_kinds = if withdrawn { kinds(&source) } else { &[claimed] };
        for kind in written_kinds {
            writes.push(Register {
                path: path.clone(),
                source: source.clone(),
                kind: (*kind).to_owned(),
                stamp: Stamp {
                    observed_at_micros: micros(&text("time")),
                    source: source.clone(),
                    event_id: text("id"),
                    value_hash: Sha256::digest(&canonical).into(),
                },
                value: (!withdrawn).then(|| value.clone()),
            });
        }
    }
    writes
}

/// Returns the path and value of everything in an event's `data`; `null` withdraws.
fn assignments(event_type: &str, data: &Value) -> Vec<(String, Value)> {
    let mut assigned = Vec::new();
    let id = |member: &str| data[member].as_str().expect("an id").to_owned();
    match event_type {
        "scheme.application.status_changed" => {
            assigned.push((format!("status/{}", id("scheme_id")), data["application_status"].clone()));
        }
        "deadline.completed" => {
            let completed_at = data["completed_at"].as_str().map(|time| rfc_3339(micros(time)));
            assigned.push((format!("completion/{}", id("deadline_id")), completed_at.into()));
        }
        "deadline.detected" => {
            assigned.push((format!("details/{}", id("deadline_id")), data.clone()));
        }
        _ => {
            for (member, value) in data.as_object().expect("an object") {
                assign_member(event_type, member, value, &mut assigned);
            }
        }
    }
    assigned
}

fn assign_member(event_type: &str, member: &str, value: &Value, assigned: &mut Vec<(String, Value)>) {
    match (event_type, member) {
        ("identity.verified", "registration") => {}
        ("identity.verified", "address") => {
            assign_leaves("demographics", &["state", "district", "pincode"], value, assigned);
        }
        (_, "fields") => {
            for (section, value) in value.as_object().expect("an object") {
                assign_leaves(section, leaves(section), value, assigned);
            }
        }
        (_, "identity" | "risk_scores") => assign_leaves(member, leaves(member), value, assigned),
        (_, "identity_token" | "cohort_tags") => assigned.push((member.to_owned(), as_kept(member, value))),
        (_, "schemes") => assigned.push(("eligibility.batch".to_owned(), by_scheme_id(value))),
        ("trust.score.updated", _) => assigned.push((format!("trust.{member}"), value.clone())),
        ("prediction.generated", _) => assigned.push((format!("predictions.{member}"), value.clone())),
        ("analytics.cohort.computed", _) => assigned.push((format!("analytics.{member}"), value.clone())),
        ("user.consent.updated", _) => assigned.push((format!("consent.{member}"), value.clone())),
        other => panic!("no rule for {other:?}"),
    }
}

fn assign_leaves(section: &str, all: &[&str], value: &Value, assigned: &mut Vec<(String, Value)>) {
    if value.is_null() {
        assigned.extend(all.iter().map(|leaf| (format!("{section}.{leaf}"), Value::Null)));
        return;
    }
    for (leaf, value) in value.as_object().expect("an object") {
        assigned.push((format!("{section}.{leaf}"), as_kept(leaf, value)));
    }
}

/// Returns the value as a register keeps it: sets are sorted bytewise, without repeats.
fn as_kept(leaf: &str, value: &Value) -> Value {
    let mut kept = value.clone();
    if let ("verified_documents" | "cohort_tags", Value::Array(items)) = (leaf, &mut kept) {
        items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        items.dedup();
    }
    kept
}

fn by_scheme_id(schemes: &Value) -> Value {
    let mut kept = schemes.clone();
    if let Value::Array(items) = &mut kept {
        items.sort_by(|a, b| a["scheme_id"].as_str().cmp(&b["scheme_id"].as_str()));
    }
    kept
}
