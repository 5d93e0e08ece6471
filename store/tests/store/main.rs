//! The store through its public interface.

#[path = "../kit/mod.rs"]
mod kit;

mod append;
mod checkpoint;
mod damage;
mod dead_letters;
mod faults;
mod full_disk;
mod history;
mod kill;
mod log;
mod permissions;
mod quarantine;
mod sled_faults;
mod together;
