//! The store through its public interface.

#[path = "../kit/mod.rs"]
mod kit;

mod append;
mod checkpoint;
mod damage;
mod dead_letters;
mod faults;
mod history;
mod kill;
mod log;
mod quarantine;
mod sled_faults;
mod together;
