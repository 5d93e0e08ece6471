//! Pure rules: no I/O, no runtime, no clock, no randomness. The same input gives the same bytes.

pub mod id;
pub mod source;
pub mod table;

pub mod canonical;
pub mod day;
pub mod json;

pub mod event;
pub mod rules;

pub mod access;

pub mod completeness;

pub mod port;
