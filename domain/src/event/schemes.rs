//! `scheme.application.status_changed`: the status of one scheme, which overlays the batch's.

use super::check::{self, Members};
use super::draft::{Draft, find};
use super::shape::{STATUSES, Shape};
use super::{Location, RegisterPath};

pub(super) fn read(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    for (name, _) in data.iter().filter(|(name, _)| name != "scheme_id" && name != "application_status") {
        draft.refuse(name, &at.member(name));
    }
    let Some(id) = find(data, "scheme_id") else { return draft.missing(at, "scheme_id") };
    let Some(status) = find(data, "application_status") else { return draft.missing(at, "application_status") };
    if let Some(id) = draft.accept(check::item_id(id, draft.rules.limits.id_chars, &at.member("scheme_id"))) {
        let path = RegisterPath::SchemeStatus(id.into());
        draft.register(path, Shape::Word(STATUSES), status, &at.member("application_status"));
    }
}
