//! Pure rules: no I/O, no runtime, no clock, no randomness. The same input gives the same bytes.

pub mod canonical;
pub mod id;
pub mod port;
pub mod source;
pub mod table;
