//! The difference between two states of a user, as one viewer sees both.

use std::fmt::Write;

use super::hex;
use crate::day::format_instant;
use crate::delta::Delta;
use crate::mask_class::MaskClass;
use crate::pipeline::mask;
use crate::state::UserState;

/// Returns the operations of a JSON Patch (RFC 6902) from a mask class's view of one state to its view of another, with the
/// members of the envelope that differ. The second state may be the older one.
pub fn operations_between(before: &UserState, after: &UserState, class: MaskClass) -> String {
    let (old, new) = (envelope_members(before), envelope_members(after));
    let mut out = String::from("[");
    let has_revision = class.schema().table().has_revision;
    for ((name, old), (_, new)) in old.iter().zip(&new) {
        if old != new && (*name != "revision" || has_revision) {
            let _ = write!(out, r#"{{"op":"replace","path":"/{name}","value":{new}}},"#);
        }
    }
    let (base, revision) = (before.envelope.revision, after.envelope.revision);
    let delta = Delta::new(base, revision, &before.profile, &after.profile);
    // Operations are JSON values already: writing them cannot fail.
    let patch = serde_json::to_string(&mask::patch(&delta, class)).unwrap_or_default();
    let operations = patch.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default();
    out.push_str(operations);
    if out.ends_with(',') {
        out.pop();
    }
    out.push(']');
    out
}

/// Returns the members of the envelope that may differ between two states, as JSON.
fn envelope_members(state: &UserState) -> [(&'static str, String); 5] {
    let envelope = &state.envelope;
    [
        ("assembly_latency_ms", envelope.assembly_latency_ms().as_str().to_owned()),
        ("generated_at", format!("\"{}\"", format_instant(envelope.generated_at))),
        ("profile_hash", format!("\"{}\"", hex(&state.profile_hash()))),
        ("profile_id", format!("\"{}\"", envelope.profile_id)),
        ("revision", envelope.revision.to_string()),
    ]
}
