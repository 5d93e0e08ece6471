//! The kinds of read, one a file. Each makes its answer from a committed state, on the asker's thread.
//!
//! A new kind is a file with a type that implements [`Reading`], and its line here.

mod completeness;
mod kind;
mod simulate;
mod summary;
mod view;

pub use completeness::{Completeness, ReadCompleteness};
pub use kind::{ReadInput, Reading};
pub use simulate::{Simulate, SimulatedProfile};
pub use summary::{ReadSummary, Summary};
pub(crate) use view::ReadView;
pub use view::View;
