//! The difference between two states of a user, as one mask class sees it.

use std::fmt::Write;

use crate::delta::Delta;
use crate::mask_class::MaskClass;
use crate::pipeline::{mask, serialize};
use crate::scan;
use crate::state::UserState;

/// Returns the operations of a JSON Patch (RFC 6902) from a mask class's view of one state to its view of another, with the
/// members of the envelope that differ. The second state may be the older one. Both are of one erasure generation, so the
/// profile has the same id in both.
pub fn operations_between(before: &UserState, after: &UserState, class: MaskClass) -> String {
    let [old, new] = [before, after].map(|state| serialize::envelope(state, class.schema()));
    let mut out = String::from("[");
    for ((name, old), (_, new)) in scan::members(&old).zip(scan::members(&new)) {
        if old != new {
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
