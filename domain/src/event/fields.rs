//! `user.metadata.updated` and `user.profile.edited`: a merge patch (RFC 7396) over the shared sections.

use super::Location;
use super::check::{self, Members};
use super::draft::{Draft, find, writable};
use crate::table::Member;

pub(super) fn read(data: &Members<'_>, at: &Location<'_>, draft: &mut Draft<'_>) {
    for (name, _) in data.iter().filter(|(name, _)| name != "fields") {
        draft.refuse(name, &at.member(name));
    }
    let Some(fields) = find(data, "fields") else { return draft.missing(at, "fields") };
    let at = at.member("fields");
    // A section can be null, which withdraws it. The patch `fields` itself cannot.
    let Some(sections) = draft.accept(check::object(fields, &at)) else { return };
    for (name, value) in sections {
        let here = at.member(name);
        match Member::parse(name) {
            Some(section @ (Member::Demographics | Member::Economic | Member::Family)) => {
                draft.section(section, writable(section), value, &here);
            }
            _ => draft.refuse(name, &here),
        }
    }
}
