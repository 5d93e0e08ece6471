//! Erasures on a real audit log, with a store that a test can make fail.

mod fixture;
mod receipt;
mod schedule;
mod steps;
