//! What each engine sends: the `data` of every event type.

use serde_json::{Map, Value, json};

use super::values::{self, leaf_value};
use super::{day_near, time};
use crate::random::Random;

/// A feed event type.
#[derive(Clone, Copy)]
pub(super) enum Engine {
    Identity,
    Metadata,
    Citizen,
    Eligibility,
    Schemes,
    Detected,
    Completed,
    Trust,
    Predictions,
    Analytics,
    Consent,
}

const STATUSES: [&str; 7] = ["not_applied", "applied", "under_review", "approved", "rejected", "active", "lapsed"];

impl Engine {
    /// Metadata is drawn twice as often, because it has three kinds.
    pub(super) const ALL: [Self; 12] = [
        Self::Identity,
        Self::Metadata,
        Self::Metadata,
        Self::Citizen,
        Self::Eligibility,
        Self::Schemes,
        Self::Detected,
        Self::Completed,
        Self::Trust,
        Self::Predictions,
        Self::Analytics,
        Self::Consent,
    ];

    /// The types that write the shared paths, and trust scores, which decide between them.
    pub(super) const SHARING: [Self; 4] = [Self::Metadata, Self::Citizen, Self::Identity, Self::Trust];

    pub(super) fn source(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Metadata => "metadata",
            Self::Citizen => "self",
            Self::Eligibility => "eligibility",
            Self::Schemes => "schemes",
            Self::Detected | Self::Completed => "deadlines",
            Self::Trust => "trust",
            Self::Predictions => "predictions",
            Self::Analytics => "analytics",
            Self::Consent => "consent",
        }
    }

    pub(super) fn event_type(self) -> &'static str {
        match self {
            Self::Identity => "identity.verified",
            Self::Metadata => "user.metadata.updated",
            Self::Citizen => "user.profile.edited",
            Self::Eligibility => "eligibility.batch.computed",
            Self::Schemes => "scheme.application.status_changed",
            Self::Detected => "deadline.detected",
            Self::Completed => "deadline.completed",
            Self::Trust => "trust.score.updated",
            Self::Predictions => "prediction.generated",
            Self::Analytics => "analytics.cohort.computed",
            Self::Consent => "user.consent.updated",
        }
    }

    /// Returns the kinds that an event of this type may claim.
    pub(super) fn kinds(self) -> &'static [&'static str] {
        match self {
            Self::Identity => &["verified"],
            Self::Metadata => &["verified", "user_provided", "inferred", "inferred"],
            Self::Citizen => &["user_provided"],
            _ => &["inferred"],
        }
    }

    pub(super) fn data(self, hot_leaves: &[&'static str], random: &mut Random) -> Value {
        let deadline_id = random.pick(&["dl_itr", "dl_ration", "dl_pan"]);
        match self {
            Self::Identity => identity(random),
            Self::Metadata | Self::Citizen => fields(hot_leaves, random),
            Self::Eligibility => {
                let schemes = random.below(5);
                batch(random, schemes)
            }
            Self::Schemes => {
                let number = random.below(5);
                status_of(number, random)
            }
            Self::Detected => deadline_detected(deadline_id, random),
            Self::Completed => deadline_completed(deadline_id, random),
            Self::Trust => trust(hot_leaves, random),
            Self::Predictions => predictions(random),
            Self::Analytics => analytics(random),
            Self::Consent => Value::Object(leaves("consent", values::CONSENT_LEAVES, random)),
        }
    }
}

/// Returns values for one to three of the leaves `all` of `section`; sometimes one is withdrawn.
fn leaves(section: &str, all: &[&'static str], random: &mut Random) -> Map<String, Value> {
    let count = 1 + random.below(all.len().min(3));
    let mut chosen = Map::new();
    for _ in 0..count {
        let leaf = random.pick(all);
        let value = if random.one_in(5) { Value::Null } else { leaf_value(&format!("{section}.{leaf}"), random) };
        chosen.insert(leaf.to_owned(), value);
    }
    chosen
}

fn leaves_or_null(section: &str, all: &[&'static str], random: &mut Random) -> Value {
    if random.one_in(10) { Value::Null } else { Value::Object(leaves(section, all, random)) }
}

fn identity(random: &mut Random) -> Value {
    let mut data = Map::new();
    if random.one_in(3) {
        let token = random.pick(&["tok_aaaa1111", "tok_bbbb2222"]);
        let value = if random.one_in(6) { Value::Null } else { json!(token) };
        data.insert("identity_token".to_owned(), value);
    }
    if random.one_in(2) {
        let address = leaves_or_null("demographics", &["state", "district", "pincode"], random);
        data.insert("address".to_owned(), address);
    }
    if data.is_empty() || random.one_in(2) {
        data.insert("identity".to_owned(), leaves_or_null("identity", values::IDENTITY_LEAVES, random));
    }
    if random.one_in(8) {
        data.insert("registration".to_owned(), json!(true));
    }
    Value::Object(data)
}

fn fields(hot_leaves: &[&'static str], random: &mut Random) -> Value {
    let mut fields = Map::new();
    for _ in 0..=random.below(2) {
        let (section, hot) = random.pick(hot_leaves).split_once('.').expect("a dotted path");
        let value = match random.below(12) {
            0 => Value::Null,
            1 => Value::Object(leaves(section, values::leaves_of(section), random)),
            _ => Value::Object(leaves(section, &[hot], random)),
        };
        fields.insert(section.to_owned(), value);
    }
    json!({ "fields": fields })
}

/// Returns a batch of the first schemes, a few left out, in any order.
pub(super) fn batch(random: &mut Random, schemes: usize) -> Value {
    if random.one_in(12) {
        return json!({ "schemes": null });
    }
    let mut listed = Vec::new();
    for number in 0..schemes {
        if random.one_in(4) {
            continue;
        }
        let mut scheme = json!({
            "scheme_id": format!("sch_{number}"),
            "scheme_name": random.pick(&["PM-KISAN", "\"PMAY\" \\ प्रधानमंत्री"]),
            "confidence": random.pick_number(&[0, 25, 71, 100]) as f64 / 100.0,
            "matched_rules": (0..random.below(3)).map(|_| random.pick(&["rule_b", "rule_a"])).collect::<Vec<_>>(),
            "application_status": random.pick(&STATUSES),
        });
        if random.one_in(2) {
            scheme["deadline"] = json!(day_near(random).to_string());
        }
        if random.one_in(2) {
            scheme["annual_benefit_inr"] = json!(random.pick_number(&[0, 6_000, 120_000]) as f64);
        }
        listed.push(scheme);
    }
    random.shuffle(&mut listed);
    json!({ "schemes": listed })
}

pub(super) fn status_of(number: usize, random: &mut Random) -> Value {
    let status = if random.one_in(8) { Value::Null } else { json!(random.pick(&STATUSES)) };
    json!({ "scheme_id": format!("sch_{number}"), "application_status": status })
}

pub(super) fn deadline_detected(id: &str, random: &mut Random) -> Value {
    json!({
        "deadline_id": id,
        "type": random.pick(&["tax_filing", "renewal"]),
        "description": random.pick(&["ITR filing deadline", "Renew ration card"]),
        "due_date": day_near(random).to_string(),
        "priority": random.pick(&["low", "critical"]),
        "action_url": "/tax/file",
    })
}

pub(super) fn deadline_completed(id: &str, random: &mut Random) -> Value {
    let completed_at = if random.one_in(10) { Value::Null } else { json!(time(random)) };
    json!({ "deadline_id": id, "completed_at": completed_at })
}

fn trust(hot_leaves: &[&'static str], random: &mut Random) -> Value {
    let mut data = Map::new();
    if random.one_in(3) {
        let value = if random.one_in(4) { Value::Null } else { json!(random.pick(&["low", "medium", "high"])) };
        data.insert("overall_confidence".to_owned(), value);
    }
    if random.one_in(3) {
        let mut trace = Map::new();
        for _ in 0..random.below(3) {
            let source = random.pick(&["identity", "metadata", "schemes", "trust"]);
            let word = random.pick(&["verified", "synced", "computed"]);
            trace.insert(source.to_owned(), json!(format!("{word}_{}", day_near(random))));
        }
        let value = if random.one_in(5) { Value::Null } else { Value::Object(trace) };
        data.insert("source_trace".to_owned(), value);
    }
    if data.is_empty() || random.one_in(2) {
        let value = if random.one_in(6) { Value::Null } else { source_confidence(hot_leaves, random) };
        data.insert("source_confidence".to_owned(), value);
    }
    Value::Object(data)
}

fn source_confidence(hot_leaves: &[&'static str], random: &mut Random) -> Value {
    let mut given = Map::new();
    for _ in 0..=random.below(3) {
        let source = random.pick(&["identity", "metadata", "self"]);
        let mut fields = Vec::new();
        for _ in 0..=random.below(2) {
            let hot = random.pick(hot_leaves);
            let (section, _) = hot.split_once('.').expect("a dotted path");
            let path = match random.below(4) {
                0 => format!("{section}.*"),
                1 => random.pick(&["demographics.state", "demographics.district"]).to_owned(),
                _ => hot.to_owned(),
            };
            if !fields.contains(&path) {
                fields.push(path);
            }
        }
        let confidence = random.pick_number(&[0, 40, 50, 60, 100]) as f64 / 100.0;
        given.insert(source.to_owned(), json!({ "confidence": confidence, "fields": fields }));
    }
    Value::Object(given)
}

fn predictions(random: &mut Random) -> Value {
    let mut data = Map::new();
    if random.one_in(3) {
        let mut events = Vec::new();
        for _ in 0..random.below(3) {
            events.push(json!({
                "event": random.pick(&["child_school_admission", "retirement"]),
                "estimated_date": day_near(random).to_string(),
                "related_schemes": ["sch_1", "sch_0"],
                "confidence": 0.78,
            }));
        }
        let value = if random.one_in(4) { Value::Null } else { json!(events) };
        data.insert("predicted_events".to_owned(), value);
    }
    if random.one_in(3) {
        let mut action =
            json!({ "action": "apply_scheme", "reason": "deadline near", "priority": 1 + random.below(2) });
        if random.one_in(2) {
            action["scheme_id"] = json!("sch_0");
        }
        let value = if random.one_in(4) { Value::Null } else { json!([action]) };
        data.insert("recommended_actions".to_owned(), value);
    }
    if data.is_empty() || random.one_in(2) {
        data.insert("risk_scores".to_owned(), leaves_or_null("risk_scores", values::RISK_LEAVES, random));
    }
    Value::Object(data)
}

fn analytics(random: &mut Random) -> Value {
    let mut data = Map::new();
    if random.one_in(3) {
        let value = if random.one_in(4) { Value::Null } else { json!({ "logins_90d": random.below(3) }) };
        data.insert("aggregated_metrics".to_owned(), value);
    }
    if data.is_empty() || random.one_in(2) {
        let mut tags = vec!["young_family", "urban_professional", "tax_compliant", "young_family"];
        random.shuffle(&mut tags);
        tags.truncate(random.below(5));
        let value = if random.one_in(5) { Value::Null } else { json!(tags) };
        data.insert("cohort_tags".to_owned(), value);
    }
    Value::Object(data)
}
