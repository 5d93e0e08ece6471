//! The store through its public interface.

#[path = "../kit/mod.rs"]
mod kit;

mod append;
mod checkpoint;
mod dead_letters;
