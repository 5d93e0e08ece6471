//! Lines of entries.

use domain::json;
use domain::port::audit::{AuditCategory, AuditDecision};
use domain::table::LeafSet;

use super::*;

fn keys() -> AuditKeys {
    AuditKeys::from_keys([7; 32], &[7; 32], &[7; 32])
}

fn user() -> domain::id::UserId {
    domain::id::UserId::parse("usr_7Qm2Xr9TzKpA").expect("an id")
}

fn entry() -> AuditEntry {
    let mut entry = AuditEntry::new(AuditCategory::Compliance, "profile.read", AuditActor::Caller("adm:asha".into()));
    entry.subject = Some(user());
    entry.generation = Some(1);
    entry.fields = LeafSet::ALL;
    entry.decision = AuditDecision::Denied;
    entry.reason = Some("complaint \"42\" of Müller, 2341 2341 2346".to_owned());
    entry.purpose = Some("audit,\"chain\":\"".to_owned());
    entry.request_id = Some("r-1".to_owned());
    entry
        .with("count", AuditValue::Integer(3))
        .with("a_flag", AuditValue::Bool(true))
        .with("seq", AuditValue::Integer(9))
}

#[test]
fn a_line_is_canonical_and_follows_from_the_one_before() {
    let (keys, previous) = (keys(), [5; 32]);
    let mut line = String::new();
    let place = Place { seq: 12, time: 1_796_054_400_000_001, previous };
    let chain = write_line(&mut line, &entry(), place, &keys);
    let object = json::parse(line.as_bytes(), 4).expect("JSON");
    let mut canonical = String::new();
    object.write_canonical(&mut canonical);
    assert_eq!(canonical, line);
    let text = |name: &str| object.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    assert_eq!(text("reason").as_deref(), Some("complaint \"42\" of Müller, [aadhaar]"));
    assert_eq!(object.get("seq").and_then(|value| value.as_i64()), Some(12), "a member does not replace another");
    assert_eq!(text("chain"), Some(hex::encode(chain)));
    assert_eq!(text("subject"), Some(keys.subject_hash(&user()).to_hex()));
    assert!(!line.contains("usr_"), "{line}");

    let parsed = ChainedLine::parse(&line).expect("a chain value");
    assert!(parsed.follows(keys.chain_key(), &previous));
    assert!(!parsed.follows(keys.chain_key(), &CHAIN_START));
    let changed = line.replace("adm:asha", "adm:ravi");
    assert!(!ChainedLine::parse(&changed).expect("a chain value").follows(keys.chain_key(), &previous));
}

#[test]
fn citizens_are_recorded_by_a_hash_wherever_they_appear() {
    let keys = keys();
    let hash = keys.subject_hash(&user()).to_hex();
    assert_eq!(actor_text(&AuditActor::Citizen(user()), &keys), format!("user:{hash}"));
    assert_eq!(actor_text(&AuditActor::Caller("usr_7Qm2Xr9TzKpA".into()), &keys), "[user_id]");
    assert_eq!(actor_text(&AuditActor::Caller("svc:mail".into()), &keys), "svc:mail");
}
