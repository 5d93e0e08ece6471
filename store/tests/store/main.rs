//! The store through its public interface.

#[path = "../kit/mod.rs"]
mod kit;

mod append;
