//! Classes of rows with equal quasi-identifiers, and their roll-up to coarser nodes.

mod roll_up;
mod sensitive;
mod source;
mod table;

pub use sensitive::{SensitiveLayout, TooManySensitiveValues};
pub use source::{ClassSource, RollUp, RolledUpClasses};
pub use table::{ClassTable, EquivalenceClass};
