//! Published events: what one viewer receives about one step of one user (see docs/events.md).
//!
//! A patch can be applied to whatever copy the follower holds. If the copy may contain more than the viewer may see
//! now, or if there is none, the patch carries the whole document. So the consents under which a follower read earlier
//! events do not matter.

mod difference;
mod event_type;
mod step_visibility;

use std::fmt::Write;

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

pub use difference::operations_between;
pub use event_type::{PublishedEventType, PublishedEventTypes, UnknownEventType};
pub use step_visibility::StepVisibility;

use crate::access::Visibility;
use crate::completeness;
use crate::day::{Day, format_instant};
use crate::delta::Delta;
use crate::erasure::Tombstone;
use crate::id::{ProfileId, UserId};
use crate::mask_class::MaskClass;
use crate::past::PastProfile;
use crate::pipeline::{mask, serialize};
use crate::profile::{Envelope, Profile, push_hex};
use crate::rules::Rules;
use crate::schema_version::SchemaVersion;
use crate::snapshot::SnapshotId;
use crate::table::{Leaf, LeafSet};

/// A user's step from one revision to the next.
#[derive(Debug, Clone, Copy)]
pub struct Transition<'a> {
    /// The user whose profile took the step.
    pub user: &'a UserId,
    /// The profile before the step; `None` for the first revision of a generation.
    pub before: Option<&'a PastProfile>,
    /// The profile after the step.
    pub after: &'a PastProfile,
    /// The envelope of the profile after the step.
    pub envelope: &'a Envelope,
    /// The change from one to the other.
    pub delta: &'a Delta,
}

/// An event as it is published to one viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedEvent {
    /// The type of the event.
    pub kind: PublishedEventType,
    /// The members of the CloudEvent, without the braces around them.
    pub members: String,
}

/// Returns the `patch_id`, which is the same whenever the same patch is built again.
pub fn patch_id(profile_id: ProfileId, base: u64, revision: u64) -> String {
    derived_id("patch_", "patch", profile_id, base, revision)
}

/// Returns the events of a step, in the order of their types.
pub fn events(
    step: &Transition<'_>,
    visibility: &StepVisibility,
    types: PublishedEventTypes,
    rules: &Rules,
) -> Vec<PublishedEvent> {
    let mut events = Vec::with_capacity(3);
    let mut push = |kind, data: &dyn Fn() -> String| {
        if types.has(kind) {
            events.push(PublishedEvent { kind, members: members(step, kind, &data()) });
        }
    };
    match (visibility.held, visibility.after) {
        (Visibility::Hidden, Visibility::Hidden) => {}
        (Visibility::Mask(_), Visibility::Hidden) => {
            let empty = || delta_data(step, r#"[{"op":"replace","path":"","value":{}}]"#);
            push(PublishedEventType::ProfileDeltaGenerated, &empty);
        }
        (_, Visibility::Mask(mask)) => {
            let seen = VisibleStep::new(step, visibility, mask);
            push(PublishedEventType::ProfileAssembled, &|| assembled_data(step, &seen));
            push(PublishedEventType::ProfileDeltaGenerated, &|| delta_data(step, &operations(step, &seen)));
            if let Some((old, new)) = seen.pcts() {
                let data = || completeness_data(step, mask, (old, new), rules);
                push(PublishedEventType::ProfileCompletenessChanged, &data);
            }
            if types.has(PublishedEventType::ProfileSnapshotCreated) && visibility.before != Visibility::Hidden {
                events.extend(daily_snapshot(step, rules).map(|snapshot| snapshot_event(step.user, &snapshot)));
            }
        }
    }
    events
}

/// A snapshot as it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedSnapshot {
    /// The id.
    pub id: SnapshotId,
    /// The revision.
    pub revision: u64,
    /// When it was taken; for a daily one when its revision was generated. In microseconds since the Unix epoch.
    pub created_at: i64,
}

/// Returns the snapshot that the profile before a step became by it, if the step is the first one of a later day.
fn daily_snapshot(step: &Transition<'_>, rules: &Rules) -> Option<PublishedSnapshot> {
    let before = step.before?;
    let day = |micros| Day::at(micros, &rules.zone);
    let (revision, created_at) = (before.revision, before.generated_at);
    let is_over = day(created_at) < day(step.envelope.generated_at);
    let id = SnapshotId::for_day(before.profile_id, revision, created_at);
    is_over.then_some(PublishedSnapshot { id, revision, created_at })
}

/// Returns the event of a snapshot. The viewer must see the user at its revision and ever since.
pub fn snapshot_event(user: &UserId, snapshot: &PublishedSnapshot) -> PublishedEvent {
    let PublishedSnapshot { id, revision, created_at } = snapshot;
    let kind = PublishedEventType::ProfileSnapshotCreated;
    let (name, time) = (kind.name(), format_instant(*created_at));
    let hash = Sha256::new().chain_update(id.to_bytes()).chain_update(name).finalize();
    let event_id = hashed_id("evt_", &hash.into());
    let user = user.as_str();
    let members = format!(
        r#""specversion":"1.0","id":"{event_id}","source":"/api/v2/profile","type":"{name}","subject":"{user}","time":"{time}","datacontenttype":"application/json","data":{{"created_at":"{time}","revision":{revision},"snapshot_id":"{id}","user_id":"{user}"}}"#
    );
    PublishedEvent { kind, members }
}

/// Returns the event of an erasure.
pub fn erasure_event(user: &UserId, tombstone: &Tombstone) -> PublishedEvent {
    let kind = PublishedEventType::ProfileErased;
    let (name, generation, time) = (kind.name(), tombstone.generation, format_instant(tombstone.erased_at));
    let user = user.as_str();
    let hash = Sha256::new().chain_update(user).chain_update(generation.to_be_bytes()).chain_update(name).finalize();
    let event_id = hashed_id("evt_", &hash.into());
    let members = format!(
        r#""specversion":"1.0","id":"{event_id}","source":"/api/v2/profile","type":"{name}","subject":"{user}","time":"{time}","datacontenttype":"application/json","data":{{"erasure_generation":{generation},"user_id":"{user}"}}"#
    );
    PublishedEvent { kind, members }
}

/// A step as its viewer sees it.
struct VisibleStep {
    /// The change from the view under the old mask to the view under the new one.
    delta: Delta,
    mask: LeafSet,
    /// The leaves that the follower may hold and may not see any more.
    withdrawn: LeafSet,
    /// Whether the follower holds the document before.
    continues: bool,
}

impl VisibleStep {
    fn new(step: &Transition<'_>, visibility: &StepVisibility, mask: LeafSet) -> Self {
        let leaves = |visibility| match visibility {
            Visibility::Mask(mask) => mask,
            Visibility::Hidden => LeafSet::EMPTY,
        };
        let withdrawn = leaves(visibility.held).without(mask);
        let nothing = Profile::default();
        let old = step.before.map_or(&nothing, |past| &past.profile);
        let delta = mask::between(step.delta, (old, leaves(visibility.before)), (&step.after.profile, mask));
        let continues = visibility.before != Visibility::Hidden && withdrawn.is_empty();
        Self { delta, mask, withdrawn, continues }
    }

    /// Returns the percentages before and after, if the viewer sees both and they differ.
    fn pcts(&self) -> Option<(&str, &str)> {
        let change = self.delta.changes.iter().find(|change| change.leaf == Leaf::ProfileCompletenessPct)?;
        Some((change.old.as_ref()?.as_str(), change.new.as_ref()?.as_str()))
    }
}

fn operations(step: &Transition<'_>, seen: &VisibleStep) -> String {
    let envelope = step.envelope;
    if !seen.continues {
        let view = serialize::document(
            envelope,
            &step.after.profile_hash(),
            &step.after.profile,
            MaskClass::for_profile(seen.mask),
        );
        let view = String::from_utf8(view).unwrap_or_default();
        return format!(r#"[{{"op":"add","path":"","value":{view}}}]"#);
    }
    let mut out = String::from("[");
    for (name, value) in [
        ("assembly_latency_ms", envelope.assembly_latency_ms().as_str().to_owned()),
        ("generated_at", format!("\"{}\"", format_instant(envelope.generated_at))),
        ("profile_hash", format!("\"{}\"", hex(&step.after.profile_hash()))),
        ("revision", envelope.revision.to_string()),
    ] {
        let _ = write!(out, r#"{{"op":"replace","path":"/{name}","value":{value}}},"#);
    }
    // Operations are JSON values already: writing them cannot fail.
    let patch = serde_json::to_string(&mask::patch(&seen.delta, MaskClass::UNMASKED)).unwrap_or_default();
    match patch.strip_prefix('[') {
        Some("]") | None => {
            out.pop();
            out.push(']');
        }
        Some(rest) => out.push_str(rest),
    }
    out
}

fn assembled_data(step: &Transition<'_>, seen: &VisibleStep) -> String {
    let sections = SchemaVersion::NEWEST.sections(seen.delta.changed().or(seen.withdrawn));
    let sections: Vec<String> = sections.map(|name| format!("\"{name}\"")).collect();
    let pct = step.after.profile.get(Leaf::ProfileCompletenessPct);
    let pct = pct.filter(|_| seen.mask.has(Leaf::ProfileCompletenessPct));
    let pct = pct.map_or_else(String::new, |pct| format!(r#""completeness_pct":{},"#, pct.as_str()));
    format!(
        r#"{{"changed_sections":[{}],{pct}"profile_hash":"{}","revision":{},"schema_version":"{}","user_id":"{}"}}"#,
        sections.join(","),
        hex(&step.after.profile_hash()),
        step.envelope.revision,
        SchemaVersion::NEWEST.name(),
        step.user.as_str(),
    )
}

fn delta_data(step: &Transition<'_>, operations: &str) -> String {
    let (base, revision) = (step.delta.base, step.delta.revision);
    format!(
        r#"{{"base_revision":{base},"generated_at":"{}","operations":{operations},"patch_id":"{}","revision":{revision},"user_id":"{}"}}"#,
        format_instant(step.envelope.generated_at),
        patch_id(step.after.profile_id, base, revision),
        step.user.as_str(),
    )
}

fn completeness_data(step: &Transition<'_>, mask: LeafSet, (old, new): (&str, &str), rules: &Rules) -> String {
    let profile = &step.after.profile;
    let value = |leaf| profile.get(leaf).cloned();
    let missing = completeness::missing_fields(profile.present(), &value, rules, mask);
    let missing: Vec<String> = missing
        .iter()
        .filter_map(|field| SchemaVersion::NEWEST.path(field.leaf))
        .map(|path| format!("\"{path}\""))
        .collect();
    format!(
        r#"{{"missing_fields":[{}],"new_pct":{new},"old_pct":{old},"user_id":"{}"}}"#,
        missing.join(","),
        step.user.as_str(),
    )
}

/// Returns the members of the CloudEvent (CloudEvents 1.0.2, JSON format) around `data`.
fn members(step: &Transition<'_>, kind: PublishedEventType, data: &str) -> String {
    let (base, revision) = (step.delta.base, step.delta.revision);
    let name = kind.name();
    let id = derived_id("evt_", name, step.after.profile_id, base, revision);
    format!(
        r#""specversion":"1.0","id":"{id}","source":"/api/v2/profile","type":"{name}","subject":"{}","time":"{}","datacontenttype":"application/json","data":{data}"#,
        step.user.as_str(),
        format_instant(step.envelope.generated_at),
    )
}

/// Returns an id in the form of a UUID of version 8 (RFC 9562), derived only from values that every viewer sees.
fn derived_id(prefix: &str, of: &str, profile_id: ProfileId, base: u64, revision: u64) -> String {
    let hash = Sha256::new()
        .chain_update(profile_id.to_bytes())
        .chain_update(base.to_be_bytes())
        .chain_update(revision.to_be_bytes())
        .chain_update(of)
        .finalize();
    hashed_id(prefix, &hash.into())
}

/// Returns an id in the form of a UUID of version 8 (RFC 9562) from a hash.
fn hashed_id(prefix: &str, hash: &[u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    let uuid = Builder::from_custom_bytes(bytes).into_uuid();
    let mut text = Uuid::encode_buffer();
    [prefix, uuid.hyphenated().encode_lower(&mut text)].concat()
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    push_hex(&mut out, bytes);
    out
}
