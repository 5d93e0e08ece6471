//! The main path's pure stages. Read in this order: validate, merge, enrich, diff, mask, serialize.

pub mod apply;
mod diff;
mod enrich;
pub mod explain;
pub mod mask;
mod merge;
#[cfg(test)]
mod next_version;
pub mod serialize;
pub mod simulate;
pub mod validate;

pub use apply::{
    ApplyOutcome, AssemblyContext, FinishedChange, NewUser, RollOutcome, StateChange, apply, begin_generation, roll,
};
