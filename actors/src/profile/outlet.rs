//! The outlet of one subscriber.

use domain::access::Viewer;
use domain::mask_class::MaskClass;
use domain::schema_version::SchemaVersion;
use domain::table::LeafSet;

use crate::outlet::OutletSender;

/// The outlet of one subscriber.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) id: u64,
    pub(super) viewer: Viewer,
    pub(super) fields: LeafSet,
    pub(super) schema: SchemaVersion,
    pub(super) sender: OutletSender,
    /// The class of the viewer's mask, limited to `fields`, in `schema`; `None` while the user is hidden from the viewer.
    pub(super) class: Option<MaskClass>,
}
