//! Where the values of a profile come from, what can be verified of it, and what masks it.

mod access;
mod explain;
mod integrity;
mod provenance;

pub(super) use access::get as access;
pub(super) use explain::get as explain;
pub(super) use integrity::get as integrity;
pub(super) use provenance::with_provenance;
