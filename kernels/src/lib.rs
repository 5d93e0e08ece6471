//! Columns in, columns out: batch kernels for anonymised exports. A leaf: it knows no profile, no file and no actor.
//!
//! A **column** is a slice with one entry per row; rows of different columns with the same position belong together.
//! Values are dictionary codes (`u32`), never text. Results are integers and the same, bit for bit, whichever device
//! computes them; so the order of results is part of the contract.
//!
//! | kernel | in | out |
//! |---|---|---|
//! | [`Packing`] | the quasi-identifier columns | one 64-bit key per row |
//! | [`cpu::class_sizes`] | the keys | [`Classes`]: who is alike, and how many of them |
//! | [`cpu::distinct_values`] | classes and a sensitive column | how many different values each class holds |
//!
//! The CUDA sources with the same names (`cuda/*.cu`, `src/cuda`) join with the export.
//!
//! ```
//! use kernels::{Packing, cpu};
//!
//! let age = [2, 2, 4, 2];
//! let state = [17, 17, 3, 17];
//! let income = [0, 3, 1, 3];
//!
//! let keys = Packing::new(&[5, 36])?.pack(&[&age, &state])?;
//! let classes = cpu::class_sizes(&keys)?;
//! assert_eq!(classes.sizes, [3, 1]);
//! assert_eq!(cpu::distinct_values(&classes, &income)?, [2, 1]);
//! # Ok::<(), kernels::KernelError>(())
//! ```

mod classes;
pub mod cpu;
mod error;
mod packing;

pub use classes::Classes;
pub use error::KernelError;
pub use packing::Packing;
