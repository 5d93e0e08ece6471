//! The outlet of one subscriber.

use domain::access::Viewer;
use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;

use super::outlet_class::OutletClass;
use crate::outlet::OutletSender;

/// The outlet of one subscriber.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) id: u64,
    pub(super) viewer: Viewer,
    pub(super) fields: LeafSet,
    pub(super) schema: SchemaVersion,
    /// Whether its patches name the sources of values.
    pub(super) names_sources: bool,
    pub(super) sender: OutletSender,
    /// The class of the viewer's mask, limited to `fields`, in `schema`; `None` while the user is hidden from the viewer.
    pub(super) class: Option<OutletClass>,
}
