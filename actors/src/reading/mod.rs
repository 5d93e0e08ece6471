//! The kinds of read, one a file. Each makes its answer from a committed state, on the asker's thread.
//!
//! A new kind is a file with a type that implements [`Reading`], and its line here.

mod access;
mod completeness;
mod documents;
mod encoded_forms;
mod explanation;
mod integrity;
mod kind;
mod provenance;
mod simulate;
mod summary;
mod view;

pub use access::{Access, ReadAccess};
pub use completeness::{Completeness, ReadCompleteness};
pub use documents::{Documents, HeldValue, ReadDocuments};
pub use encoded_forms::{ContentCoding, EncodedForms};
pub use explanation::{ExplainedLeaf, ReadExplanation};
pub use integrity::{Integrity, ReadIntegrity};
pub use kind::{ReadInput, Reading};
pub use provenance::{ReadProvenance, ViewWithProvenance};
pub use simulate::{Simulate, SimulatedProfile};
pub use summary::{ReadSummary, Summary};
pub(crate) use view::ReadView;
pub use view::View;
