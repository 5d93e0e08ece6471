//! Columns in, columns out: batch kernels for anonymised exports. A leaf: it knows no profile, no file and no actor.
//!
//! A **column** is a slice with one entry per row; rows of different columns with the same position belong together.
//! Values are dictionary codes (`u32`) or numbers in fixed point (`i64`); only what becomes a pseudonym is text. Results are
//! integers and the same, bit for bit, whichever device computes them; so the order of results is part of the contract.
//!
//! A [`Backend`] computes three kernels. [`Cpu`] and [`Cuda`] implement it, [`choose`] opens the one that the settings name.
//!
//! | kernel | in | out |
//! |---|---|---|
//! | [`Backend::pseudonyms`] | texts and a key | HMAC-SHA-256 of each text |
//! | [`Backend::row_classes`] | quasi-identifiers, a [`Generalisation`], sensitive columns | [`RowClasses`]: who is alike, how many they are, and which sensitive values they have |
//! | [`Backend::aggregates`] | groups and [measures](MeasureColumn) | [`Aggregates`]: counts, sums and histograms by group |
//!
//! The CUDA sources are in `cuda/`. `tests/emulator/` runs them on an emulated device, see ADR 0031.
//!
//! ```
//! use kernels::{Backend, Cpu, Generalisation, Level, SensitiveColumn};
//!
//! let age = [2, 2, 4, 2];
//! let district = [17, 11, 3, 17];
//! let income = [0, 3, 1, 3];
//!
//! // Ages stay, districts become their states.
//! let state_of_district = (0..20).map(|district| district / 10).collect();
//! let levels = vec![Level::identity(5), Level::new(state_of_district, 2)?];
//! let income = SensitiveColumn { codes: &income, cardinality: 4 };
//! let classes = Cpu::new().row_classes(&Generalisation::new(levels)?, &[&age, &district], &[income])?;
//! assert_eq!(classes.classes.sizes, [3, 1]);
//! assert_eq!(classes.values[0].distinct(0), 2);
//! # Ok::<(), kernels::KernelError>(())
//! ```

mod aggregate;
mod backend;
mod choice;
mod classes;
pub mod cpu;
mod cuda;
mod error;
mod generalisation;
mod packing;
mod pseudonym;
mod row_classes;

pub use aggregate::{Aggregates, GroupColumn, MISSING, MOST_BINS, MeasureColumn, MeasureTotals, NO_GROUP};
pub use backend::{Backend, BackendKind};
pub use choice::{BackendChoice, ChosenBackend, UnknownBackend, choose};
pub use classes::Classes;
pub use cpu::Cpu;
pub use cuda::{Cuda, CudaError, CudaOptions};
pub use error::KernelError;
pub use generalisation::{Generalisation, Level};
pub use packing::Packing;
pub use pseudonym::{Pseudonym, PseudonymKey, Texts};
pub use row_classes::{MOST_SENSITIVE_CODES, RowClasses, SensitiveColumn, ValueSets};
